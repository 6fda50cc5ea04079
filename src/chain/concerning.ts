/** The transactions of a block that concern a wallet. Pure. */
import type { Outpoint } from '../protocol/outpoint.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import type { FoundTransaction, Watch } from './ports.js';

/** The parts of a transaction that decide whether it concerns a wallet. */
export interface ExaminedTransaction {
  readonly txid: string;
  readonly bytes: Uint8Array;
  readonly inputs: readonly Outpoint[];
  readonly outputs: readonly { readonly script: string }[];
}

/**
 * Transactions, in the order of the block, that pay a watched script or spend a watched coin, or a coin
 * that an earlier one of them creates: the wallet learns of that coin only afterwards.
 */
export function concerning(
  transactions: readonly ExaminedTransaction[],
  watch: Watch,
): FoundTransaction[] {
  const found: FoundTransaction[] = [];
  const created = new Set<string>();
  transactions.forEach(({ txid, bytes, inputs, outputs }, index) => {
    let concerns = inputs.some(
      (coin) => watch.hasCoin(coin) || (created.size > 0 && created.has(formatOutpoint(coin))),
    );
    outputs.forEach(({ script }, vout) => {
      if (!watch.hasScript(script)) return;
      concerns = true;
      created.add(formatOutpoint({ txid, vout }));
    });
    if (concerns) found.push({ txid, bytes, index });
  });
  return found;
}
