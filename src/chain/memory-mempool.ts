/** The mempool of a chain in memory, with the usual rules of relay and replacement. */
import type { Transaction } from '../bitcoin/transaction.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import { BroadcastError, type BroadcastFault } from './chain-error.js';
import { judge, outputsOf, type MemoryLedger, type Violation } from './memory-ledger.js';
import type { UnspentOutput } from './ports.js';

interface Entry {
  readonly tx: Transaction;
  readonly fee: number;
}

const FAULTS: Readonly<Record<Violation, BroadcastFault>> = {
  'bad-txns-inputs-missingorspent': 'missing-coins',
  'bad-txns-in-belowout': 'refused',
  'bad-txns-premature-spend-of-coinbase': 'refused',
  'non-final': 'not-final',
  'Locktime requirement not satisfied': 'not-final',
};

/** The least value of an output that is relayed, by the start of its script. */
const DUST = [
  { form: /^0014.{40}$/, least: 294 },
  { form: /^(0020|5120).{64}$/, least: 330 },
  { form: /^a914.{40}87$/, least: 540 },
  { form: /^76a914.{40}88ac$/, least: 546 },
] as const;

const isDust = ({ script, value }: { script: string; value: number }): boolean =>
  DUST.some(({ form, least }) => form.test(script) && value < least);

export class MemoryMempool {
  readonly #ledger: MemoryLedger;
  /** By txid, parents before children. */
  readonly #entries = new Map<string, Entry>();
  /** The txid that spends a coin. */
  readonly #spenders = new Map<string, string>();
  /** Satoshi per 1,000 virtual bytes. */
  minimumFeePerKb = 1_000;

  constructor(ledger: MemoryLedger) {
    this.#ledger = ledger;
  }

  has(txid: string): boolean {
    return this.#entries.has(txid);
  }

  transactions(): Transaction[] {
    return Array.from(this.#entries.values(), ({ tx }) => tx);
  }

  spender(outpoint: Outpoint): string | undefined {
    return this.#spenders.get(formatOutpoint(outpoint));
  }

  /** An unspent output of the chain and the mempool together. Height -1 stands for the mempool. */
  coin(outpoint: Outpoint): UnspentOutput | undefined {
    return this.spender(outpoint) === undefined ? this.#created(outpoint) : undefined;
  }

  /** Checks a transaction and returns its fee and the entries that it replaces. */
  check(tx: Transaction): { readonly fee: number; readonly replaces: readonly string[] } {
    const verdict = judge(tx, this.#ledger.tip, (outpoint) => this.#created(outpoint));
    if (!verdict.ok) throw new BroadcastError(FAULTS[verdict.why], verdict.why);
    const { fee } = verdict;
    const least = Math.ceil((this.minimumFeePerKb * tx.vsize) / 1000);
    if (fee < least) {
      throw new BroadcastError('fee', `min relay fee not met, ${fee} < ${least}`);
    }
    if (tx.outputs.some(isDust)) throw new BroadcastError('refused', 'dust');
    const replaces = this.#withDescendants(tx.inputs.flatMap((coin) => this.spender(coin) ?? []));
    const replaced = replaces.flatMap((txid) => this.#entries.get(txid) ?? []);
    const fees = replaced.reduce((sum, entry) => sum + entry.fee, 0);
    if (replaced.length > 0 && fee < fees + least) {
      throw new BroadcastError('conflict', `insufficient fee, ${fee} < ${fees} + ${least}`);
    }
    return { fee, replaces };
  }

  /** Adds a transaction and removes those that it replaces. Throws a `BroadcastError`. */
  add(tx: Transaction): void {
    if (this.has(tx.txid)) return;
    const { fee, replaces } = this.check(tx);
    for (const txid of replaces) this.#remove(txid);
    this.#entries.set(tx.txid, { tx, fee });
    for (const input of tx.inputs) this.#spenders.set(formatOutpoint(input), tx.txid);
  }

  /** Removes a transaction and its descendants. */
  evict(txid: string): void {
    for (const name of this.#withDescendants([txid])) this.#remove(name);
  }

  /** After the chain changed: keeps what is still valid. `before` is tried first. */
  renew(before: readonly Transaction[]): void {
    const all = [...before, ...this.transactions()];
    this.#entries.clear();
    this.#spenders.clear();
    for (const tx of all) {
      try {
        this.add(tx);
      } catch (error) {
        if (!(error instanceof BroadcastError)) throw error;
      }
    }
  }

  #created({ txid, vout }: Outpoint): UnspentOutput | undefined {
    const entry = this.#entries.get(txid);
    if (entry === undefined) return this.#ledger.coin({ txid, vout });
    return outputsOf(entry.tx, -1, false).find((output) => output.vout === vout);
  }

  #withDescendants(roots: readonly string[]): string[] {
    const all = new Set(roots);
    for (const { tx } of this.#entries.values()) {
      if (tx.inputs.some((input) => all.has(input.txid))) all.add(tx.txid);
    }
    return [...all];
  }

  #remove(txid: string): void {
    const entry = this.#entries.get(txid);
    if (entry === undefined) return;
    this.#entries.delete(txid);
    for (const input of entry.tx.inputs) this.#spenders.delete(formatOutpoint(input));
  }
}
