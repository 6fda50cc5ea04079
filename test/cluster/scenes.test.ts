/** A directory on several machines, in memory: what its peers see. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { createNickKey } from '../../src/protocol/nick.js';
import { onion } from '../directory/wire.js';
import { createWorld, joinProven, linesOf, listedBy, NICK_AUTH } from './world.js';

const ABC = ['a', 'b', 'c'];

t.test('nodes find each other', async (t) => {
  const world = await createWorld(ABC);
  for (const { cluster } of world.nodes) {
    const state = cluster.state();
    t.ok(state.connected);
    t.strictSame(
      state.nodes.map(({ life, inSync }) => [life, inSync]),
      [
        ['alive', true],
        ['alive', true],
      ],
    );
    t.strictSame(state.counters.dropped['signature'], 0);
  }
});

t.test('a public message reaches all peers of all nodes once', async (t) => {
  const world = await createWorld(ABC);
  const [x, y, z, q] = [
    world.node('a').join('J5x'),
    world.node('a').join('J5y'),
    world.node('b').join('J5z'),
    world.node('c').join('J5q'),
  ];
  world.pass(100);
  x.send(687, 'J5x!PUBLIC!sw0reloffer 1');
  x.send(687, 'J5x!PUBLIC!sw0reloffer 2');
  world.pass(100);
  const both = ['J5x!PUBLIC!sw0reloffer 1', 'J5x!PUBLIC!sw0reloffer 2'];
  for (const peer of [y, z, q]) t.strictSame(linesOf(peer.take(), 687), both, peer.nick);
  t.strictSame(x.take(), []);
});

t.test('a private message reaches its addressee at another node, with the location', async (t) => {
  const world = await createWorld(ABC);
  const location = '127.0.0.1:7001';
  const x = world.node('a').join('J5x', { location, features: { peerlist_features: true } });
  const z = world.node('b').join('J5z');
  world.pass(100);
  x.send(685, 'J5x!J5z!fill 1');
  world.pass(100);
  t.strictSame(z.take(), [
    { type: 685, line: 'J5x!J5z!fill 1' },
    { type: 789, line: `J5x;${location},J5DirectoryOOOOO;127.0.0.1:5222` },
  ]);
  x.send(685, 'J5x!J5nobody!fill 1');
  world.pass(100);
  t.strictSame(x.take(), [{ type: 789, line: 'J5nobody;NOT-SERVING-ONION;D' }]);
});

t.test('every line of a peer list is counted', async (t) => {
  const world = await createWorld(ABC);
  const x = world.node('a').join('J5x');
  world.node('b').join('J5y');
  world.node('c').join('J5z');
  world.pass(100);
  x.take();
  const { directory } = world.node('a');
  const before = directory.stats().messagesOut.peerlist;
  x.send(791, '');
  world.pass(100);
  const lines = linesOf(x.take(), 789);
  t.equal(lines.length, 2, 'those of this node, and those of others');
  t.equal(directory.stats().messagesOut.peerlist - before, lines.length);
});

t.test('leaves and peer lists are those of one directory', async (t) => {
  const world = await createWorld(ABC);
  const x = world.node('a').join('J5x', { location: onion(1), features: { ping: true } });
  const y = world.node('b').join('J5y', { features: { peerlist_features: true } });
  const z = world.node('c').join('J5z');
  world.pass(100);
  t.strictSame(listedBy(world, y), ['J5x', 'J5y', 'J5z']);
  x.leave();
  world.pass(100);
  for (const peer of [y, z]) {
    t.strictSame(linesOf(peer.take(), 789), [`J5x;${onion(1)};D`], peer.nick);
  }
  t.strictSame(listedBy(world, y), ['J5y', 'J5z']);
});

t.test('a peer at two nodes', async (t) => {
  await t.test(
    'gets each message once per connection, and is gone when it left both',
    async (t) => {
      const world = await createWorld(ABC, NICK_AUTH);
      const key = createNickKey(randomBytes);
      const [x1, x2] = [joinProven(world, 'a', key), joinProven(world, 'b', key)];
      const y = world.node('a').join('J5y');
      const z = world.node('c').join('J5z');
      world.pass(100);
      t.notOk(x1.closed || x2.closed);
      t.strictSame(listedBy(world, z), [key.nick, 'J5y', 'J5z'].toSorted());
      y.send(687, 'J5y!PUBLIC!offer');
      y.send(685, `J5y!${key.nick}!fill 1`);
      z.send(685, `J5z!${key.nick}!fill 2`);
      world.pass(100);
      for (const x of [x1, x2]) {
        const lines = x.take();
        t.strictSame(linesOf(lines, 687), ['J5y!PUBLIC!offer']);
        t.strictSame(linesOf(lines, 685), [`J5y!${key.nick}!fill 1`, `J5z!${key.nick}!fill 2`]);
      }
      x1.leave();
      world.pass(100);
      t.strictSame(linesOf(z.take(), 789), [], 'still there');
      x2.leave();
      world.pass(100);
      t.strictSame(linesOf(z.take(), 789), [`${key.nick};NOT-SERVING-ONION;D`]);
      t.strictSame(linesOf(y.take(), 789), [`${key.nick};NOT-SERVING-ONION;D`]);
    },
  );

  await t.test('what it hands to both is delivered once', async (t) => {
    const world = await createWorld(ABC);
    const [x1, x2] = [world.node('a').join('J5x'), world.node('b').join('J5x')];
    const others = ABC.map((name) => world.node(name).join(`J5at${name}`));
    world.pass(100);
    for (const text of ['one', 'two', 'two', 'three']) {
      x1.send(687, `J5x!PUBLIC!${text}`);
      x2.send(687, `J5x!PUBLIC!${text}`);
      for (const { nick } of others) {
        x2.send(685, `J5x!${nick}!${text}`);
        x1.send(685, `J5x!${nick}!${text}`);
      }
    }
    world.pass(500);
    for (const peer of others) {
      const lines = peer.take();
      t.strictSame(
        linesOf(lines, 687).map((line) => line.slice(11)),
        ['one', 'two', 'two', 'three'],
      );
      t.strictSame(linesOf(lines, 685).length, 4);
    }
    t.strictSame(x1.take(), []);
    t.strictSame(x2.take(), []);
  });

  await t.test('its second connection speaks when the first has died', async (t) => {
    const world = await createWorld(ABC);
    const [x1, x2] = [world.node('a').join('J5x'), world.node('b').join('J5x')];
    const others = ABC.map((name) => world.node(name).join(`J5at${name}`));
    world.pass(100);
    x1.send(687, 'J5x!PUBLIC!both');
    x2.send(687, 'J5x!PUBLIC!both');
    x2.send(687, 'J5x!PUBLIC!only by the second');
    world.pass(500);
    for (const peer of others) t.strictSame(linesOf(peer.take(), 687), ['J5x!PUBLIC!both']);
    x1.leave();
    world.pass(500);
    for (const peer of others) {
      t.strictSame(linesOf(peer.take(), 687), ['J5x!PUBLIC!only by the second'], peer.nick);
    }
    x2.send(687, 'J5x!PUBLIC!both');
    world.pass(500);
    for (const peer of others) t.strictSame(linesOf(peer.take(), 687), ['J5x!PUBLIC!both']);
  });

  await t.test('its node dies: the other one says what was lost', async (t) => {
    const world = await createWorld(ABC);
    const [x1, x2] = [world.node('a').join('J5x'), world.node('b').join('J5x')];
    const z = world.node('c').join('J5z');
    const gone = world.node('a').join('J5gone');
    world.pass(100);
    world.node('a').kill();
    x1.send(687, 'J5x!PUBLIC!late');
    x2.send(687, 'J5x!PUBLIC!late');
    world.pass(10_000);
    const lines = z.take();
    t.strictSame(linesOf(lines, 687), ['J5x!PUBLIC!late']);
    t.strictSame(linesOf(lines, 789), [`${gone.nick};NOT-SERVING-ONION;D`], 'once, within 10 s');
    world.pass(20_000);
    t.strictSame(z.take(), []);
    t.equal(world.node('c').cluster.state().nodes[0]?.life, 'dead');
  });
});

t.test('the bus is away: nobody is announced as gone, and both sides converge', async (t) => {
  const world = await createWorld(ABC);
  const x = world.node('a').join('J5x');
  const y = world.node('a').join('J5y');
  const z = world.node('b').join('J5z');
  world.pass(100);
  world.hub.power(false);
  world.pass(30_000);
  for (const { cluster } of world.nodes) {
    t.notOk(cluster.state().connected);
    t.match(cluster.state().detail, /away/);
  }
  x.send(687, 'J5x!PUBLIC!during');
  y.leave();
  const w = world.node('b').join('J5w');
  world.pass(1_000);
  t.strictSame(linesOf(z.take(), 687), []);
  t.strictSame(linesOf(x.take(), 789), ['J5y;NOT-SERVING-ONION;D']);
  world.hub.power(true);
  world.pass(10_000);
  t.strictSame(linesOf(z.take(), 789), ['J5y;NOT-SERVING-ONION;D'], 'no storm');
  t.strictSame(linesOf(x.take(), 789), []);
  t.strictSame(listedBy(world, x), ['J5w', 'J5x', 'J5z']);
  t.strictSame(listedBy(world, w), ['J5w', 'J5x', 'J5z']);
});
