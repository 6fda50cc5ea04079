/** Rank, expected picks and changes for known books. Chances are compared with a plain enumeration. */
import t from 'tap';
import { array, assert, double, integer, property, record } from 'fast-check';
import { pickChance, type Seats } from '../../src/maker/pick-chance.js';
import { whyReport, type WhyInput } from '../../src/maker/why.js';
import { DEFAULT_FEE_POLICY } from '../../src/negotiation/taker/fees.js';
import { bondValue } from '../../src/protocol/fidelity-bond.js';
import type { Offer } from '../../src/protocol/offer.js';
import type { OfferOfMaker } from '../../src/taker/choose-eligible.js';

/** Every order in which makers can be picked, one by one. */
function enumerated({ others, own, seats, bondless }: Seats): number {
  const walk = (pool: readonly number[], left: number): number => {
    if (left === 0) return 0;
    const total = own + pool.reduce((sum, value) => sum + value, 0);
    const chanceOf = (value: number): number =>
      total > 0
        ? bondless / (pool.length + 1) + ((1 - bondless) * value) / total
        : 1 / (pool.length + 1);
    let chance = chanceOf(own);
    for (const [i, value] of pool.entries()) {
      chance += chanceOf(value) * walk([...pool.slice(0, i), ...pool.slice(i + 1)], left - 1);
    }
    return chance;
  };
  return walk(others, seats);
}

const near = (a: number, b: number, by = 1e-9): boolean => Math.abs(a - b) <= by;

t.test('the chance of a pick, in small books', async (t) => {
  const cases: readonly (readonly [string, Seats, number])[] = [
    ['alone', { others: [], own: 0, seats: 1, bondless: 0.125 }, 1],
    ['more seats than makers', { others: [5, 0], own: 0, seats: 3, bondless: 0.125 }, 1],
    ['no seat', { others: [5], own: 1, seats: 0, bondless: 0.125 }, 0],
    ['no bonds at all', { others: [0, 0, 0], own: 0, seats: 2, bondless: 0.125 }, 0.5],
    ['one seat, no bond', { others: [7, 0, 0], own: 0, seats: 1, bondless: 0.125 }, 0.125 / 4],
    ['one seat, half of all', { others: [7], own: 7, seats: 1, bondless: 0.125 }, 0.5],
    ['the only bond', { others: [0, 0, 0], own: 9, seats: 1, bondless: 0.125 }, 0.875 + 0.125 / 4],
    ['never without a bond', { others: [1, 1], own: 0, seats: 2, bondless: 0 }, 0],
    // After both bonds are gone, the seat that is left goes to any maker.
    ['bonds run out', { others: [1, 1, 0], own: 0, seats: 3, bondless: 0 }, 0.5],
  ];
  for (const [name, seats, expected] of cases) {
    const { chance, error } = pickChance(seats);
    t.ok(near(chance, expected), `${name}: ${chance}`);
    t.equal(error, 0, `${name}: exact`);
  }
});

t.test('the exact chance is that of all orders', (t) => {
  const value = integer({ min: 0, max: 5 });
  const some = record({
    others: array(value, { maxLength: 6 }),
    own: value,
    seats: integer({ min: 0, max: 5 }),
    bondless: double({ min: 0, max: 1, noNaN: true }),
  });
  assert(
    property(some, (seats) => {
      const { chance, error } = pickChance(seats);
      const expected = seats.seats > seats.others.length ? 1 : enumerated(seats);
      return error === 0 && near(chance, seats.seats === 0 ? 0 : expected, 1e-7);
    }),
    { numRuns: 300 },
  );
  t.end();
});

t.test('the simulation is within its error, and says the same each time', async (t) => {
  // 12 bonds are followed exactly, 13 are simulated; a bond of almost nothing makes the difference.
  const twelve = Array.from({ length: 12 }, (_, i) => 2 ** i);
  const base = { own: 100, seats: 5, bondless: 0.125 };
  for (const [name, extra] of [
    ['a few bonds', [0, 0, 0]],
    ['many makers', Array.from({ length: 150 }, () => 0)],
  ] as const) {
    const exact = pickChance({ ...base, others: [...twelve, 0, ...extra] });
    const simulated = pickChance({ ...base, others: [...twelve, 1e-12, ...extra] });
    t.equal(exact.error, 0, name);
    t.ok(simulated.error > 0 && simulated.error < 0.01, `${name}: error ${simulated.error}`);
    const distance = Math.abs(simulated.chance - exact.chance);
    t.ok(distance < 2 * simulated.error, `${name}: ${distance}`);
    t.same(pickChance({ ...base, others: [...twelve, 1e-12, ...extra] }), simulated);
  }
});

t.test('chances are bounded, and a larger bond never lowers them', (t) => {
  const some = record({
    others: array(integer({ min: 0, max: 1_000 }), { maxLength: 40 }),
    own: integer({ min: 0, max: 1_000 }),
    seats: integer({ min: 1, max: 12 }),
  });
  assert(
    property(some, (seats) => {
      const small = pickChance({ ...seats, bondless: 0.125 });
      const large = pickChance({ ...seats, own: seats.own + 500, bondless: 0.125 });
      const slack = 2 * (small.error + large.error) + 1e-9;
      return small.chance >= 0 && large.chance <= 1 + 1e-9 && large.chance >= small.chance - slack;
    }),
    { numRuns: 60 },
  );
  t.end();
});

const NOW = 1_795_867_200;
const POLICY = { ...DEFAULT_FEE_POLICY, maxCjFeeAbs: 500, maxCjFeeRel: 0.001 };

function offer(more: Partial<Offer> = {}): Offer {
  const base = { type: 'sw0reloffer', oid: 0, minsize: 100_000, maxsize: 50_000_000 } as const;
  return { ...base, txfee: 0, cjfee: '0.000020', ...more };
}

const rival = (n: number, value: number | undefined, more: Partial<Offer> = {}): OfferOfMaker => ({
  ...offer(more),
  maker: `J5Rival${n}`,
  ...(value === 0
    ? {}
    : {
        bond: {
          outpoint: `${String(n).padStart(64, '0')}:0`,
          state: value === undefined ? ('asking' as const) : ('valued' as const),
          value,
        },
      }),
});

const BOOK: readonly OfferOfMaker[] = [
  rival(1, 4e12),
  rival(2, 2e12, { cjfee: '0.000010' }),
  rival(3, 1e12, { cjfee: '0.000030' }),
  rival(4, 0),
  rival(5, 0, { cjfee: '0.000040' }),
  rival(6, 0, { type: 'sw0absoffer', cjfee: '450' }),
  // Refused above both limits, and too small for 0.1 BTC.
  rival(7, 9e15, { cjfee: '0.010000' }),
  rival(8, 0, { maxsize: 1_000_000 }),
];

const input = (more: Partial<WhyInput> = {}): WhyInput => ({
  book: [...BOOK, { ...offer(), maker: 'J5Own' }],
  nick: 'J5Own',
  offers: [offer()],
  bond: 0,
  chain: true,
  amounts: [10_000_000],
  taker: { policy: POLICY, makers: 4, bondless: 0.125 },
  bonds: [],
  bondPolicy: {},
  now: NOW,
  ...more,
});

t.test('rank and expected picks in a known book', async (t) => {
  const { makers, gaps, amounts, changes } = whyReport(input());
  t.equal(makers, 8);
  t.same(gaps, []);
  t.same(changes, []);
  const [at] = amounts;
  // 0.1 BTC: six rivals fit. Fees: 100, 200 (twice and own), 300, 400, 450 sat.
  t.match(at, {
    amount: 10_000_000,
    makers: 7,
    bonded: 3,
    obstacle: undefined,
    cost: 200,
    costLimit: 10_000,
    byFee: { rank: 2, of: 7, equal: 2 },
    byBond: undefined,
  });
  const others = [4e12, 2e12, 1e12, 0, 0, 0];
  const expected = enumerated({ others, own: 0, seats: 4, bondless: 0.125 });
  t.ok(near(at?.picks?.chance ?? -1, expected), `${at?.picks?.chance} is ${expected}`);

  const bonded = whyReport(input({ bond: 2e12 })).amounts[0];
  t.match(bonded, { bonded: 4, byBond: { rank: 2, of: 4, equal: 1 } });
  t.ok((bonded?.picks?.chance ?? 0) > expected);
});

t.test('what stands in the way, and what would change it', async (t) => {
  const tables: readonly (readonly [string, Partial<WhyInput>, object, object | undefined])[] = [
    [
      'no offer',
      { offers: [] },
      { obstacle: 'no-offer', picks: { chance: 0, error: 0 } },
      undefined,
    ],
    [
      'too large an amount',
      { amounts: [60_000_000] },
      { obstacle: 'amount-too-large', cost: undefined, picks: { chance: 0 } },
      { kind: 'larger-maxsize', amount: 60_000_000 },
    ],
    [
      'too small an amount',
      { amounts: [50_000] },
      { obstacle: 'amount-too-small' },
      { kind: 'smaller-minsize', amount: 50_000 },
    ],
    [
      'too high a fee',
      { offers: [offer({ cjfee: '0.002000' })] },
      { obstacle: 'fee-limit', cost: 20_000, picks: { chance: 0 } },
      { kind: 'lower-fee', amount: 10_000_000, cost: 10_000 },
    ],
    [
      'a small amount: the limit is the absolute one',
      { offers: [offer({ cjfee: '0.005000' })], amounts: [100_000] },
      { obstacle: undefined, cost: 500, costLimit: 500 },
      undefined,
    ],
  ];
  for (const [name, more, amount, change] of tables) {
    const report = whyReport(input(more));
    t.match(report.amounts[0], amount, name);
    if (change === undefined) t.same(report.changes, [], name);
    else t.match(report.changes, [change], name);
  }
  const [lower] = whyReport(input({ offers: [offer({ cjfee: '0.002000' })] })).changes;
  const fits = whyReport(input()).amounts[0]?.picks;
  t.same(lower?.picks, fits, 'with a fee that fits it is picked as any other');
});

t.test('a bond of X for Y months', async (t) => {
  const bonds = [
    { amount: 1_000_000, months: 6 },
    { amount: 10_000_000, months: 12 },
    { amount: 100_000_000, months: 12 },
  ];
  const { changes, amounts } = whyReport(input({ bonds }));
  t.match(
    changes,
    bonds.map(({ amount, months }) => ({ kind: 'bond', lock: amount, months })),
  );
  const chances = changes.map(({ picks }) => picks.chance);
  t.same(
    chances,
    chances.toSorted((a, b) => a - b),
    'the larger, the more picks',
  );
  t.ok((chances[0] ?? 0) >= (amounts[0]?.picks?.chance ?? 1));
  const [, , best] = changes;
  const value = bondValue({
    satoshi: 1e8,
    confirmationTime: NOW,
    lockTime: NOW + 365.2425 * 86_400,
    now: NOW,
  });
  t.ok(best?.kind === 'bond' && near(best.value / value, 1), 'valued by the formula of takers');
  const richer = whyReport(input({ bonds, bond: value * 0.999 }));
  t.match(
    richer.changes,
    [{ kind: 'bond', lock: 100_000_000 }],
    'only bonds above the present one',
  );
  t.equal(richer.changes.length, 1);

  const always = whyReport(input({ bonds, taker: { policy: POLICY, makers: 9, bondless: 0.125 } }));
  t.equal(always.amounts[0]?.picks?.chance, 1);
  t.same(always.changes, [], 'no bond is better than always');
});

t.test('honest where data is missing', async (t) => {
  const none = whyReport(input({ book: [{ ...offer(), maker: 'J5Own' }] }));
  t.match(none, { makers: 0, gaps: [/no offer of another maker/], changes: [] });
  t.match(none.amounts[0], { picks: undefined, byFee: undefined });

  const blind = whyReport(input({ chain: false, bonds: [{ amount: 1e8, months: 12 }] }));
  t.match(blind.gaps, [/without a bitcoin node/]);
  t.equal(blind.amounts[0]?.picks, undefined);
  t.match(blind.amounts[0]?.byFee, { rank: 2 }, 'fees can be compared');
  t.same(blind.changes, []);

  const asked = whyReport(input({ book: [...BOOK, rival(9, undefined)] }));
  t.match(asked.gaps, [/the bonds of 1 maker are not valued yet/]);
  const unknown = whyReport(input({ bond: undefined }));
  t.match(unknown.gaps, [/your own bond is not known/]);
  t.equal(unknown.amounts[0]?.picks, undefined);

  const few = whyReport(input({ taker: { policy: POLICY, makers: 9, bondless: 0.125 } }));
  t.match(few.gaps, [/8 other makers, fewer than the 9/]);
  t.equal(few.amounts[0]?.picks?.chance, 1);
});

t.test('an earlier nick of the maker does not stand against it', async (t) => {
  const outpoint = `${'ab'.repeat(32)}:0`;
  const old = { ...rival(99, 5e12), bond: { outpoint, state: 'valued' as const, value: 5e12 } };
  const book = [...BOOK, old];
  const at = (more: Partial<WhyInput>) =>
    whyReport(input({ book, bond: 5e12, ...more })).amounts[0];
  t.equal(at({ outpoint })?.makers, 7);
  t.equal(at({})?.makers, 8);
});
