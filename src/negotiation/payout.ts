/** The check of each side before it signs a transaction. */
import { formatOutpoint } from '../protocol/outpoint.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import type { OwnCoin } from './ports.js';
import type { UnsignedTransaction } from './transaction.js';

/** The inputs of one side and the outputs it must get. */
export interface Payout {
  readonly coins: readonly OwnCoin[];
  /** Satoshi of the equal outputs. */
  readonly amount: number;
  /** scriptPubKeys, hex. */
  readonly coinjoinScript: string;
  /** Undefined when there is no change. */
  readonly changeScript: string | undefined;
  /** Least satoshi of the change output. */
  readonly change: number;
}

export type PayoutFault = 'pay-input' | 'pay-coinjoin' | 'pay-change';

export const sumOf = (coins: readonly { readonly value: number }[]): number =>
  coins.reduce((sum, { value }) => sum + value, 0);

/**
 * The indices of our coins among the inputs. Requires that all of them occur once, that our coinjoin
 * output exists once with exactly the amount, and that our change output exists once with at least the
 * agreed amount. Any other transaction is not signed.
 */
export function checkPayout(
  tx: UnsignedTransaction,
  payout: Payout,
): Parsed<readonly { readonly index: number; readonly coin: OwnCoin }[], PayoutFault> {
  // The inputs of a parsed transaction are all different.
  const positions = new Map(tx.inputs.map((input, index) => [formatOutpoint(input), index]));
  const inputs: { index: number; coin: OwnCoin }[] = [];
  for (const coin of payout.coins) {
    const index = positions.get(formatOutpoint(coin));
    if (index === undefined) return fail('pay-input');
    inputs.push({ index, coin });
  }
  const paidTo = (script: string): readonly number[] =>
    tx.outputs.flatMap((output) => (output.script === script ? [output.value] : []));
  const [coinjoin, ...more] = paidTo(payout.coinjoinScript);
  if (coinjoin !== payout.amount || more.length > 0) return fail('pay-coinjoin');
  if (payout.changeScript !== undefined) {
    const [change, ...others] = paidTo(payout.changeScript);
    if (change === undefined || others.length > 0 || change < payout.change) {
      return fail('pay-change');
    }
  }
  return ok(inputs.toSorted((a, b) => a.index - b.index));
}
