/** The client of RFC-0005: the flow of section 4.1 over the ports, and the sessions that it keeps. */
import type { Clock } from '../kit/clock.js';
import { errorText } from '../kit/error-text.js';
import type { Log } from '../channel/log.js';
import type { InstanceLock } from '../ops/instance-lock.js';
import type { CachedVdp, DescriptionFolders } from './market/cache.js';
import { parseLink, resolveLink, SelectionError, type Link } from './market/link.js';
import { Market, type SearchResult } from './market/market.js';
import type { OfferFilter } from './market/offers.js';
import type { Provider, Vdp } from './model.js';
import type { Manager, Payer, Transport, WireGuardKeys } from './ports.js';
import type { LetheanConnection } from './session/connection.js';
import { isBegun, SessionKeeper, type BuyRequest } from './session/keeper.js';
import { SessionLedger, type LedgerOptions, type SessionListener } from './session/ledger.js';
import type { SessionRecord } from './session/record-file.js';
import { DEFAULT_SESSION_SETTINGS, type SessionSettings } from './session/settings.js';
import { isLive } from './session/state.js';
import { SessionStore, type SessionKey } from './session/store.js';
import type { Described } from './session/terms.js';

/** The folders of section 3.4. */
export interface LetheanFolders extends DescriptionFolders {
  /** One file for each session. */
  readonly sessions: string;
}

export interface LetheanClientOptions {
  /** Missing ones are made. */
  readonly folders: LetheanFolders;
  /** Pays for sessions, such as a `WalletPayer`. */
  readonly payer: Payer;
  /** Ways to a gate, such as those of `createTransports`. */
  readonly transports: readonly Transport[];
  /** Undefined: WireGuard is off. */
  readonly wireGuardKeys?: WireGuardKeys;
  /** Sections 5.2 and 6.3; the defaults of docs/lethean.md unless they are given. */
  readonly settings?: Partial<SessionSettings>;
  /** An https address; that of the document unless it is given. */
  readonly sdpUrl?: string;
  /** Authorities of the SDP server, PEM; those of the system unless they are given. */
  readonly sdpCa?: readonly string[];
  /** The manager of a provider; HTTPS with the provider's authority unless it is given. */
  readonly managerOf?: (provider: Pick<Provider, 'managerUrl' | 'ca'>) => Manager;
  /** Of one call of the SDP server or a manager, milliseconds; 30,000 unless it is given. */
  readonly callTimeoutMs?: number;
  /** Monotonic time and timers. */
  readonly clock: Clock;
  /** Seconds since 1970; the system's unless it is given. */
  readonly now?: () => number;
  /** Hears of each change of a session, of failures, and of descriptions that were refused. */
  readonly log: Log;
  /** Hears of each new state of a session. */
  readonly onSession?: SessionListener;
  /** Locks the folder of sessions; flock(2) unless it is given. */
  readonly lock?: (path: string) => Promise<Pick<InstanceLock, 'release'>>;
}

export interface ConnectRequest extends BuyRequest {
  /** Gives up waiting. What was paid stays paid, and is continued by the next `connect` or `resume`. */
  readonly signal?: AbortSignal | undefined;
}

const systemNow = (): number => Math.floor(Date.now() / 1_000);
const NEVER = new AbortController().signal;

export class LetheanClient {
  readonly #options: LetheanClientOptions;
  readonly #store: SessionStore;
  readonly #market: Market;
  readonly #now: () => number;
  readonly #ledgerOptions: LedgerOptions;
  readonly #keeper: SessionKeeper;
  readonly #closing = new AbortController();

  private constructor(options: LetheanClientOptions, store: SessionStore) {
    this.#options = options;
    this.#store = store;
    this.#now = options.now ?? systemNow;
    this.#market = new Market({ ...options, now: this.#now });
    const { log, onSession = () => {} } = options;
    this.#ledgerOptions = { store, log, now: this.#now, onChange: onSession };
    this.#keeper = new SessionKeeper(
      {
        ...options,
        settings: { ...DEFAULT_SESSION_SETTINGS, ...options.settings },
        ledger: this.#ledgerOptions,
        now: this.#now,
        adopt: ({ provider }) => this.#market.cache.adopt(provider),
        pinned: (providerId) => this.#market.cache.pinned(providerId),
      },
      this.#closing.signal,
    );
  }

  /** Owns the folder of sessions until `close`. Rejects with a LockedError when another client has it. */
  static async open(options: LetheanClientOptions): Promise<LetheanClient> {
    const store = await SessionStore.open(options.folders.sessions, options.lock);
    for (const { path, reason } of store.faults) {
      options.log.warn('a file of a session cannot be read', { path, reason });
    }
    const client = new LetheanClient(options, store);
    await client.#sweep();
    return client;
  }

  /** Step 1: `Market.search`. */
  search(filter: OfferFilter = {}, signal: AbortSignal = NEVER): Promise<SearchResult> {
    return this.#market.search(filter, this.#until(signal));
  }

  /** The offers of the kept descriptions. */
  knownOffers(filter: OfferFilter = {}): Promise<SearchResult> {
    return this.#market.knownOffers(filter);
  }

  /** The kept descriptions that are valid now. */
  descriptions(): Promise<CachedVdp> {
    return this.#market.descriptions();
  }

  /** Forgets wallet and certificates of a provider, so that its next description counts. */
  forgetProvider(providerId: string): Promise<void> {
    return this.#market.cache.forget(providerId);
  }

  /** All sessions of the folder. */
  get sessions(): ReadonlyMap<SessionKey, SessionRecord> {
    return this.#store.all;
  }

  /** Sessions whose tunnel stands, or is opened again. */
  get connections(): ReadonlySet<LetheanConnection> {
    return this.#keeper.connections;
  }

  /**
   * Steps 2 to 7: the provider's own description, a session, its payment, its blocks, the tunnel. A session that was
   * paid before and has time left is used again instead of a new one. Resolves when the tunnel stands.
   *
   * Rejects with a SelectionError, a TermsError, a NotAgreedError (nothing was paid); with errors of the payer (its
   * text says what was paid); with a NotRecognisedError or a SessionOverError; with a SessionInUseError.
   */
  async connect(target: string | Link, request: ConnectRequest = {}): Promise<LetheanConnection> {
    const signal = this.#until(request.signal ?? NEVER);
    const link = typeof target === 'string' ? parseLink(target) : target;
    if (link === undefined) {
      throw new SelectionError(
        'the link must be "lthn://provider/service" or "lthn://gateid/spaceid"',
      );
    }
    const chosen = resolveLink(link, this.#withKept(await this.descriptions()));
    const kept = this.#resumable(chosen);
    return kept === undefined
      ? this.#keeper.buy(chosen, request, signal)
      : this.#keeper.continue(kept, signal);
  }

  /**
   * Continues what an earlier process began: payments on their way, and sessions whose tunnel stood. Returns the
   * connections; a session that could not be continued is told in the log, and keeps its state.
   */
  async resume(signal: AbortSignal = NEVER): Promise<readonly LetheanConnection[]> {
    const until = this.#until(signal);
    const begun = [...this.#store.all.values()].filter(({ state }) => isBegun(state));
    const parents = new Set(begun.map(({ state }) => state.session.sessionId));
    // A renewal that was begun goes on when the session that it renews is connected again.
    const isRenewal = ({ state }: SessionRecord): boolean =>
      state.selected.parent !== undefined && parents.has(state.selected.parent);
    const connections = await Promise.all(
      begun
        .filter((record) => !isRenewal(record))
        .map(async (record) => {
          try {
            const connection = await this.#keeper.continue(record, until);
            void this.#keeper.finishRenewal(connection, until);
            return connection;
          } catch (error) {
            const { gateId } = record.state.selected;
            this.#options.log.warn('a session was not continued', {
              gate: gateId,
              error: errorText(error),
            });
            return undefined;
          }
        }),
    );
    return connections.filter((connection) => connection !== undefined);
  }

  /** Buys more days for a session, which goes on in a session of its own. The tunnel changes to it. */
  async renew(key: SessionKey, request: ConnectRequest = {}): Promise<void> {
    const connection = this.#connectionOf(key);
    if (connection === undefined) {
      throw new SelectionError('only a session that is connected is renewed');
    }
    await this.#keeper.renew(connection, request, this.#until(request.signal ?? NEVER));
  }

  /** Ends a session's tunnel, and cleans up after it. A paid session can be connected again until its end. */
  async disconnect(key: SessionKey): Promise<void> {
    const connection = this.#connectionOf(key);
    if (connection !== undefined) return connection.disconnect();
    const record = this.#store.get(key);
    if (record === undefined) throw new SelectionError(`there is no session ${key}`);
    await this.#keeper.disconnect(record);
  }

  /** Ends all tunnels and releases the folder. Sessions keep their states for `resume`. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.connections].map((connection) => connection.stop()));
    await this.#store.close();
  }

  #connectionOf(key: SessionKey): LetheanConnection | undefined {
    return [...this.connections].find((connection) => connection.key === key);
  }

  /** A kept session for the same gate and space that needs no new payment. */
  #resumable({ gate, space }: Described): SessionRecord | undefined {
    return this.#allResumable().find(
      ({ state: { selected } }) =>
        selected.gateId === gate.gateId && selected.spaceId === space.spaceId,
    );
  }

  #allResumable(): readonly SessionRecord[] {
    const now = this.#now();
    return [...this.#store.all.values()].filter(({ state }) => {
      if (state.state === 'CONFIRMING') return true;
      if (isLive(state)) return state.session.expires > now;
      const isPaid =
        state.state === 'DISCONNECTED' && (state.granted || state.payment !== undefined);
      return isPaid && (!state.granted || state.session.expires > now);
    });
  }

  /** The descriptions of sessions that can be continued count before those of the cache, also for a link. */
  #withKept(vdp: Vdp): Vdp {
    const kept = this.#allResumable().flatMap(({ described }) => described ?? []);
    return {
      providers: joined(
        vdp.providers,
        kept.map(({ provider }) => provider),
        ({ providerId }) => providerId,
      ),
      gates: joined(
        vdp.gates,
        kept.map(({ gate }) => gate),
        ({ gateId }) => gateId,
      ),
      spaces: joined(
        vdp.spaces,
        kept.map(({ space }) => space),
        ({ spaceId }) => spaceId,
      ),
    };
  }

  /** Sessions whose time is over, and descriptions that are no longer valid. */
  async #sweep(): Promise<void> {
    const now = this.#now();
    for (const record of this.#store.all.values()) {
      // oxlint-disable-next-line no-await-in-loop -- one small file after the other
      await SessionLedger.of(this.#ledgerOptions, record).apply({ kind: 'tick', now });
    }
    await this.#market.cache.prune(now);
  }

  #until(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }
}

/** By id; those of `own` take the places of others. */
function joined<T>(all: readonly T[], own: readonly T[], idOf: (one: T) => string): readonly T[] {
  return [...new Map([...all, ...own].map((one) => [idOf(one), one])).values()];
}
