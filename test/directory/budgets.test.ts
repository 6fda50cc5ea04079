/**
 * The budgets that all peers share: priorities, the fair queue, circuits. Connections are in memory and the
 * test controls the clock, so every delay here is exact.
 */
import t, { type Test } from 'tap';
import { createCircuits } from '../../src/directory/entry/circuits.js';
import {
  DEFAULT_LIMITS,
  type Directory,
  type DirectoryLimits,
} from '../../src/directory/directory.js';
import {
  createFairQueue,
  type FairQueue,
  type Rank,
} from '../../src/directory/relay/fair-queue.js';
import { createPeer, type Peer } from '../../src/directory/peer.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { memoryPeer, type MemoryPeer } from './memory-connection.js';
import {
  CLUSTER_TIMERS,
  connectPeer,
  hello,
  oneProcess,
  openDirectory,
  testDirectory,
} from './wire.js';

interface Member {
  readonly nick: string;
  readonly peer: MemoryPeer;
  /** Texts received since the last call, with their type. */
  readonly news: () => readonly string[];
  readonly privmsg: (to: string, text: string) => void;
  readonly pubmsg: (text: string) => void;
}

interface World {
  readonly clock: TestClock;
  readonly directory: Directory;
  readonly join: (nick: string, circuit?: string) => Member;
  /** Advances the clock; every peer reads all its bytes. */
  readonly pass: (ms: number) => void;
  /** All peers leave; no state may be left.  */
  readonly over: () => void;
}

/** @param isOneNode circuits are those of a node */
async function world(
  test: Test,
  limits: Partial<DirectoryLimits> = {},
  isOneNode = false,
): Promise<World> {
  const clock = createTestClock();
  const inForce = { ...DEFAULT_LIMITS, heartbeatIntervalMs: 0, ...limits };
  const directory = await openDirectory(
    (more) => testDirectory({ limits: inForce, ...more }),
    clock,
    isOneNode,
  );
  const members = new Set<Member>();
  function drain(): void {
    for (const member of members) {
      member.peer.drain();
      if (!member.peer.closed) continue;
      member.peer.leave();
      members.delete(member);
    }
  }
  return {
    clock,
    directory,
    join(nick, circuit) {
      const peer = connectPeer(directory, circuit);
      peer.say(encodeEnvelope(793, hello(nick)));
      peer.drain();
      let seen = peer.received.length;
      const member: Member = {
        nick,
        peer,
        news() {
          const text = peer.received.slice(seen);
          seen = peer.received.length;
          return text.split('\r\n').filter((line) => line !== '');
        },
        privmsg: (to, text) => peer.say(encodeEnvelope(685, `${nick}!${to}!${text}`)),
        pubmsg: (text) => peer.say(encodeEnvelope(687, `${nick}!PUBLIC!${text}`)),
      };
      members.add(member);
      return member;
    },
    pass(ms) {
      drain();
      clock.advance(ms);
      drain();
    },
    over() {
      for (const { peer } of members) peer.leave();
      test.equal(clock.pending, CLUSTER_TIMERS, 'no timer is left');
      test.equal(directory.stats().waitingMessages, 0, 'no message waits');
    },
  };
}

const STEP_MS = 20;
const ATTACKERS = 200;
const HONEST = 50;

function p95(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.95) - 1] ?? Infinity;
}

/** 200 attackers with 50 requests a second each; a running coinjoin; 50 honest peers that ask once each. */
async function flood(
  test: Test,
  limits: Partial<DirectoryLimits>,
  settledMs: number,
): Promise<void> {
  const { directory, join, pass, over } = await world(test, limits);
  const maker = join('J5maker');
  const taker = join('J5taker');
  const honest = Array.from({ length: HONEST }, (_, n) => join(`J5honest${n}`));
  maker.privmsg(taker.nick, 'sw0reloffer 0');
  taker.privmsg(maker.nick, 'fill 0');
  pass(settledMs);
  maker.news();
  taker.news();

  let fresh = 0;
  const attackers = Array.from({ length: ATTACKERS }, () => join(`J5attack${fresh++}`));
  const askedAt = new Map<string, number>();
  const delays: number[] = [];
  let relayed = 0;
  let sent = 0;
  let received = 0;
  for (let at = 0; at < 10_000; at += STEP_MS) {
    for (let n = 0; n < ATTACKERS; n++) {
      // An attacker whose connection was closed comes back with another nick.
      if (attackers[n]?.peer.closed) attackers[n] = join(`J5attack${fresh++}`);
      attackers[n]?.pubmsg('!orderbook');
    }
    const asker = honest[at / 100];
    if (asker && at >= 1_000) {
      asker.pubmsg('!orderbook');
      askedAt.set(asker.nick, at);
    }
    if (at === 1_000) {
      // The first ten, all at once.
      for (const one of honest.slice(0, 10)) {
        one.pubmsg('!orderbook');
        askedAt.set(one.nick, at);
      }
    }
    taker.privmsg(maker.nick, `auth ${at}`);
    maker.privmsg(taker.nick, `ioauth ${at}`);
    sent += 2;
    pass(STEP_MS);
    received += taker.news().filter((line) => line.includes('ioauth')).length;
    for (const line of maker.news()) {
      if (line.includes('!auth')) received++;
      if (!line.includes('!orderbook')) continue;
      relayed++;
      const asked = askedAt.get(/J5honest\d+/.exec(line)?.[0] ?? '');
      if (asked !== undefined) delays.push(at + STEP_MS - asked);
    }
  }
  test.equal(delays.length, HONEST, 'every honest request was relayed');
  test.ok(p95(delays) < 2_000, `in time: p95 ${p95(delays)} ms`);
  test.equal(received, sent, 'no message of the running conversation was lost');
  const perSecond = limits.orderbookPerSecond ?? DEFAULT_LIMITS.orderbookPerSecond;
  test.ok(relayed <= perSecond * 11, `makers were asked ${relayed} times in 10 s`);
  test.ok(directory.stats().delayed > 0, 'requests waited');
  test.ok(directory.stats().waitingMessages <= ATTACKERS + HONEST, 'one place per peer');
  over();
}

void t.test(
  'a flood of !orderbook from nicks that change each time; the honest peers are new, too',
  (t) => flood(t, {}, 0),
);

void t.test('a flood within the rates of each peer; the honest peers were there before', (t) =>
  flood(t, { orderbookPerMinute: 100_000 }, 400_000),
);

/** The parts of the nodes follow the traffic with heartbeats, see `test/cluster/budgets.test.ts`. */
const EXACT =
  'exact figures of one bucket: those of three nodes are within a tenth, after a second';

void t.test('a low class leaves room for the higher ones', oneProcess(EXACT), async (t) => {
  const { clock, directory, join, pass, over } = await world(t, {
    deliveriesPerSecond: 1_000,
    pubmsgPerMinute: 10_000,
    orderbookPerMinute: 10_000,
    orderbookPerSecond: 0,
    privmsgPerSecond: 10_000,
    getpeerlistPerMinute: 10_000,
  });
  const a = join('J5a');
  const b = join('J5b');
  b.news();
  const got = (part: string): number => b.news().filter((line) => line.includes(part)).length;
  const publish = (text: string, times: number): void => {
    for (let n = 0; n < times; n++) a.pubmsg(`${text} ${n}`);
    b.peer.drain();
  };
  // Each costs 31. The full budget of 1,000 may be drawn down to 750, 500, 250, 100, 0.
  publish('hp2', 20);
  t.equal(got('hp2'), 9, 'the lowest class has a quarter');
  publish('!orderbook', 20);
  t.equal(got('orderbook'), 8, 'requests have the next quarter');
  publish('sw0reloffer', 20);
  t.equal(got('reloffer'), 8, 'offers have the part after it');
  const before = directory.stats();
  t.equal(before.dropped['budget-other'], 9, 'two wait, the others are dropped');
  t.equal(before.dropped['budget-offer'], 8, 'four wait');
  t.equal(before.dropped.repeated, 11, 'a request replaces the one before');
  t.equal(before.waitingMessages, 2 + 1 + 4);

  for (let n = 0; n < 10; n++) a.peer.say(encodeEnvelope(791, ''));
  t.equal(directory.stats().dropped['budget-peerlist'], 5, 'peer lists go down to a tenth');
  for (let n = 0; n < 10; n++) a.privmsg('J5b', `fill ${n}`);
  t.equal(directory.stats().dropped['budget-privmsg'], 7, 'first private messages use all of it');
  b.privmsg('J5a', 'pubkey');
  for (let n = 0; n < 40; n++) a.privmsg('J5b', `auth ${n}`);
  b.peer.drain();
  t.equal(got('auth'), 40, 'a running conversation always passes');
  t.equal(directory.stats().dropped['budget-privmsg'], 7);

  const order: string[] = [];
  for (let n = 0; n < 60; n++) {
    pass(50);
    for (const line of b.news()) order.push(/hp2|orderbook|reloffer/.exec(line)?.[0] ?? '?');
  }
  t.strictSame(
    order,
    [...Array<string>(4).fill('reloffer'), 'orderbook', 'hp2', 'hp2'],
    'waiting messages are sent in order of class',
  );
  t.equal(clock.pending, 1, 'only the sweep is left');
  over();
});

void t.test('a kind without a limit has no budget', async (t) => {
  const { directory, join, over } = await world(t, {
    deliveriesPerSecond: 1,
    orderbookPerSecond: 1,
    pubmsgPerMinute: 0,
    orderbookPerMinute: 0,
    privmsgPerSecond: 0,
    getpeerlistPerMinute: 0,
  });
  const a = join('J5a');
  const b = join('J5b');
  b.news();
  for (let n = 0; n < 20; n++) {
    a.pubmsg('hp2');
    a.pubmsg('!orderbook');
    a.privmsg('J5b', 'fill');
  }
  b.peer.drain();
  t.equal(b.news().filter((line) => !line.includes('789')).length, 60);
  t.equal(directory.stats().delayed, 0);
  over();
});

void t.test(
  'the waiting messages of a peer that leaves are dropped',
  oneProcess(EXACT),
  async (t) => {
    const { directory, join, pass, over } = await world(t, { orderbookPerSecond: 1 });
    const [a, b, c] = [join('J5a'), join('J5b'), join('J5c')];
    for (const one of [a, b, c]) one.pubmsg('!orderbook');
    t.equal(directory.stats().waitingMessages, 2);
    b.peer.leave();
    t.equal(directory.stats().waitingMessages, 1);
    a.peer.drain();
    a.news();
    pass(1_000);
    t.match(
      a.news().filter((line) => line.includes('orderbook')),
      [/J5c!PUBLIC/],
    );
    over();
  },
);

/** A peer that sends nothing. */
function idlePeer(): Peer {
  const { connection } = memoryPeer();
  const outbox = {
    connection,
    cursor: 0,
    due: 0,
    splices: undefined,
    spliced: 0,
    inFlight: 0,
    lines: 0,
    progressAt: 0,
    queuedSeen: 0,
    closed: false,
    drained() {},
  };
  return createPeer(connection, outbox, undefined, 0);
}

function put(queue: FairQueue, peer: Peer, rank: Rank, frame: string): string {
  return queue.push(peer, rank, { peer, frame });
}

/** All waiting messages, in turn. */
function all(queue: FairQueue): string[] {
  const frames: string[] = [];
  for (let next = queue.shift(); next; next = queue.shift()) frames.push(next.frame);
  return frames;
}

void t.test('the fair queue', oneProcess('a data structure of a node'), async (t) => {
  await t.test('one message of each source a round', async (t) => {
    const queue = createFairQueue({ placesPerSource: 3, maxLength: 100 });
    const [a, b] = [idlePeer(), idlePeer()];
    for (const frame of ['a1', 'a2', 'a3']) t.equal(put(queue, a, 'new', frame), 'waiting');
    t.equal(put(queue, a, 'new', 'a4'), 'full');
    t.equal(put(queue, b, 'new', 'b1'), 'waiting');
    t.equal(queue.size, 4);
    t.strictSame(all(queue), ['a1', 'b1', 'a2', 'a3']);
    t.equal(queue.size, 0);
  });

  await t.test('verified, established, new, and each fourth turn in reverse order', async (t) => {
    const queue = createFairQueue({ placesPerSource: 1, maxLength: 100 });
    for (const rank of ['new', 'established', 'verified'] as const) {
      for (let n = 1; n <= 3; n++) put(queue, idlePeer(), rank, `${rank}${n}`);
    }
    t.strictSame(all(queue), [
      'verified1',
      'verified2',
      'verified3',
      'new1',
      'established1',
      'established2',
      'established3',
      'new2',
      'new3',
    ]);
  });

  await t.test('one place: the later message takes the turn of the earlier one', async (t) => {
    const queue = createFairQueue({ placesPerSource: 1, maxLength: 6 });
    const [a, b] = [idlePeer(), idlePeer()];
    put(queue, a, 'new', 'a1');
    put(queue, b, 'new', 'b1');
    t.equal(put(queue, a, 'established', 'a2'), 'replaced');
    const shared = { circuit: '1' };
    t.equal(queue.push(shared, 'new', { peer: a, frame: 's1' }), 'waiting');
    t.equal(queue.push(shared, 'new', { peer: b, frame: 's2' }), 'full', 'the place of another');
    t.equal(put(queue, idlePeer(), 'new', 'c'), 'full', 'all places together are bounded');
    t.equal(put(queue, a, 'new', 'a3!'), 'full', 'also where it replaces');
    queue.forget(a, a);
    queue.forget(shared, b);
    t.equal(queue.size, 2);
    t.strictSame(all(queue), ['b1', 's1']);
    put(queue, a, 'new', 'a');
    queue.clear();
    t.strictSame(all(queue), []);
  });
});

void t.test('streams of one circuit share one budget', async (t) => {
  const limits = { streamsPerCircuit: 3, orderbookPerMinute: 4 };
  const { directory, join, pass, over } = await world(t, limits, true);
  const observer = join('J5observer');
  const [a, b, c] = [join('J5a', '0:16'), join('J5b', '0:16'), join('J5c', '0:16')];
  const other = join('J5other', '0:17');
  const asked = (): number => {
    observer.peer.drain();
    return observer.news().filter((line) => line.includes('orderbook')).length;
  };
  for (const one of [a, b, c, a, b, c]) one.pubmsg('!orderbook');
  t.equal(asked(), 4);
  t.equal(directory.stats().dropped['rate-orderbook'], 2);
  for (let n = 0; n < 4; n++) other.pubmsg('!orderbook');
  t.equal(asked(), 4, 'another circuit has its own');

  const fourth = join('J5d', '0:16');
  t.ok(fourth.peer.closed, 'one stream too many is closed');
  t.equal(directory.stats().closed['circuit-streams'], 1);
  t.equal(directory.peerCount, 5);
  for (const one of [a, b, c]) one.peer.leave();
  const again = join('J5e', '0:16');
  again.pubmsg('!orderbook');
  t.equal(asked(), 0, 'a new stream renews no budget');
  again.peer.leave();
  t.equal(directory.stats().circuits, 2);
  pass(61_000);
  t.equal(directory.stats().circuits, 1, 'a circuit is forgotten at the end');
  over();
});

void t.test(
  'circuits without streams are bounded',
  oneProcess('a data structure of a node'),
  async (t) => {
    const circuits = createCircuits();
    for (let n = 0; n < 10_500; n++) {
      const circuit = circuits.enter(`0:${n}`, 1);
      if (circuit === 'full') throw new Error('a new circuit is not full');
      circuits.leave(circuit, n);
    }
    t.equal(circuits.size, 10_000);
    circuits.clear();
    t.equal(circuits.size, 0);
  },
);
