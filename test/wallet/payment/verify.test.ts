/** The last check of a signed payment: every byte of it is accounted for. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { parseTransaction, serializeTransaction } from '../../../src/bitcoin/transaction.js';
import type { PaymentPlan } from '../../../src/wallet/api.js';
import { draftPayment } from '../../../src/wallet/payment/draft.js';
import { PAYMENT_SEQUENCE } from '../../../src/wallet/payment/lock-time.js';
import { planPayment } from '../../../src/wallet/payment/plan.js';
import { inputFault, paymentFault } from '../../../src/wallet/payment/verify.js';
import { signableCoin, signDraft, type PaperKind } from '../../helpers/paper-signer.js';
import { paperPlan, SCRIPTS } from '../../helpers/wallet-coins.js';

const CHANGE = `0014${'77'.repeat(20)}`;

/** A signed payment of 100,000 sat from one coin of each kind. */
function signedPayment(kinds: readonly PaperKind[]): {
  readonly plan: PaymentPlan;
  readonly bytes: Uint8Array;
} {
  const keys = kinds.map((kind) => signableCoin(kind, 200_000));
  const coins = keys.map(({ coin }) => coin);
  const plan = planPayment(paperPlan(coins, { coins, script: SCRIPTS.p2tr }));
  const draft = draftPayment(plan, CHANGE, (count) => randomBytes(count));
  return { plan, bytes: signDraft(draft, keys) };
}

const faultOf = (bytes: Uint8Array, plan: PaymentPlan): string | undefined =>
  paymentFault(bytes, plan, CHANGE, PAYMENT_SEQUENCE);

t.test('a payment of each kind of coin is what was planned, within its size', async (t) => {
  for (const kinds of [['native'], ['nested'], ['bond'], ['native', 'nested', 'bond']] as const) {
    const { plan, bytes } = signedPayment(kinds);
    t.equal(faultOf(bytes, plan), undefined, kinds.join());
    const parsed = parseTransaction(bytes);
    const vsize = parsed.ok ? parsed.value.vsize : 0;
    t.ok(vsize <= plan.vsize && vsize >= plan.vsize - 1, `${vsize} of ${plan.vsize} vB`);
    const rate = (plan.fee * 1_000) / vsize;
    t.ok(rate >= 2_000 && plan.fee <= Math.ceil((vsize + 1) * 2), `${rate} sat/kvB for 2,000`);
  }
});

t.test('no byte of a signed payment can be changed', async (t) => {
  const { plan, bytes } = signedPayment(['nested', 'bond']);
  const unnoticed = [...bytes.keys()].filter((at) => {
    const changed = Uint8Array.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    return faultOf(changed, plan) === undefined;
  });
  t.strictSame(unnoticed, []);
  const isCutNoticed = [...bytes.keys()].every(
    (end) => faultOf(bytes.subarray(0, end), plan) !== undefined,
  );
  t.ok(isCutNoticed);
});

t.test('what differs from the plan is named', async (t) => {
  const { plan, bytes } = signedPayment(['native', 'native']);
  const [coin] = plan.inputs;
  if (coin === undefined) throw new Error('a plan has inputs');
  const rows: readonly (readonly [Partial<PaymentPlan>, RegExp])[] = [
    [{ lockTime: plan.lockTime + 1 }, /lock time/],
    [{ inputs: [coin] }, /other coins/],
    [{ inputs: plan.inputs.toReversed() }, /other coins/],
    [{ payment: { ...plan.payment, value: plan.payment.value - 1 } }, /outputs are wrong/],
    [{ payment: { ...plan.payment, script: SCRIPTS.p2wsh } }, /outputs are wrong/],
    [{ fee: plan.fee + 1 }, /fee is wrong/],
    [{ vsize: plan.vsize - 5 }, /more than the planned/],
  ];
  for (const [over, pattern] of rows) t.match(faultOf(bytes, { ...plan, ...over }), pattern);
  t.match(paymentFault(bytes, plan, SCRIPTS.p2wpkh, PAYMENT_SEQUENCE), /outputs are wrong/);
  t.match(paymentFault(bytes, plan, CHANGE, 0xffff_ffff), /sequence/);
  t.throws(() => paymentFault(bytes, plan, undefined, PAYMENT_SEQUENCE), RangeError);
});

t.test('a bond needs its lock time, and a sequence that does not switch it off', async (t) => {
  const key = signableCoin('bond', 100_000);
  const coins = [key.coin];
  const plan = planPayment(paperPlan(coins, { coins, amount: 'all' }));
  const draft = draftPayment(plan, undefined, (count) => randomBytes(count));
  const fault = (over: Partial<typeof draft>): string | undefined => {
    const parsed = parseTransaction(signDraft({ ...draft, ...over }, [key]));
    if (!parsed.ok) throw new Error(parsed.reason);
    return inputFault(parsed.value, 0, key.coin);
  };
  t.equal(fault({}), undefined);
  t.equal(fault({ lockTime: plan.lockTime + 1 }), undefined);
  t.match(fault({ lockTime: plan.lockTime - 1 }), /before that of a bond/);
  t.match(fault({ lockTime: 900_000 }), /before that of a bond/, 'a height is no time');
  const final = draft.inputs.map((input) => ({ ...input, sequence: 0xffff_ffff }));
  t.match(fault({ inputs: final }), /before that of a bond/);
});

t.test('W4, D.8: a bond whose witness has only the script is refused', async (t) => {
  const key = signableCoin('bond', 100_000);
  const coins = [key.coin];
  const plan = planPayment(paperPlan(coins, { coins, amount: 'all' }));
  const draft = draftPayment(plan, undefined, (count) => randomBytes(count));
  const parsed = parseTransaction(signDraft(draft, [key]));
  if (!parsed.ok) throw new Error(parsed.reason);
  const [input] = parsed.value.inputs;
  if (input === undefined) throw new Error('no input');
  const bare = serializeTransaction({
    ...draft,
    inputs: [{ ...input, witness: input.witness.slice(1) }],
  });
  t.match(paymentFault(bare, plan, undefined, PAYMENT_SEQUENCE), /a witness has not two parts/);
});
