/** What somebody on the bus can do: without a key, and with the key of one node. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import t from 'tap';
import { openPacket, sealPacket, type PacketHead } from '../../src/cluster/packet.js';
import { keySeals } from '../../src/cluster/seals.js';
import { formatClusterRecord, type ClusterRecord, type Entry } from '../../src/cluster/record.js';
import {
  carriedProof,
  createNickChallenge,
  proveNick,
  type CarriedProof,
} from '../../src/protocol/nick-auth.js';
import { createNickKey, type NickKey } from '../../src/protocol/nick.js';
import { hello, onion } from '../directory/wire.js';
import { createWorld, joinProven, linesOf, listedBy, NICK_AUTH, type World } from './world.js';

const ABC = ['a', 'b', 'c'];
const stranger = generateKeyPairSync('ed25519').privateKey;

/** The epoch of a node, as everybody on the bus sees it. */
function epochOf(world: World, node: string): string {
  const sent = world.hub.log.findLast(({ from }) => from === node);
  const packetOfIt = sent && openPacket(sent.bytes);
  if (!packetOfIt) throw new Error(`${node} has published nothing`);
  return packetOfIt.epoch;
}

function packet(
  world: World,
  head: Partial<PacketHead>,
  records: readonly ClusterRecord[],
  key = world.keys.get(head.node ?? 'a') ?? stranger,
  more: readonly string[] = [],
): Uint8Array {
  const node = head.node ?? 'a';
  const full = {
    cluster: 'pit.signet',
    node,
    epoch: head.epoch ?? epochOf(world, node),
    to: undefined,
    seq: 500,
    ...head,
  };
  const texts = records.map((record) => JSON.stringify(formatClusterRecord(record)));
  return sealPacket(full, [...texts, ...more], keySeals(key, new Map()));
}

const PUBLIC = (payload: string): ClusterRecord => ({ type: 'public', payload });

t.test('packets that do not count are dropped and counted by reason', async (t) => {
  const world = await createWorld(ABC);
  const x = world.node('a').join('J5x');
  const z = world.node('b').join('J5z');
  world.pass(100);
  const { counters: before } = world.node('b').cluster.state();
  const lie = [PUBLIC('J5x!PUBLIC!lie')];
  const cases: readonly [string, Uint8Array][] = [
    ['malformed', Buffer.from('no packet')],
    ['malformed', Buffer.concat([Buffer.alloc(64), Buffer.from('{"c":1}')])],
    ['misdirected', packet(world, { cluster: 'other.signet' }, lie)],
    ['misdirected', packet(world, { cluster: 'pit.mainnet' }, lie)],
    ['misdirected', packet(world, { to: 'c' }, lie)],
    ['unknown-node', packet(world, { node: 'd', epoch: 'aa' }, lie, stranger)],
    ['signature', packet(world, {}, lie, stranger)],
    ['signature', packet(world, {}, lie, world.keys.get('c'))],
    ['epoch', packet(world, { epoch: 'ab' }, lie)],
    ['replayed', packet(world, { seq: 1 }, lie)],
  ];
  for (const [, bytes] of cases) world.hub.inject('b', bytes);
  world.pass(100);
  const { counters } = world.node('b').cluster.state();
  for (const reason of new Set(cases.map(([name]) => name))) {
    const expected = cases.filter(([name]) => name === reason).length;
    const [was, is] = [Object.entries(before.dropped), Object.entries(counters.dropped)].map(
      (entries) => entries.find(([name]) => name === reason)?.[1] ?? 0,
    );
    t.equal((is ?? 0) - (was ?? 0), expected, reason);
  }
  t.strictSame(z.take(), [], 'nothing of it reached a peer');
  x.send(687, 'J5x!PUBLIC!truth');
  world.pass(100);
  t.strictSame(linesOf(z.take(), 687), ['J5x!PUBLIC!truth'], 'the node itself is still heard');
});

t.test('everything that was ever said, published again, changes nothing', async (t) => {
  const world = await createWorld(ABC);
  const x = world.node('a').join('J5x');
  const z = world.node('b').join('J5z');
  world.pass(100);
  x.send(687, 'J5x!PUBLIC!once');
  x.send(685, 'J5x!J5z!once');
  world.pass(100);
  z.take();
  const all = world.hub.log.slice();
  for (const { to, bytes } of all) world.hub.inject(to, bytes);
  world.pass(1_000);
  t.strictSame(z.take(), []);
  t.ok(world.node('b').cluster.state().counters.dropped.replayed > 0);

  // Also to a node that has forgotten all, as after a restart: an earlier life cannot answer its question.
  world.node('a').kill();
  world.node('b').kill();
  const b = await world.restart('b');
  const again = b.join('J5z');
  world.pass(100);
  for (const { from, to, bytes } of all) if (from === 'a') world.hub.inject(to, bytes);
  world.pass(9_000);
  t.strictSame(again.take(), []);
  t.strictSame(listedBy(world, again), ['J5z']);
  t.ok(b.cluster.state().counters.dropped.epoch > 0);
});

t.test('a compromised node can lie about its own peers, not about those of others', async (t) => {
  const world = await createWorld(ABC);
  const x = world.node('a').join('J5x');
  const z = world.node('b').join('J5z');
  world.pass(100);
  const sends = (to: string | undefined, seq: number, records: readonly ClusterRecord[]): void => {
    world.hub.inject(to, packet(world, { node: 'c', to, seq }, records));
    world.pass(100);
  };
  sends(undefined, 100, [PUBLIC('J5x!PUBLIC!lie'), { type: 'leave', nick: 'J5x' }]);
  sends('b', 100, [{ type: 'private', payload: 'J5x!J5z!lie' }]);
  sends('b', 101, [{ type: 'yield', nick: 'J5z' }]);
  t.strictSame(z.take(), []);
  t.equal(world.node('b').cluster.state().counters.dropped['not-its-peer'], 2);
  t.strictSame(listedBy(world, z), ['J5x', 'J5z']);
  t.notOk(z.closed);
  const own = {
    nick: 'J5own',
    location: 'NOT-SERVING-ONION',
    features: [],
    rank: 0,
    ageMs: 1,
    key: undefined,
    proof: undefined,
  };
  sends(undefined, 101, [{ type: 'join', entry: own }, PUBLIC('J5own!PUBLIC!mine')]);
  t.strictSame(linesOf(z.take(), 687), ['J5own!PUBLIC!mine']);
  t.notOk(x.closed);
});

t.test('a node says of its own peers only that a message did not reach them', async (t) => {
  const world = await createWorld(ABC);
  world.node('a').join('J5x');
  const z = world.node('b').join('J5z');
  world.node('b').join('J5here');
  world.node('c').join('J5c');
  const both = { location: onion(1) };
  world.node('a').join('J5twin', both);
  world.pass(100);
  world.node('c').join('J5twin', both);
  world.pass(100);
  z.take();
  const told = (seq: number, to: string): readonly string[] => {
    const lie: ClusterRecord = { type: 'undelivered', from: 'J5z', to };
    world.hub.inject('b', packet(world, { node: 'c', to: 'b', seq }, [lie]));
    world.pass(100);
    return linesOf(z.take(), 789).map((line) => line.split(';')[0] ?? '');
  };
  t.strictSame(told(1_000, 'J5x'), [], 'a peer of another node');
  t.strictSame(told(1_001, 'J5here'), [], 'a peer here');
  t.strictSame(told(1_002, 'J5twin'), [], 'a peer that has a connection elsewhere, too');
  t.strictSame(told(1_003, 'J5c'), ['J5c'], 'its own peer');
  t.strictSame(told(1_004, 'J5nobody'), ['J5nobody'], 'a nick that nobody has');
});

t.test('questions about a peer without end write no more than a line a second to it', async (t) => {
  const world = await createWorld(ABC);
  const location = onion(1);
  const maker = world.node('b').join('J5maker', { location, features: {} });
  world.pass(100);
  const entry: Entry = {
    nick: 'J5maker',
    location,
    features: [],
    rank: 5,
    ageMs: 1,
    key: undefined,
    proof: undefined,
  };
  world.hub.inject(
    'b',
    packet(world, { node: 'c', to: 'b', seq: 1_000 }, [{ type: 'join', entry }]),
  );
  world.pass(100);
  maker.take();
  for (let i = 0; i < 20; i++) {
    const questions: ClusterRecord[] = Array.from({ length: 20 }, (_, n) =>
      n % 2 === 0
        ? { type: 'probe', nick: 'J5maker' }
        : { type: 'claim', nick: 'J5maker', location: onion(2), key: undefined },
    );
    world.hub.inject('b', packet(world, { node: 'c', to: 'b', seq: 1_001 + i }, questions));
    world.pass(500);
  }
  const lines = maker.take();
  t.ok(lines.length >= 5 && lines.length <= 11, `${lines.length} lines in 10 s for 400 questions`);
  t.notOk(maker.closed);
});

const otherKey = createNickKey(randomBytes);

/** A proof as the peer of a key gives it to some directory. */
function proofOf(key: NickKey): CarriedProof {
  const challenge = createNickChallenge('127.0.0.1:5222', randomBytes);
  const handshake = hello(key.nick);
  return carriedProof(proveNick(key, challenge, handshake), challenge, handshake);
}

const entryOf = (key: NickKey, more: Partial<Entry>): Entry => ({
  nick: key.nick,
  location: 'NOT-SERVING-ONION',
  features: [],
  rank: 0,
  ageMs: 1,
  key: key.publicKeyHex,
  proof: undefined,
  ...more,
});

t.test('a node that states a proof displaces a peer elsewhere only with a right one', async (t) => {
  const world = await createWorld(ABC);
  const years = 1e11;
  const cases: readonly [string, (key: NickKey) => Partial<Entry>, 'kept' | 'wrong' | 'right'][] = [
    ['none', () => ({ proof: undefined }), 'kept'],
    ['of another key', () => ({ proof: proofOf(otherKey), ageMs: years }), 'wrong'],
    [
      'of another key, and that key',
      () => ({ key: otherKey.publicKeyHex, proof: proofOf(otherKey), ageMs: years }),
      'wrong',
    ],
    [
      'for another challenge',
      (key) => ({ proof: { ...proofOf(key), challenge: '00'.repeat(32) }, ageMs: years }),
      'wrong',
    ],
    [
      'for another handshake',
      (key) => ({ proof: { ...proofOf(key), handshakeHash: '00'.repeat(32) }, ageMs: years }),
      'wrong',
    ],
    [
      'for another directory',
      (key) => ({ proof: { ...proofOf(key), directoryId: 'other.onion:5222' }, ageMs: years }),
      'wrong',
    ],
    ['right', (key) => ({ proof: proofOf(key) }), 'right'],
  ];
  const counters = () => world.node('a').cluster.state().counters;
  for (const [i, [name, more, result]] of cases.entries()) {
    const key = createNickKey(randomBytes);
    const location = onion(i + 1);
    const holder = world.node('a').join(key.nick, { location });
    world.pass(100);
    const before = counters();
    const join: ClusterRecord = { type: 'join', entry: entryOf(key, more(key)) };
    world.hub.inject(undefined, packet(world, { node: 'c', seq: 1_000 + i }, [join]));
    world.hub.inject(
      'a',
      packet(world, { node: 'c', to: 'a', seq: 1_000 + i }, [{ type: 'yield', nick: key.nick }]),
    );
    world.pass(100);
    t.equal(holder.closed, result === 'right', name);
    const { dropped, nicksLost } = counters();
    t.equal(dropped.proof - before.dropped.proof, result === 'wrong' ? 1 : 0, `${name}: counted`);
    t.equal(nicksLost - before.nicksLost, result === 'right' ? 1 : 0);
  }
});

t.test('a node without a proof does not speak for a peer that proved its key', async (t) => {
  const world = await createWorld(ABC, NICK_AUTH);
  const key = createNickKey(randomBytes);
  const owner = joinProven(world, 'b', key);
  const z = world.node('c').join('J5z');
  const y = world.node('b').join('J5y');
  world.pass(100);
  const lies: readonly Partial<Entry>[] = [
    { proof: proofOf(otherKey) },
    { proof: undefined },
    { key: undefined },
  ];
  for (const [i, lie] of lies.entries()) {
    const records = [
      { type: 'join' as const, entry: entryOf(key, lie) },
      PUBLIC(`${key.nick}!PUBLIC!lie`),
    ];
    // Its name is the lowest, so it would speak.
    world.hub.inject(undefined, packet(world, { node: 'a', seq: 1_000 + i }, records));
    world.hub.run();
    owner.send(687, `${key.nick}!PUBLIC!truth ${i}`);
    world.pass(100);
    for (const peer of [y, z]) {
      t.strictSame(linesOf(peer.take(), 687), [`${key.nick}!PUBLIC!truth ${i}`], `lie ${i}`);
    }
  }
  t.notOk(owner.closed);
});

t.test(
  'a node with more proofs than are verified in a second does not speak meanwhile',
  async (t) => {
    const world = await createWorld(ABC, NICK_AUTH);
    const key = createNickKey(randomBytes);
    const owner = joinProven(world, 'b', key);
    const y = world.node('b').join('J5y');
    world.pass(1_500);
    y.take();
    // Each of these has a connection at b, too, so its proof is looked at.
    const others = Array.from({ length: 60 }, () => createNickKey(randomBytes));
    for (const other of others) world.node('b').join(other.nick);
    world.pass(100);
    const records: ClusterRecord[] = others.map((other) => ({
      type: 'join',
      entry: entryOf(other, { proof: proofOf(otherKey), location: onion(9) }),
    }));
    records.push(
      { type: 'join', entry: entryOf(key, { proof: proofOf(otherKey) }) },
      PUBLIC(`${key.nick}!PUBLIC!lie`),
    );
    world.hub.inject(undefined, packet(world, { node: 'a', seq: 1_000 }, records));
    world.hub.run();
    y.memory.drain();
    t.strictSame(linesOf(y.take(), 687), []);
    t.notOk(owner.closed);
  },
);

t.test('a rank beyond all others does not make the peers of other nodes unreadable', async (t) => {
  const world = await createWorld(ABC);
  const location = onion(1);
  const entry: Entry = {
    nick: 'J5x',
    location,
    features: [],
    rank: Number.MAX_SAFE_INTEGER,
    ageMs: 1,
    key: undefined,
    proof: undefined,
  };
  world.hub.inject(undefined, packet(world, { node: 'c' }, [{ type: 'join', entry }]));
  world.pass(100);
  const x = world.node('a').join('J5x', { location });
  world.pass(5_000);
  t.ok(x.accepted);
  const seen = world
    .node('b')
    .cluster.state()
    .nodes.find(({ name }) => name === 'a');
  t.match(seen, { peers: 1, inSync: true });
});

t.test(
  'of two processes with the key of one node the later one is heard, and only it',
  async (t) => {
    const world = await createWorld(ABC);
    const earlier = world.node('a').join('J5x');
    const watch = world.node('b').join('J5watch');
    world.pass(1_000);
    const first = world.node('a');
    const second = await world.restart('a');
    const later = second.join('J5y');
    for (let i = 0; i < 200; i++) {
      first.clock.advance(50);
      world.pass(50);
    }
    earlier.memory.drain();
    const [gone] = linesOf(watch.take(), 789);
    t.equal(gone, 'J5x;NOT-SERVING-ONION;D');
    t.strictSame(listedBy(world, watch), ['J5watch', 'J5y'], 'and its peers stay');
    world.pass(100);
    t.equal(world.node('b').cluster.state().counters.deaths, 0);
    t.ok(
      world.node('b').cluster.state().counters.snapshots < 12,
      'no list is asked for again and again',
    );
    t.notOk(later.closed);
    await first.cluster.leave();
  },
);

t.test('a node that stops says nothing after that, whatever its peers do', async (t) => {
  const world = await createWorld(ABC);
  const watch = world.node('b').join('J5watch');
  const a = world.node('a');
  a.join('J5x');
  world.pass(1_000);
  const since = world.hub.log.length;
  const closing = a.cluster.close();
  const late = a.join('J5late');
  a.clock.advance(3_000);
  world.hub.run();
  await closing;
  t.equal(world.hub.log.slice(since).filter(({ from }) => from === 'a').length, 1, 'its bye');
  world.pass(1_000);
  t.strictSame(listedBy(world, watch), ['J5watch']);
  t.equal(world.node('b').cluster.state().nodes[0]?.life, 'dead');
  t.ok(late.memory.connection);
});

t.test('what a later version says is ignored', async (t) => {
  const world = await createWorld(ABC);
  const z = world.node('b').join('J5z');
  world.pass(100);
  const bytes = packet(world, { to: 'b' }, [], undefined, [
    '{"t":"zz","of":"the future"}',
    '{"t":"u","f":"J5z","o":"J5nobody","more":{"of":"the future"}}',
  ]);
  world.hub.inject('b', bytes);
  world.pass(100);
  t.strictSame(linesOf(z.take(), 789), ['J5nobody;NOT-SERVING-ONION;D'], 'the known one counts');
  t.equal(world.node('b').cluster.state().counters.dropped.record, 0);
  world.hub.inject('b', packet(world, { to: 'b', seq: 501 }, [], undefined, ['{"t":"u","f":7}']));
  world.pass(100);
  t.equal(world.node('b').cluster.state().counters.dropped.record, 1);
});

t.test('a node of a name with another key, or none, is refused', async (t) => {
  await t.rejects(createWorld(['a', 'not a name']), { name: 'ClusterError' });
});
