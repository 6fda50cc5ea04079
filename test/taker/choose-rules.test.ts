/** The rules by which makers are drawn: frequencies, the cap of one bond, one maker per bond, shares, picks. */
import * as fc from 'fast-check';
import t from 'tap';
import type { ChoiceRule } from '../../src/taker/api.js';
import {
  bondedNeeded,
  chooseMakers,
  eligibleOffers,
  type ChoicePolicy,
  type MakerChoice,
  type OfferOfMaker,
} from '../../src/taker/choose.js';
import { cappedWeights, drawByWeight, feeWeights } from '../../src/taker/choose-weights.js';
import { DEFAULT_FEE_POLICY } from '../../src/negotiation/taker/fees.js';
import { MAX_SATOSHI } from '../../src/protocol/offer.js';

const AMOUNT = 1_000_000;
const ROUNDS = 2_000;
/** Five standard deviations of a share over `ROUNDS` draws. */
const BOUND = 5 * Math.sqrt(0.25 / ROUNDS);

const policyOf = (part: Partial<ChoicePolicy> = {}): ChoicePolicy => ({
  ...DEFAULT_FEE_POLICY,
  maxCjFeeAbs: 10_000,
  bondlessMakersAllowance: 0.125,
  ...part,
});

interface Maker {
  readonly nick: string;
  readonly fee?: number;
  readonly value?: number | undefined;
  readonly outpoint?: string | undefined;
}

const offerOf = ({ nick, fee = 10, value, outpoint }: Maker): OfferOfMaker => ({
  maker: nick,
  type: 'sw0absoffer',
  oid: 0,
  minsize: 27_300,
  maxsize: MAX_SATOSHI,
  txfee: 0,
  cjfee: String(fee),
  bond: value === undefined && outpoint === undefined ? undefined : { value, outpoint },
});

/** Pseudo-random numbers, the same in each run. */
function chances(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** How often each maker is the first. */
function firsts(
  makers: readonly Maker[],
  part: Partial<MakerChoice> = {},
): (nick: string) => number {
  const random = chances();
  const count = new Map<string, number>();
  const offers = makers.map(offerOf);
  for (let n = 0; n < ROUNDS; n++) {
    const chosen = chooseMakers({
      offers,
      amount: AMOUNT,
      policy: policyOf(),
      random,
      most: 1,
      ...part,
    });
    const nick = chosen[0]?.nick ?? '';
    count.set(nick, (count.get(nick) ?? 0) + 1);
  }
  return (nick) => (count.get(nick) ?? 0) / ROUNDS;
}

const isNear = (share: number, expected: number): boolean => Math.abs(share - expected) < BOUND;

/** Fees 100 to 390, without bonds. */
const THIRTY: readonly Maker[] = Array.from({ length: 30 }, (_, n) => ({
  nick: `m${n}`,
  fee: 100 + 10 * n,
}));

/** The share of each maker of `THIRTY` by the rule `weighted`. */
function weightedShare(makers: number): (n: number) => number {
  // The spread is the distance from offer 0 to offer 3 * makers.
  const spread = 10 * Math.min(29, 3 * makers);
  const weights = THIRTY.map((_, n) => Math.exp((-10 * n) / spread));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return (n) => (weights[n] ?? 0) / total;
}

const orderBy = (rule: ChoiceRule, fees: readonly number[]): readonly string[] =>
  chooseMakers({
    offers: fees.map((fee, n) => offerOf({ nick: `m${n}`, fee })),
    amount: AMOUNT,
    policy: policyOf(),
    random: chances(),
    rule,
  }).map(({ nick }) => nick);

function chooseOne(seed: number): string | undefined {
  const offers = [1, 1, 2].map((fee, n) => offerOf({ nick: `m${n}`, fee }));
  const random = chances(seed * 7_919 + 1);
  const choice = {
    offers,
    amount: AMOUNT,
    policy: policyOf(),
    random,
    rule: 'cheapest',
  } as const;
  return chooseMakers(choice)[0]?.nick;
}

const eligibleNicks = (makers: readonly OfferOfMaker[]): readonly string[] =>
  eligibleOffers({ offers: makers, amount: AMOUNT, policy: policyOf() }).map(({ maker }) => maker);

const withBond = (nick: string, fee: number, part: OfferOfMaker['bond']): OfferOfMaker => ({
  ...offerOf({ nick, fee }),
  bond: part,
});

const orderOf = (picks: readonly string[]): readonly string[] =>
  chooseMakers({
    offers: [
      offerOf({ nick: 'a', value: 1, outpoint: 'aa:0' }),
      offerOf({ nick: 'b', fee: 10_001 }),
      offerOf({ nick: 'c' }),
      offerOf({ nick: 'd', fee: 20, value: 1, outpoint: 'aa:0' }),
    ],
    amount: AMOUNT,
    policy: policyOf({ minBondedShare: 1 }),
    random: chances(),
    picks,
    doubts: () => 1,
  }).map(({ nick }) => nick);

t.test('each rule draws with the frequencies of its weights', (t) => {
  const rows: readonly (readonly [string, Partial<MakerChoice>, (n: number) => number])[] = [
    ['random', { rule: 'random' }, () => 1 / 30],
    ['cheapest', { rule: 'cheapest' }, (n) => (n === 0 ? 1 : 0)],
    ['weighted', { rule: 'weighted', makers: 3 }, weightedShare(3)],
    ['weighted', { rule: 'weighted', makers: 9 }, weightedShare(9)],
    ['weighted', { rule: 'weighted', makers: 50 }, weightedShare(50)],
    ['bond-weighted', {}, () => 1 / 30],
  ];
  for (const [name, part, expected] of rows) {
    const share = firsts(THIRTY, part);
    for (const n of [0, 1, 9, 29]) {
      t.ok(isNear(share(`m${n}`), expected(n)), `${name}: m${n} ${share(`m${n}`)} ${expected(n)}`);
    }
  }
  t.end();
});

t.test('the whole order of the rules', (t) => {
  t.strictSame(orderBy('cheapest', [30, 10, 20]), ['m1', 'm2', 'm0']);
  t.strictSame(orderBy('weighted', [5, 5, 5]).toSorted(), ['m0', 'm1', 'm2'], 'equal fees');
  t.strictSame(orderBy('random', [30, 10, 20]).toSorted(), ['m0', 'm1', 'm2']);
  const first = new Set(Array.from({ length: 50 }, (_, n) => chooseOne(n)));
  t.strictSame(
    [...first].toSorted((a, b) => (a ?? '').localeCompare(b ?? '')),
    ['m0', 'm1'],
    'one of several cheapest is drawn',
  );
  t.end();
});

t.test('the cap of one bond', (t) => {
  const makers: readonly Maker[] = [
    { nick: 'whale', value: 1e9 },
    ...Array.from({ length: 9 }, (_, n) => ({ nick: `m${n}`, value: 100 })),
  ];
  const rows: readonly (readonly [number | undefined, number])[] = [
    [undefined, 1],
    [0.5, 0.5],
    [0.2, 0.2],
    [0.1, 0.1],
    // Ten bonds cannot each have less than a tenth.
    [0.02, 0.1],
  ];
  for (const [maxBondShare, expected] of rows) {
    const policy = policyOf({
      bondlessMakersAllowance: 0,
      ...(maxBondShare !== undefined && { maxBondShare }),
    });
    const share = firsts(makers, { policy })('whale');
    t.ok(isNear(share, expected), `cap ${maxBondShare}: ${share}`);
  }
  t.end();
});

t.test('weights with a cap, for any values', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constant(0), fc.double({ min: 1e-3, max: 1e150, noNaN: true })), {
        maxLength: 40,
      }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (values, cap) => {
        const weights = cappedWeights(values, cap);
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const positive = values.filter((value) => value > 0).length;
        const most = Math.max(cap, positive === 0 ? 1 : 1 / positive);
        return (
          weights.length === values.length &&
          weights.every((weight) => Number.isFinite(weight) && weight <= most * total * 1.000001) &&
          weights.every((weight, n) => weight > 0 === (values[n] ?? 0) > 0) &&
          // A larger bond never weighs less.
          values.every((a, i) =>
            values.every((b, j) => a < b || (weights[i] ?? 0) >= (weights[j] ?? 0)),
          )
        );
      },
    ),
    { numRuns: 300 },
  );
  t.strictSame(cappedWeights([6, 3, 1], 1), [6, 3, 1], 'no cap');
  t.strictSame(cappedWeights([50, 30, 20], 0.5), [50, 30, 20], 'nothing above it');
  t.strictSame(cappedWeights([90, 5, 5], 0.5), [10, 5, 5]);
  t.strictSame(cappedWeights([1e9, 1e9, 1, 1], 0.375), [3, 3, 1, 1], 'two above it');
  t.equal(drawByWeight([0, 0], 0.5), undefined);
  t.equal(drawByWeight([0, 1, 0], 0.999), 1);
  t.strictSame(feeWeights([7, 7], 9), [1, 1]);
  t.strictSame(feeWeights([], 9), []);
  t.end();
});

t.test('one maker for each bond', (t) => {
  const coin = { outpoint: 'aa:0', utxoPublicKey: '02aa', locktime: 5 };
  const rows: readonly (readonly [string, readonly OfferOfMaker[], readonly string[]])[] = [
    [
      'the cheapest of several',
      [withBond('a', 20, { ...coin, value: 9 }), withBond('b', 10, { ...coin, value: 9 })],
      ['b'],
    ],
    [
      'the one that proved it last, also when it costs more',
      [
        withBond('old', 1, { ...coin, value: undefined, state: 'claimed' }),
        withBond('new', 10, { ...coin, value: 9, state: 'valued' }),
      ],
      ['new'],
    ],
    [
      'a maker that names the coin with another key displaces no other',
      [
        withBond('honest', 20, { ...coin, value: undefined, state: 'asking' }),
        withBond('liar', 1, { ...coin, utxoPublicKey: '02bb', value: undefined, state: 'asking' }),
      ],
      ['honest', 'liar'],
    ],
    [
      'unproven bonds are not compared',
      [
        withBond('honest', 20, { ...coin, value: 9, state: 'valued' }),
        withBond('liar', 1, { ...coin, value: undefined, state: 'invalid' }),
        withBond('new', 1, { ...coin, value: undefined, state: 'waiting' }),
      ],
      ['honest', 'liar', 'new'],
    ],
    [
      'makers without a bond all stay',
      [withBond('a', 1, undefined), withBond('b', 1, undefined)],
      ['a', 'b'],
    ],
  ];
  for (const [name, makers, expected] of rows) t.strictSame(eligibleNicks(makers), expected, name);
  t.end();
});

const RULES = ['bond-weighted', 'weighted', 'random', 'cheapest'] as const;

t.test('for any makers and any rule', (t) => {
  const maker = fc.record({
    nick: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
    fee: fc.nat(100),
    value: fc.option(fc.double({ min: 0, max: 1e20, noNaN: true }), { nil: undefined }),
    outpoint: fc.option(fc.constantFrom('aa:0', 'bb:1', 'cc:2'), { nil: undefined }),
  });
  fc.assert(
    fc.property(
      fc.array(maker, { maxLength: 25 }),
      fc.constantFrom(...RULES),
      fc.constantFrom(0, 0.2, 0.5, 1),
      fc.integer({ min: 1, max: 2_147_483_646 }),
      fc.func(fc.nat(2)),
      (makers, rule, minBondedShare, seed, doubt) => {
        const offers = makers.map(offerOf);
        const doubts = (offer: OfferOfMaker): number => doubt(offer.maker);
        const policy = policyOf({ minBondedShare, maxBondShare: 0.2 });
        const random = chances(seed);
        const choice = { offers, amount: AMOUNT, policy, random, rule, doubts };
        const chosen = chooseMakers(choice);
        const eligible = eligibleOffers(choice);
        const bonds = chosen.map(({ nick }) => {
          const { bond } = eligible.find(({ maker: name }) => name === nick) ?? {};
          return { outpoint: bond?.outpoint, isBonded: (bond?.value ?? 0) > 0 };
        });
        const outpoints = bonds.flatMap(({ outpoint }) => outpoint ?? []);
        const order = chosen.map(({ nick }) => doubt(nick));
        return (
          new Set(chosen.map(({ nick }) => nick)).size === chosen.length &&
          new Set(outpoints).size === outpoints.length &&
          (minBondedShare > 0 || chosen.length === eligible.length) &&
          (minBondedShare > 0 || order.every((each, n) => each >= (order[n - 1] ?? 0))) &&
          bonds.every(
            (_, n) =>
              bonds.slice(0, n + 1).filter(({ isBonded }) => isBonded).length >=
              bondedNeeded(minBondedShare, n + 1),
          )
        );
      },
    ),
    { numRuns: 300 },
  );
  t.end();
});

t.test('the least share of bonded makers', (t) => {
  const makers: readonly Maker[] = [{ nick: 'b1', value: 1 }, { nick: 'b2', value: 1 }, ...THIRTY];
  const count = (minBondedShare: number): number =>
    chooseMakers({
      offers: makers.map(offerOf),
      amount: AMOUNT,
      policy: policyOf({ minBondedShare }),
      random: chances(),
    }).length;
  t.equal(count(0), 32);
  t.equal(count(1), 2, 'bonded makers only');
  t.equal(count(0.5), 4, 'two of four');
  t.equal(count(0.3), 6, 'two of six; of seven three are needed');
  const rows: readonly (readonly [number, number, number])[] = [
    [0.1, 10, 1],
    [0.3, 10, 3],
    [0.125, 8, 1],
    [0.125, 9, 2],
    [1, 7, 7],
    [0, 7, 0],
  ];
  for (const [share, of, expected] of rows) t.equal(bondedNeeded(share, of), expected);
  t.end();
});

t.test('makers that are named, in this order and no others', (t) => {
  t.strictSame(orderOf(['c', 'a']), ['c', 'a']);
  t.strictSame(orderOf(['c', 'b']), ['c'], 'not one above the limits');
  t.strictSame(orderOf(['x']), []);
  t.strictSame(orderOf(['d', 'a']), ['a'], 'not two with one bond');
  t.end();
});
