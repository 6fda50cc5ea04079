/** Whatever is lost, cut and restarted: when it is quiet again, all nodes know the same peers. */
import * as fc from 'fast-check';
import t from 'tap';
import { onion } from '../directory/wire.js';
import { nickOf } from '../directory/many.js';
import { createWorld, linesOf, listedBy, type World, type WorldPeer } from './world.js';

const NAMES = ['a', 'b', 'c'];
const NICKS = Array.from({ length: 12 }, (_, i) => `J5peer${i}`);

type Act =
  | { readonly act: 'join' | 'leave'; readonly node: string; readonly nick: string }
  | { readonly act: 'say'; readonly node: string; readonly nick: string }
  | { readonly act: 'lose'; readonly part: number }
  | { readonly act: 'split'; readonly alone: string }
  | { readonly act: 'power'; readonly on: boolean }
  | { readonly act: 'wait'; readonly ms: number };

const node = fc.constantFrom(...NAMES);
const nick = fc.constantFrom(...NICKS);
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ act: fc.constant('join' as const), node, nick }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('leave' as const), node, nick }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('say' as const), node, nick }) },
  fc.record({ act: fc.constant('lose' as const), part: fc.constantFrom(0, 0, 2, 3) }),
  fc.record({ act: fc.constant('split' as const), alone: fc.constantFrom('', ...NAMES) }),
  fc.record({ act: fc.constant('power' as const), on: fc.boolean() }),
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('wait' as const),
      ms: fc.constantFrom(50, 500, 9_000),
    }),
  },
);

function perform(world: World, peers: Map<string, WorldPeer>, step: Act): void {
  switch (step.act) {
    case 'join': {
      const key = `${step.node} ${step.nick}`;
      if (peers.get(key)?.closed === false) return;
      // Some nicks are contested by peers of different locations.
      const n = NICKS.indexOf(step.nick);
      const location = n % 3 === 0 ? onion(n * 3 + NAMES.indexOf(step.node)) : onion(n);
      peers.set(key, world.node(step.node).join(step.nick, { location }));
      return;
    }
    case 'leave':
      peers.get(`${step.node} ${step.nick}`)?.leave();
      return;
    case 'say':
      peers.get(`${step.node} ${step.nick}`)?.send(687, `${step.nick}!PUBLIC!hello`);
      return;
    case 'lose': {
      let n = 0;
      world.hub.lose = () => step.part > 0 && n++ % step.part === 0;
      return;
    }
    case 'split':
      if (step.alone === '') world.hub.split();
      else
        world.hub.split(
          [step.alone],
          NAMES.filter((name) => name !== step.alone),
        );
      return;
    case 'power':
      world.hub.power(step.on);
      return;
    case 'wait':
      world.pass(step.ms);
  }
}

t.test('after quiet, all views are equal and each nick belongs to one peer', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 40 }), async (steps) => {
      const world = await createWorld(NAMES);
      const peers = new Map<string, WorldPeer>();
      for (const step of steps) {
        perform(world, peers, step);
        world.pass(50);
      }
      world.hub.lose = () => false;
      world.hub.split();
      world.hub.power(true);
      world.pass(40_000);
      const observers = NAMES.map((name) => world.node(name).join(`J5observer${name}`));
      world.pass(200);
      const lists = observers.map((observer) => listedBy(world, observer));
      const open = [...peers.values()].filter((peer) => peer.accepted && !peer.closed);
      const expected = [...new Set(open.map((peer) => peer.nick)), ...observers.map((o) => o.nick)];
      for (const list of lists) {
        if (list.join() !== expected.toSorted().join()) {
          throw new Error(`${list.join()} is not ${expected.toSorted().join()}`);
        }
      }
      for (const contested of NICKS.filter((_, i) => i % 3 === 0)) {
        const holders = open.filter((peer) => peer.nick === contested);
        if (holders.length > 1) throw new Error(`${holders.length} peers are ${contested}`);
      }
      for (const { cluster } of world.nodes) {
        if (cluster.state().nodes.some(({ inSync }) => !inSync)) throw new Error('not in sync');
      }
      // Each message reaches each connection once, whatever was before.
      for (const observer of observers) observer.take();
      observers[0]?.send(687, 'J5observera!PUBLIC!end');
      for (const peer of open)
        if (peer.nick === open[0]?.nick) peer.send(687, `${peer.nick}!PUBLIC!end`);
      world.pass(300);
      const said = observers.slice(1).map((observer) => linesOf(observer.take(), 687).length);
      const count = open.length > 0 ? 2 : 1;
      if (said.some((n) => n !== count)) throw new Error(`${said.join()} messages, not ${count}`);
    }),
    { numRuns: 12 },
  );
  t.pass();
});

t.test('a node with 3,000 peers', async (t) => {
  const world = await createWorld(['a', 'b']);
  const a = world.node('a');
  const ten = Array.from({ length: 10 }, (_, i) => `a_feature_with_a_long_name_${i}`);
  const features = Object.fromEntries(ten.map((name) => [name, true]));
  world.hub.power(false);
  const peers = Array.from({ length: 3_000 }, (_, i) =>
    a.join(nickOf('k', i), { location: onion(i % 250), features }),
  );
  world.pass(100);
  t.ok(peers.every((peer) => peer.accepted));
  world.hub.power(true);
  world.pass(5_000);
  const b = world.node('b').cluster.state();
  t.equal(b.peers, 3_000);
  t.ok(b.nodes[0]?.inSync);
  t.equal(b.counters.snapshots, 2, 'one at the start, and one for all of them');
  const largest = Math.max(...world.hub.log.map(({ bytes }) => bytes.length));
  t.ok(largest < 262_144, `in packets of at most ${largest} bytes`);

  const observer = world.node('b').join('J5observer');
  world.pass(100);
  a.kill();
  world.pass(10_000);
  const lines = linesOf(observer.take(), 789);
  const left = lines.flatMap((line) => line.split(','));
  t.equal(left.length, 3_000, 'all leave when it dies');
  t.equal(new Set(left).size, 3_000, 'each once');
  t.ok(lines.length <= 40, `in ${lines.length} lines`);
});
