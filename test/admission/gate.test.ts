/** The gate of a private directory: one refusal with a reason, revocation, sessions, and a move to another process. */
import t, { type Test } from 'tap';
import { AdmissionEngine } from '../../src/admission/engine.js';
import type { CodeBook } from '../../src/admission/backends/code-book.js';
import type { CodeRecord } from '../../src/admission/code-record.js';
import { formatPeerSnapshot, parsePeerSnapshot } from '../../src/directory/snapshot.js';
import type { DirectoryOptions } from '../../src/directory/directory.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { formatPeerHandshake, parsePeerHandshake } from '../../src/protocol/handshake.js';
import { NOT_SERVING } from '../../src/protocol/location.js';
import { handshakeTerms } from '../../src/channel/link/handshake-terms.js';
import type { EntryGate } from '../../src/directory/entry/gate.js';
import { admissionGate } from '../../src/roles/directory-gate.js';
import { gateWithSelfTests, SelfTests } from '../../src/roles/self-tests.js';
import { createTestClock } from '../helpers/test-clock.js';
import { memoryPeer, type MemoryPeer } from '../directory/memory-connection.js';
import { hello, onion, testDirectory } from '../directory/wire.js';
import { bookOf, chosenCode, KEY, madeCode, NOW, SALT } from './sample.js';

interface Scene {
  readonly book: CodeBook;
  readonly directory: ReturnType<typeof testDirectory>;
  readonly join: (nick: string, code?: string, location?: string) => MemoryPeer;
  readonly advance: (ms: number) => void;
  readonly set: (codes: readonly CodeRecord[]) => void;
}

function scene(
  t: Test,
  codes: readonly CodeRecord[],
  options: Partial<DirectoryOptions> = {},
  around: (gate: EntryGate) => EntryGate = (gate) => gate,
): Scene {
  const clock = createTestClock();
  const book = bookOf(codes);
  const engine = new AdmissionEngine({ backend: book });
  const directory = testDirectory({
    clock,
    gate: around(admissionGate(engine, () => NOW + clock.now())),
    ...options,
  });
  const peers: MemoryPeer[] = [];
  t.teardown(() => {
    for (const peer of peers) peer.leave();
    if (clock.pending > 0) throw new Error('a timer is left');
  });
  return {
    book,
    directory,
    join(nick, code, location) {
      const peer = memoryPeer();
      peers.push(peer);
      directory.accept(peer.connection);
      const more = code === undefined ? {} : { with: { admission: code } };
      const where = location === undefined ? {} : { location };
      peer.say(encodeEnvelope(793, hello(nick, { ...more, ...where })));
      peer.drain();
      return peer;
    },
    advance: (ms) => clock.advance(ms),
    set: (next) => book.replace({ key: KEY, salt: SALT, codes: next }),
  };
}

const isAccepted = ({ received }: MemoryPeer): boolean => received.includes('\\"accepted\\": true');
const settle = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 0));

t.test('a deployed program gets one refusal with the reason, and nothing else', (t) => {
  const { directory, join } = scene(t, []);
  const peer = join('J5stranger');
  const lines = peer.received.split('\r\n').filter((line) => line !== '');
  t.equal(lines.length, 1);
  t.match(
    lines[0],
    /"type": 795.*\\"accepted\\": false.*Rejected: this directory is private: it serves only peers that show a code/,
  );
  t.match(directory.stats(), { peers: 0, handshakesRejected: { private: 1, code: 0 } });
  t.end();
});

t.test('a code admits; a wrong one, and one of another peer, do not', (t) => {
  const any = madeCode();
  const bound = madeCode({ addresses: [onion(1).replace(/:\d+$/, '')] });
  const { directory, join } = scene(t, [any.record, bound.record]);
  t.ok(isAccepted(join('J5one', any.text)));
  t.ok(isAccepted(join('J5two', bound.text, onion(1))));
  t.match(join('J5three', bound.text, onion(2)).received, /the code belongs to another address/);
  t.match(
    join('J5four', `omc-${'a'.repeat(8)}-${'a'.repeat(26)}`).received,
    /the code is not valid/,
  );
  t.match(
    join('J5five', 'x'.repeat(300)).received,
    /it serves only peers that show a code/,
    'too long for a code',
  );
  t.match(directory.stats(), { peers: 2, handshakesRejected: { private: 1, code: 2 } });
  t.end();
});

t.test('a revoked or expired code ends the peer within a second or so, and others stay', (t) => {
  const first = madeCode();
  const second = madeCode({ notAfter: NOW + 10_000 });
  const third = madeCode();
  const { directory, join, advance, set } = scene(t, [first.record, second.record, third.record]);
  const one = join('J5one', first.text);
  const two = join('J5two', second.text);
  const three = join('J5three', third.text);
  set([{ ...first.record, revoked: NOW }, second.record, third.record]);
  advance(1_500);
  t.ok(one.closed, 'revoked');
  t.notOk(two.closed);
  advance(10_000);
  t.ok(two.closed, 'expired');
  t.notOk(three.closed);
  t.match(directory.stats(), { peers: 1, closed: { 'code-ended': 2 } });
  t.match(join('J5one', first.text).received, /the code was revoked/);
  t.end();
});

t.test('most sessions at a time follow the connections', (t) => {
  const code = madeCode({ maxConcurrent: 1 });
  const { join, advance, directory } = scene(t, [code.record]);
  const one = join('J5one', code.text);
  t.ok(isAccepted(one));
  advance(3_600_000);
  t.match(join('J5two', code.text).received, /in use too often at the same time/, 'an hour later');
  t.match(directory.stats(), { handshakesRejected: { 'code-limited': 1 } });
  one.leave();
  t.ok(isAccepted(join('J5two', code.text)), 'after the first has left');
  t.end();
});

t.test('a chosen code is decided later; a peer that leaves before is forgotten', async (t) => {
  const record = await chosenCode('correct horse');
  const { join, directory } = scene(t, [record]);
  const peer = join('J5one', 'correct horse');
  const early = join('J5two', 'correct horse');
  t.equal(peer.received, '', 'not decided yet');
  early.leave();
  for (let i = 0; i < 2_000 && !isAccepted(peer); i++) {
    // oxlint-disable-next-line no-await-in-loop -- scrypt runs in another thread
    await settle();
    peer.drain();
  }
  t.ok(isAccepted(peer));
  t.equal(directory.peerCount, 1);
});

t.test('a test of the directory itself enters with its own code, and is none of the codes', (t) => {
  const tests = new SelfTests();
  const { directory, join, advance } = scene(t, [], { ownNicks: tests.nicks }, (gate) =>
    gateWithSelfTests(gate, tests),
  );
  const code = tests.newCode();
  tests.add('J5canary', code);
  t.notOk(isAccepted(join('J5canary')), 'its nick alone lets nobody in');
  t.notOk(isAccepted(join('J5other', code)), 'nor does the code under another nick');
  const canary = join('J5canary', code);
  t.ok(isAccepted(canary));
  advance(2_000);
  t.notOk(canary.closed, 'it stays');
  t.equal(directory.peerCount, 0, 'it is no peer');
  t.end();
});

t.test('the pass moves with an upgrade; a peer without one does not stay', (t) => {
  const code = madeCode();
  const from = scene(t, [code.record]);
  const peer = from.join('J5one', code.text);
  const { state, peers } = from.directory.snapshot(() => new Uint8Array(0));
  const [moved] = peers;
  t.equal(moved?.peer.pass, code.id);
  const read =
    moved && parsePeerSnapshot(JSON.parse(JSON.stringify(formatPeerSnapshot(moved.peer))));
  if (!read?.ok) throw new Error('the snapshot cannot be read');
  const to = scene(t, [code.record]);
  const [kept, other] = [memoryPeer(), memoryPeer()];
  to.directory.restore(state, [
    { connection: kept.connection, peer: read.value },
    { connection: other.connection, peer: { ...read.value, nick: 'J5other', pass: undefined } },
  ]);
  to.advance(1_500);
  t.notOk(kept.closed);
  t.ok(other.closed, 'of a directory that was not private before');
  kept.leave();
  peer.leave();
  t.end();
});

t.test('the code in a 793: behind the keys of the original, to its directory only', (t) => {
  const us = { nick: 'J5nick', network: 'signet', location: NOT_SERVING } as const;
  const terms = handshakeTerms(us, new Set());
  t.notMatch(terms.payload, 'admission');
  t.equal(
    terms.withCode(undefined).payload,
    terms.payload,
    'without a code, byte for byte as before',
  );
  const { payload } = terms.withCode('omc-code');
  t.match(payload, /"network": "signet", "admission": "omc-code"\}$/);
  const read = parsePeerHandshake(payload, { network: 'signet', kinds: new Set() });
  t.match(read, { ok: true, value: { nick: 'J5nick', admission: 'omc-code' } });
  t.notMatch(formatPeerHandshake({ ...us, features: [] }), 'admission');
  t.end();
});
