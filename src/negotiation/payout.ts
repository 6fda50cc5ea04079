/** What one side must find in a transaction before it signs, and its arithmetic. */
import { formatOutpoint } from '../protocol/outpoint.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import type { OwnCoin } from './ports.js';
import type { UnsignedTransaction } from './transaction.js';

/** What one side brings and must get. */
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
 * Where our coins stand among the inputs, if all are there once; our coinjoin output exists exactly
 * once and has exactly the amount; our change output exists exactly once and has at least what was
 * agreed. Anything else is not signed.
 */
export function checkPayout(
  tx: UnsignedTransaction,
  payout: Payout,
): Parsed<readonly { readonly index: number; readonly coin: OwnCoin }[], PayoutFault> {
  // Inputs of a parsed transaction differ from each other.
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
