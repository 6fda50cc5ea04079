/** The snapshot between the processes of an upgrade: it is complete, and its reader trusts no part of it. */
import t from 'tap';
import * as fc from 'fast-check';
import { silentLog } from '../../src/channel/log.js';
import type { Connection } from '../../src/channel/ports.js';
import {
  createDirectory,
  DEFAULT_LIMITS,
  PeerCopies,
  type Directory,
} from '../../src/directory/directory.js';
import type { DirectoryLimits } from '../../src/directory/limits.js';
import { RATE_CLASSES } from '../../src/directory/message-classes.js';
import {
  formatDirectorySnapshot,
  formatPeerSnapshot,
  parseDirectorySnapshot,
  parsePeerSnapshot,
  type PeerSnapshot,
} from '../../src/directory/snapshot.js';
import { parseNewMessage, parseOldMessage } from '../../src/handover/message.js';
import { parseUpgradeAnswer } from '../../src/ops/request-socket.js';
import {
  formatNickProof,
  parseNickChallenge,
  proveNick,
  type NickAuthChallenge,
} from '../../src/protocol/nick-auth.js';
import { nickKey } from '../../src/protocol/nick.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import {
  movableFigures,
  earlierFigures,
  type DirectoryFigures,
} from '../../src/roles/directory-figures.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { memoryPeer, type MemoryPeer } from '../directory/memory-connection.js';
import { DN_NICK, hello } from '../directory/wire.js';

const PROVING = nickKey(new Uint8Array(32).fill(0x11));

const age = fc.double({ min: 0, max: 1e9, noNaN: true, noDefaultInfinity: true }).map(Math.abs);
const nick = fc.stringMatching(/^J5[1-9A-HJ-NP-Za-km-z]{14}$/);
const aged = fc.array(fc.tuple(nick, age), { maxLength: 5 });
const meters = fc.uniqueArray(
  fc.record({
    kind: fc.constantFrom(...RATE_CLASSES),
    tokens: age,
    filledMs: age,
    minuteMs: age,
    inMinute: fc.nat(),
  }),
  { selector: ({ kind }) => kind },
);
const bytes = fc.uint8Array({ maxLength: 300 });
const readyPeer: fc.Arbitrary<PeerSnapshot> = fc.record({
  state: fc.constant('ready' as const),
  acceptedMs: age,
  heardMs: age,
  pingedMs: fc.option(age, { nil: undefined }),
  probedMs: fc.option(age, { nil: undefined }),
  nick,
  via: fc.constantFrom('onion', 'loopback', undefined),
  location: fc.oneof(
    fc.constant({ kind: 'not-serving' as const }),
    fc.integer({ min: 1, max: 65_535 }).map((port) => ({
      kind: 'loopback' as const,
      host: '127.0.0.1',
      port,
    })),
  ),
  features: fc.array(fc.constantFrom('ping', 'peerlist_features', 'other')),
  verified: fc.boolean(),
  provenKey: fc.option(fc.stringMatching(/^0[23][0-9a-f]{64}$/), { nil: undefined }),
  proving: fc.constant(undefined),
  circuit: fc.option(
    fc.oneof(
      fc.nat().map(String),
      fc.tuple(fc.nat(), fc.nat()).map(([circuit, tor]) => `${circuit}/${tor}`),
    ),
    { nil: undefined },
  ),
  meters,
  addressed: aged,
  mutual: aged,
  spoofs: fc.nat(10),
  goneTold: aged,
  halfLine: bytes.map((line) => line.filter((byte) => byte !== 0x0a)),
  owed: bytes,
  waits: fc.array(
    fc.record({
      kind: fc.constantFrom('offer' as const, 'orderbook' as const, 'other' as const),
      frame: fc.stringMatching(/^[ -~]{1,40}$/).map((text) => `${text}\r\n`),
    }),
    { maxLength: 4 },
  ),
});

const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value));

function comparable({ halfLine, owed, ...rest }: PeerSnapshot): unknown {
  return {
    ...plain(rest),
    halfLine: Buffer.from(halfLine).toString('hex'),
    owed: Buffer.from(owed).toString('hex'),
  };
}

t.test('a peer is unchanged after the transfer', async (t) => {
  fc.assert(
    fc.property(readyPeer, (peer) => {
      const parsed = parsePeerSnapshot(JSON.parse(JSON.stringify(formatPeerSnapshot(peer))));
      if (!parsed.ok) throw new Error(parsed.reason);
      t.same(comparable(parsed.value), comparable(peer));
    }),
    { numRuns: 50 },
  );
});

t.test('no value of another process makes the parser throw', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      for (const parse of [
        parsePeerSnapshot,
        parseDirectorySnapshot,
        parseOldMessage,
        parseNewMessage,
      ]) {
        parse(value);
      }
      parseUpgradeAnswer(JSON.stringify(value));
      earlierFigures(new Map([['past', { key: 'past', value }]]));
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => void parseUpgradeAnswer(text)));
  t.pass();
});

t.test('figures of the pages continue', async (t) => {
  const past: DirectoryFigures = {
    upSeconds: 4_000,
    stateSeconds: 3_000,
    entered: { starting: 1, reachable: 3, lost: 2, stopping: 0 },
    selfTests: { relays: 60, unreachable: 4 },
    canary: { state: 'reachable', stateSeconds: 9, tests: 64, failures: 4, relayMs: 80 },
  };
  const parcels = await movableFigures(() => past).hold();
  const travelled = parcels.map(({ key, value }): [string, { key: string; value: unknown }] => {
    const read: unknown = JSON.parse(JSON.stringify(value));
    return [key, { key, value: read }];
  });
  t.same(earlierFigures(new Map(travelled)), past);
  t.equal(earlierFigures(undefined), undefined, 'a fresh directory has none');
  const odd = { upSeconds: -1, entered: { reachable: 'x', lost: 1 }, selfTests: 7, canary: {} };
  t.same(
    earlierFigures(new Map([['past', { key: 'past', value: odd }]])),
    { upSeconds: 0, stateSeconds: 0, entered: { lost: 1 }, selfTests: {}, canary: undefined },
    'unreadable values are left out',
  );
});

t.test('any one invalid field is refused', async (t) => {
  const [peer] = fc.sample(readyPeer, { numRuns: 1, seed: 7 });
  if (!peer) throw new Error('no sample');
  const good = Object(
    formatPeerSnapshot({
      ...peer,
      circuit: '1',
      pingedMs: 1,
      probedMs: 1,
      owed: Buffer.from('x'),
      provenKey: PROVING.publicKeyHex,
    }),
  );
  t.ok(parsePeerSnapshot(good).ok);
  const bad: readonly (readonly [string, unknown])[] = [
    ...Object.keys(good).map((name) => [name, { odd: true }] as const),
    ['state', 'gone'],
    ['state', 'proving'],
    ['provenKey', '04'.padEnd(66, 'a')],
    ['proving', { challenge: '{}', handshake: '', askedMs: 0 }],
    ['nick', 'a;b'],
    ['nick', 'J5!PUBLIC'],
    ['location', 'example.com:80'],
    ['acceptedMs', null],
    ['heardMs', '1'],
    ['spoofs', -1],
    ['circuit', '../1'],
    ['owed', 'a b'],
    ['owed', 'AA'],
    ['halfLine', Buffer.from('a\nb').toString('base64')],
    ['halfLine', Buffer.alloc(40_002).toString('base64')],
    ['waits', [{ kind: 'other', frame: 'two\r\nlines\r\n' }]],
    ['waits', [{ kind: 'privmsg', frame: 'x\r\n' }]],
    ['waits', [{ kind: 'other', frame: `${'x'.repeat(40_001)}\r\n` }]],
    ['meters', [{ kind: 'pubmsg', tokens: null, filledMs: 0, minuteMs: 0, inMinute: 0 }]],
  ];
  for (const [name, value] of bad) {
    t.equal(parsePeerSnapshot({ ...good, [name]: value }).ok, false, `${name} ${String(value)}`);
  }
  t.equal(parsePeerSnapshot({ ...good, state: 'new' }).ok, false, 'bytes before a handshake');
});

const LOCATION = { kind: 'loopback', host: '127.0.0.1', port: 5222 } as const;

function directoryWith(clock: TestClock, limits: Partial<DirectoryLimits>): Directory {
  return createDirectory({
    network: 'signet',
    nick: DN_NICK,
    location: () => LOCATION,
    nickAuth: { required: false, randomBytes: (count) => new Uint8Array(count).fill(7) },
    reachable: new Set(['loopback'] as const),
    motd: () => 'hello',
    limits: { ...DEFAULT_LIMITS, ...limits },
    clock,
    random: () => 0,
    log: silentLog,
  });
}

/** The directory of another process, with the same peers over fresh connections. */
function moved(
  from: Directory,
  clock: TestClock,
  limits: Partial<DirectoryLimits>,
): { to: Directory; peers: ReadonlyMap<Connection, MemoryPeer> } {
  const to = directoryWith(clock, limits);
  const snapshot = from.snapshot(() => new Uint8Array(0));
  const state = parseDirectorySnapshot(plain(formatDirectorySnapshot(snapshot.state)));
  if (!state.ok) throw new Error(state.reason);
  const peers = new Map<Connection, MemoryPeer>();
  const moving = snapshot.peers.map(({ connection, peer }) => {
    const parsed = parsePeerSnapshot(plain(formatPeerSnapshot(peer)));
    if (!parsed.ok) throw new Error(parsed.reason);
    const fresh = memoryPeer(parsed.value.circuit);
    peers.set(connection, fresh);
    return { connection: fresh.connection, peer: parsed.value };
  });
  to.restore(state.value, moving);
  return { to, peers };
}

t.test('a directory continues with rates, partial lines, queues and conversations', async (t) => {
  const clock = createTestClock();
  const limits = { pubmsgPerMinute: 3, heartbeatIntervalMs: 0, deliveriesPerSecond: 200 };
  const from = directoryWith(clock, limits);
  const alice = memoryPeer('7');
  const bob = memoryPeer();
  const dave = memoryPeer();
  const names = ['J5aliceOOOOOOOOO', 'J5bobOOOOOOOOOOO', 'J5daveOOOOOOOOOO'] as const;
  for (const [i, peer] of [alice, bob, dave].entries()) {
    from.accept(peer.connection);
    peer.say(encodeEnvelope(793, hello(names[i] ?? '')));
  }
  const [a, b] = names;
  const say = (text: string): string => encodeEnvelope(687, `${a}!PUBLIC!${text}`);
  for (const peer of [alice, bob, dave]) peer.drain();
  bob.say(encodeEnvelope(685, `${b}!${a}!hello`));
  // The second message waits for the budget, the third one for the end of its line.
  alice.say(say('one') + say('uno') + say('two').slice(0, 20));
  for (const peer of [alice, bob, dave]) peer.drain();
  const before = from.stats();
  t.equal(before.waitingMessages, 1);
  const after = moved(from, clock, limits);
  const { to } = after;
  const fresh = (old: MemoryPeer): MemoryPeer | undefined => after.peers.get(old.connection);
  t.same(to.stats().messagesIn, before.messagesIn, 'counters continue');
  t.match(to.stats(), { peers: 3, circuits: 1, handshakesAccepted: 3, waitingMessages: 1 });

  fresh(alice)?.say(say('two').slice(20));
  fresh(alice)?.say(say('three'));
  t.equal(to.stats().dropped['rate-pubmsg'], 1, 'the rate of the minute continues');
  for (let i = 0; i < 20; i++) {
    clock.advance(100);
    for (const peer of after.peers.values()) peer.drain();
  }
  for (const peer of [bob, dave]) {
    const heard = peer.received + (fresh(peer)?.received ?? '');
    t.same(
      [...heard.matchAll(/PUBLIC!(\w+)/g)].map(([, text]) => text),
      ['one', 'uno', 'two'],
    );
  }
  t.match(alice.received + (fresh(alice)?.received ?? ''), /!hello"}/);
  fresh(alice)?.say(encodeEnvelope(685, `${a}!${b}!and you`));
  t.equal(to.stats().dropped['budget-privmsg'], 0);
  for (const peer of after.peers.values()) peer.leave();
  for (const peer of [alice, bob, dave]) peer.leave();
  t.equal(to.connectionCount, 0);
  t.equal(clock.pending, 0, 'no timer is left');
});

t.test('a newcomer that waits for a nick, and one without a handshake', async (t) => {
  const clock = createTestClock();
  const limits = { heartbeatPongWaitMs: 1_000, handshakeTimeoutMs: 10_000 };
  const from = directoryWith(clock, limits);
  const [holder, newcomer, silent] = [memoryPeer(), memoryPeer(), memoryPeer()];
  from.accept(holder.connection);
  holder.say(encodeEnvelope(793, hello('J5holderOOOOOOOO', { features: { ping: true } })));
  from.accept(newcomer.connection);
  newcomer.say(encodeEnvelope(793, hello('J5holderOOOOOOOO')));
  from.accept(silent.connection);
  clock.advance(500);
  const { to, peers } = moved(from, clock, limits);
  t.match(to.stats(), { peers: 1, unhandshaked: 2, nickClaims: 1 });
  for (let i = 0; i < 8; i++) clock.advance(250);
  peers.get(newcomer.connection)?.drain();
  t.match(peers.get(newcomer.connection)?.received, /"type": 795/, 'the holder did not answer');
  t.equal(to.stats().handshakesAccepted, 2);
  for (let i = 0; i < 40; i++) clock.advance(250);
  t.equal(to.stats().closed['handshake-timeout'], 1, 'counted from the accept');
  for (const peer of [...peers.values(), holder, newcomer, silent]) peer.leave();
  t.equal(clock.pending, 0);
});

t.test('a copy made before counts for a peer that has not changed since', async (t) => {
  const clock = createTestClock();
  const limits = { heartbeatIntervalMs: 0 };
  const from = directoryWith(clock, limits);
  const peers: MemoryPeer[] = [];
  function join(name: string): MemoryPeer {
    const peer = memoryPeer();
    peers.push(peer);
    from.accept(peer.connection);
    peer.say(encodeEnvelope(793, hello(name)));
    return peer;
  }
  function drainAll(): void {
    for (let i = 0; i < 3; i++) {
      for (const peer of peers) peer.drain();
      from.flush();
    }
  }
  const [a, b, c, d, e] = [
    'J5idleOOOOOOOOOO',
    'J5talkerOOOOOOOO',
    'J5halfOOOOOOOOOO',
    'J5leaverOOOOOOOO',
    'J5unsentOOOOOOOO',
  ] as const;
  const idle = join(a);
  const talker = join(b);
  const half = join(c);
  const leaver = join(d);
  const unsent = join(e);
  drainAll();
  clock.advance(500);
  const copies = new PeerCopies();
  const early = [...from.copyPeers(copies, (connection) => connection !== unsent.connection)];
  t.same(
    early.map(({ peer }) => peer.nick),
    [a, b, c, d],
  );
  clock.advance(1_000);
  talker.say(encodeEnvelope(685, `${b}!${a}!hello`));
  half.say('{"type"');
  leaver.leave();
  join('J5freshOOOOOOOOO');
  drainAll();
  const { state, peers: changed, unchanged } = from.snapshot(() => new Uint8Array(0), copies);
  t.equal(unchanged.length, 1);
  t.equal(unchanged[0], idle.connection, 'it got a message, and said nothing itself');
  t.same(changed.map(({ peer }) => peer.nick).toSorted(), ['J5freshOOOOOOOOO', c, b, e]);
  idle.say('{');
  t.same(from.snapshot(() => new Uint8Array(0), copies).unchanged, [], 'not any more');

  const to = directoryWith(clock, limits);
  const [copy] = early;
  if (copy === undefined) throw new Error('no copy');
  const moving = memoryPeer();
  to.restore(state, [{ ...copy, connection: moving.connection, takenAt: clock.now() - 1_000 }]);
  const [kept] = to.snapshot(() => new Uint8Array(0)).peers;
  t.equal(kept?.peer.heardMs, copy.peer.heardMs + 1_000, 'its ages grow from the copy on');
  t.equal(kept?.peer.acceptedMs, copy.peer.acceptedMs + 1_000);
  for (const peer of [moving, ...peers]) peer.leave();
  t.equal(clock.pending, 0);
});

/** The same record, this much later. */
function later(peer: PeerSnapshot, ms: number): PeerSnapshot {
  const older = (was: number | undefined): number | undefined =>
    was === undefined ? undefined : was + ms;
  const all = (ages: PeerSnapshot['mutual']): PeerSnapshot['mutual'] =>
    ages.map(([name, was]) => [name, was + ms]);
  return {
    ...peer,
    acceptedMs: peer.acceptedMs + ms,
    heardMs: peer.heardMs + ms,
    pingedMs: older(peer.pingedMs),
    probedMs: older(peer.probedMs),
    meters: peer.meters.map((meter) => ({
      ...meter,
      filledMs: meter.filledMs + ms,
      minuteMs: meter.minuteMs + ms,
    })),
    addressed: all(peer.addressed),
    mutual: all(peer.mutual),
    goneTold: all(peer.goneTold),
  };
}

interface Event {
  readonly from: number;
  readonly to: number;
  readonly kind: string;
}

/** An event between three peers and their directory. */
const event = fc.record({
  from: fc.nat(2),
  to: fc.nat(2),
  kind: fc.constantFrom('private', 'private', 'public', 'ping', 'half a line', 'time'),
});

t.test('a copy that still counts is equal to the record, whatever has happened', async (t) => {
  const names = ['J5firstOOOOOOOOO', 'J5secondOOOOOOOO', 'J5thirdOOOOOOOOO'] as const;
  let counted = 0;
  function check(before: readonly Event[], after: readonly Event[]): void {
    const clock = createTestClock();
    const directory = directoryWith(clock, { heartbeatIdleMs: 20_000, handshakeTimeoutMs: 0 });
    const peers = names.map(() => memoryPeer());
    for (const [i, peer] of peers.entries()) {
      directory.accept(peer.connection);
      peer.say(encodeEnvelope(793, hello(names[i] ?? '', { features: { ping: true } })));
    }
    function happen({ from, to, kind }: Event): void {
      const [own = '', other = ''] = [names[from], names[to]];
      if (kind === 'private') peers[from]?.say(encodeEnvelope(685, `${own}!${other}!hello`));
      if (kind === 'public') peers[from]?.say(encodeEnvelope(687, `${own}!PUBLIC!hello`));
      if (kind === 'ping') peers[from]?.say(encodeEnvelope(797, ''));
      if (kind === 'half a line') peers[from]?.say('{"type"');
      clock.advance(kind === 'time' ? 12_000 : 1);
      for (const peer of peers) peer.drain();
      directory.flush();
      for (const peer of peers) peer.drain();
    }
    for (const one of before) happen(one);
    const copies = new PeerCopies();
    const early = [...directory.copyPeers(copies, () => true)];
    const copiedAt = clock.now();
    for (const one of after) happen(one);
    const { unchanged } = directory.snapshot(() => new Uint8Array(0), copies);
    const now = directory.snapshot(() => new Uint8Array(0)).peers;
    for (const { connection, peer } of early) {
      const kept = unchanged.includes(connection)
        ? now.find((one) => one.connection === connection)
        : undefined;
      if (kept === undefined) continue;
      t.same(comparable(later(peer, clock.now() - copiedAt)), comparable(kept.peer));
      counted++;
    }
    for (const peer of peers) peer.leave();
  }
  const events = fc.array(event, { maxLength: 6 });
  fc.assert(fc.property(events, events, check), { numRuns: 100 });
  t.ok(counted > 20, `${counted} copies still counted`);
});

function challengeOf(peer: MemoryPeer): NickAuthChallenge {
  const [, payload = ''] = /"type": 803, "line": "(.*)"}/.exec(peer.received) ?? [];
  const challenge = parseNickChallenge(payload.replaceAll('\\"', '"'));
  if (!challenge.ok) throw new Error(`no challenge: ${peer.received}`);
  return challenge.value;
}

t.test('a peer that is asked for a proof can give it to the next process', async (t) => {
  const clock = createTestClock();
  const from = directoryWith(clock, {});
  const handshake = hello(PROVING.nick, { features: { nick_auth: true } });
  const asked = memoryPeer();
  const slow = memoryPeer();
  for (const peer of [asked, slow]) {
    from.accept(peer.connection);
    peer.say(encodeEnvelope(793, handshake));
    peer.drain();
  }
  const proof = (peer: MemoryPeer): string =>
    encodeEnvelope(805, formatNickProof(proveNick(PROVING, challengeOf(peer), handshake)));
  const [first, second] = [proof(asked), proof(slow)];
  const next = moved(from, clock, {});
  t.match(next.to.stats(), { peers: 0, unhandshaked: 2 });
  const fresh = next.peers.get(asked.connection);
  fresh?.say(first);
  fresh?.drain();
  t.match(fresh?.received, /"type": 807, "line": "{\\"code\\":\\"ok\\"/);
  t.equal(next.to.peerCount, 1);
  // This peer has sent its proof, but its turn comes in the process after the next.
  next.peers.get(slow.connection)?.say(second);
  const last = moved(next.to, clock, {});
  const slowest = last.peers.get(next.peers.get(slow.connection)?.connection ?? slow.connection);
  for (let i = 0; i < 5; i++) clock.advance(10);
  slowest?.drain();
  t.match(slowest?.received, /"code\\":\\"ok\\"/, 'the same key has its nick again');
  t.match(last.to.stats(), { peers: 1, unhandshaked: 0, nickAuth: { ok: 2 } });

  const third = moved(last.to, clock, {});
  const [kept] = third.to.snapshot(() => new Uint8Array(0)).peers;
  t.equal(kept?.peer.provenKey, PROVING.publicKeyHex, 'the proven key is kept');
  for (const { peers } of [next, last, third]) for (const peer of peers.values()) peer.leave();
  for (const peer of [asked, slow]) peer.leave();
  t.equal(clock.pending, 0);
});
