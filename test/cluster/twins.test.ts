/**
 * Two connections to two nodes with one nick: of one peer, as deployed peers dial every address of a directory, or
 * of a stranger that declares the same. What each of them gets, and how much of it.
 */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { createNickKey } from '../../src/protocol/nick.js';
import { onion } from '../directory/wire.js';
import {
  createWorld,
  joinProven,
  linesOf,
  NICK_AUTH,
  type World,
  type WorldPeer,
} from './world.js';

const ABC = ['a', 'b', 'c'];

/** The private messages since the last call. */
const privateOf = (peer: WorldPeer): readonly string[] => linesOf(peer.take(), 685);

/** A message to `J5x` from each node. */
function writeFromAll(world: World, senders: readonly WorldPeer[], text: string): void {
  for (const sender of senders) sender.send(685, `${sender.nick}!J5x!${text}`);
  world.pass(200);
}

for (const location of ['NOT-SERVING-ONION', onion(1)]) {
  t.test(`a stranger with the nick of a peer at ${location.slice(0, 12)}...`, async (t) => {
    const world = await createWorld(ABC);
    const x = world.node('b').join('J5x', { location });
    const senders = ABC.map((name) => world.node(name).join(`J5at${name}`));
    world.pass(100);
    const stranger = world.node('a').join('J5x', { location });
    world.pass(100);
    t.ok(stranger.accepted, 'a deployed peer that dials two addresses looks the same');
    writeFromAll(world, senders, 'fill 1');
    t.equal(privateOf(x).length, 3, 'the peer gets its messages');
    t.strictSame(privateOf(stranger), [], 'the stranger gets none');

    await t.test('gets none that came before the peer left, and those after', (t) => {
      for (const sender of senders) sender.send(685, `${sender.nick}!J5x!fill 2`);
      world.pass(200);
      x.leave();
      world.pass(10_000);
      t.strictSame(privateOf(stranger), []);
      writeFromAll(world, senders, 'fill 3');
      t.equal(privateOf(stranger).length, 3, 'as in one directory, where the nick is free now');
      t.end();
    });
  });
}

t.test('the second connection of a peer takes over when the first ends', async (t) => {
  const world = await createWorld(ABC);
  const [x1, x2] = [world.node('a').join('J5x'), world.node('b').join('J5x')];
  const senders = ABC.map((name) => world.node(name).join(`J5at${name}`));
  world.pass(100);
  writeFromAll(world, senders, 'one');
  t.strictSame([privateOf(x1).length, privateOf(x2).length], [3, 0], 'once, on the first');
  x1.leave();
  world.pass(100);
  writeFromAll(world, senders, 'two');
  t.equal(privateOf(x2).length, 3);
  const again = world.node('a').join('J5x');
  world.pass(100);
  t.ok(again.accepted);
  writeFromAll(world, senders, 'three');
  t.strictSame([privateOf(again).length, privateOf(x2).length], [0, 3], 'the older one stays');
});

t.test('a node dies: what it may not have written comes by the other connection', async (t) => {
  const world = await createWorld(ABC);
  const [, x2] = [world.node('a').join('J5x'), world.node('b').join('J5x')];
  const z = world.node('c').join('J5z');
  const y = world.node('b').join('J5y');
  world.pass(30_000);
  z.send(685, 'J5z!J5x!long ago');
  world.pass(30_000);
  world.node('a').kill();
  z.send(685, 'J5z!J5x!sig 1');
  y.send(685, 'J5y!J5x!sig 2');
  world.pass(10_000);
  t.strictSame(
    privateOf(x2).toSorted(),
    ['J5y!J5x!sig 2', 'J5z!J5x!sig 1'],
    'within 10 s, once, and nothing of before',
  );
  world.pass(10_000);
  t.strictSame(privateOf(x2), []);
});

t.test('a peer that proved its key, and a stranger that did not', async (t) => {
  const world = await createWorld(ABC, NICK_AUTH);
  const key = createNickKey(randomBytes);
  const early = world.node('c').join(key.nick);
  world.pass(100);
  const twins = ['a', 'b'].map((name) => joinProven(world, name, key));
  const z = world.node('c').join('J5z');
  world.pass(5_000);
  t.ok(early.closed, 'the stranger has lost the nick');
  const late = world.node('c').join(key.nick);
  world.pass(100);
  z.send(685, `J5z!${key.nick}!fill`);
  world.pass(2_000);
  for (const twin of twins) t.equal(privateOf(twin).length, 1, 'each connection that proved it');
  t.notOk(late.accepted, 'and does not get it again while its holder may live');
  t.strictSame(privateOf(late), []);
});

t.test('the rate of one peer is that of all its connections, within a tenth', async (t) => {
  const perSecond = 20;
  const seconds = 120;
  const world = await createWorld(ABC, { limits: { privmsgPerSecond: perSecond } });
  const target = world.node('a').join('J5z');
  const twins = ABC.map((name) => world.node(name).join('J5x'));
  world.pass(100);
  let sent = 0;
  for (let tick = 0; tick < seconds * 5; tick++) {
    // Over the rate, and below ten times it, which would end the connection.
    for (const twin of twins) {
      for (let n = 0; n < 8; n++) twin.send(685, `J5x!J5z!m ${sent++}`);
    }
    world.pass(200);
  }
  const passed = privateOf(target).length;
  // Ten seconds of the rate may come at once.
  const whole = perSecond * (seconds + 10);
  t.ok(passed <= 1.1 * whole + 3, `${passed} of ${whole} messages`);
  t.ok(passed >= 0.98 * whole, 'and no stranger takes from it');
  t.notOk(twins.some(({ closed }) => closed));
});

t.test('a peer alone has its whole rate again', async (t) => {
  const world = await createWorld(ABC, { limits: { privmsgPerSecond: 10 } });
  const target = world.node('a').join('J5z');
  const [x1, x2] = [world.node('a').join('J5x'), world.node('b').join('J5x')];
  world.pass(100);
  x1.leave();
  world.pass(100);
  for (let second = 0; second < 30; second++) {
    for (let n = 0; n < 12; n++) x2.send(685, `J5x!J5z!m ${second} ${n}`);
    world.pass(1_000);
  }
  const passed = privateOf(target).length;
  t.ok(passed >= 300 && passed <= 400, `${passed} messages in 30 s`);
});

t.test('max_peers is the number of peers of all nodes', async (t) => {
  const most = 300;
  const world = await createWorld(ABC, { limits: { maxPeers: most } });
  const come = (prefix: string, count: number, at: (n: number) => string): WorldPeer[] =>
    Array.from({ length: count }, (_, n) => world.node(at(n)).join(`J5${prefix}${n}`));

  const first = come('p', 500, (n) => ABC[n % 3] ?? 'a');
  world.pass(1_000);
  const entered = first.filter(({ accepted }) => accepted);
  t.equal(entered.length, most, 'at once: exactly');
  t.match(first.find(({ accepted }) => !accepted)?.memory.received, /directory is full/);

  for (const peer of entered.splice(0, 50)) peer.leave();
  world.pass(500);
  for (let n = 0; n < 80; n++) {
    entered.push(world.node('b').join(`J5q${n}`));
    world.pass(50);
  }
  world.pass(500);
  const inAll = entered.filter(({ accepted }) => accepted).length;
  t.equal(inAll, most, 'one after the other: exactly');

  await t.test('a node that is cut off uses its share', (t) => {
    for (const peer of entered) peer.leave();
    world.pass(200);
    world.hub.power(false);
    world.pass(200);
    const alone = come('r', 150, () => 'c');
    world.pass(200);
    t.equal(alone.filter(({ accepted }) => accepted).length, most / 3);
    world.hub.power(true);
    world.pass(10_000);
    const back: WorldPeer[] = [];
    for (let n = 0; n < 250; n++) {
      back.push(world.node('a').join(`J5s${n}`));
      world.pass(50);
    }
    world.pass(500);
    t.equal(back.filter(({ accepted }) => accepted).length, (2 * most) / 3);
    t.end();
  });
});
