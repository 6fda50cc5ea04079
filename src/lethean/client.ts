/** The client of RFC-0005: the flow of section 4.1 over the ports, and the sessions that it keeps. */
import type { Clock } from '../kit/clock.js';
import { errorText } from '../kit/error-text.js';
import type { Log } from '../channel/log.js';
import type { InstanceLock } from '../ops/instance-lock.js';
import { DescriptionCache, type CachedVdp, type DescriptionFolders } from './market/cache.js';
import { CALL_TIMEOUT_MS, HttpsManager } from './market/manager.js';
import { httpsCall } from './market/https-call.js';
import { formatLink, parseLink, resolveLink, SelectionError, type Link } from './market/link.js';
import { offersOf, type Offer, type OfferFilter } from './market/offers.js';
import { MAX_VDP } from './market/parse-vdp.js';
import { filtered, parseSdpAnswer, SDP_URL, searchUrl } from './market/sdp.js';
import type { Provider } from './model.js';
import type { Manager, Payer, Transport, WireGuardKeys } from './ports.js';
import { acquire, describedIn, freshDescription, type Agree } from './session/acquisition.js';
import { LetheanConnection } from './session/connection.js';
import { SessionLedger, type LedgerOptions, type SessionListener } from './session/ledger.js';
import { payAndConfirm } from './session/payment-steps.js';
import type { SessionRecord } from './session/record-file.js';
import { Renewals } from './session/renewals.js';
import { DEFAULT_SESSION_SETTINGS, type SessionSettings } from './session/settings.js';
import { isLive } from './session/state.js';
import { SessionStore, type SessionKey } from './session/store.js';
import type { Described } from './session/terms.js';
import { TunnelRun } from './session/tunnel-run.js';
import { transportFor } from './transport/transports.js';

/** The folders of section 3.4. */
export interface LetheanFolders extends DescriptionFolders {
  readonly sessions: string;
}

export interface LetheanClientOptions {
  readonly folders: LetheanFolders;
  readonly payer: Payer;
  readonly transports: readonly Transport[];
  /** Undefined: WireGuard is off. */
  readonly wireGuardKeys?: WireGuardKeys;
  readonly settings?: Partial<SessionSettings>;
  /** An https address; that of the document unless it is given. */
  readonly sdpUrl?: string;
  /** Authorities of the SDP server, PEM; those of the system unless they are given. */
  readonly sdpCa?: readonly string[];
  /** The manager of a provider; HTTPS with the provider's authority unless it is given. */
  readonly managerOf?: (provider: Pick<Provider, 'managerUrl' | 'ca'>) => Manager;
  readonly clock: Clock;
  /** Seconds since 1970; the system's unless it is given. */
  readonly now?: () => number;
  readonly log: Log;
  /** Hears of each new state of a session. */
  readonly onSession?: SessionListener;
  /** Locks the folder of sessions; flock(2) unless it is given. */
  readonly lock?: (path: string) => Promise<Pick<InstanceLock, 'release'>>;
}

export interface SearchResult {
  /** Offers that keep to the filter. */
  readonly offers: readonly Offer[];
  /** Offers that were left out because their description does not name the country or the speed. */
  readonly unknown: number;
  /** Entries of the answer, and descriptions, that broke a rule: why. */
  readonly refused: readonly string[];
}

export interface ConnectRequest {
  /** `default-pay-days` unless it is given; `free-session-days` where the price is 0. */
  readonly days?: number;
  /** Asked before a payment. Without it the payer alone decides. */
  readonly agree?: Agree;
  readonly signal?: AbortSignal;
}

/** The session is in use by this client. */
export class SessionInUseError extends Error {
  override readonly name = 'SessionInUseError';
}

/** The payment may be on its way, or a tunnel may stand. */
const isBegun = (state: SessionRecord['state']): boolean =>
  state.state === 'CONFIRMING' || isLive(state);

const systemNow = (): number => Math.floor(Date.now() / 1_000);
const NEVER = new AbortController().signal;

export class LetheanClient {
  readonly #options: LetheanClientOptions;
  readonly #settings: SessionSettings;
  readonly #store: SessionStore;
  readonly #cache: DescriptionCache;
  readonly #now: () => number;
  readonly #ledgerOptions: LedgerOptions;
  readonly #renewals: Renewals;
  readonly #connections = new Set<LetheanConnection>();
  /** Sessions between their payment and their tunnel. */
  readonly #busy = new Set<SessionKey>();
  readonly #closing = new AbortController();

  private constructor(options: LetheanClientOptions, store: SessionStore) {
    this.#options = options;
    this.#settings = { ...DEFAULT_SESSION_SETTINGS, ...options.settings };
    this.#store = store;
    this.#cache = new DescriptionCache(options.folders);
    this.#now = options.now ?? systemNow;
    const { log, onSession = () => {} } = options;
    this.#ledgerOptions = { store, log, now: this.#now, onChange: onSession };
    this.#renewals = new Renewals({
      clock: options.clock,
      now: this.#now,
      log,
      settings: this.#settings,
      renew: (connection, days) => this.#renew(connection, { days }),
    });
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

  /**
   * Step 1: asks the SDP server, keeps the descriptions it sends, and filters again. Rejects with a CallError, a
   * DescriptionError, or a SearchError for an error status.
   */
  async search(filter: OfferFilter = {}, signal: AbortSignal = NEVER): Promise<SearchResult> {
    const { sdpUrl = SDP_URL, sdpCa } = this.#options;
    const url = searchUrl(sdpUrl, filter);
    const answer = await httpsCall(url, {
      maxBytes: MAX_VDP,
      timeoutMs: CALL_TIMEOUT_MS,
      signal: this.#until(signal),
      ...(sdpCa === undefined ? {} : { ca: sdpCa }),
    });
    if (answer.status !== 200) throw new SearchError(url.host, answer.status);
    const { offers, vdp, refused } = parseSdpAnswer(answer.text, this.#now());
    const faults = vdp === undefined ? [] : await this.#cache.put(vdp, this.#now());
    const reasons = [
      ...refused.map(({ message }) => message),
      ...faults.map(({ path, reason }) => `${path}: ${reason}`),
    ];
    return { ...filtered(offers, filter), refused: reasons };
  }

  /** The offers of the kept descriptions. */
  async knownOffers(filter: OfferFilter = {}): Promise<SearchResult> {
    const vdp = await this.descriptions();
    const refused = vdp.faults.map(({ path, reason }) => `${path}: ${reason}`);
    return { ...filtered(offersOf(vdp), filter), refused };
  }

  /** The kept descriptions that are valid now. */
  descriptions(): Promise<CachedVdp> {
    return this.#cache.read(this.#now());
  }

  /** Forgets wallet and certificates of a provider, so that its next description counts. */
  forgetProvider(providerId: string): Promise<void> {
    return this.#cache.forget(providerId);
  }

  /** All sessions of the folder. */
  get sessions(): ReadonlyMap<SessionKey, SessionRecord> {
    return this.#store.all;
  }

  get connections(): ReadonlySet<LetheanConnection> {
    return this.#connections;
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
    const chosen = resolveLink(link, await this.descriptions());
    const kept = this.#resumable(chosen);
    if (kept !== undefined) return this.#continue(kept, chosen, signal);
    const manager = this.#managerOf(chosen);
    const fresh = await freshDescription(manager, chosen, signal);
    const ledger = await this.#acquire(manager, fresh, undefined, request, signal);
    return this.#exclusively(ledger.key, async () => {
      await this.#pay(ledger, manager, signal);
      return this.#start(ledger, fresh, manager, signal);
    });
  }

  /**
   * Continues what an earlier process began: payments on their way, and sessions whose tunnel stood. Returns the
   * connections; a session that could not be continued is told in the log, and keeps its state.
   */
  async resume(signal: AbortSignal = NEVER): Promise<readonly LetheanConnection[]> {
    const until = this.#until(signal);
    const vdp = await this.descriptions();
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
            const connection = await this.#continue(record, this.#describedOf(record, vdp), until);
            void this.#finishRenewal(connection);
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
    const connection = [...this.#connections].find((each) => each.key === key);
    if (connection === undefined)
      throw new SelectionError('only a session that is connected is renewed');
    await this.#renew(connection, request);
  }

  /** Ends a session's tunnel, and cleans up after it. A paid session can be connected again until its end. */
  async disconnect(key: SessionKey): Promise<void> {
    const connection = [...this.#connections].find((each) => each.key === key);
    if (connection !== undefined) return connection.disconnect();
    const record = this.#store.get(key);
    if (record === undefined) throw new SelectionError(`there is no session ${key}`);
    await SessionLedger.of(this.#ledgerOptions, record).apply({ kind: 'disconnect' });
  }

  /** Ends all tunnels and releases the folder. Sessions keep their states for `resume`. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#connections].map((connection) => connection.stop()));
    await this.#store.close();
  }

  async #acquire(
    manager: Manager,
    described: Described,
    parent: string | undefined,
    request: ConnectRequest,
    signal: AbortSignal,
  ): Promise<SessionLedger> {
    const { gate, space } = described;
    // Before anything is paid: throws when no transport serves the gate.
    transportFor(this.#options.transports, gate);
    const { defaultPayDays, freeSessionDays } = this.#settings;
    const isFree = gate.pricePerDay + space.pricePerDay === 0n;
    const days = request.days ?? (isFree ? freeSessionDays : defaultPayDays);
    const options = {
      manager,
      ledger: this.#ledgerOptions,
      settings: this.#settings,
      keys: this.#options.wireGuardKeys,
      adopt: (fresh: Described) => this.#cache.adopt(fresh.provider),
    };
    const { agree } = request;
    return acquire(
      options,
      described,
      { days, parent, ...(agree === undefined ? {} : { agree }) },
      signal,
    );
  }

  #pay(ledger: SessionLedger, manager: Manager, signal: AbortSignal): Promise<void> {
    const { payer, clock, log } = this.#options;
    return payAndConfirm({ ledger, payer, manager, settings: this.#settings, clock, log }, signal);
  }

  /** A kept session for the same gate and space that needs no new payment. Throws when it is in use. */
  #resumable({ gate, space }: Described): SessionRecord | undefined {
    const now = this.#now();
    for (const record of this.#store.all.values()) {
      const { state } = record;
      if (state.selected.gateId !== gate.gateId || state.selected.spaceId !== space.spaceId)
        continue;
      if (state.state === 'CONFIRMING') return record;
      if (isLive(state) && state.session.expires > now) return record;
      const isPaid =
        state.state === 'DISCONNECTED' && (state.granted || state.payment !== undefined);
      if (isPaid && (!state.granted || state.session.expires > now)) return record;
    }
    return undefined;
  }

  async #continue(
    record: SessionRecord,
    described: Described,
    signal: AbortSignal,
  ): Promise<LetheanConnection> {
    const ledger = SessionLedger.of(this.#ledgerOptions, record);
    const manager = this.#managerOf(described);
    return this.#exclusively(ledger.key, async () => {
      await ledger.apply({ kind: 'tick', now: this.#now() });
      if (ledger.state.state === 'DISCONNECTED')
        await ledger.apply({ kind: 'resume', now: this.#now() });
      await this.#pay(ledger, manager, signal);
      return this.#start(ledger, described, manager, signal);
    });
  }

  async #start(
    ledger: SessionLedger,
    described: Described,
    manager: Manager,
    signal: AbortSignal,
  ): Promise<LetheanConnection> {
    const { transports, clock, log } = this.#options;
    const connection = new LetheanConnection(
      {
        described,
        clock,
        log,
        makeRun: (of, onTunnel) =>
          new TunnelRun({
            ledger: of,
            manager,
            transports,
            described,
            settings: this.#settings,
            clock,
            now: this.#now,
            log,
            onTunnel,
          }),
      },
      ledger,
    );
    this.#connections.add(connection);
    const endRenewals = this.#renewals.watch(connection);
    void this.#forgetAtEnd(connection, endRenewals);
    const giveUp = (): void => void connection.stop();
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await connection.ready();
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
    return connection;
  }

  async #forgetAtEnd(connection: LetheanConnection, endRenewals: () => void): Promise<void> {
    await connection.ended;
    endRenewals();
    this.#connections.delete(connection);
  }

  async #renew(connection: LetheanConnection, request: ConnectRequest): Promise<void> {
    const signal = this.#until(request.signal ?? NEVER);
    const manager = this.#managerOf(connection.described);
    const { sessionId } = connection.state.session;
    const begun = [...this.#store.all.values()].find(
      ({ state }) => state.selected.parent === sessionId && isBegun(state),
    );
    let child: SessionLedger;
    if (begun === undefined) {
      const fresh = await freshDescription(manager, connection.described, signal);
      child = await this.#acquire(manager, fresh, sessionId, request, signal);
    } else {
      child = SessionLedger.of(this.#ledgerOptions, begun);
    }
    await this.#exclusively(child.key, async () => {
      await this.#pay(child, manager, signal);
      await connection.replaceBy(child);
    });
  }

  /** Continues the renewal of a session that an earlier process began. */
  async #finishRenewal(connection: LetheanConnection): Promise<void> {
    const { sessionId } = connection.state.session;
    const isOpen = [...this.#store.all.values()].some(
      ({ state }) => state.selected.parent === sessionId && isBegun(state),
    );
    if (!isOpen) return;
    try {
      await this.#renew(connection, {});
    } catch (error) {
      this.#options.log.warn('a renewal was not continued', { error: errorText(error) });
    }
  }

  /** No two uses of one session at once (section 10.3). */
  async #exclusively<T>(key: SessionKey, use: () => Promise<T>): Promise<T> {
    const isConnected = [...this.#connections].some((connection) => connection.key === key);
    if (isConnected || this.#busy.has(key)) {
      throw new SessionInUseError('this session is in use; disconnect it first');
    }
    this.#busy.add(key);
    try {
      return await use();
    } finally {
      this.#busy.delete(key);
    }
  }

  #describedOf({ state }: SessionRecord, vdp: CachedVdp): Described {
    const { providerId, gateId, spaceId } = state.selected;
    const found = describedIn(vdp, {
      provider: { providerId },
      gate: { gateId },
      space: { spaceId },
    });
    if (found !== undefined) return found;
    const link = formatLink({ kind: 'gate', gateId, spaceId });
    throw new SelectionError(`${link}: its description is no longer kept; search again`);
  }

  #managerOf({ provider, gate }: Described): Manager {
    const { managerOf = (of) => new HttpsManager(of) } = this.#options;
    const ca = gate.ca.length > 0 ? gate.ca : provider.ca;
    return managerOf(
      gate.managerUrl === undefined ? provider : { managerUrl: gate.managerUrl, ca },
    );
  }

  /** Sessions whose time is over, and descriptions that are no longer valid. */
  async #sweep(): Promise<void> {
    const now = this.#now();
    for (const record of this.#store.all.values()) {
      // oxlint-disable-next-line no-await-in-loop -- one small file after the other
      await SessionLedger.of(this.#ledgerOptions, record).apply({ kind: 'tick', now });
    }
    await this.#cache.prune(now);
  }

  #until(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }
}

/** The SDP server answers with an error status. */
export class SearchError extends Error {
  override readonly name = 'SearchError';
  constructor(
    host: string,
    readonly status: number,
  ) {
    super(
      `the SDP server ${host} answered with status ${status}; try again later, or use the kept descriptions`,
    );
  }
}
