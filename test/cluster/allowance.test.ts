/** What a node may publish: the figures, and that a node which keeps to the limits is never held back. */
import * as fc from 'fast-check';
import t from 'tap';
import { allowancesOf, mostPeers, type AllowanceFigures } from '../../src/cluster/allowance.js';
import { Caps } from '../../src/cluster/caps.js';
import { createClusterTally } from '../../src/cluster/counters.js';
import { RecentMost } from '../../src/cluster/recent-most.js';
import type { ClusterRecord, Entry } from '../../src/cluster/record.js';
import { shareOf } from '../../src/cluster/shares.js';
import { silentLog } from '../../src/channel/log.js';
import { DEFAULT_LIMITS } from '../../src/directory/directory.js';
import type { ClusterLimits } from '../../src/directory/neighbours.js';
import { meter } from '../../src/directory/rates.js';
import { refill } from '../../src/kit/rate-limit.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';

const FIGURES: AllowanceFigures = {
  limits: DEFAULT_LIMITS,
  demand: [0, 0],
  peers: 1_000,
  ownPeers: 2_000,
};

const entryOf = (nick: string): Entry => ({
  nick,
  location: 'NOT-SERVING-ONION',
  features: [],
  rank: 0,
  ageMs: 0,
  key: undefined,
  proof: undefined,
});

const JOIN = (nick: string): ClusterRecord => ({ type: 'join', entry: entryOf(nick) });
const SAYS = (nick: string, text: string): ClusterRecord => ({
  type: 'public',
  payload: `${nick}!PUBLIC!${text}`,
});

interface Held {
  readonly clock: TestClock;
  readonly caps: Caps;
  readonly dropped: () => number;
  /** Gives a record to the caps; a newcomer counts as a peer when it may join. */
  readonly take: (record: ClusterRecord) => boolean;
}

/** Caps of one other node, `b`, with so many peers. */
function capsOf(figures: () => Partial<AllowanceFigures>, peers = 0): Held {
  const clock = createTestClock();
  const tally = createClusterTally();
  const there = new Set(Array.from({ length: peers }, (_, i) => `J5p${i}`));
  const caps = new Caps({
    nodes: ['b'],
    clock,
    log: silentLog,
    tally,
    figures: () => ({ ...FIGURES, peers: there.size, ...figures() }),
    has: (_node, nick) => there.has(nick),
  });
  return {
    clock,
    caps,
    dropped: () => tally.dropped['over-budget'],
    take(record) {
      const taken = caps.take('b', record);
      if (taken && record.type === 'join') there.add(record.entry.nick);
      return taken;
    },
  };
}

/** How many of so many records pass at once, and then in so many seconds, a fortieth of them in each tenth of one. */
function passing(
  held: Held,
  record: (i: number) => ClusterRecord,
  count: number,
  seconds = 0,
): readonly [atOnce: number, later: number] {
  const pass = (most: number): number =>
    Array.from({ length: most }, (_, i) => held.take(record(i))).filter(Boolean).length;
  const atOnce = pass(count);
  let later = 0;
  for (let i = 0; i < seconds * 10; i++) {
    held.clock.advance(100);
    later += pass(Math.ceil(count / 40));
  }
  return [atOnce, later];
}

t.test('the budgets of all nodes, at the default limits', (t) => {
  // A message costs its 2,999 deliveries and 30; a quarter more may come, and that of 20 s at once.
  const perSecond = (1e6 / 3_029) * 1.25;
  const shown = allowancesOf({ ...FIGURES, demand: [1e6, 100] });
  t.match(shown.messages, { perSecond: perSecond / 2 });
  t.match(shown.requests, { perSecond: 62.5 });
  t.match(shown['peer-messages'], { perSecond: 1_250, burst: 100_000 });
  t.match(shown.bytes, { perSecond: (perSecond / 2) * 1_024, burst: 2_097_152 });
  t.match(shown.joins, { perSecond: 200, burst: 20_000 });
  const alone = allowancesOf(FIGURES);
  t.ok(alone.messages.perSecond > perSecond * 0.97 && alone.messages.perSecond <= perSecond);
  t.equal(mostPeers({ maxPeers: 10_000 }), 20_000);
  t.equal(mostPeers({ maxPeers: 10 }), 1_000);
  t.equal(mostPeers({ maxPeers: 0 }), Infinity);
  t.end();
});

t.test('a limit of 0 holds no node', (t) => {
  const limits: ClusterLimits = {
    ...DEFAULT_LIMITS,
    maxPeers: 0,
    pubmsgPerMinute: 0,
    orderbookPerMinute: 0,
    privmsgPerSecond: 0,
    deliveriesPerSecond: 0,
    orderbookPerSecond: 0,
  };
  const shown = allowancesOf({ ...FIGURES, limits });
  const finite = Object.entries(shown)
    .filter(([, { perSecond }]) => Number.isFinite(perSecond))
    .map(([kind]) => kind);
  t.strictSame(finite, ['joins', 'claims'], 'peers have no limit, but the memory for them has');
  const node = capsOf(() => ({ limits }), 1);
  t.strictSame(
    passing(node, () => SAYS('J5p0', 'orderbook'), 5_000),
    [5_000, 0],
  );
  t.end();
});

const SMALL: ClusterLimits = { ...DEFAULT_LIMITS, maxPeers: 1_000, deliveriesPerSecond: 10_000 };

t.test('what passes of a node that obeys nothing, by kind', (t) => {
  const limits = SMALL;
  const figures = (): Partial<AllowanceFigures> => ({ limits, demand: [1e9, 1e9] });
  const long = 'x'.repeat(30_000);
  let nicks = 0;
  const nobody = (): string => `J5n${nicks++}`;
  const cases: readonly [
    what: string,
    peers: number,
    record: (i: number) => ClusterRecord,
    atOnce: number,
    perSecond: number,
    ownPeers?: number,
  ][] = [
    // Half of 10,000 deliveries a second, of 3,029 each: 1.65 a second, and two seconds of all.
    ['messages', 1_000, () => SAYS('J5p0', 'hello'), (3.3 * 2 + 1.65 * 20) * 1.25, 1.65 * 1.25],
    ['requests', 1_000, () => SAYS('J5p0', 'orderbook'), 49, 1.65 * 1.25],
    ['messages of one peer', 1, () => SAYS('J5p0', 'hello'), 100, 1.25, 10],
    ['long messages', 1_000, () => SAYS('J5p0', long), 2, 16_384 / 30_000],
    ['private messages', 1, () => ({ type: 'private', payload: 'J5p0!J5x!x' }), 7_500, 250],
    ['joins', 0, () => JOIN(nobody()), 2_000, 0],
    ['claims', 0, () => ({ type: 'yield', nick: nobody() }), 8_000, 200],
  ];
  for (const [what, peers, record, atOnce, perSecond, ownPeers = 2_000] of cases) {
    const node = capsOf(() => ({ ...figures(), ownPeers }), peers);
    const [first, later] = passing(node, record, Math.ceil(atOnce) + 500, 10);
    t.ok(Math.abs(first - atOnce) <= 1, `${what}: ${first} at once, of ${atOnce}`);
    const most = perSecond * 10 + 1;
    t.ok(later <= most && later >= most * 0.5 - 2, `${what}: ${later} in ten seconds, of ${most}`);
    t.ok(node.dropped() > 0);
    t.ok(node.caps.state('b').isOver);
  }
  t.end();
});

t.test('a peer with long lines does not stop the others of its node', (t) => {
  const node = capsOf(() => ({ limits: { ...SMALL, deliveriesPerSecond: 1_000_000 } }), 100);
  const long = SAYS('J5p0', 'x'.repeat(39_000));
  let [longs, shorts] = [0, 0];
  for (let i = 0; i < 300; i++) {
    node.clock.advance(100);
    for (let k = 0; k < 10; k++) longs += Number(node.take(long));
    shorts += Number(node.take(SAYS('J5p1', 'sw0reloffer 1')));
  }
  t.ok(longs < 1_000, `${longs} long ones passed`);
  t.equal(shorts, 300);
  t.end();
});

const list = (name: string): ReadonlyMap<string, Entry> =>
  new Map(Array.from({ length: 9_000 }, (_, i) => [`${name}${i}`, entryOf(`${name}${i}`)]));

t.test('a list of all peers brings no more of them than joins would', (t) => {
  const node = capsOf(() => ({ limits: { ...SMALL, maxPeers: 8_000 } }));
  t.equal(node.caps.takeList('b', list('J5a')).size, 9_000);
  t.equal(node.caps.takeList('b', list('J5b')).size, 7_000, 'twice `max_peers` at once');
  node.clock.advance(1_000);
  t.equal(node.caps.takeList('b', list('J5c')).size, 200, 'and 200 in a second');
  t.end();
});

/** A node that obeys its limits to the last message, as it sees them. */
interface Honest {
  readonly limits: ClusterLimits;
  readonly peers: number;
  /** Demand of the receiver, for each second; the node learns it a second later. */
  readonly demand: readonly number[];
  /** Whether what is sent in a second waits for the next one. */
  readonly late: readonly boolean[];
  readonly joins: readonly number[];
}

const SECONDS = 24;
const perSecond = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.array(value, { minLength: SECONDS, maxLength: SECONDS });

const honest: fc.Arbitrary<Honest> = fc.record({
  limits: fc.record({
    maxPeers: fc.constantFrom(0, 4_000),
    pubmsgPerMinute: fc.constantFrom(0, 1, 60, 600),
    orderbookPerMinute: fc.constantFrom(0, 6, 60),
    privmsgPerSecond: fc.constantFrom(0, 1, 100),
    deliveriesPerSecond: fc.constantFrom(0, 100, 5_000, 50_000),
    orderbookPerSecond: fc.constantFrom(0, 1, 10),
    sendQueueBytes: fc.constantFrom(100_000, 4_194_304),
  }),
  peers: fc.integer({ min: 1, max: 30 }),
  demand: perSecond(fc.constantFrom(0, 0, 10, 5_000, 1e9)),
  late: perSecond(fc.boolean()),
  joins: perSecond(fc.constantFrom(0, 0, 0, 1, 20)),
});

/** Most seconds in a row that packets are late: a node is dead after seven. */
const MAX_LATE = 6;
const STEPS = 5;

/** Gives everything that it may send to the caps; the number of records that they drop. */
function droppedOf({ limits: some, peers, demand, late, joins }: Honest): number {
  const limits = { ...DEFAULT_LIMITS, ...some };
  let mine = 0;
  let all = peers;
  const node = capsOf(() => ({ limits, demand: [mine, mine], ownPeers: 50 }), peers);
  const { clock } = node;
  const sources = Array.from({ length: peers }, (_, i) => ({ nick: `J5p${i}`, meters: undefined }));
  const [deliveries, requests] = [0, 0].map(() => ({ tokens: Infinity, filledAt: clock.now() }));
  if (!deliveries || !requests) throw new Error('unreachable');
  let waiting: ClusterRecord[] = [];
  let isLateFor = 0;

  const says = (
    nick: string,
    share: number,
    requestShare: number,
    isRequest: boolean,
  ): ClusterRecord | undefined => {
    const now = clock.now();
    const isFree = (isRequest ? limits.orderbookPerMinute : limits.pubmsgPerMinute) === 0;
    const record = SAYS(nick, isRequest ? 'orderbook' : 'sw0reloffer 1');
    if (isFree) return record;
    // As in `budgets.ts`: more than the floor is enough, and an overdraft is bounded.
    const full = limits.deliveriesPerSecond * share;
    if (full > 0) {
      refill(deliveries, full, full, now);
      deliveries.tokens = Math.max(-full, deliveries.tokens);
      if (deliveries.tokens <= full * (isRequest ? 0.5 : 0.25)) return undefined;
    }
    if (isRequest && limits.orderbookPerSecond > 0) {
      const most = limits.orderbookPerSecond * requestShare;
      refill(requests, most, Math.max(1, most), now);
      if (requests.tokens < 1) return undefined;
      requests.tokens--;
    }
    deliveries.tokens -= 30 + all + 49;
    return record;
  };

  for (let second = 0; second < SECONDS; second++) {
    const known = second === 0 ? 0 : (demand[second - 1] ?? 0);
    mine = demand[second] ?? 0;
    const total = Math.max(1, limits.deliveriesPerSecond);
    const share = shareOf([total, known], total);
    const ofRequests = limits.orderbookPerSecond;
    const requestShare = ofRequests === 0 ? 1 : shareOf([ofRequests, known], ofRequests);
    for (let i = 0; i < (joins[second] ?? 0); i++) {
      const nick = `J5p${all++}`;
      sources.push({ nick, meters: undefined });
      waiting.push(JOIN(nick));
    }
    for (let step = 0; step < STEPS; step++) {
      clock.advance(1_000 / STEPS);
      for (const source of sources.slice(-20)) {
        for (const isRequest of [true, false]) {
          const kind = isRequest ? 'orderbook' : 'pubmsg';
          for (let i = 0; i < 20; i++) {
            if (meter(source, kind, limits, clock.now()) !== 'pass') break;
            const record = says(source.nick, share, requestShare, isRequest);
            if (record) waiting.push(record);
          }
        }
        for (let i = 0; i < 3; i++) {
          if (meter(source, 'privmsg', limits, clock.now()) !== 'pass') break;
          waiting.push({ type: 'private', payload: `${source.nick}!J5x!hello` });
        }
      }
    }
    isLateFor = late[second] === true && isLateFor < MAX_LATE ? isLateFor + 1 : 0;
    if (isLateFor > 0) continue;
    for (const record of waiting) node.take(record);
    waiting = [];
  }
  return node.dropped();
}

t.test('property: a node that obeys the limits is never held back, however late it is', (t) => {
  let sent = 0;
  fc.assert(
    fc.property(honest, (node) => {
      sent++;
      return droppedOf(node) === 0;
    }),
    { numRuns: 10 },
  );
  t.ok(sent >= 10);
  t.end();
});

t.test('property: whatever a node sends, no more than its burst and its rate pass', (t) => {
  const step = fc.record({ ms: fc.integer({ min: 0, max: 3_000 }), count: fc.nat(300) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const node = capsOf(() => ({ limits: SMALL, demand: [1e9, 0] }), 1_000);
      const { messages } = allowancesOf({ ...FIGURES, limits: SMALL, demand: [1e9, 0] });
      let [passed, ms] = [0, 0];
      for (const { ms: wait, count } of steps) {
        node.clock.advance(wait);
        ms += wait;
        passed += passing(node, () => SAYS('J5p0', 'hello'), count)[0];
      }
      return passed <= messages.burst + (messages.perSecond * ms) / 1_000 + 1e-6;
    }),
  );
  t.end();
});

t.test('the highest value of the last ten seconds, and of none after twenty', (t) => {
  const most = new RecentMost();
  t.equal(most.value, -Infinity);
  most.add(5, 0);
  most.add(3, 9_999);
  t.equal(most.value, 5);
  most.add(1, 10_000);
  t.equal(most.value, 5, 'the window before');
  most.add(2, 20_000);
  t.equal(most.value, 2);
  most.add(1, 40_000);
  t.equal(most.value, 1);
  t.end();
});
