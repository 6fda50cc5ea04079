/** A payment of the coins of an open coinjoin back to the wallet, which conflicts with it. Pure. */
import { dustLimit } from '../../bitcoin/fee.js';
import { WalletError, type PaymentPlan, type WalletCoin } from '../api.js';
import type { SignedTransaction } from '../requests.js';
import { finishedPlan, type PlanTerms } from './finish-plan.js';
import { sweepShape } from './shape.js';

/** What the payment is planned from. */
export interface ReclaimInput extends PlanTerms {
  /** The coinjoin. */
  readonly signed: SignedTransaction;
  /** The wallet's coins in it. */
  readonly coins: readonly WalletCoin[];
  /** A fresh script of the wallet. */
  readonly script: string;
  readonly feePerKb: number;
}

/** Throws a WalletError `request` for another transaction than an open coinjoin. */
export function checkReclaim({ kind, state, unsignedTxid }: SignedTransaction): void {
  const isCoinjoin = kind === 'coinjoin-maker' || kind === 'coinjoin-taker';
  if (isCoinjoin && state === 'pending') return;
  throw new WalletError('request', `${unsignedTxid} is no coinjoin that may still confirm`);
}

/**
 * Plans the payment.
 * @throws WalletError `request` for another transaction than an open coinjoin, `funds` when the coins hold less
 *   than the fee, `fee` when the fee is outside the limits.
 */
export function planReclaim(input: ReclaimInput): PaymentPlan {
  const { signed, coins, script, feePerKb } = input;
  checkReclaim(signed);
  const shape = sweepShape(coins, script, feePerKb);
  if (shape.value < dustLimit(script)) {
    throw new WalletError('funds', `the coins hold too little for a fee of ${shape.fee} sat`);
  }
  return finishedPlan(shape, { script }, input, signed.unsignedTxid);
}
