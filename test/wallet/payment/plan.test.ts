/** Plans of payments: values, limits, refusals by name and warnings. No wallet, no chain. */
import * as fc from 'fast-check';
import t from 'tap';
import { WalletError, type SelectionRule } from '../../../src/wallet/api.js';
import { dustLimit, feeFor } from '../../../src/bitcoin/fee.js';
import { planPayment, type PlanInput } from '../../../src/wallet/payment/plan.js';

import { paperBond, paperCoin, paperPlan, SCRIPTS, TIP } from '../../helpers/wallet-coins.js';

/** The fault and text of a plan that is refused. */
function refusal(input: PlanInput): readonly [string, string] {
  try {
    planPayment(input);
  } catch (error) {
    if (error instanceof WalletError) return [error.fault, error.message];
    throw error;
  }
  throw new Error('the plan was not refused');
}

/** The warnings of a plan, one on each line. */
const warned = (...args: Parameters<typeof paperPlan>): string =>
  planPayment(paperPlan(...args)).warnings.join('\n');

const sum = (coins: readonly { readonly value: number }[]): number =>
  coins.reduce((total, { value }) => total + value, 0);

const anyScript = fc.constantFrom(...Object.values(SCRIPTS));
const anyRule = fc.constantFrom<SelectionRule>('default', 'gradual', 'greedy', 'greediest');
const anyRate = fc.integer({ min: 1_000, max: 350_000 });
const values = fc.array(fc.integer({ min: 294, max: 50_000_000 }), { minLength: 1, maxLength: 20 });

t.test('sums of a payment', async (t) => {
  t.test('in = out + fee, change never in (0, dust], the rate at least what was asked', (t) => {
    let planned = 0;
    fc.assert(
      fc.property(
        values,
        fc.integer({ min: 546, max: 20_000_000 }),
        anyScript,
        anyRule,
        anyRate,
        (coins, amount, script, rule, feePerKb) => {
          const input = paperPlan(
            coins.map((value) => paperCoin(value)),
            { amount, script, rule, feePerKb },
          );
          let plan;
          try {
            plan = planPayment(input);
          } catch (error) {
            if (error instanceof WalletError && ['funds', 'fee'].includes(error.fault)) return;
            throw error;
          }
          planned += 1;
          const { payment, change, fee, vsize, inputs } = plan;
          const dust = dustLimit(input.changeLike);
          if (sum(inputs) !== payment.value + (change?.value ?? 0) + fee) throw new Error('sum');
          if (payment.value !== amount) throw new Error('amount');
          if (change !== undefined && change.value <= dust) throw new Error('dust');
          if (fee < feeFor(vsize, feePerKb)) throw new Error('rate');
          // Exact with a change output; otherwise at most a change that is not worth its output.
          const spare = change === undefined ? dust + feeFor(31, feePerKb) + 1 : 0;
          if (fee > feeFor(vsize, feePerKb) + spare) throw new Error('gift');
          if (fee > input.limits.fee || fee > feeFor(vsize, input.limits.feePerKb)) {
            throw new Error('cap');
          }
          if (fee < feeFor(vsize, input.minimumFeePerKb ?? 0)) throw new Error('minimum');
        },
      ),
      { numRuns: 1_000 },
    );
    t.ok(planned > 300, `${planned} of 1,000 cases have a plan`);
    t.end();
  });

  t.test('coins that suffice to the satoshi are enough, one satoshi less is not', (t) => {
    fc.assert(
      fc.property(values, anyScript, anyRule, anyRate, (coins, script, rule, feePerKb) => {
        const own = coins.map((value) => paperCoin(value + 30_000));
        const all = planPayment(paperPlan(own, { amount: 'all', script, feePerKb: 1_000 }));
        const exact = all.payment.value;
        const plan = planPayment(paperPlan(own, { amount: exact, script, rule, feePerKb: 1_000 }));
        if (plan.fee !== all.fee || plan.change !== undefined) throw new Error('not exact');
        if (plan.inputs.length !== own.length) throw new Error('inputs');
        const [fault] = refusal(paperPlan(own, { amount: exact + 1, script, feePerKb: 1_000 }));
        if (fault !== 'funds') throw new Error(fault);
        return feePerKb > 0;
      }),
      { numRuns: 300 },
    );
    t.end();
  });

  t.test('all: every coin of the mixdepth, without change', (t) => {
    fc.assert(
      fc.property(values, anyScript, anyRate, (coins, script, feePerKb) => {
        const own = coins.map((value) => paperCoin(value + 50_000));
        const others = [paperCoin(1_000_000, { mixdepth: 1 }), paperBond(1_000_000)];
        const plan = planPayment(
          paperPlan([...own, ...others], { amount: 'all', script, feePerKb }),
        );
        if (plan.change !== undefined || plan.inputs.length !== own.length)
          throw new Error('coins');
        if (plan.payment.value + plan.fee !== sum(own)) throw new Error('sum');
        if (plan.fee !== feeFor(plan.vsize, feePerKb)) throw new Error('fee');
      }),
      { numRuns: 300 },
    );
    t.end();
  });
});

t.test(
  'K4: fee rates are per 1,000 virtual bytes, also below and between whole sat/vB',
  async (t) => {
    const coins = [paperCoin(1_000_000)];
    const rates: readonly (readonly [number, number])[] = [
      [100, 15],
      [111, 16],
      [500, 71],
      [1_000, 141],
      [1_001, 142],
      [2_500, 353],
    ];
    for (const [feePerKb, fee] of rates) {
      const plan = planPayment(paperPlan(coins, { feePerKb }, { minimumFeePerKb: 100 }));
      t.strictSame([plan.vsize, plan.fee], [141, fee], `${feePerKb} sat/kvB`);
    }
    const below = refusal(paperPlan(coins, { feePerKb: 500 }, { minimumFeePerKb: 1_000 }));
    t.equal(below[0], 'fee');
    t.match(below[1], /0.503 sat\/vB; the node relays from 1 sat\/vB/);
    t.doesNotThrow(() =>
      planPayment(paperPlan(coins, { feePerKb: 1 }, { minimumFeePerKb: undefined })),
    );
  },
);

t.test(
  'W3: change from 295 sat on is kept, and less is no gift above the dust limit',
  async (t) => {
    const [coin] = [paperCoin(1_000_000)];
    const rest = (left: number): ReturnType<typeof planPayment> =>
      planPayment(paperPlan([coin], { amount: 1_000_000 - 141 - left, feePerKb: 1_000 }));
    t.strictSame(rest(295).change, { value: 295, mixdepth: 0 });
    t.strictSame([rest(294).change, rest(294).fee, rest(294).vsize], [undefined, 141 + 294, 110]);
    t.match(rest(294).warnings.join(), /includes 325 sat, because a change output of this size/);
  },
);

t.test('dust of the payment, by type of address', async (t) => {
  const least = [
    ['p2wpkh', 294],
    ['p2sh', 540],
    ['p2wsh', 330],
    ['p2tr', 330],
    ['p2pkh', 546],
  ] as const;
  const coins = [paperCoin(1_000_000)];
  for (const [kind, dust] of least) {
    const script = SCRIPTS[kind];
    t.doesNotThrow(() => planPayment(paperPlan(coins, { script, amount: dust })));
    const [fault, text] = refusal(paperPlan(coins, { script, amount: dust - 1 }));
    t.equal(fault, 'amount');
    t.match(text, `less than ${dust} sat to an address of type ${kind}`);
  }
  const [fault, text] = refusal(paperPlan([paperCoin(600)], { amount: 'all', feePerKb: 5_000 }));
  t.equal(fault, 'amount');
  t.match(text, /the coins leave 50 sat after the fee/);
});

t.test('coins that are not spent', async (t) => {
  const held = [
    ['unconfirmed', /not in a block yet/],
    ['immature', /after 100 confirmations/],
    ['leased', /reserved for a coinjoin/],
    ['signed', /spent by the signed transaction f00d, which may still confirm: bump that one/],
    ['locked', /locked until/],
  ] as const;
  for (const [hold, pattern] of held) {
    const coin = paperCoin(1_000_000, {
      hold,
      signedFor: hold === 'signed' ? 'f00d' : undefined,
    });
    const [fault, text] = refusal(paperPlan([coin], { coins: [coin] }));
    t.equal(fault, 'held', hold);
    t.match(text, pattern);
    t.match(text, `${coin.txid}:0`);
    t.equal(refusal(paperPlan([coin], {}))[0], 'funds', `${hold}: not chosen`);
  }
  const frozen = paperCoin(1_000_000, { hold: 'frozen', frozen: 'reuse' });
  t.strictSame(refusal(paperPlan([frozen], { coins: [frozen] })), [
    'frozen',
    `the coin ${frozen.txid}:0 is frozen (reuse): unfreeze it first`,
  ]);
  t.match(
    refusal(paperPlan([frozen, paperCoin(10)], {}))[1],
    /10 sat available, 1 000 000 sat frozen/,
  );

  const bond = paperBond(1_000_000);
  t.equal(refusal(paperPlan([bond], {}))[0], 'funds', 'a bond is never chosen');
  t.equal(refusal(paperPlan([bond], { amount: 'all' }))[0], 'funds');
  t.equal(refusal(paperPlan([], { coins: [paperCoin(1)] }))[0], 'coin', 'a foreign coin');
  const [one, two] = [paperCoin(1_000_000), paperCoin(1_000_000, { mixdepth: 1 })];
  t.equal(refusal(paperPlan([one, two], { coins: [one, one] }))[0], 'coin', 'named twice');
  t.equal(refusal(paperPlan([one, two], { coins: [one, two] }))[0], 'mixdepth');
  t.equal(refusal(paperPlan([one, two], { coins: [two], mixdepth: 0 }))[0], 'mixdepth');
  t.equal(planPayment(paperPlan([one, two], { coins: [two] })).change?.mixdepth, 1);
  t.match(
    refusal(paperPlan([one, two], { coins: [one], amount: 2_000_000 }))[1],
    /the named coins have 1 000 000 sat, less than 2 000 000 sat/,
  );
});

t.test('coins of one address are spent together, or not at all', async (t) => {
  const one = paperCoin(60_000);
  const coins = [one, paperCoin(60_000, { script: one.script }), paperCoin(300_000)];
  const few = planPayment(paperPlan(coins, { amount: 50_000 }));
  t.equal(few.inputs.length, 2, 'both coins of the smaller address');
  t.strictSame(new Set(few.inputs.map(({ script }) => script)), new Set([one.script]));
  const more = planPayment(paperPlan(coins, { amount: 200_000 }));
  t.strictSame(
    more.inputs.map(({ value }) => value),
    [300_000],
  );
});

t.test('requests that are no requests', async (t) => {
  const coins = [paperCoin(1_000_000)];
  for (const amount of [0, -1, 1.5, Number.NaN, Infinity, 2_100_000_000_000_001]) {
    t.equal(refusal(paperPlan(coins, { amount }))[0], 'amount', `${amount}`);
  }
  for (const feePerKb of [-1, 0.5, Number.NaN, 10_000_001]) {
    t.equal(refusal(paperPlan(coins, { feePerKb }))[0], 'fee', `${feePerKb}`);
  }
  t.match(
    refusal(paperPlan(coins, { feePerKb: 50_000_000 }))[1],
    /^the fee rate is 50000 sat\/vB; at most 10000 sat\/vB can be paid$/,
    'in the unit of --fee-rate',
  );
  t.equal(refusal(paperPlan(coins, { script: 'zz' }))[0], 'request');
});

t.test('the cap of the fee', async (t) => {
  const coins = [paperCoin(100_000_000)];
  const [fault, text] = refusal(paperPlan(coins, { feePerKb: 350_008 }));
  t.equal(fault, 'fee');
  t.match(text, /above absurd_fee_per_kb, 350 sat\/vB/);
  t.doesNotThrow(() => planPayment(paperPlan(coins, { feePerKb: 350_000 })));
  const plan = planPayment(paperPlan(coins, { feePerKb: 400_000, acceptAbsurdFee: true }));
  t.match(plan.warnings.join(), /above the limit, which you chose to ignore/);
  const many = Array.from({ length: 50 }, () => paperCoin(1_000_000));
  t.match(
    refusal(paperPlan(many, { amount: 'all', feePerKb: 350_000 }))[1],
    /above the limit for one transaction, 1 000 000 sat/,
  );
});

t.test('a transaction that nodes would not relay for its size is refused', async (t) => {
  const coins = Array.from({ length: 1_500 }, () => paperCoin(100_000));
  t.match(refusal(paperPlan(coins, { amount: 'all' }))[1], /1500 coins make a transaction of/);
});

t.test('what a person is told', async (t) => {
  const coins = [paperCoin(1_000_000)];
  t.equal(warned(coins, {}), '');
  const facts = {
    isOwn: () => false,
    wasPaid: () => true,
    openPayment: (): string | undefined => undefined,
  };
  t.match(warned(coins, {}, { facts }), /paid before: everyone can link/);
  t.match(warned(coins, {}, { facts: { ...facts, isOwn: () => true } }), /of your own wallet/);
  t.match(
    warned(coins, {}, { facts: { ...facts, openPayment: () => 'abcd' } }),
    /The payment abcd to the same address is not confirmed yet: if both confirm, it is paid twice/,
  );
  t.match(warned(coins, { script: SCRIPTS.p2tr }), /type p2tr and the change of type p2wpkh/);
  t.equal(warned(coins, { script: SCRIPTS.p2tr, amount: 'all' }), '', 'without change');
  t.match(warned(coins, { amount: 2_000 }), /The fee of 282 sat is 14\.1 % of the amount/);
  const deposits = [1, 2].map(() => paperCoin(60_000, { mergeable: false }));
  t.match(
    warned(deposits, {}),
    /2 coins of mixdepth 0 that came from no coinjoin are spent together/,
  );
  const [first = paperCoin(1)] = deposits;
  const same = [first, paperCoin(60_000, { mergeable: false, script: first.script })];
  t.equal(warned(same, {}), '', 'two coins of one address are linked already');
  const bonds = [paperBond(60_000), paperBond(60_000)];
  t.match(warned(bonds, { coins: bonds }), /2 bonds are spent together/);
  const mixed = [paperBond(60_000), paperCoin(60_000)];
  t.match(warned(mixed, { coins: mixed }), /A bond is spent together with other coins/);
});

t.test('K10: a bond opens when the median time is beyond its lock time', async (t) => {
  const lockTime = 1_767_225_600;
  const bond = paperBond(1_000_000, { lockTime });
  const at = (medianTime: number): PlanInput =>
    paperPlan([bond], { coins: [bond], amount: 'all' }, { tip: { ...TIP, medianTime } });
  t.match(refusal(at(lockTime))[1], /is a bond that is locked until 2026-01-01 00:00 UTC/);
  const plan = planPayment(at(lockTime + 1));
  t.equal(plan.lockTime, lockTime, 'the lock time of the transaction is that of the bond');
  const later = paperBond(1_000_000, { lockTime: lockTime + 86_400 });
  const both = planPayment(paperPlan([bond, later], { coins: [bond, later], amount: 'all' }));
  t.equal(both.lockTime, lockTime + 86_400, 'the latest of several');
});

t.test('order and lock time are random', async (t) => {
  const coins = Array.from({ length: 6 }, () => paperCoin(100_000));
  const plans = Array.from({ length: 1_000 }, () =>
    planPayment(paperPlan(coins, { amount: 'all' })),
  );
  const firsts = new Set(plans.map(({ inputs }) => inputs[0]?.txid));
  t.equal(firsts.size, 6, 'every coin is the first one at times');
  const back = plans.map(({ lockTime }) => TIP.height - lockTime);
  t.ok(back.every((blocks) => blocks >= 0 && blocks <= 99));
  const atTip = back.filter((blocks) => blocks === 0).length;
  t.ok(atTip > 850 && atTip < 950, `${atTip} of 1,000 at the tip`);
});
