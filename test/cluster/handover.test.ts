/** A node continues in another process: the other nodes notice nothing, and nothing is lost or said twice. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import {
  formatDirectorySnapshot,
  formatPeerSnapshot,
  parseDirectorySnapshot,
  parsePeerSnapshot,
} from '../../src/directory/snapshot.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { onion } from '../directory/wire.js';
import { createWorld, joinProven, linesOf, listedBy, NICK_AUTH } from './world.js';

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

t.test('the state of a node moves with the snapshot of its directory', async (t) => {
  const world = await createWorld(['a', 'b', 'c']);
  const x = world.node('a').join('J5x');
  const y = world.node('b').join('J5y');
  const z = world.node('c').join('J5z');
  world.pass(100);

  // The new process listens before the old one stops.
  const old = world.node('a');
  const next = await world.restart('a', { inherits: true });
  y.send(687, 'J5y!PUBLIC!to both processes');
  world.node('b').clock.advance(50);
  world.hub.run();
  x.memory.drain();
  t.strictSame(linesOf(x.take(), 687), ['J5y!PUBLIC!to both processes'], 'the old one delivers it');
  const moved = old.directory.snapshot(() => new Uint8Array(0));
  const state = parseDirectorySnapshot(
    JSON.parse(JSON.stringify(formatDirectorySnapshot(moved.state))),
  );
  if (!state.ok) throw new Error(state.reason);
  y.send(687, 'J5y!PUBLIC!while it moves');
  world.node('b').clock.advance(50);
  world.hub.run();
  old.kill();
  const moving = world.stray('J5x');
  next.directory.restore(
    state.value,
    moved.peers.map((peer) => ({ ...peer, connection: moving.memory.connection })),
  );
  world.pass(100);
  t.strictSame(
    linesOf(moving.take(), 687),
    ['J5y!PUBLIC!while it moves'],
    'the new one delivers the other, and only that',
  );
  moving.send(687, 'J5x!PUBLIC!still here');
  moving.send(685, 'J5x!J5z!still here');
  world.pass(100);
  t.strictSame(linesOf(y.take(), 687), ['J5x!PUBLIC!still here']);
  t.strictSame(
    z.take().map(({ type }) => type),
    [687, 687, 687, 685, 789],
  );
  world.pass(15_000);
  t.strictSame(linesOf(y.take(), 789), [], 'nobody left');
  t.strictSame(listedBy(world, y), ['J5x', 'J5y', 'J5z']);
  t.strictSame(listedBy(world, moving), ['J5x', 'J5y', 'J5z']);
  for (const name of ['b', 'c']) {
    const { nodes, counters } = world.node(name).cluster.state();
    t.ok(nodes.every(({ life, inSync }) => life === 'alive' && inSync));
    t.equal(counters.deaths, 0);
    t.equal(counters.lost, 0);
  }
});

t.test('the proof of a key moves, too', async (t) => {
  const world = await createWorld(['a', 'b'], NICK_AUTH);
  const key = createNickKey(randomBytes);
  const owner = joinProven(world, 'a', key, onion(1));
  const old = world.node('a');
  const next = await world.restart('a', { inherits: true });
  const moved = old.directory.snapshot(() => new Uint8Array(0));
  const state = parseDirectorySnapshot(plain(formatDirectorySnapshot(moved.state)));
  if (!state.ok) throw new Error(state.reason);
  old.kill();
  const moving = world.stray(key.nick);
  const peers = moved.peers.map((each) => {
    const peer = parsePeerSnapshot(plain(formatPeerSnapshot(each.peer)));
    if (!peer.ok) throw new Error(peer.reason);
    return { ...each, peer: peer.value, connection: moving.memory.connection };
  });
  next.directory.restore(state.value, peers);
  world.pass(3_000);
  t.ok(
    world
      .node('b')
      .cluster.state()
      .nodes.every(({ inSync }) => inSync),
  );
  world.hub.power(false);
  world.pass(5_000);
  const thief = world.node('b').join(key.nick, { location: onion(2) });
  world.pass(100);
  t.ok(thief.accepted);
  world.hub.power(true);
  world.pass(5_000);
  t.ok(thief.closed);
  t.notOk(moving.closed || owner.memory.closed);
});

t.test('without a state that can be read, the node is a new one', async (t) => {
  const world = await createWorld(['a', 'b']);
  const y = world.node('b').join('J5y');
  world.node('a').join('J5x');
  world.pass(100);
  world.node('a').kill();
  const next = await world.restart('a', { inherits: true });
  next.cluster.neighbours.restore({ of: 'another version' });
  world.pass(3_000);
  t.strictSame(linesOf(y.take(), 789), ['J5x;NOT-SERVING-ONION;D'], 'its peers of before are gone');
  const w = next.join('J5w');
  world.pass(100);
  t.strictSame(listedBy(world, w), ['J5w', 'J5y']);
});
