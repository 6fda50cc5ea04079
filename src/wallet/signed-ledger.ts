/** Transactions that the wallet signed, and what became of them. Part of the state of a journal. Pure. */
import type { Outpoint } from '../protocol/outpoint.js';
import { coinKey, type Ledger } from './ledger.js';
import type { OwnOutput, SignedRecord } from './records.js';
import type { SignedTransaction } from './requests.js';

type Whole = NonNullable<SignedRecord['whole']> & { readonly peersOnly?: true };

interface Entry {
  readonly record: SignedRecord;
  /** With the signatures of all inputs. */
  whole: Whole | undefined;
  seen: boolean;
  abandoned: boolean;
  /** Height of the block that spends a coin of another owner otherwise. */
  lostAt: number | undefined;
  /** What a block told that is not read again. */
  settled: Settlement | undefined;
}

interface Settlement {
  readonly state: 'confirmed' | 'replaced' | 'lost';
  readonly height: number;
}

export type SignedState = SignedTransaction['state'];

export class SignedLedger {
  readonly #ledger: Ledger;
  /** By id without signatures, in the order of signing. */
  readonly #entries = new Map<string, Entry>();
  /** The transactions that spend a coin, by its name. */
  readonly #byCoin = new Map<string, Entry[]>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  add(record: SignedRecord): void {
    if (this.#entries.has(record.unsigned)) return;
    const entry = {
      record,
      whole: record.whole,
      seen: false,
      abandoned: false,
      lostAt: undefined,
      settled: undefined,
    };
    this.#entries.set(record.unsigned, entry);
    for (const name of record.coins) {
      const key = coinKey(name);
      this.#byCoin.set(key, [...(this.#byCoin.get(key) ?? []), entry]);
    }
  }

  /** A transaction that is seen takes the place of all others that spend its coins. */
  see(unsigned: string, seen: boolean): void {
    const entry = this.#entries.get(unsigned);
    if (entry === undefined) return;
    if (seen) for (const other of this.#rivals(entry)) other.seen = false;
    entry.seen = seen;
  }

  /** The signatures of the other owners are there. */
  complete(unsigned: string, whole: Whole): void {
    const entry = this.#entries.get(unsigned);
    if (entry !== undefined) entry.whole ??= whole;
  }

  lose(unsigned: string, height: number): void {
    const entry = this.#entries.get(unsigned);
    if (entry !== undefined) entry.lostAt = height;
  }

  abandon(unsigned: string): void {
    const entry = this.#entries.get(unsigned);
    if (entry === undefined) return;
    entry.abandoned = true;
    entry.seen = false;
  }

  /** Blocks above this height are gone, and with them what they proved. */
  rewind(height: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.lostAt !== undefined && entry.lostAt > height) entry.lostAt = undefined;
      if (entry.settled !== undefined && entry.settled.height > height) entry.settled = undefined;
    }
  }

  /** The chain is read again from this height. What the blocks below it proved stays. */
  settle(from: number): void {
    for (const entry of this.#entries.values()) entry.settled = this.#settlementOf(entry);
    this.rewind(from - 1);
  }

  record(unsigned: string): SignedRecord | undefined {
    return this.#entries.get(unsigned)?.record;
  }

  /** The final id of a transaction that has all signatures. */
  txidOf(unsigned: string): string | undefined {
    return this.#entries.get(unsigned)?.whole?.txid;
  }

  stateOf(unsigned: string): SignedState | undefined {
    const entry = this.#entries.get(unsigned);
    return entry && this.#stateOf(entry);
  }

  /** Transactions of this coin that may still confirm, the newest last. */
  ofCoin(key: string): readonly { readonly unsigned: string; readonly state: SignedState }[] {
    return (this.#byCoin.get(key) ?? [])
      .map((entry) => ({ unsigned: entry.record.unsigned, state: this.#stateOf(entry) }))
      .filter(({ state }) => state === 'pending' || state === 'abandoned');
  }

  /** Whether a transaction that spends the coin is in the mempool. */
  isSpentUnconfirmed(key: string): boolean {
    return (this.#byCoin.get(key) ?? []).some((entry) => this.#isUnconfirmed(entry));
  }

  /** What transactions in the mempool pay to the wallet. */
  *unconfirmedOutputs(): Generator<
    { readonly record: SignedRecord; readonly txid: string; readonly output: OwnOutput },
    void,
    undefined
  > {
    for (const entry of this.#entries.values()) {
      if (!this.#isUnconfirmed(entry)) continue;
      const { record, whole } = entry;
      for (const output of record.own)
        yield { record, txid: whole?.txid ?? record.unsigned, output };
    }
  }

  list(labelOf: (txid: string) => string | undefined): readonly SignedTransaction[] {
    return [...this.#entries.values()].map((entry) => {
      const { record, whole } = entry;
      return {
        unsignedTxid: record.unsigned,
        kind: record.purpose,
        transaction: new Uint8Array(Buffer.from(record.transaction, 'hex')),
        txid: whole?.txid,
        bytes: whole === undefined ? undefined : new Uint8Array(Buffer.from(whole.bytes, 'hex')),
        coins: record.coins.map(([txid, vout]): Outpoint => ({ txid, vout })),
        signedAt: record.time,
        height: record.height,
        replaces: record.replaces,
        state: this.#stateOf(entry),
        seen: entry.seen,
        peersOnly: whole?.peersOnly === true,
        label: (whole && labelOf(whole.txid)) ?? labelOf(record.unsigned),
      };
    });
  }

  /** A coin that is not known may be spent in a block that was not read, perhaps by this transaction. */
  #isUnconfirmed(entry: Entry): boolean {
    const state = this.#stateOf(entry);
    return (
      entry.seen &&
      (state === 'pending' || state === 'abandoned') &&
      entry.record.coins.every((name) => this.#ledger.coin(coinKey(name)) !== undefined)
    );
  }

  #stateOf(entry: Entry): SignedState {
    const settled = this.#settlementOf(entry);
    if (settled !== undefined) return settled.state;
    if (entry.lostAt !== undefined) return 'lost';
    return entry.abandoned ? 'abandoned' : 'pending';
  }

  /** What the blocks say. */
  #settlementOf({ record, settled }: Entry): Settlement | undefined {
    const height = this.#ledger.heightOf(record.unsigned);
    if (height !== undefined) return { state: 'confirmed', height };
    for (const name of record.coins) {
      const spending = this.#ledger.coin(coinKey(name))?.spent;
      if (spending === undefined) continue;
      const state = this.#entries.has(spending.unsigned) ? 'replaced' : 'lost';
      return { state, height: spending.height };
    }
    return settled;
  }

  #rivals(entry: Entry): readonly Entry[] {
    return entry.record.coins
      .flatMap((name) => this.#byCoin.get(coinKey(name)) ?? [])
      .filter((other) => other !== entry);
  }
}
