/**
 * Sessions from their acquisition to their end: pays for them, starts their tunnels, renews them, and lets no two uses
 * of one gate and space happen at once (section 10.3).
 */
import type { Clock } from '../../kit/clock.js';
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import { HttpsManager } from '../market/manager.js';
import type { Provider } from '../model.js';
import type { Manager, Payer, Transport, Tunnel, WireGuardKeys } from '../ports.js';
import { TransportError } from '../transport/transport-error.js';
import { transportFor } from '../transport/transports.js';
import { acquire, freshDescription, type Agree } from './acquisition.js';
import { LetheanConnection } from './connection.js';
import { SessionInUseError } from './errors.js';
import { keptDescription } from './kept-description.js';
import { SessionLedger, type LedgerOptions } from './ledger.js';
import { payAndConfirm } from './payment-steps.js';
import type { SessionRecord } from './record-file.js';
import { Renewals } from './renewals.js';
import type { SessionSettings } from './settings.js';
import { isLive } from './state.js';
import type { Described } from './terms.js';
import { TunnelRun } from './tunnel-run.js';

/** What the parts of a client share. */
export interface KeeperOptions {
  readonly payer: Payer;
  readonly transports: readonly Transport[];
  readonly wireGuardKeys?: WireGuardKeys;
  readonly managerOf?: (provider: Pick<Provider, 'managerUrl' | 'ca'>) => Manager;
  /** Of one call of a manager, milliseconds. */
  readonly callTimeoutMs?: number;
  readonly settings: SessionSettings;
  readonly ledger: LedgerOptions;
  readonly clock: Clock;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
  /** Keeps the identity of a provider before it is paid. */
  readonly adopt: (described: Described) => Promise<void>;
  /** The kept identity of a provider; undefined for a provider that was not paid, or was forgotten. */
  readonly pinned: (providerId: string) => Promise<Provider | undefined>;
}

export interface BuyRequest {
  /** `default-pay-days` unless it is given; `free-session-days` where the price is 0. */
  readonly days?: number;
  /** Asked before a payment. Without it the payer alone decides. */
  readonly agree?: Agree;
}

/** The payment may be on its way, or a tunnel may stand. */
export const isBegun = (state: SessionRecord['state']): boolean =>
  state.state === 'CONFIRMING' || isLive(state);

export class SessionKeeper {
  readonly #options: KeeperOptions;
  readonly #renewals: Renewals;
  readonly #connections = new Set<LetheanConnection>();
  /** Pairs of gate and space in use, and renewals of them. */
  readonly #inUse = new Set<string>();

  /** @param signal ends every renewal */
  constructor(options: KeeperOptions, signal: AbortSignal) {
    this.#options = options;
    const { clock, now, log, settings } = options;
    this.#renewals = new Renewals({
      clock,
      now,
      log,
      settings,
      renew: (connection, days) => this.renew(connection, { days }, signal),
    });
  }

  get connections(): ReadonlySet<LetheanConnection> {
    return this.#connections;
  }

  /** Steps 2 to 7 for a new session. */
  async buy(
    chosen: Described,
    request: BuyRequest,
    signal: AbortSignal,
  ): Promise<LetheanConnection> {
    return this.#exclusively(pairOf(chosen), async () => {
      const fresh = await this.#fresh(chosen, signal);
      const manager = this.#managerOf(fresh);
      const ledger = await this.#acquire(manager, fresh, undefined, request, signal);
      await this.#pay(ledger, manager, signal);
      return this.#start(ledger, fresh, signal);
    });
  }

  /**
   * Goes on with a session where it stopped, at the gate of its record: a later description, which may be from
   * anybody, has no effect. Rejects with a KeptDescriptionError for a record of version 1 without a trusted description.
   */
  async continue(record: SessionRecord, signal: AbortSignal): Promise<LetheanConnection> {
    return this.#exclusively(pairOfRecord(record), async () => {
      const { now, pinned } = this.#options;
      const described = await keptDescription(
        record,
        { pinned, managerOf: (provider) => this.#managerAt(provider) },
        signal,
      );
      const ledger = SessionLedger.of(this.#options.ledger, { ...record, described });
      const manager = this.#managerOf(described);
      await ledger.apply({ kind: 'tick', now: now() });
      if (ledger.state.state === 'DISCONNECTED') await ledger.apply({ kind: 'resume', now: now() });
      await this.#pay(ledger, manager, signal);
      await this.#rekey(ledger, described, manager, signal);
      return this.#start(ledger, described, signal);
    });
  }

  /** Buys more days. A renewal that was begun before is continued, and not bought again. */
  async renew(
    connection: LetheanConnection,
    request: BuyRequest,
    signal: AbortSignal,
  ): Promise<void> {
    const { described } = connection;
    await this.#exclusively(`renewal of ${pairOf(described)}`, async () => {
      const begun = this.#renewalOf(connection);
      const next = begun === undefined ? await this.#fresh(described, signal) : begun.described;
      const of = next ?? described;
      const manager = this.#managerOf(of);
      const { sessionId } = connection.state.session;
      const child =
        begun === undefined
          ? await this.#acquire(manager, of, sessionId, request, signal)
          : SessionLedger.of(this.#options.ledger, { ...begun, described: of });
      await this.#pay(child, manager, signal);
      await connection.replaceBy(child);
    });
  }

  /** Continues the renewal of a session that an earlier process began, if there is one. Never rejects. */
  async finishRenewal(connection: LetheanConnection, signal: AbortSignal): Promise<void> {
    if (this.#renewalOf(connection) === undefined) return;
    try {
      await this.renew(connection, {}, signal);
    } catch (error) {
      this.#options.log.warn('a renewal was not continued', { error: errorText(error) });
    }
  }

  /** Marks a session that has no connection as disconnected. */
  async disconnect(record: SessionRecord): Promise<void> {
    await this.#exclusively(pairOfRecord(record), () =>
      SessionLedger.of(this.#options.ledger, record).apply({ kind: 'disconnect' }),
    );
  }

  #renewalOf(connection: LetheanConnection): SessionRecord | undefined {
    const { sessionId } = connection.state.session;
    return [...this.#options.ledger.store.all.values()].find(
      ({ state }) => state.selected.parent === sessionId && isBegun(state),
    );
  }

  async #acquire(
    manager: Manager,
    described: Described,
    parent: string | undefined,
    request: BuyRequest,
    signal: AbortSignal,
  ): Promise<SessionLedger> {
    const { gate, space } = described;
    // Before anything is paid: throws when no transport serves the gate.
    transportFor(this.#options.transports, gate);
    const { defaultPayDays, freeSessionDays } = this.#options.settings;
    const isFree = gate.pricePerDay + space.pricePerDay === 0n;
    const days = request.days ?? (isFree ? freeSessionDays : defaultPayDays);
    const options = {
      manager,
      ledger: this.#options.ledger,
      settings: this.#options.settings,
      keys: this.#options.wireGuardKeys,
      adopt: this.#options.adopt,
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
    const { payer, clock, log, settings } = this.#options;
    return payAndConfirm({ ledger, payer, manager, settings, clock, log }, signal);
  }

  /** Another WireGuard key than the session has, such as a new `wg-map-privkey`, is told to the manager. */
  async #rekey(
    ledger: SessionLedger,
    { gate }: Described,
    manager: Manager,
    signal: AbortSignal,
  ): Promise<void> {
    const keys = this.#options.wireGuardKeys;
    const { wg, sessionId } = ledger.state.session;
    if (!('wg' in gate) || keys === undefined || wg === undefined) return;
    const key = await keys.publicKey(gate.gateId);
    if (wg.clientPublicKey === key) return;
    const session = await manager.rekey(sessionId, key, signal);
    if (session.wg?.clientPublicKey !== key) {
      throw new TransportError(
        'unsupported',
        'the provider does not take another WireGuard key for this session: set wg-map-privkey back to the one before',
      );
    }
    await ledger.apply({ kind: 'update', session });
  }

  async #start(
    ledger: SessionLedger,
    described: Described,
    signal: AbortSignal,
  ): Promise<LetheanConnection> {
    const { transports, clock, log, settings, now } = this.#options;
    const connection = new LetheanConnection(
      {
        described,
        clock,
        log,
        makeRun: (of, onTunnel: (tunnel: Tunnel | undefined) => void) =>
          new TunnelRun({
            ledger: of,
            manager: this.#managerOf(of.described ?? described),
            transports,
            described: of.described ?? described,
            settings,
            clock,
            now,
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

  async #exclusively<T>(name: string, use: () => Promise<T>): Promise<T> {
    const isConnected = [...this.#connections].some(({ described }) => pairOf(described) === name);
    if (isConnected || this.#inUse.has(name)) {
      throw new SessionInUseError('this gate is in use; disconnect its session first');
    }
    this.#inUse.add(name);
    try {
      return await use();
    } finally {
      this.#inUse.delete(name);
    }
  }

  /**
   * The provider itself is asked, under its own authority, also for a gate with a manager of its own: the kept
   * description of the gate, with that manager and its authority, may be from anybody.
   */
  #fresh(chosen: Described, signal: AbortSignal): Promise<Described> {
    return freshDescription(this.#managerAt(chosen.provider), chosen, signal);
  }

  #managerOf({ provider, gate }: Described): Manager {
    const ca = gate.ca.length > 0 ? gate.ca : provider.ca;
    return this.#managerAt(
      gate.managerUrl === undefined ? provider : { managerUrl: gate.managerUrl, ca },
    );
  }

  #managerAt(at: Pick<Provider, 'managerUrl' | 'ca'>): Manager {
    const { callTimeoutMs: timeoutMs, managerOf } = this.#options;
    if (managerOf !== undefined) return managerOf(at);
    return new HttpsManager(at, timeoutMs === undefined ? {} : { timeoutMs });
  }
}

const pairOf = ({
  gate,
  space,
}: {
  readonly gate: { readonly gateId: string };
  readonly space: { readonly spaceId: string };
}): string => `${gate.gateId}/${space.spaceId}`;

const pairOfRecord = ({ state }: SessionRecord): string =>
  pairOf({ gate: { gateId: state.selected.gateId }, space: { spaceId: state.selected.spaceId } });
