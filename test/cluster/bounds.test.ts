/** Whatever grows with what other nodes or peers send has a bound; here each is filled beyond it. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import t from 'tap';
import { Claims } from '../../src/cluster/claims.js';
import { createCluster } from '../../src/cluster/cluster.js';
import { Conflicts } from '../../src/cluster/conflicts.js';
import { Copies } from '../../src/cluster/copies.js';
import { createClusterTally } from '../../src/cluster/counters.js';
import { Held } from '../../src/cluster/held.js';
import { KeptPrivate } from '../../src/cluster/kept-private.js';
import { Inbox } from '../../src/cluster/inbox.js';
import { formatMoved, parseMoved } from '../../src/cluster/moved.js';
import { RecordOutbox } from '../../src/cluster/outbox.js';
import { OwnPeers } from '../../src/cluster/own-peers.js';
import { clusterKeyHex, openPacket, sealPacket } from '../../src/cluster/packet.js';
import { keySeals } from '../../src/cluster/seals.js';
import { ProofChecks } from '../../src/cluster/proof-checks.js';
import { parseClusterRecord, type ClusterRecord, type Entry } from '../../src/cluster/record.js';
import { RemoteView } from '../../src/cluster/remote-view.js';
import { SnapshotReceiver } from '../../src/cluster/snapshots.js';
import type { BusHandler } from '../../src/cluster/bus.js';
import { silentLog } from '../../src/channel/log.js';
import { createTestClock } from '../helpers/test-clock.js';

const NOT_SERVING = { kind: 'not-serving' } as const;
const NO_PROOF = {
  challenge: '00'.repeat(32),
  directoryId: '127.0.0.1:5222',
  handshakeHash: '00'.repeat(32),
  signature: 'AAAA',
};
const key = generateKeyPairSync('ed25519').privateKey;
const seals = keySeals(key, new Map([['b', key]]));

const nickOf = (i: number): string => `J5n${i}`;
const entryOf = (i: number, more: Partial<Entry> = {}): Entry => ({
  nick: nickOf(i),
  location: 'NOT-SERVING-ONION',
  features: [],
  rank: 0,
  ageMs: 0,
  key: undefined,
  proof: undefined,
  ...more,
});

const PRIVATE = { from: 'J5y', payload: 'J5y!J5x!fill', node: 'b' };

function newView(): RemoteView {
  return new RemoteView({ isLocal: () => false, onGone: () => {}, onChange: () => {} });
}

function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** A packet with so many records. */
function packet(records: number): Uint8Array {
  const head = { cluster: 'pit.signet', node: 'a', epoch: 'ab', to: undefined, seq: 1 };
  const texts = range(records).map(() => '0');
  return sealPacket(head, texts, seals);
}

/** Whether a snapshot is still on its way after a chunk with so many entries. */
function snapshotTakes(entries: number): boolean {
  const sent: ClusterRecord[] = [];
  const receiver = new SnapshotReceiver({
    clock: createTestClock(),
    send: (_to, record) => void sent.push(record),
    onSnapshot: () => {},
  });
  receiver.want('b');
  const [want] = sent;
  if (want?.type !== 'want') throw new Error('nothing was asked');
  const { id } = want;
  const list = range(entries).map((i) => entryOf(i));
  receiver.chunk('b', { type: 'chunk', id, index: 0, total: 2, entries: list });
  return receiver.isArriving('b');
}

/** Whether a snapshot is still on its way after so many changes. */
function snapshotOutlives(changes: number): boolean {
  const sent: ClusterRecord[] = [];
  const receiver = new SnapshotReceiver({
    clock: createTestClock(),
    send: (_to, record) => void sent.push(record),
    onSnapshot: () => {},
  });
  receiver.want('b');
  receiver.chunk('b', { type: 'chunk', id: 1, index: 0, total: 2, entries: [] });
  for (let i = 0; i < changes; i++) receiver.changed('b', nickOf(i), undefined);
  return receiver.isArriving('b');
}

/** What is kept of what is put in, for each bound. */
const BOUNDS: readonly {
  readonly what: string;
  readonly bound: number;
  /** Puts in `count` and tells how many of them were kept. */
  readonly kept: (count: number) => number;
}[] = [
  {
    what: 'claims of newcomers',
    bound: 1_000,
    kept(count) {
      let refused = 0;
      const claims = new Claims({
        clock: createTestClock(),
        holders: () => ['b'],
        send: () => {},
        decided: () => refused++,
      });
      for (let i = 0; i < count; i++) {
        claims.begin({ nick: nickOf(i), location: NOT_SERVING, provenKey: undefined });
      }
      return count - refused;
    },
  },
  {
    what: 'nicks in conflict',
    bound: 10_000,
    kept(count) {
      const [own, view, clock] = [new OwnPeers(), newView(), createTestClock()];
      let decided = 0;
      const conflicts = new Conflicts({
        node: 'a',
        clock,
        own,
        view,
        proofs: new ProofChecks(clock, createClusterTally()),
        inSync: () => true,
        send: () => decided++,
        giveUp: () => {},
      });
      for (let i = 0; i < count; i++) {
        const peer = { features: [], provenKey: undefined, carriedProof: undefined };
        const here = { nick: nickOf(i), location: NOT_SERVING, acceptedAt: -1, ...peer };
        own.add(here, 0, 0);
        view.set('b', entryOf(i, { location: '127.0.0.1:5222' }), 0);
      }
      conflicts.checkAll();
      return decided;
    },
  },
  {
    what: 'peers whose copies are counted',
    bound: 20_000,
    kept(count) {
      const copies = new Copies(createTestClock());
      for (let i = 0; i < count; i++) copies.take(nickOf(i), 'x', 'b');
      return range(count).filter((i) => copies.knows(nickOf(i))).length;
    },
  },
  {
    what: 'messages of one peer whose copies are counted',
    bound: 64,
    kept(count) {
      const copies = new Copies(createTestClock());
      for (let i = 0; i < count; i++) copies.take('J5x', `text ${i}`, 'b');
      return range(count).filter((i) => !copies.isRelayed('J5x', `text ${i}`, 2)).length;
    },
  },
  {
    what: 'peers whose messages wait',
    bound: 5_000,
    kept(count) {
      const held = new Held(createTestClock());
      for (let i = 0; i < count; i++) held.add(nickOf(i), 'x', 1);
      return held.nicks().length;
    },
  },
  {
    what: 'messages of one peer that wait',
    bound: 32,
    kept(count) {
      const held = new Held(createTestClock());
      for (let i = 0; i < count; i++) held.add('J5x', `text ${i}`, 1);
      return held.take('J5x').length;
    },
  },
  {
    what: 'messages of 8 KiB that wait',
    bound: 1_024,
    kept(count) {
      const held = new Held(createTestClock());
      for (let i = 0; i < count; i++) held.add(nickOf(i), 'x'.repeat(8_192), 1);
      return held.nicks().length;
    },
  },
  {
    what: 'peers whose private messages are kept for the death of a node',
    bound: 5_000,
    kept(count) {
      const kept = new KeptPrivate(createTestClock());
      for (let i = 0; i < count; i++) kept.add(nickOf(i), PRIVATE);
      return kept.nicks().length;
    },
  },
  {
    what: 'private messages of one peer that are kept',
    bound: 32,
    kept(count) {
      const kept = new KeptPrivate(createTestClock());
      for (let i = 0; i < count; i++) kept.add('J5x', PRIVATE);
      return kept.take('J5x').length;
    },
  },
  {
    what: 'private messages of 8 KiB that are kept',
    bound: 1_024,
    kept(count) {
      const kept = new KeptPrivate(createTestClock());
      const payload = 'x'.repeat(8_192);
      for (let i = 0; i < count; i++) kept.add(nickOf(i), { ...PRIVATE, payload });
      return kept.nicks().length;
    },
  },
  {
    what: 'peers of one node',
    bound: 200_000,
    kept(count) {
      const view = newView();
      for (let i = 0; i < count; i++) view.set('b', entryOf(i), 0);
      return view.count('b');
    },
  },
  {
    what: 'entries of a snapshot',
    bound: 200_000,
    kept: (count) => (snapshotTakes(count) ? count : 200_000),
  },
  {
    what: 'changes during a snapshot',
    bound: 50_000,
    kept: (count) => (snapshotOutlives(count) ? count : 50_000),
  },
  {
    what: 'proofs of one node that are verified in a second',
    bound: 50,
    kept(count) {
      const checks = new ProofChecks(createTestClock(), createClusterTally());
      const known = { key: `02${'00'.repeat(32)}`, proof: NO_PROOF };
      const verdicts = range(count).map((i) =>
        checks.verdict({ node: 'b', entry: entryOf(i, known), since: 0 }),
      );
      return verdicts.filter((verdict) => verdict !== 'later').length;
    },
  },
  {
    what: 'questions of one node that are answered in a second',
    bound: 20,
    kept(count) {
      const sent: ClusterRecord[] = [];
      const inbox = new Inbox({
        cluster: 'pit.signet',
        node: 'a',
        nodes: ['b'],
        seals,
        clock: createTestClock(),
        tally: createClusterTally(),
        randomHex: () => 'ab',
        send: (_to, record) => void sent.push(record),
        lastSeq: () => 0,
      });
      for (let seq = 1; seq <= count; seq++) {
        const head = { cluster: 'pit.signet', node: 'b', epoch: 'ab', to: 'a', seq };
        inbox.receive(sealPacket(head, ['{"t":"n","x":"ab"}'], seals));
      }
      return sent.filter(({ type }) => type === 'prove').length;
    },
  },
  {
    what: 'nodes in the state of another process',
    bound: 1_000,
    kept(count) {
      const sender = { epoch: undefined, toAll: 0, toUs: 0 };
      const nodes = range(count).map((i) => ({ name: `n${i}`, sender, entries: [] }));
      const own = { epoch: 'ab', toAll: 0, toNodes: new Map<string, number>(), own: [] };
      return parseMoved(formatMoved({ ...own, nodes }))?.nodes.length ?? 0;
    },
  },
];

for (const { what, bound, kept } of BOUNDS) {
  t.test(`${what}: at most ${bound}`, (t) => {
    t.equal(kept(bound), bound, 'all of so many');
    t.equal(kept(bound + 1), bound, 'and no more');
    t.end();
  });
}

t.test('packets that wait for the state of another process: at most 32 MiB', async (t) => {
  let handler: BusHandler | undefined;
  const cluster = createCluster({
    name: 'pit',
    network: 'signet',
    node: 'a',
    nodes: new Map([['a', clusterKeyHex(key)]]),
    key,
    bus: {
      open(_prefix, _node, opened) {
        handler = opened;
        return Promise.resolve();
      },
      publish: () => true,
      close: () => Promise.resolve(),
    },
    clock: createTestClock(),
    log: silentLog,
    version: '1.0',
    inherits: true,
  });
  await cluster.start();
  const bytes = randomBytes(1_048_576);
  for (let i = 0; i < 40; i++) handler?.packet(bytes);
  cluster.neighbours.restore(undefined);
  t.equal(cluster.state().counters.dropped.malformed, 32);
  await cluster.leave();
});

t.test('a packet that gathers records leaves when it has 128 KiB', (t) => {
  const sizes: number[] = [];
  const outbox = new RecordOutbox({
    cluster: 'pit.signet',
    node: 'a',
    epoch: 'ab',
    seals,
    clock: createTestClock(),
    tally: createClusterTally(),
    publish: (_to, bytes) => sizes.push(bytes.length) > 0,
  });
  for (let i = 0; i < 100; i++) {
    outbox.push(undefined, { type: 'public', payload: 'x'.repeat(10_000) });
  }
  t.equal(sizes.length, 7, 'no timer has run');
  t.ok(Math.max(...sizes) < 262_144, `${Math.max(...sizes)} bytes`);
  t.end();
});

t.test('fields have a longest value', (t) => {
  const entry = { n: 'J5x', l: 'NOT-SERVING-ONION', a: 1 };
  const beat = { t: 'b', n: 0, h: '0', d: [0, 0] };
  const chunk = { t: 's', i: 1, k: 0, e: [] };
  const cases: readonly [string, number, (length: number) => unknown][] = [
    ['payload', 40_000, (n) => ({ t: 'm', p: 'x'.repeat(n) })],
    ['nick', 64, (n) => ({ t: 'l', n: `J5${'x'.repeat(n - 2)}` })],
    ['location', 320, (n) => ({ t: 'j', e: { ...entry, l: 'x'.repeat(n) } })],
    ['features', 1_024, (n) => ({ t: 'j', e: { ...entry, f: range(n).map((i) => `f${i}`) } })],
    ['name of a feature', 64, (n) => ({ t: 'j', e: { ...entry, f: ['x'.repeat(n)] } })],
    ['version', 64, (n) => ({ ...beat, v: 'x'.repeat(n) })],
    ['digest', 64, (n) => ({ ...beat, v: '', h: 'a'.repeat(n) })],
    ['chunks', 10_000, (n) => ({ ...chunk, z: n })],
  ];
  for (const [what, bound, record] of cases) {
    t.equal(typeof parseClusterRecord(record(bound)), 'object', `${what} of ${bound}`);
    t.equal(parseClusterRecord(record(bound + 1)), undefined, `${what} of ${bound + 1}`);
  }
  t.ok(openPacket(packet(100_000)));
  t.equal(openPacket(packet(100_001)), undefined, 'records of a packet');
  t.end();
});
