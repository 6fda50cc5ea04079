/**
 * The only way to change a wallet: decisions are made one at a time, on the state that the journal holds, and
 * their records are on the disk before the answer leaves. What was read of the chain may wait for the next
 * write, since it can be read again.
 */
import { WalletError } from './api.js';
import { parseWalletRecord, type WalletRecord } from './records.js';
import { WalletState } from './state.js';
import { WalletStoreError, type JournalValue, type WalletStore } from './store/api.js';

/** Records that wait are written when there are so many, or when a decision is. */
const MOST_WAITING = 500;
/** On a full disk more may wait; with so many the wallet stops reading. */
const MOST_KEPT = 50_000;

/** A decision: the records to write, and the answer to give once they are on the disk. */
export interface Decision<T> {
  readonly records: readonly WalletRecord[];
  readonly result: T;
}

/** Reads what a journal holds. Throws a `WalletStoreError` for what this version does not know. */
function readRecord(value: JournalValue, folder: string): WalletRecord {
  const parsed = parseWalletRecord(value);
  if (parsed.ok) return parsed.value;
  if (parsed.reason === 'record-kind') {
    throw new WalletStoreError(
      'version',
      `${folder}: the journal has a record of a later version of this program: use that version`,
    );
  }
  throw new WalletStoreError(
    'damaged',
    `${folder}: the journal has a record that this program did not write; put a backup back`,
  );
}

export class WalletJournal {
  readonly #store: WalletStore;
  readonly #mode: 'read' | 'write';
  readonly state: WalletState;
  #waiting: WalletRecord[] = [];
  /** The number of waiting records at which they are written next. */
  #writeAt = MOST_WAITING;
  /** The end of the last call: calls run one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: WalletStore, mode: 'read' | 'write', freezeReuseUpTo?: number) {
    this.#store = store;
    this.#mode = mode;
    this.state = new WalletState(store.secret.kind, freezeReuseUpTo);
    for (const value of store.records) this.state.apply(readRecord(value, store.folder));
  }

  /** What another process added; only in `read` mode. Resolves to whether there was something. */
  refresh(): Promise<boolean> {
    return this.#inOrder(async () => {
      const values = await this.#store.refresh();
      for (const value of values) this.state.apply(readRecord(value, this.#store.folder));
      return values.length > 0;
    });
  }

  /**
   * Makes a decision. `decide` may throw or reject: nothing is written then. It may take several turns of the
   * event loop: nothing else changes the state before its records are written. When the disk is full the
   * state stays as it was.
   */
  transact<T>(decide: (state: WalletState) => Decision<T> | Promise<Decision<T>>): Promise<T> {
    return this.#inOrder(async () => {
      if (this.#mode === 'read') {
        throw new WalletError(
          'request',
          'the wallet was opened for reading: another process writes to it',
        );
      }
      const { records, result } = await decide(this.state);
      if (records.length > 0) await this.#write(records);
      return result;
    });
  }

  /** Adds what was read of the chain. It is written with the next decision, or when enough waits. */
  note(read: (state: WalletState) => readonly WalletRecord[]): Promise<void> {
    return this.#inOrder(async () => {
      const records = read(this.state);
      for (const record of records) this.state.apply(record);
      if (this.#mode === 'read') return;
      this.#waiting.push(...records);
      if (this.#waiting.length >= this.#writeAt) await this.#writeWaiting();
    });
  }

  /** Changes the state without a record to write: what is lost with the process is read again. */
  observe(record: WalletRecord): Promise<void> {
    return this.#inOrder(async () => {
      this.state.apply(record);
      await Promise.resolve();
    });
  }

  /** Writes what waits, if there is room: on a full disk a wallet still opens and shows its coins. */
  flush(): Promise<void> {
    return this.#inOrder(() => this.#writeWaiting());
  }

  async #writeWaiting(): Promise<void> {
    try {
      await this.#write([]);
    } catch (error) {
      const isFull = error instanceof WalletStoreError && error.fault === 'disk';
      if (!isFull || this.#waiting.length >= MOST_KEPT) throw error;
      this.#writeAt = this.#waiting.length + MOST_WAITING;
    }
  }

  async #write(records: readonly WalletRecord[]): Promise<void> {
    const all = [...this.#waiting, ...records];
    if (all.length === 0 || this.#mode === 'read') return;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- records are JSON; the store checks
    await this.#store.append(all as unknown as readonly JournalValue[]);
    this.#waiting = [];
    this.#writeAt = MOST_WAITING;
    for (const record of records) this.state.apply(record);
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work, work);
    this.#last = run.catch(() => undefined);
    return run;
  }
}
