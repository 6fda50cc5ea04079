/** Which peer may use a nick, in a directory on several machines in memory. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import type { Directory } from '../../src/directory/directory.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { onion } from '../directory/wire.js';
import { createWorld, joinProven, linesOf, listedBy, NICK_AUTH, type WorldPeer } from './world.js';

const AB = ['a', 'b'];
const PING = { features: { ping: true } };

const closedFor = (directory: Directory) => directory.stats().closed;

/** Answers the pings that it got since the last call. */
function pong(peer: WorldPeer): void {
  if (peer.memory.received.includes('"type": 798')) peer.send(799, '');
}

t.test('a nick that another peer holds at another node', async (t) => {
  await t.test('a holder that lives keeps it, and the newcomer is told', async (t) => {
    const world = await createWorld(AB);
    const holder = world.node('a').join('J5x', { ...PING, location: onion(1) });
    world.pass(100);
    const thief = world.node('b').join('J5x', { ...PING, location: onion(2) });
    world.pass(100);
    t.equal(world.node('b').directory.stats().nickClaims, 1, 'it waits');
    pong(holder);
    world.pass(200);
    t.notOk(thief.accepted);
    t.match(thief.memory.received, /nick is in use by another connection/);
    t.notOk(holder.closed);
    t.equal(world.node('a').directory.stats().nickClaims, 0);
  });

  await t.test('a dead holder loses it', async (t) => {
    const world = await createWorld(AB);
    const observer = world.node('b').join('J5observer');
    const holder = world.node('a').join('J5x', { ...PING, location: onion(1) });
    world.pass(100);
    const owner = world.node('b').join('J5x', { ...PING, location: onion(2) });
    world.pass(27_000);
    t.ok(owner.accepted);
    t.ok(holder.closed);
    t.equal(closedFor(world.node('a').directory)['nick-reclaimed'], 1);
    t.strictSame(linesOf(observer.take(), 789), [`J5x;${onion(1)};D`]);
  });

  await t.test('the node of the holder dies meanwhile', async (t) => {
    const world = await createWorld(AB);
    world.node('a').join('J5x', { ...PING, location: onion(1) });
    world.pass(100);
    const owner = world.node('b').join('J5x', { ...PING, location: onion(2) });
    world.node('a').kill();
    world.pass(8_000);
    t.ok(owner.accepted);
  });

  await t.test('the newcomer leaves while it waits', async (t) => {
    const world = await createWorld(AB);
    const holder = world.node('a').join('J5x', { ...PING, location: onion(1) });
    world.pass(100);
    const newcomer = world.node('b').join('J5x', { ...PING, location: onion(2) });
    world.pass(100);
    newcomer.leave();
    world.pass(100);
    t.equal(world.node('a').directory.stats().nickClaims, 0, 'no claim is left');
    t.equal(world.node('b').directory.stats().nickClaims, 0);
    world.pass(30_000);
    t.notOk(listedBy(world, world.node('b').join('J5z')).includes('J5y'));
    t.equal(holder.closed, true, 'it never answered the ping');
  });

  await t.test('the bus is away: the nick is free here', async (t) => {
    const world = await createWorld(AB);
    world.node('a').join('J5x', { ...PING, location: onion(1) });
    world.pass(100);
    const waits = world.node('b').join('J5x', { ...PING, location: onion(2) });
    world.hub.power(false);
    world.pass(100);
    t.ok(waits.accepted);
  });
});

t.test('proven nicks', async (t) => {
  await t.test('the same key at two nodes is one peer, whatever it declares', async (t) => {
    const world = await createWorld(AB, NICK_AUTH);
    const key = createNickKey(randomBytes);
    const one = joinProven(world, 'a', key, onion(1));
    const two = joinProven(world, 'b', key);
    t.ok(one.accepted && two.accepted);
    t.notOk(one.closed || two.closed);
    t.strictSame(linesOf(two.take(), 807).length, 1);
  });

  await t.test('the owner of a key displaces another holder, which is told', async (t) => {
    const world = await createWorld(AB, NICK_AUTH);
    const key = createNickKey(randomBytes);
    const observer = world.node('a').join('J5observer');
    const thief = world.node('a').join(key.nick, PING);
    world.pass(100);
    const owner = joinProven(world, 'b', key);
    world.pass(500);
    t.notOk(owner.closed);
    t.ok(thief.closed);
    t.match(thief.memory.received, /nick is in use/);
    t.equal(closedFor(world.node('a').directory)['nick-displaced'], 1);
    t.strictSame(linesOf(observer.take(), 789), [], 'the nick is still there');
  });

  await t.test('a proven holder keeps its nick', async (t) => {
    const world = await createWorld(AB, NICK_AUTH);
    const key = createNickKey(randomBytes);
    const owner = joinProven(world, 'a', key);
    const thief = world.node('b').join(key.nick, PING);
    world.pass(100);
    pong(owner);
    world.pass(300);
    t.notOk(thief.accepted);
    t.notOk(owner.closed);
  });
});

t.test('after a partition', async (t) => {
  for (const earlier of AB) {
    await t.test(`a nick on both sides goes to the earlier peer, at ${earlier}`, async (t) => {
      const world = await createWorld(['a', 'b', 'c'], {
        // Machines whose clocks differ by years.
        clockOffset: (name) => (name === 'a' ? 0 : 100_000_000_000),
      });
      const later = earlier === 'a' ? 'b' : 'a';
      const observer = world.node('c').join('J5observer');
      world.hub.power(false);
      world.pass(5_000);
      const first = world.node(earlier).join('J5x', { location: onion(1) });
      world.pass(5_000);
      const second = world.node(later).join('J5x', { location: onion(2) });
      const twins = AB.map((name) => world.node(name).join('J5same', { location: onion(3) }));
      world.pass(1_000);
      t.ok(first.accepted && second.accepted);
      world.hub.power(true);
      world.pass(10_000);
      t.notOk(first.closed);
      t.ok(second.closed);
      t.equal(second.memory.received.split('nick is in use').length, 2, 'told once');
      t.notOk(
        twins.some(({ closed }) => closed),
        'one peer at two nodes is no conflict',
      );
      t.strictSame(linesOf(observer.take(), 789), []);
      t.strictSame(listedBy(world, observer), ['J5observer', 'J5same', 'J5x']);
      t.equal(world.node(later).cluster.state().counters.nicksLost, 1);
    });
  }

  await t.test('the owner of a key gets its nick back, however late it came', async (t) => {
    const world = await createWorld(AB, NICK_AUTH);
    const key = createNickKey(randomBytes);
    world.hub.power(false);
    world.pass(5_000);
    const thief = world.node('a').join(key.nick, { location: onion(1) });
    world.pass(5_000);
    const owner = joinProven(world, 'b', key, onion(2));
    world.hub.power(true);
    world.pass(10_000);
    t.ok(thief.closed);
    t.notOk(owner.closed);
    t.equal(world.node('a').cluster.state().counters.dropped.proof, 0);
  });

  await t.test('very many conflicts are decided over some seconds', async (t) => {
    const world = await createWorld(AB, NICK_AUTH);
    const keys = Array.from({ length: 120 }, () => createNickKey(randomBytes));
    world.hub.power(false);
    world.pass(5_000);
    const thieves = keys.map((key) => world.node('a').join(key.nick, { location: onion(1) }));
    const owners = keys.map((key) => joinProven(world, 'b', key, onion(2)));
    world.hub.power(true);
    const lost = (): number => world.node('a').cluster.state().counters.nicksLost;
    world.pass(1_500);
    t.ok(lost() <= 100, `${lost()} proofs were verified at first`);
    world.pass(12_000);
    t.equal(lost(), keys.length);
    t.ok(thieves.every(({ closed }) => closed));
    t.notOk(owners.some(({ closed }) => closed));
  });

  await t.test('two parts that both live: the peers of the other part come back', async (t) => {
    const world = await createWorld(['a', 'b', 'c']);
    const x = world.node('a').join('J5x');
    const y = world.node('b').join('J5y');
    world.pass(100);
    world.hub.split(['a'], ['b', 'c']);
    world.pass(10_000);
    t.strictSame(linesOf(x.take(), 789), ['J5y;NOT-SERVING-ONION;D'], 'each part is a directory');
    t.strictSame(linesOf(y.take(), 789), ['J5x;NOT-SERVING-ONION;D']);
    world.hub.split();
    world.pass(5_000);
    t.strictSame(listedBy(world, x), ['J5x', 'J5y']);
    t.strictSame(listedBy(world, y), ['J5x', 'J5y']);
    x.send(687, 'J5x!PUBLIC!hello again');
    world.pass(100);
    t.strictSame(linesOf(y.take(), 687), ['J5x!PUBLIC!hello again']);
  });
});
