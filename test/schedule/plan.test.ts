/** Plans: what every one of them has, for any wallet, any parameters and any random numbers. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import t from 'tap';
import { parseSchedule, formatSchedule } from '../../src/schedule/lines.js';
import { exponential, fractions } from '../../src/schedule/draws.js';
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from '../../src/schedule/plan-options.js';
import { planSchedule } from '../../src/schedule/plan.js';
import type { ScheduleStep } from '../../src/schedule/api.js';
import { addressNumber, seeded } from '../helpers/schedules.js';

const FIVE = [0, 300_000_000, 0, 50_000_000, 0];

function plan(
  seed: number,
  balances: readonly number[] = FIVE,
  changes: Partial<PlanOptions> = {},
  addresses: readonly number[] = [1, 2, 3],
): readonly ScheduleStep[] {
  const options = { ...DEFAULT_PLAN_OPTIONS, ...changes };
  const named = addresses.map((n) => addressNumber(n));
  const planned = planSchedule({ options, balances, addresses: named }, seeded(seed));
  if (!planned.ok) throw new Error(planned.reason);
  return planned.steps;
}

/** Where the coins are after a plan without fees: mixdepths, and the destinations. */
function simulate(steps: readonly ScheduleStep[], balances: readonly number[]) {
  const wallet = [...balances];
  const paid = new Map<string, number>();
  let base: { mixdepth: number; value: number } | undefined;
  for (const { mixdepth, amount, destination } of steps) {
    const available = wallet[mixdepth] ?? 0;
    if (base?.mixdepth !== mixdepth) base = { mixdepth, value: available };
    const value =
      amount.kind === 'fraction'
        ? Math.floor(base.value * amount.value)
        : amount.kind === 'sweep'
          ? available
          : amount.value;
    wallet[mixdepth] = available - value;
    const next = (mixdepth + 1) % wallet.length;
    if (destination.kind === 'internal') wallet[next] = (wallet[next] ?? 0) + value;
    else {
      const name = destination.kind === 'ask' ? 'ask' : destination.address;
      paid.set(name, (paid.get(name) ?? 0) + value);
    }
  }
  return { wallet, paid };
}

const anyOptions = fc.record({
  addresses: fc.integer({ min: 0, max: 3 }),
  addrcount: fc.integer({ min: 1, max: 5 }),
  mixdepthcount: fc.integer({ min: 1, max: 7 }),
  makercountrange: fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 5 })),
  minmakercount: fc.integer({ min: 1, max: 9 }),
  txcountparams: fc.tuple(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: 5 })),
  mintxcount: fc.integer({ min: 1, max: 5 }),
  timelambda: fc.double({ min: 0, max: 500, noNaN: true }),
  roundingChance: fc.double({ min: 0, max: 1, noNaN: true }),
});
const anyBalances = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1e10 })), {
  minLength: 1,
  maxLength: 9,
});

t.test('every plan is valid, and ends with everything in the addresses', (t) => {
  let made = 0;
  fc.assert(
    fc.property(fc.nat(), anyBalances, anyOptions, (seed, balances, { addresses, ...changes }) => {
      const options = { ...DEFAULT_PLAN_OPTIONS, ...changes };
      const named = Array.from({ length: addresses }, (_, n) => addressNumber(n + 1));
      const request = { options, balances, addresses: named };
      const planned = planSchedule(request, seeded(seed));
      if (!planned.ok) {
        if (!/^[^\n]{20,250}$/.test(planned.reason)) throw new Error(planned.reason);
        return;
      }
      made += 1;
      const { steps } = planned;
      assert.deepEqual(parseSchedule(formatSchedule(steps), 'regtest'), { ok: true, steps });
      assert.deepEqual(
        planSchedule(request, seeded(seed)),
        planned,
        'the same seed, the same plan',
      );
      const { wallet, paid } = simulate(steps, balances);
      assert.deepEqual(
        wallet,
        balances.map(() => 0),
        'nothing stays in the wallet',
      );
      assert.equal(
        [...paid.values()].reduce((a, b) => a + b, 0),
        balances.reduce((a, b) => a + b, 0),
      );

      const outside = steps.filter(({ destination }) => destination.kind !== 'internal');
      assert.equal(outside.length, options.addrcount, 'one step for each address');
      const expected = named.map(({ address }) => address);
      const asked = options.addrcount - addresses;
      assert.deepEqual(
        outside.map(({ destination }) =>
          destination.kind === 'address' ? destination.address : destination.kind,
        ),
        [...expected, ...Array.from({ length: asked }, () => 'ask')],
        'in the order given; those that are asked for come last',
      );
      assert.ok(outside.every(({ amount }) => amount.kind === 'sweep'));
      assert.equal(steps.at(-1), outside.at(-1));

      const filled = balances
        .flatMap((value, mixdepth) => (value > 0 ? [mixdepth] : []))
        .toReversed();
      const stage1 = steps.slice(0, filled.length);
      assert.deepEqual(
        stage1.map(({ mixdepth }) => mixdepth),
        filled,
        'stage 1 from the highest mixdepth down',
      );
      assert.ok(
        stage1.every(
          ({ amount, destination }) => amount.kind === 'sweep' && destination.kind === 'internal',
        ),
      );

      const stage2 = steps.slice(filled.length);
      for (const depth of new Set(stage2.map(({ mixdepth }) => mixdepth))) {
        const group = stage2.filter(({ mixdepth }) => mixdepth === depth);
        const parts = group.flatMap(({ amount }) =>
          amount.kind === 'fraction' ? [amount.value] : [],
        );
        assert.equal(parts.length, group.length - 1, 'the last one is a sweep');
        assert.equal(group.at(-1)?.amount.kind, 'sweep');
        assert.ok(parts.reduce((a, b) => a + b, 0) < 0.95 + 1e-4, 'of more than 5 %');
      }
      for (const { makers, waitMinutes, rounding, amount, mixdepth } of steps) {
        assert.ok(makers >= options.minmakercount && waitMinutes >= 0);
        assert.ok(mixdepth < balances.length);
        assert.ok(rounding === 16 || (amount.kind === 'fraction' && rounding <= 5));
      }
    }),
    { numRuns: 300 },
  );
  t.ok(made > 50, `${made} plans were possible`);
  t.end();
});

t.test('the second stage begins where it meets all the coins', (t) => {
  // After the first stage coins are in 0 and 4. From 0 on, those of 4 would stay there.
  const steps = plan(1, [0, 0, 0, 1e8, 1e8]);
  t.same([...new Set(steps.slice(2).map(({ mixdepth }) => mixdepth))], [4, 0, 1, 2]);
  const options = { ...DEFAULT_PLAN_OPTIONS, addrcount: 1, mixdepthcount: 1 };
  const planned = planSchedule({ options, balances: FIVE, addresses: [] }, seeded(1));
  t.match(planned, {
    ok: true,
    notes: [/^The coins go through 3 mixdepths, not 1, since those with coins lie that far apart/],
  });
  t.end();
});

const mean = (numbers: readonly number[]): number =>
  numbers.reduce((a, b) => a + b, 0) / numbers.length;

t.test('the figures of the defaults', (t) => {
  const plans = Array.from({ length: 400 }, (_, seed) => plan(seed));
  const stage1 = plans.flatMap((steps) => steps.slice(0, 2));
  const stage2 = plans.flatMap((steps) => steps.slice(2));
  const near = (value: number, goal: number, name: string) =>
    t.ok(Math.abs(value / goal - 1) < 0.15, `${name}: ${value} is near ${goal}`);
  near(mean(stage1.map(({ waitMinutes }) => waitMinutes)), 180, 'minutes after a first sweep');
  near(mean(stage2.map(({ waitMinutes }) => waitMinutes)), 60, 'minutes after another one');
  near(mean(stage2.map(({ makers }) => makers)), 8.5, 'makers');
  const parts = stage2.filter(({ amount }) => amount.kind === 'fraction');
  near(parts.filter(({ rounding }) => rounding < 16).length / parts.length, 0.25, 'rounded');
  // Three mixdepths with at least 2 coinjoins each, and the last sweep.
  t.ok(plans.every((steps) => steps.length >= 2 + 3 * 2 + 1));
  t.end();
});

t.test('distributions', (t) => {
  const random = seeded(5);
  const waits = Array.from({ length: 5_000 }, () => exponential(60, random));
  const share = (limit: number) => waits.filter((wait) => wait > limit).length / waits.length;
  for (const times of [0.5, 1, 2]) {
    t.ok(Math.abs(share(60 * times) - Math.exp(-times)) < 0.025, `waits above ${times} means`);
  }
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 50 }), (seed, parts) => {
      const drawn = fractions(parts, seeded(seed));
      if (drawn.length !== parts || drawn.some((part) => part < 0)) throw new Error('a part');
      if ((drawn.at(-1) ?? 0) < 0.05) throw new Error('the last part');
      if (Math.abs(drawn.reduce((a, b) => a + b, 0) - 1) > 1e-9) throw new Error('the sum');
    }),
  );
  t.end();
});

t.test('what cannot be planned is said in one line', (t) => {
  const table = [
    [{}, [0, 0], [1], /no coins that can be spent now: see "onionmc wallet coins"/],
    [
      {},
      [0, 99_999, 0, 0, 0],
      [1],
      /can spend 99999 sat now, less than the smallest coinjoin of 100000 sat/,
    ],
    [{ mixdepthcount: 6 }, FIVE, [1], /--mixdepthcount 6: the wallet has 5 mixdepths/],
    [{ addrcount: 5 }, FIVE, [1], /--addrcount 5: every address needs a mixdepth of its own/],
    [{ addrcount: 1 }, FIVE, [1, 2], /2 addresses, but --addrcount is 1: give --addrcount 2/],
    [{}, FIVE, [1, 1], /an address is given twice/],
  ] as const;
  for (const [changes, balances, addresses, reason] of table) {
    t.throws(() => plan(1, balances, changes, addresses), { message: reason });
  }
  t.end();
});
