/** The unsigned transaction of a plan. Pure. */
import type { TransactionInput, TransactionOutput } from '../../bitcoin/transaction.js';
import type { RandomBytes } from '../../protocol/encryption.js';
import type { PaymentPlan, WalletCoin } from '../api.js';
import { PAYMENT_SEQUENCE } from './lock-time.js';
import { shuffled } from './random.js';

/** A transaction that is ready to be signed, with the coin of each input. */
export interface Draft {
  readonly version: 2;
  readonly lockTime: number;
  readonly inputs: readonly (TransactionInput & { readonly coin: WalletCoin })[];
  readonly outputs: readonly TransactionOutput[];
}

/** The outputs of a plan. `changeScript` is given when the plan has change, and not otherwise. */
export function planOutputs(
  { payment, change }: PaymentPlan,
  changeScript: string | undefined,
): readonly TransactionOutput[] {
  if ((change === undefined) !== (changeScript === undefined)) {
    throw new RangeError('a change script belongs to a plan with change, and to no other');
  }
  if (change === undefined || changeScript === undefined) return [payment];
  return [payment, { script: changeScript, value: change.value }];
}

/** The inputs in the order of the plan, the outputs in a random order. */
export function draftPayment(
  plan: PaymentPlan,
  changeScript: string | undefined,
  randomBytes: RandomBytes,
): Draft {
  return {
    version: 2,
    lockTime: plan.lockTime,
    inputs: plan.inputs.map((coin) => ({
      txid: coin.txid,
      vout: coin.vout,
      sequence: PAYMENT_SEQUENCE,
      coin,
    })),
    outputs: shuffled(planOutputs(plan, changeScript), randomBytes),
  };
}
