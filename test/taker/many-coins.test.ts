/** Makers that bring so many coins that the miners would get too little for them. */
import t, { type Test } from 'tap';
import { worstCost } from '../../src/taker/amounts.js';
import type { Offer } from '../../src/protocol/offer.js';
import { createTakerWorld, OFFER, POLICY, type TakerWorld } from '../helpers/taker-world.js';

const MOST = 15;
const manyCoins = (sum: number): readonly number[] =>
  Array.from({ length: MOST }, () => Math.ceil(sum / MOST) + 2_000);

/** The first makers bring as many coins as a taker accepts, the others one. */
function worldWith(
  test: Test,
  { dear, all, sum }: { readonly dear: number; readonly all: number; readonly sum: number },
): Promise<TakerWorld> {
  return createTakerWorld(test, {
    offers: Array.from({ length: all }, (): Offer => ({ ...OFFER, txfee: 0, cjfee: '0.0001' })),
    makerCoins: (n) => (n < dear ? manyCoins(sum) : [2 * sum]),
  });
}

/**
 * What is wanted, what a maker of it must have, and how many makers with many coins are too many. The miner fee
 * of a fixed amount may grow by the factor of the policy, and may be that much too small; in a sweep it is fixed.
 */
const WISHES = [
  ['a sweep', { amount: 'sweep' }, 2_430_000, 'sweep-fee', 2, POLICY],
  [
    'a fixed amount',
    { amount: 1_000_000 },
    1_030_000,
    'miner-fee',
    3,
    { ...POLICY, maxSweepFeeChange: 0.45 },
  ],
] as const;

const REASON = /^the makers bring \d+ coins: \d+ sat are left for the miners of \d+ vB/;

for (const [what, wish, sum, fault, dear, policy] of WISHES) {
  void t.test(`${what} goes on without the maker that brings most coins`, async (t) => {
    const world = await worldWith(t, { dear, all: 4, sum });
    const request = { ...wish, makers: 4, minimumMakers: 3 };
    const { plan, outcome } = await world.run(request, { policy });
    if (!outcome.ok) throw new Error(`${outcome.fault}: ${outcome.detail}`);
    t.equal(outcome.makers.length, 3);
    t.match(outcome.failed, [
      { nick: /^J5maker[012]$/, failure: { step: 'ready', fault: 'many-coins' } },
    ]);
    t.equal(outcome.failed.length, 1);
    t.notOk(
      world.events.some(({ kind }) => kind === 'again'),
      'in the same round',
    );
    t.ok(outcome.makerFees + outcome.minerFee <= worstCost(plan.worst));
    await world.mine();
    t.equal(world.taker.wallet.leases().length, 0);
  });

  void t.test(`${what} begins again with other makers where too few are left`, async (t) => {
    const world = await worldWith(t, { dear, all: 6, sum });
    const request = { ...wish, makers: 3, minimumMakers: 3 };
    const { plan, outcome } = await world.run(request, { policy });
    if (!outcome.ok) throw new Error(`${outcome.fault}: ${outcome.detail}`);
    const again = world.events.flatMap((event) => (event.kind === 'again' ? [event.reason] : []));
    t.match(again[0], REASON);
    t.equal(outcome.makers.length, 3);
    t.equal(outcome.failed.length, again.length, 'one maker less for each round');
    t.ok(outcome.failed.every(({ failure }) => failure?.fault === 'many-coins'));
    t.ok(outcome.makerFees + outcome.minerFee <= worstCost(plan.worst));
    await world.mine();
    t.equal(world.taker.wallet.leases().length, 0);
  });

  void t.test(`${what} without other makers ends with the reason`, async (t) => {
    const world = await worldWith(t, { dear: 3, all: 3, sum });
    const request = { ...wish, makers: 3, minimumMakers: 3 };
    const { outcome } = await world.run(request, { policy });
    t.match(outcome, {
      ok: false,
      fault,
      detail: REASON,
      failed: [{ failure: { fault: 'many-coins', detail: /^it brings 15 coins/ } }],
      revealed: { transaction: false, signatures: false },
    });
    t.equal(world.taker.wallet.leases().length, 0);
  });
}
