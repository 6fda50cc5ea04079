/** The makers that a taker could ask: one view of the live orderbook, with draws that can be repeated. */
import { EventEmitter } from 'eventemitter3';
import t from 'tap';
import type { MessageChannelEvents } from '../../src/channel/channel-api.js';
import type { BookEntry, BookStatistics } from '../../src/orderbook/book-api.js';
import { Market, type MarketOptions } from '../../src/taker/market.js';
import type { ProbeOptions } from '../../src/taker/liveness.js';
import { DEFAULT_FEE_POLICY } from '../../src/negotiation/taker/fees.js';
import { createTestClock } from '../helpers/test-clock.js';

const AMOUNT = 1_000_000;
const NOW = 1_800_000_000;
const BOOK_NOW = 500_000;

const STATISTICS: BookStatistics = {
  offers: 0,
  makers: 0,
  verifiedOffers: 0,
  bondedMakers: 0,
  valuedMakers: 0,
  bondValue: 0,
  bondsWaiting: 0,
  chain: 'up',
  directoriesUp: 1,
  directories: [],
  evidence: [],
  refreshedAt: undefined,
  nextRefreshInMs: undefined,
};

function entry(maker: string, part: Partial<BookEntry> = {}): BookEntry {
  return {
    id: `${maker}/0`,
    maker,
    type: 'sw0absoffer',
    oid: 0,
    minsize: 27_300,
    maxsize: 2 * AMOUNT,
    txfee: 0,
    cjfee: '10',
    verified: true,
    unverified: undefined,
    firstSeen: 1,
    lastSeen: 1,
    direct: undefined,
    sightings: [],
    directories: ['d:1'],
    bond: undefined,
    ...part,
  };
}

function marketOf(entries: readonly BookEntry[], part: Partial<MarketOptions> = {}): Market {
  return new Market({
    book: {
      snapshot: () => ({ version: 1, now: BOOK_NOW, nowEpoch: 0, entries }),
      statistics: () => STATISTICS,
    },
    family: 'p2wpkh',
    policy: { ...DEFAULT_FEE_POLICY, bondlessMakersAllowance: 0.125 },
    request: { makers: 4, maxFeeAbs: 500, maxFeeRel: 0.001, choice: 'random', picks: [] },
    random: Math.random,
    failed: new Map(),
    unixTime: () => NOW,
    ...part,
  });
}

/** A signed answer of that age. */
const heard = (agoMs: number): Partial<BookEntry> => ({
  sightings: [
    {
      directory: 'd:1',
      firstSeen: 1,
      lastSeen: BOOK_NOW - agoMs,
      publicly: false,
      privately: true,
      differs: false,
      withdrawn: undefined,
    },
  ],
});

t.test('who fits, in an order that another amount keeps', (t) => {
  const nicks = Array.from({ length: 20 }, (_, n) => `m${n}`);
  const market = marketOf([
    ...nicks.map((nick) => entry(nick)),
    entry('nested', { type: 'swabsoffer' }),
    entry('dear', { cjfee: '2000' }),
    entry('small', { maxsize: AMOUNT - 1 }),
  ]);
  t.equal(market.makers, 22, 'makers with the addresses of the wallet');
  t.equal(market.fitting(AMOUNT), 20);
  t.equal(market.fitting(AMOUNT - 1), 21);
  const order = market.candidates(AMOUNT).map(({ nick }) => nick);
  t.strictSame(
    order.toSorted((a, b) => a.localeCompare(b)),
    nicks.toSorted((a, b) => a.localeCompare(b)),
  );
  t.strictSame(
    market.candidates(AMOUNT).map(({ nick }) => nick),
    order,
  );
  t.strictSame(
    market.candidates(AMOUNT + 1).map(({ nick }) => nick),
    order,
    'the same makers for an amount that differs',
  );
  t.end();
});

t.test('failures, bonds and picks', (t) => {
  const bond = {
    outpoint: 'aa:0',
    utxoPublicKey: '02',
    locktime: 5,
    certExpiry: 1,
    state: 'valued',
    detail: '',
    amount: 1,
    confirmedAt: 1,
    value: 7,
  } as const;
  const entries = [entry('a', { bond }), entry('b'), entry('c')];
  const market = marketOf(entries, {
    policy: { ...DEFAULT_FEE_POLICY, bondlessMakersAllowance: 0, minBondedShare: 0.5 },
    failed: new Map([['nick b', { failures: 1, at: NOW, fault: 'silent' }]]),
  });
  t.strictSame(
    market.candidates(AMOUNT).map(({ nick }) => nick),
    ['a', 'c'],
    'the maker that failed comes after its equals; a third one would be below the share',
  );
  t.strictSame(market.bonds(), { needed: 2, present: 1 });
  t.strictSame(
    [market.isBonded('a'), market.isBonded('b'), market.isBonded('x')],
    [true, false, false],
  );
  const picked = marketOf(entries, {
    request: { makers: 2, maxFeeAbs: 500, maxFeeRel: 0, choice: 'random', picks: ['c', 'x'] },
  });
  t.strictSame(picked.missingPicks(AMOUNT), ['x']);
  t.strictSame(
    picked.candidates(AMOUNT).map(({ nick }) => nick),
    ['c'],
  );
  const failure = { step: 'sig', fault: 'silent', detail: '' } as const;
  const memory = market.remember(new Map(), [{ nick: 'a', step: 'failed', failure }]);
  t.strictSame([...memory.keys()], ['nick a', 'bond aa:0/02/5']);
  t.end();
});

t.test('the probe asks only makers that have not answered lately', async (t) => {
  const clock = createTestClock();
  const asked: string[] = [];
  const events = new EventEmitter<MessageChannelEvents>();
  const channel: ProbeOptions['channel'] = {
    send(nick) {
      asked.push(nick);
      return { sent: true, route: { kind: 'direct' } };
    },
    on: (event, listener) => void events.on(event, listener),
    off: (event, listener) => void events.off(event, listener),
  };
  const entries = [
    entry('fresh', heard(1_000)),
    entry('direct', { direct: { firstSeen: 1, lastSeen: BOOK_NOW - 1_000 } }),
    entry('old', heard(61_000)),
    entry('public'),
  ];
  const market = marketOf(entries);
  const candidates = market.candidates(AMOUNT);
  const both = await market.probe(candidates, { wanted: 2, enough: 2 }, { channel, clock });
  t.strictSame(asked, [], 'enough have answered');
  t.strictSame(new Set(both.map(({ nick }) => nick)), new Set(['fresh', 'direct']));
  const done = market.probe(
    candidates,
    { wanted: 3, enough: 4 },
    { channel, clock, waitMs: 5_000 },
  );
  clock.advance(5_000);
  const order = (await done).map(({ nick }) => nick);
  t.strictSame(new Set(asked), new Set(['old', 'public']));
  t.strictSame(new Set(order.slice(0, 2)), new Set(['fresh', 'direct']));
  t.strictSame(new Set(order.slice(2)), new Set(['old', 'public']), 'silent ones are last');
});
