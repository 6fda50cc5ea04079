/** The values of a payment: what the outputs and the miners get. Exact integers, pure. */
import { dustLimit, feeFor } from '../../bitcoin/fee.js';
import type { WalletCoin } from '../api.js';
import { paymentVsize } from './weights.js';

/** Inputs and values of a payment that was not checked yet. */
export interface Shape {
  readonly inputs: readonly WalletCoin[];
  /** What the payment output gets. */
  readonly value: number;
  /** 0 without a change output. */
  readonly change: number;
  readonly fee: number;
  readonly vsize: number;
  /** The part of the fee that would have been a change too small to be spent. */
  readonly dropped: number;
}

export const sumOf = (coins: readonly { readonly value: number }[]): number =>
  coins.reduce((sum, { value }) => sum + value, 0);

/** Everything but the fee goes to one output. Its value may be negative. */
export function sweepShape(inputs: readonly WalletCoin[], script: string, feePerKb: number): Shape {
  const vsize = paymentVsize(inputs, [script]);
  const fee = feeFor(vsize, feePerKb);
  return { inputs, value: sumOf(inputs) - fee, change: 0, fee, vsize, dropped: 0 };
}

/**
 * Pays exactly `value`, and the rest to a change output. Where that would be dust, the rest belongs to
 * the fee. Undefined when the coins do not suffice.
 * @param changeLike a script as long as that of the change
 * @param feeOf the fee of a transaction of this many virtual bytes
 */
export function exactShape(
  inputs: readonly WalletCoin[],
  script: string,
  value: number,
  changeLike: string,
  feeOf: (vsize: number) => number,
): Shape | undefined {
  const rest = sumOf(inputs) - value;
  const bare = paymentVsize(inputs, [script]);
  const least = feeOf(bare);
  if (rest < least) return undefined;
  const vsize = paymentVsize(inputs, [script, changeLike]);
  const fee = feeOf(vsize);
  const change = rest - fee;
  if (change > dustLimit(changeLike)) return { inputs, value, change, fee, vsize, dropped: 0 };
  return { inputs, value, change: 0, fee: rest, vsize: bare, dropped: rest - least };
}
