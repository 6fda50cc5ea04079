/** One session's state: each change is on disk before its effect, and told afterwards. */
import type { Log } from '../../channel/log.js';
import type { SessionRecord, StoredState } from './record-file.js';
import { next, SessionStateError, type SessionEvent } from './state.js';
import { keyOf, type SessionKey, type SessionStore } from './store.js';
import type { Described } from './terms.js';

export type SessionListener = (key: SessionKey, record: SessionRecord) => void;

export interface LedgerOptions {
  readonly store: SessionStore;
  readonly log: Log;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly onChange: SessionListener;
}

export class SessionLedger {
  readonly #options: LedgerOptions;
  #record: SessionRecord;
  /** Changes wait for each other: the order on the disk is the order of the events. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: LedgerOptions, record: SessionRecord) {
    this.#options = options;
    this.#record = record;
  }

  /** A new session, in its first state, with the description that its connection trusts. */
  static async create(
    options: LedgerOptions,
    state: StoredState,
    described: Described,
  ): Promise<SessionLedger> {
    const record = { state, since: options.now(), described };
    await options.store.save(record);
    const ledger = new SessionLedger(options, record);
    ledger.#tell();
    return ledger;
  }

  /** A session of the store. */
  static of(options: LedgerOptions, record: SessionRecord): SessionLedger {
    return new SessionLedger(options, record);
  }

  get key(): SessionKey {
    return keyOf(this.#record);
  }

  get state(): StoredState {
    return this.#record.state;
  }

  /** Undefined for a record of version 1. */
  get described(): Described | undefined {
    return this.#record.described;
  }

  /**
   * Applies an event. Resolves when the new state is on disk. Rejects with a SessionStateError, or with the error of
   * the file system; the state is then unchanged.
   */
  apply(event: SessionEvent): Promise<StoredState> {
    const mine = this.#turn.then(() => this.#apply(event));
    this.#turn = mine.catch(() => {});
    return mine;
  }

  async #apply(event: SessionEvent): Promise<StoredState> {
    const { store, now } = this.#options;
    const before = this.#record;
    const state = next(before.state, event);
    if (state === before.state) return before.state;
    if (state.state === 'IDLE' || state.state === 'DISCOVERING') {
      throw new SessionStateError('a session does not return to its selection');
    }
    const since = state.state === before.state.state ? before.since : now();
    const record = { ...before, state, since };
    await store.save(record);
    this.#record = record;
    if (state.state !== before.state.state) this.#tell();
    return state;
  }

  #tell(): void {
    const { log, onChange } = this.#options;
    const { state } = this.#record;
    log.info(`Lethean session: ${state.state}`, {
      session: this.key.slice(17, 33),
      ...('cause' in state ? { cause: state.cause } : {}),
      ...('reason' in state && state.reason !== '' ? { reason: state.reason } : {}),
    });
    onChange(this.key, this.#record);
  }
}
