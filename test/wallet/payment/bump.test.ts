/** Replacements with a higher fee: what they pay, and which payments have none. No wallet, no chain. */
import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import { dustLimit, feeFor } from '../../../src/bitcoin/fee.js';
import { parseTransaction, serializeTransaction } from '../../../src/bitcoin/transaction.js';
import {
  BRANCH,
  WalletError,
  type PaymentPlan,
  type PaymentRequest,
} from '../../../src/wallet/api.js';
import { leastBumpFeePerKb, planBump, type BumpInput } from '../../../src/wallet/payment/bump.js';
import { draftPayment } from '../../../src/wallet/payment/draft.js';
import { planPayment } from '../../../src/wallet/payment/plan.js';
import type { SignedTransaction } from '../../../src/wallet/requests.js';
import { paperCoin, paperPlan, SCRIPTS } from '../../helpers/wallet-coins.js';

const CHANGE = `0014${'77'.repeat(20)}`;
const OWN = `0014${'78'.repeat(20)}`;

/** A pending payment of coins with these values, and what a bump of it is planned from. */
function pending(
  values: readonly number[],
  request: Partial<PaymentRequest>,
): { readonly plan: PaymentPlan; readonly bump: (over: Partial<BumpInput>) => PaymentPlan } {
  const coins = values.map((value) => paperCoin(value, { hold: 'signed' }));
  const free = coins.map((coin) => ({ ...coin, hold: undefined }));
  const plan = planPayment(paperPlan(free, { script: SCRIPTS.p2tr, coins: free, ...request }));
  const change = plan.change === undefined ? undefined : CHANGE;
  const bytes = serializeTransaction(draftPayment(plan, change, (count) => randomBytes(count)));
  const parsed = parseTransaction(bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  const signed: SignedTransaction = {
    unsignedTxid: parsed.value.txid,
    kind: 'send',
    transaction: bytes,
    txid: parsed.value.txid,
    bytes,
    coins,
    signedAt: 0,
    height: 0,
    replaces: undefined,
    state: 'pending',
    seen: true,
    label: undefined,
  };
  const input: BumpInput = {
    ...paperPlan([], {}),
    signed,
    transaction: parsed.value,
    coins,
    feePerKb: 10_000,
    placeOf: (script) => {
      if (script === CHANGE) return { mixdepth: 0, branch: BRANCH.internal, index: 3 };
      return script === OWN ? { mixdepth: 0, branch: BRANCH.external, index: 4 } : undefined;
    },
  };
  return { plan, bump: (over) => planBump({ ...input, ...over }) };
}

function faultOf(run: () => unknown): readonly [string, string] {
  try {
    run();
    return ['none', ''];
  } catch (error) {
    if (error instanceof WalletError) return [error.fault, error.message];
    throw error;
  }
}

t.test('the payee gets the same, the fee rises by the rules of nodes, no change is dust', (t) => {
  let planned = 0;
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 20_000, max: 500_000 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1_000, max: 20_000 }),
      fc.integer({ min: 1_000, max: 200_000 }),
      fc.constantFrom(100, 1_000, undefined),
      (values, oldRate, feePerKb, minimumFeePerKb) => {
        const amount = 10_000;
        const faultless = faultOf(() => pending(values, { amount, feePerKb: oldRate }));
        if (faultless[0] !== 'none') return;
        const { plan: old, bump } = pending(values, { amount, feePerKb: oldRate });
        if (old.change === undefined) return;
        let plan: PaymentPlan;
        try {
          plan = bump({ feePerKb, minimumFeePerKb });
        } catch (error) {
          if (error instanceof WalletError && ['fee', 'funds'].includes(error.fault)) return;
          throw error;
        }
        planned += 1;
        const { payment, change, fee, vsize, inputs } = plan;
        if (payment.value !== amount || payment.script !== SCRIPTS.p2tr) throw new Error('payee');
        const sum = inputs.reduce((total, { value }) => total + value, 0);
        if (sum !== amount + fee + (change?.value ?? 0)) throw new Error('sum');
        if (fee < old.fee + feeFor(vsize, minimumFeePerKb ?? 1_000)) throw new Error('increment');
        if (fee < feeFor(vsize, feePerKb)) throw new Error('rate');
        if (change !== undefined && change.value <= dustLimit(CHANGE)) throw new Error('dust');
        if (inputs.length !== values.length) throw new Error('coins');
      },
    ),
    { numRuns: 500 },
  );
  t.ok(planned > 100, `${planned} of 500 have a bump`);
  t.end();
});

t.test('the least rate for a bump is enough, and a lower one says so', async (t) => {
  const { plan, bump } = pending([500_000], { amount: 100_000, feePerKb: 3_000 });
  const least = leastBumpFeePerKb(plan.fee, plan.vsize, 1_000);
  t.equal(bump({ feePerKb: least }).fee, plan.fee + plan.vsize);
  const [fault, text] = faultOf(() => bump({ feePerKb: 3_500 }));
  t.equal(fault, 'fee');
  t.match(text, /pays 459 sat; nodes replace it from 612 sat on: give a --fee-rate of 4 sat\/vB/);
});

t.test('payments that cannot be bumped', async (t) => {
  const { bump } = pending([500_000], { amount: 100_000 });
  const sweep = pending([500_000], { amount: 'all' });
  const [fault, text] = faultOf(() => sweep.bump({}));
  t.equal(fault, 'request');
  t.match(text, /has no change output that could pay a higher fee.*Wait until it confirms/);
  t.notMatch(text, /child|CPFP/i, 'K18: a child that pays is not promised');
  const own = pending([500_000], { amount: 'all', script: OWN });
  t.equal(own.bump({ feePerKb: 9_000 }).payment.value, 500_000 - 110 * 9, 'to an own address');
  t.match(
    faultOf(() => own.bump({ feePerKb: 5_000_000, acceptAbsurdFee: true }))[1],
    /has too little for a fee of 5000 sat\/vB/,
  );
  t.match(
    faultOf(() => bump({ feePerKb: 9_000_000, acceptAbsurdFee: true })),
    ['funds', /the change of .* is 399 694 sat, too little for 9000 sat\/vB/],
  );
  t.equal(faultOf(() => bump({ feePerKb: 400_000 }))[0], 'fee', 'the cap holds for bumps');
  t.equal(faultOf(() => bump({ coins: [] }))[0], 'coin');
  const { plan } = pending([500_000], { amount: 100_000 });
  const states = ['confirmed', 'replaced', 'lost', 'abandoned'] as const;
  for (const state of states) {
    const { bump: again } = pending([500_000], { amount: 100_000 });
    const signed: SignedTransaction = {
      unsignedTxid: 'ab',
      kind: 'send',
      transaction: new Uint8Array(),
      txid: 'ab',
      bytes: undefined,
      coins: plan.inputs,
      signedAt: 0,
      height: 0,
      replaces: undefined,
      state,
      seen: false,
      label: undefined,
    };
    t.equal(faultOf(() => again({ signed }))[0], 'request', state);
    const coinjoin = { ...signed, state: 'pending', kind: 'coinjoin-maker' } as const;
    t.match(faultOf(() => again({ signed: coinjoin }))[1], /is a coinjoin/);
  }
});
