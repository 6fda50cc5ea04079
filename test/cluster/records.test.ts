/** Records and packets: what is written is read, and nothing else. */
import { generateKeyPairSync } from 'node:crypto';
import { base64 } from '@scure/base';
import * as fc from 'fast-check';
import t from 'tap';
import {
  clusterKeyHex,
  clusterPublicKey,
  isSealedBy,
  openPacket,
  sealPacket,
} from '../../src/cluster/packet.js';
import { NO_FACTS, type NodeFacts } from '../../src/cluster/facts.js';
import { keySeals } from '../../src/cluster/seals.js';
import {
  formatClusterRecord,
  parseClusterRecord,
  type ClusterRecord,
  type Entry,
} from '../../src/cluster/record.js';
import { fingerprint, SetDigest } from '../../src/cluster/digest.js';
import { shareOf } from '../../src/cluster/shares.js';
import { formatMoved, parseMoved } from '../../src/cluster/moved.js';
import { onion } from '../directory/wire.js';
import { unicodeText } from '../helpers/unicode-text.js';

/** With the prototype of ordinary objects. */
function object<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

const nick = fc.stringMatching(/^J5[1-9A-Za-z]{1,14}$/);
const location = fc.constantFrom('NOT-SERVING-ONION', '127.0.0.1:5222', onion(1), onion(2));
const key = fc.option(fc.stringMatching(/^0[23][0-9a-f]{64}$/), { nil: undefined });
const count = fc.nat();
const hash = fc.stringMatching(/^[0-9a-f]{64}$/);
const proof = fc.option(
  object({
    challenge: hash,
    directoryId: fc.constantFrom('127.0.0.1:5222', onion(1)),
    handshakeHash: hash,
    signature: fc.uint8Array({ minLength: 1, maxLength: 72 }).map((der) => base64.encode(der)),
  }),
  { nil: undefined },
);
const hex = fc.stringMatching(/^[0-9a-f]{1,32}$/);
const payload = unicodeText({ maxLength: 200 });

const entry: fc.Arbitrary<Entry> = object({
  nick,
  location,
  features: fc.array(fc.constantFrom('ping', 'peerlist_features', 'nick_auth'), { maxLength: 3 }),
  rank: fc.nat(5),
  ageMs: count,
  key,
  proof,
}).map((each) => (each.key === undefined ? { ...each, proof: undefined } : each));

const maybe = <T>(each: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(each, { nil: undefined });
const facts: fc.Arbitrary<NodeFacts> = object({
  time: maybe(count),
  motd: maybe(fc.constantFrom('00000000', 'deadbeef')),
  limits: maybe(fc.constantFrom('00000000', '0123abcd')),
  reached: maybe(fc.boolean()),
});

const clusterRecord: fc.Arbitrary<ClusterRecord> = fc.oneof(
  object({
    type: fc.constant('beat' as const),
    count,
    digest: hex,
    demand: fc.tuple(count, count),
    version: fc.string({ maxLength: 20 }),
    facts,
    places: maybe(object({ held: count, clock: count })),
  }),
  object({ type: fc.constant('reserve' as const), clock: count, isShort: fc.boolean() }),
  object({ type: fc.constant('reserved' as const), clock: count, held: count }),
  fc.constant({ type: 'bye' as const }),
  object({ type: fc.constant('join' as const), entry }),
  object({ type: fc.constantFrom('leave', 'unclaim', 'yield', 'probe'), nick }),
  object({ type: fc.constantFrom('public', 'private'), payload }),
  object({ type: fc.constant('undelivered' as const), from: nick, to: nick }),
  object({ type: fc.constant('ask' as const), nonce: hex }),
  object({ type: fc.constant('prove' as const), nonce: hex, seq: count }),
  object({ type: fc.constant('want' as const), id: count }),
  object({
    type: fc.constant('chunk' as const),
    id: count,
    index: fc.nat(9),
    total: fc.integer({ min: 10, max: 20 }),
    entries: fc.array(entry, { maxLength: 4 }),
  }),
  object({ type: fc.constant('claim' as const), nick, location, key }),
  object({ type: fc.constant('answer' as const), nick, granted: fc.boolean() }),
) as fc.Arbitrary<ClusterRecord>;

const pair = generateKeyPairSync('ed25519');
const seals = keySeals(pair.privateKey, new Map([['a', pair.publicKey]]));
const head = { cluster: 'pit.signet', node: 'a', epoch: 'ab', to: undefined, seq: 1 };

t.test('a record that is written is read', (t) => {
  fc.assert(
    fc.property(clusterRecord, (written) => {
      const text = JSON.stringify(formatClusterRecord(written));
      t.strictSame(parseClusterRecord(JSON.parse(text)), written);
    }),
    { numRuns: 300 },
  );
  t.end();
});

t.test('no value breaks the reader, and what it reads can be written', (t) => {
  const letters = fc.constantFrom(...'bqjlmpunowscxayr'.split(''));
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom('J5x', 1, -1, 1.5, [1, 2], {}));
  const hostile = fc.dictionary(fc.constantFrom(...'nlfrakhdvepxsizkg'.split('')), value);
  fc.assert(
    fc.property(hostile, letters, (fields, letter) => {
      const read = parseClusterRecord({ ...fields, t: letter });
      if (typeof read === 'object') {
        t.strictSame(parseClusterRecord(formatClusterRecord(read)), read);
      }
    }),
    { numRuns: 500 },
  );
  for (const other of [undefined, null, 1, 'x', [], {}, { t: 1 }]) {
    t.equal(parseClusterRecord(other), undefined);
  }
  t.equal(parseClusterRecord({ t: '__proto__' }), 'unknown');
  t.equal(parseClusterRecord({ t: 'later' }), 'unknown');
  t.end();
});

t.test('values that no peer list may contain are refused', (t) => {
  for (const bad of ['J5;x', 'J5,x', 'PUBLIC', '', 'J5 x', 'x'.repeat(65), 'J5!x', 7]) {
    t.equal(parseClusterRecord({ t: 'l', n: bad }), undefined, String(bad));
  }
  const good = { n: 'J5x', l: 'NOT-SERVING-ONION', a: 1 };
  t.not(parseClusterRecord({ t: 'j', e: good }), undefined);
  const cases = [
    { l: 'a;b' },
    { l: '' },
    { f: ['a;b'] },
    { f: ['a+b'] },
    { f: 'ping' },
    { k: 'x' },
    { a: -1 },
    { a: null },
    { r: 0.5 },
  ];
  for (const bad of cases) {
    t.equal(parseClusterRecord({ t: 'j', e: { ...good, ...bad } }), undefined, JSON.stringify(bad));
  }
  t.equal(parseClusterRecord({ t: 'm', p: 'x'.repeat(40_001) }), undefined);
  t.end();
});

t.test('a heartbeat counts without facts, and with facts that cannot be read', (t) => {
  const beat = { t: 'b', n: 1, h: 'ab', d: [0, 0], v: '1.0' };
  const read = (more: object): unknown => {
    const record = parseClusterRecord({ ...beat, ...more });
    return typeof record === 'object' && record.type === 'beat' ? record.facts : record;
  };
  t.strictSame(read({}), NO_FACTS, 'of the version before');
  for (const bad of [
    { z: -1, o: 'xyz', m: '123456789', c: 'yes' },
    { z: 1.5, o: 7, m: null, c: 1 },
    { z: '1', o: 'DEADBEEF', m: [], c: null },
    { z: 1e300, o: {}, m: '', c: 0 },
  ]) {
    t.strictSame(read(bad), NO_FACTS, JSON.stringify(bad));
  }
  t.end();
});

t.test('a packet is opened as it was sealed, and no bit of it can change', (t) => {
  fc.assert(
    fc.property(fc.array(clusterRecord, { maxLength: 4 }), fc.nat(), (records, at) => {
      const texts = records.map((each) => JSON.stringify(formatClusterRecord(each)));
      const bytes = sealPacket(head, texts, seals);
      const opened = openPacket(bytes);
      t.strictSame({ ...opened, records: undefined }, { ...head, records: undefined });
      t.ok(isSealedBy(bytes, head.node, seals));
      const changed = Buffer.from(bytes);
      changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ 1;
      t.notOk(isSealedBy(changed, head.node, seals));
    }),
    { numRuns: 50 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void openPacket(bytes)));
  t.end();
});

t.test('keys as hex', (t) => {
  const text = clusterKeyHex(pair.privateKey);
  t.equal(text, clusterKeyHex(pair.publicKey));
  const publicKey = clusterPublicKey(text);
  const read = keySeals(pair.privateKey, new Map(publicKey ? [[head.node, publicKey]] : []));
  t.ok(isSealedBy(sealPacket(head, [], seals), head.node, read));
  t.notOk(isSealedBy(sealPacket(head, [], seals), 'another', read), 'a node without a key');
  for (const bad of ['', 'zz', text.slice(1), text.toUpperCase()]) {
    if (/[A-F]/.test(bad) || bad.length !== 64) t.equal(clusterPublicKey(bad), undefined);
  }
  t.end();
});

t.test('the digest of a set does not depend on the order, and sees each change', (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(entry, { selector: (e) => e.nick, minLength: 1 }), (entries) => {
      const [one, two] = [new SetDigest(), new SetDigest()];
      for (const each of entries) one.toggle(each);
      for (const each of entries.toReversed()) two.toggle({ ...each, ageMs: 7 });
      t.equal(one.text, two.text);
      const [first] = entries;
      if (!first) return;
      one.toggle(first);
      one.toggle({ ...first, rank: first.rank + 1 });
      t.not(one.text, two.text);
    }),
    { numRuns: 100 },
  );
  const prints = new Set<string>();
  for (let i = 0; i < 20_000; i++) {
    const { high, low } = fingerprint(`J5peer${i};NOT-SERVING-ONION;;0;`);
    prints.add(`${high} ${low}`);
  }
  t.equal(prints.size, 20_000, 'no two of many similar texts collide');
  t.end();
});

t.test('shares add up to the whole, and nobody starves', (t) => {
  const demands = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(demands, fc.double({ min: 1, max: 1e6, noNaN: true }), (all, total) => {
      const shares = all.map((own, i) => shareOf([own, ...all.filter((_, j) => j !== i)], total));
      const sum = shares.reduce((a, b) => a + b, 0);
      t.ok(Math.abs(sum - 1) < 1e-6, `${sum}`);
      for (const share of shares) t.ok(share >= 0.04 / all.length);
    }),
    { numRuns: 200 },
  );
  const cases: [readonly number[], number, number][] = [
    [[100, 0, 0], 90, 0.9666],
    [[10, 10], 100, 0.5],
    [[80, 0], 100, 0.8875],
    [[1_000, 20], 100, 0.8],
    [[0, 0, 0], 100, 0.3333],
  ];
  for (const [all, total, share] of cases) {
    t.ok(Math.abs(shareOf(all, total) - share) < 0.001, `${all.join()}: ${shareOf(all, total)}`);
  }
  t.end();
});

t.test('the state for another process is read as it was written', (t) => {
  const sender = object({
    epoch: fc.option(hex, { nil: undefined }),
    toAll: count,
    toUs: count,
  });
  const moved = object({
    epoch: hex,
    toAll: count,
    toNodes: fc.dictionary(fc.constantFrom('a', 'b'), count, { noNullPrototype: true }),
    own: fc.array(entry, { maxLength: 3 }),
    nodes: fc.array(object({ name: fc.constantFrom('a', 'b'), sender, entries: fc.array(entry) })),
  });
  fc.assert(
    fc.property(moved, (state) => {
      const written = { ...state, toNodes: new Map(Object.entries(state.toNodes)) };
      const text = JSON.stringify(formatMoved(written));
      t.strictSame(parseMoved(JSON.parse(text)), written);
    }),
    { numRuns: 50 },
  );
  for (const bad of [undefined, null, 1, [], {}, { epoch: 'x', toAll: 1 }, { epoch: 'ab' }]) {
    t.equal(parseMoved(bad), undefined);
  }
  t.end();
});
