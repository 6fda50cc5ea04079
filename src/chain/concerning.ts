/** The transactions of a block that concern a wallet. Pure. */
import type { Transaction } from '../bitcoin/transaction.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import type { FoundTransaction, Watch } from './ports.js';

/**
 * Finds the transactions of one block that pay a watched script or spend a watched coin, or a coin that an
 * earlier one of them creates: the wallet learns of that coin only afterwards. Give it the transactions in
 * the order of the block.
 */
export class BlockExaminer {
  readonly #watch: Watch;
  readonly #found: FoundTransaction[] = [];
  readonly #created = new Set<string>();
  #index = 0;

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  get found(): readonly FoundTransaction[] {
    return this.#found;
  }

  examine(transaction: Transaction): void {
    const spends = this.#spendsWatched(transaction);
    if (this.#paysWatched(transaction) || spends) {
      const { txid, bytes } = transaction;
      this.#found.push({ txid, bytes: bytes.slice(), index: this.#index });
    }
    this.#index += 1;
  }

  #spendsWatched(transaction: Transaction): boolean {
    for (const coin of transaction.spends()) {
      if (this.#watch.hasCoin(coin)) return true;
      if (this.#created.size > 0 && this.#created.has(formatOutpoint(coin))) return true;
    }
    return false;
  }

  #paysWatched(transaction: Transaction): boolean {
    let vout = 0;
    let pays = false;
    for (const { script } of transaction.pays()) {
      if (this.#watch.hasScript(script)) {
        pays = true;
        this.#created.add(formatOutpoint({ txid: transaction.txid, vout }));
      }
      vout += 1;
    }
    return pays;
  }
}

/** The same for a block whose transactions are all there. */
export function concerning(
  transactions: Iterable<Transaction>,
  watch: Watch,
): readonly FoundTransaction[] {
  const examiner = new BlockExaminer(watch);
  for (const transaction of transactions) examiner.examine(transaction);
  return examiner.found;
}
