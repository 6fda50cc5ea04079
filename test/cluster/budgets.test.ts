/** The budgets of a directory on several machines: those of one directory. */
import t from 'tap';
import type { DirectoryLimits } from '../../src/directory/limits.js';
import { createWorld, linesOf, type World, type WorldPeer } from './world.js';

const LIMITS: Partial<DirectoryLimits> = {
  orderbookPerMinute: 1_000_000,
  pubmsgPerMinute: 1_000_000,
  orderbookPerSecond: 40,
  deliveriesPerSecond: 0,
};

/** Requests that reach an observer in some seconds, while each of these peers asks so often. */
function requestsIn(
  world: World,
  observer: WorldPeer,
  askers: readonly { readonly peers: readonly WorldPeer[] }[],
  seconds: number,
): number {
  observer.take();
  let seen = 0;
  for (let i = 0; i < seconds * 20; i++) {
    for (const { peers } of askers) {
      for (const peer of peers) peer.send(687, `${peer.nick}!PUBLIC!orderbook`);
    }
    world.pass(50);
    seen += linesOf(observer.take(), 687).length;
  }
  return seen / seconds;
}

const crowd = (world: World, name: string, count: number): readonly WorldPeer[] =>
  Array.from({ length: count }, (_, i) => world.node(name).join(`J5${name}${i}`));

t.test('all nodes together relay what one directory may', async (t) => {
  const world = await createWorld(['a', 'b', 'c'], { limits: LIMITS });
  const observer = world.node('c').join('J5observer');
  const [ofA, ofB] = [crowd(world, 'a', 30), crowd(world, 'b', 30)];
  world.pass(200);
  const within = (rate: number, what: string): void => {
    t.ok(rate > 36 && rate < 44, `${what}: ${rate} requests a second, of 40`);
  };
  requestsIn(world, observer, [{ peers: ofA }], 5);
  within(requestsIn(world, observer, [{ peers: ofA }], 10), 'all traffic at one node');
  requestsIn(world, observer, [{ peers: ofA }, { peers: ofB }], 5);
  within(requestsIn(world, observer, [{ peers: ofA }, { peers: ofB }], 10), 'at two nodes');
  const few = ofB.slice(0, 1);
  requestsIn(world, observer, [{ peers: ofA }, { peers: few }], 5);
  within(requestsIn(world, observer, [{ peers: ofA }, { peers: few }], 10), 'unequal traffic');

  const { share } = world.node('a').cluster.state();
  t.ok(share.requests > 0.33, `the node with the traffic has ${share.requests}`);
  world.hub.power(false);
  const alone = world.node('a').join('J5alone');
  world.pass(1_000);
  requestsIn(world, alone, [{ peers: ofA }], 2);
  const rate = requestsIn(world, alone, [{ peers: ofA }], 10);
  t.ok(rate > 12 && rate < 14.7, `a node that is alone uses its third: ${rate}`);
});

t.test('a public message costs its deliveries at all nodes', async (t) => {
  const limits = { pubmsgPerMinute: 1_000_000, deliveriesPerSecond: 1_000, orderbookPerSecond: 0 };
  const world = await createWorld(['a', 'b'], { limits });
  const speakers = crowd(world, 'a', 20);
  const [observer] = crowd(world, 'b', 50);
  if (!observer) throw new Error('unreachable');
  world.pass(200);
  const said = (seconds: number): number => {
    observer.take();
    let seen = 0;
    for (let i = 0; i < seconds * 20; i++) {
      for (const peer of speakers) peer.send(687, `${peer.nick}!PUBLIC!sw0reloffer ${i}`);
      world.pass(50);
      seen += linesOf(observer.take(), 687).length;
    }
    return seen / seconds;
  };
  said(5);
  // A line costs 30 more, see `budgets.ts`.
  const expected = 1_000 / (69 + 30);
  const rate = said(20);
  t.ok(Math.abs(rate - expected) < expected / 10, `${rate} messages a second, of ${expected}`);
});
