/** Sums of a taker's coinjoin: every satoshi is accounted for, and nothing exceeds the plan. */
import * as fc from 'fast-check';
import t from 'tap';
import { feeFor } from '../../src/bitcoin/fee.js';
import type { Candidate } from '../../src/negotiation/taker/api.js';
import { DEFAULT_FEE_POLICY, makerCost } from '../../src/negotiation/taker/fees.js';
import { TAKER_DUST } from '../../src/negotiation/taker/transaction.js';
import { offerFee, type Offer } from '../../src/protocol/offer.js';
import {
  affordable,
  dearestSweep,
  expectedVsize,
  minerShare,
  mostMakerFees,
  scriptLike,
  sumOf,
  sweepAmount,
  sweepWithin,
  worstCost,
} from '../../src/taker/amounts.js';
import { chooseCoins } from '../../src/taker/coins.js';
import { paperCoin } from '../helpers/wallet-coins.js';

const POLICY = { ...DEFAULT_FEE_POLICY, maxCjFeeAbs: 50_000, maxCjFeeRel: 0.02 };
const LIKE = scriptLike('p2wpkh');

const offer = fc.record<Offer>({
  type: fc.constant('sw0reloffer'),
  oid: fc.nat(3),
  minsize: fc.integer({ min: 27_300, max: 2_000_000 }),
  maxsize: fc.integer({ min: 2_000_000, max: 50_000_000 }),
  txfee: fc.nat(500),
  cjfee: fc.integer({ min: 0, max: 25_000 }).map((n) => `0.${String(n).padStart(6, '0')}`),
});
const absolute = fc
  .tuple(offer, fc.nat(20_000))
  .map(([it, fee]): Offer => ({ ...it, type: 'sw0absoffer', cjfee: String(fee) }));
const candidates = fc
  .array(fc.oneof(offer, absolute), { minLength: 1, maxLength: 14 })
  .map((offers) => offers.map((it, n): Candidate => ({ nick: `J5maker${n}`, offer: it })));

t.test('a sweep: every maker gets its exact fee, and not a satoshi is missing', async (t) => {
  let found = 0;
  fc.assert(
    fc.property(
      candidates,
      fc.integer({ min: 30_000, max: 40_000_000 }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1_000, max: 60_000 }),
      (makers, total, wanted, feePerKb) => {
        const own = { inputs: [LIKE, LIKE], destination: LIKE, kind: 'p2wpkh' } as const;
        const budget = (n: number): number => feeFor(expectedVsize(own, n, false), feePerKb);
        const terms = { total, budget, candidates: makers, makers: wanted, policy: POLICY };
        const sweep = sweepAmount({ ...terms, minimumMakers: 1 });
        if (sweep === undefined) return;
        found += 1;
        const { amount } = sweep;
        const chosen = sweep.candidates.slice(0, sweep.makers);
        const paid = chosen.reduce(
          (sum, it) => sum + offerFee(it.offer, amount) - it.offer.txfee,
          0,
        );
        const miners = total - amount - paid;
        t.equal(sweep.makerFees, paid);
        t.equal(sweep.minerFee, miners);
        // Never less than the budget, and what makers pay beyond their fees is not ours.
        const due = Math.max(budget(chosen.length), -paid);
        if (miners < due) throw new Error(`${miners} sat for the miners, due are ${due}`);
        // One satoshi more for each side could not be paid.
        const more = amount + 1 + chosen.reduce((s, it) => s + makerCost(it.offer, amount + 1), 0);
        if (more + due <= total) throw new Error('the amount could be larger');
        for (const { offer: it } of chosen) {
          if (amount < it.minsize || amount > it.maxsize) throw new Error('outside an offer');
        }
      },
    ),
    { numRuns: 300 },
  );
  t.ok(found > 100, `${found} sweeps`);
});

t.test('a sweep with other makers, after some failed, costs no more than was agreed', async (t) => {
  let dearer = 0;
  fc.assert(
    fc.property(
      candidates,
      fc.integer({ min: 30_000, max: 40_000_000 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1_000, max: 60_000 }),
      fc.array(fc.boolean(), { minLength: 14, maxLength: 14 }),
      (makers, total, wanted, feePerKb, fails) => {
        const own = { inputs: [LIKE, LIKE], destination: LIKE, kind: 'p2wpkh' } as const;
        const budget = (n: number): number => feeFor(expectedVsize(own, n, false), feePerKb);
        const terms = { total, budget, candidates: makers, makers: wanted, policy: POLICY };
        const all = { ...terms, minimumMakers: 1 };
        const planned = sweepAmount(all);
        if (planned === undefined) return;
        const most = dearestSweep(all, planned) ?? planned;
        const worst = {
          makerFees: Math.max(planned.makerFees, most.makerFees),
          minerFee: Math.max(total - planned.amount, total - most.amount) - most.makerFees,
        };
        const left = makers.filter((_, n) => fails[n] === false);
        const again = sweepWithin({ ...all, candidates: left }, worst);
        if (again === undefined) return;
        const chosen = again.candidates.slice(0, again.makers);
        const paid = chosen.reduce((sum, it) => sum + makerCost(it.offer, again.amount), 0);
        t.equal(again.makerFees, paid);
        if (again.amount + paid + again.minerFee !== total) throw new Error('a satoshi is missing');
        if (total - again.amount > worstCost(worst)) throw new Error('above the plan');
        if (paid > worst.makerFees) throw new Error('the makers get more than in the plan');
        if (again.minerFee < budget(chosen.length)) throw new Error('too little for the miners');
        if (again.amount < planned.amount) dearer += 1;
      },
    ),
    { numRuns: 1_500 },
  );
  t.ok(dearer > 20, `${dearer} sweeps with dearer makers`);
});

t.test('a sweep pays nothing for parts of the miner fee that a maker asks back', async (t) => {
  // Its fee and its part of the miner fee are the same: it costs nothing, and brings nothing.
  const free: Offer = {
    type: 'sw0absoffer',
    oid: 0,
    minsize: 27_300,
    maxsize: 9e8,
    txfee: 5_000_000,
    cjfee: '5000000',
  };
  const terms = { total: 20_000_000, budget: () => 1_000, policy: POLICY };
  const makers = [{ nick: 'J5maker0', offer: free }];
  const sweep = sweepAmount({ ...terms, candidates: makers, makers: 1, minimumMakers: 1 });
  t.match(sweep, { amount: 19_999_000, makerFees: 0, minerFee: 1_000 });
});

/** A maker with a relative fee. */
const relative = (n: number, cjfee: string): Candidate => ({
  nick: `J5maker${n}`,
  offer: { type: 'sw0reloffer', oid: 0, minsize: 27_300, maxsize: 9e8, txfee: 0, cjfee },
});

t.test('a sweep of several relative fees rounds each as its maker does', async (t) => {
  // Half to even: 0.0000005 of 1,000,001 is half a satoshi, which rounds to 0; of 3,000,000 to 2.
  const makers = [
    relative(0, '0.0000005'),
    relative(1, '0.0000015'),
    relative(2, '0.0000025'),
    relative(3, '0.001'),
  ];
  for (let total = 1_005_000; total < 1_005_400; total += 1) {
    const sweep = sweepAmount({
      total,
      budget: () => 4_000,
      candidates: makers,
      makers: 4,
      minimumMakers: 4,
      policy: POLICY,
    });
    const { amount = 0, makerFees = 0, minerFee = 0 } = sweep ?? {};
    if (amount + makerFees + minerFee !== total) t.fail(`${total}: a satoshi is missing`);
    if (minerFee < 4_000 || minerFee > 4_004) t.fail(`${total}: ${minerFee} sat for the miners`);
  }
  t.pass('400 totals');
});

t.test('too few makers, or too little to sweep', async (t) => {
  const makers: readonly Candidate[] = [
    {
      nick: 'J5one',
      offer: { type: 'sw0absoffer', oid: 0, minsize: 27_300, maxsize: 1e6, txfee: 0, cjfee: '10' },
    },
  ];
  const terms = { budget: () => 1_000, candidates: makers, policy: POLICY, makers: 2 };
  t.equal(sweepAmount({ ...terms, total: 500_000, minimumMakers: 2 }), undefined);
  t.equal(sweepAmount({ ...terms, total: 28_000, minimumMakers: 1 }), undefined);
  t.equal(sweepAmount({ ...terms, total: 5e6, minimumMakers: 1 }), undefined, 'above its maxsize');
  t.match(sweepAmount({ ...terms, total: 500_000, minimumMakers: 1 }), { amount: 498_990 });
});

t.test('no makers of the affordable ones cost more than the plan', async () => {
  fc.assert(
    fc.property(
      candidates,
      fc.integer({ min: 27_300, max: 10_000_000 }),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(100_000),
      (makers, amount, wanted, most) => {
        const kept = affordable(makers, amount, wanted, most);
        if (mostMakerFees(kept, amount, wanted) > most) throw new Error('too dear');
        const costs = kept.map((it) => Math.max(0, makerCost(it.offer, amount)));
        const dearest = costs
          .toSorted((a, b) => b - a)
          .slice(0, wanted)
          .reduce((sum, cost) => sum + cost, 0);
        if (dearest > most) throw new Error('too dear');
        if (mostMakerFees(makers, amount, wanted) <= most && kept.length < makers.length) {
          throw new Error('a maker was left out for nothing');
        }
        const order = makers.filter((it) => kept.includes(it));
        if (order.some((it, n) => it !== kept[n])) throw new Error('another order');
      },
    ),
  );
});

t.test('coins and fees of a fixed amount never exceed the worst case of the plan', async (t) => {
  let shared = 0;
  let bare = 0;
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 600, max: 3_000_000 }), { minLength: 1, maxLength: 12 }),
      // An amount, or what is left above it of all coins.
      fc.oneof(
        fc.integer({ min: 27_300, max: 6_000_000 }),
        fc.nat(60_000).map((left) => -left),
      ),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(60_000),
      fc.integer({ min: 1_000, max: 40_000 }),
      fc.constantFrom('default', 'gradual', 'greedy', 'greediest'),
      // What really happens: less for the makers, and other numbers of their coins.
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 60 }),
      (values, wish, makers, makerFees, feePerKb, rule, share, foreign) => {
        const coins = values.map((value) => paperCoin(value));
        const amount = wish > 0 ? wish : Math.max(27_300, sumOf(coins) + wish);
        const chosen = chooseCoins({
          coins,
          amount,
          makers,
          makerFees,
          feePerKb,
          tolerance: 0.8,
          destination: LIKE,
          kind: 'p2wpkh',
          rule,
        });
        if (chosen === undefined) return;
        const total = sumOf(chosen.coins);
        const most = worstCost(chosen.worst);
        if (most > total - amount) throw new Error('the worst case exceeds the coins');
        const paid = Math.floor(chosen.worst.makerFees * share);
        const vsize = (hasChange: boolean): number => {
          const own = {
            inputs: [
              ...chosen.coins.map(({ script }) => script),
              ...Array.from({ length: foreign }, () => LIKE),
            ],
            destination: LIKE,
            kind: 'p2wpkh',
          } as const;
          return expectedVsize(own, 0, hasChange) + makers * 2 * 31;
        };
        const result = minerShare({
          left: total - amount - paid,
          most: most - paid,
          feePerKb,
          minimumFeePerKb: 1_000,
          vsize: { withChange: vsize(true), withoutChange: vsize(false) },
          tolerance: 0.8,
        });
        if (result === undefined) return;
        shared += 1;
        if (result.change === 0) bare += 1;
        const { minerFee, change } = result;
        if (total !== amount + paid + minerFee + change) throw new Error('a satoshi is missing');
        if (paid + minerFee > most) throw new Error('above the plan');
        if (change !== 0 && change <= TAKER_DUST) throw new Error('dust');
        if (minerFee < feeFor(vsize(change > 0), 1_000)) throw new Error('not relayed');
      },
    ),
    { numRuns: 2_000 },
  );
  t.ok(shared > 200, `${shared} were possible`);
  t.ok(bare > 5, `${bare} without change`);
});
