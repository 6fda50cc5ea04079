/**
 * Steps 5, 7 and 8 of section 4.1 for one granted session: the tunnel is opened, watched, opened again after
 * `auto-reconnect` seconds, and closed at the end of the session's time or data.
 */
import type { Clock } from '../../kit/clock.js';
import { errorText } from '../../kit/error-text.js';
import { pause } from '../../kit/pause.js';
import type { Log } from '../../channel/log.js';
import type { Manager, Transport, Tunnel, TunnelEnd, TunnelTarget } from '../ports.js';
import { isRefusal } from '../transport/transport-error.js';
import { transportFor } from '../transport/transports.js';
import type { SessionLedger } from './ledger.js';
import type { SessionSettings } from './settings.js';
import { isLive, SessionStateError } from './state.js';

export interface TunnelRunOptions {
  readonly ledger: SessionLedger;
  readonly manager: Manager;
  readonly transports: readonly Transport[];
  /** The target without its session, which the ledger has. */
  readonly described: Omit<TunnelTarget, 'session'>;
  readonly settings: SessionSettings;
  readonly clock: Clock;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
  /** The tunnel that stands, or none. */
  readonly onTunnel: (tunnel: Tunnel | undefined) => void;
}

/** Longest wait of one timer, milliseconds: timers of the platform hold 31 bits. */
const MAX_WAIT_MS = 86_400_000;

export class TunnelRun {
  readonly #options: TunnelRunOptions;
  readonly #stop = new AbortController();
  #tunnel: Tunnel | undefined;

  constructor(options: TunnelRunOptions) {
    this.#options = options;
  }

  /** Runs until the session is no longer live, or `stop`. The tunnel is closed then. Never rejects. */
  async run(): Promise<void> {
    const { ledger, log } = this.#options;
    const { signal } = this.#stop;
    const cancel = this.#watchTime();
    try {
      // A record of a process that ended: nothing stands.
      if (ledger.state.state === 'ACTIVE') await ledger.apply({ kind: 'lose' });
      while (!signal.aborted && isLive(ledger.state)) {
        // oxlint-disable-next-line no-await-in-loop -- one tunnel after the other
        const goesOn = await this.#once(signal);
        if (!goesOn) break;
        // oxlint-disable-next-line no-await-in-loop
        await pause(this.#options.clock, this.#options.settings.autoReconnect * 1_000, signal);
      }
    } catch (error) {
      log.error('a Lethean session stopped', { error: errorText(error) });
    } finally {
      cancel();
      await this.#close();
    }
  }

  /** Ends the tunnel; `run` resolves. */
  stop(): void {
    this.#stop.abort();
  }

  /** One tunnel from its opening to its end. Whether another attempt may help. */
  async #once(signal: AbortSignal): Promise<boolean> {
    const { ledger, settings, onTunnel } = this.#options;
    const tunnel = await this.#open(signal);
    if (tunnel === undefined) return isLive(ledger.state) && settings.autoReconnect > 0;
    this.#tunnel = tunnel;
    const counter = this.#count(tunnel);
    try {
      await ledger.apply({ kind: 'connect' });
      onTunnel(tunnel);
      const end = await this.#endOf(tunnel, signal);
      onTunnel(undefined);
      await counter.stop();
      return await this.#ended(end, signal);
    } finally {
      onTunnel(undefined);
      await counter.stop();
      await this.#close();
    }
  }

  async #open(signal: AbortSignal): Promise<Tunnel | undefined> {
    const { ledger, transports, described, log } = this.#options;
    try {
      const transport = transportFor(transports, described.gate);
      return await transport.open({ ...described, session: ledger.state.session }, signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      log.warn('the tunnel could not be opened', { error: errorText(error) });
      if (isRefusal(error)) await this.#refused(errorText(error), signal);
      else await this.#giveUp(errorText(error));
      return undefined;
    }
  }

  async #ended(end: TunnelEnd, signal: AbortSignal): Promise<boolean> {
    const { ledger, log, settings } = this.#options;
    if (signal.aborted || !isLive(ledger.state)) return false;
    const reason = end.kind === 'closed' ? 'the exit closed it' : end.reason;
    log.warn('the tunnel ended', { reason });
    await ledger.apply({ kind: 'lose' });
    if (end.kind === 'refused') await this.#refused(reason, signal);
    else await this.#giveUp(reason);
    return isLive(ledger.state) && settings.autoReconnect > 0;
  }

  /** The exit refuses the session: the manager says whether it is over. If it is not, the exit has the last word. */
  async #refused(reason: string, signal: AbortSignal): Promise<void> {
    const { ledger, manager, now } = this.#options;
    try {
      const session = await manager.session(ledger.state.session.sessionId, signal);
      await ledger.apply({ kind: 'update', session });
      await ledger.apply({ kind: 'tick', now: now() });
    } catch (error) {
      if (error instanceof SessionStateError) throw error;
      // The exit's word is enough.
    }
    if (isLive(ledger.state)) await ledger.apply({ kind: 'refuse', reason });
  }

  /** Without `auto-reconnect` a session stops at its first failure, and can be resumed. */
  async #giveUp(reason: string): Promise<void> {
    const { ledger, settings } = this.#options;
    if (settings.autoReconnect === 0 && isLive(ledger.state)) {
      await ledger.apply({ kind: 'refuse', reason });
    }
  }

  #endOf(tunnel: Tunnel, signal: AbortSignal): Promise<TunnelEnd> {
    return new Promise((resolve, reject) => {
      const stopped = (): void => resolve({ kind: 'closed' });
      if (signal.aborted) stopped();
      signal.addEventListener('abort', stopped, { once: true });
      tunnel.ended
        .then(resolve, reject)
        .finally(() => signal.removeEventListener('abort', stopped));
    });
  }

  /** Records the bytes of a tunnel now and then, and at its end. */
  #count(tunnel: Tunnel): { stop(): Promise<void> } {
    const { ledger, settings, clock, log } = this.#options;
    let before = { sent: 0, received: 0 };
    let cancel: (() => void) | undefined;
    const record = async (): Promise<void> => {
      const { sent, received } = tunnel.bytes();
      const usage = { sent: sent - before.sent, received: received - before.received };
      before = { sent, received };
      if (usage.sent === 0 && usage.received === 0) return;
      await ledger.apply({ kind: 'use', usage, limit: settings.maxBytes });
      if (!isLive(ledger.state)) this.stop();
    };
    const later = (): void => {
      cancel = clock.after(settings.countEvery * 1_000, () => {
        record().then(later, (error: unknown) => {
          log.error('the bytes of a session could not be recorded', { error: errorText(error) });
          this.stop();
        });
      });
    };
    later();
    return {
      stop: async () => {
        cancel?.();
        await record();
      },
    };
  }

  /** Ends the session at its time. */
  #watchTime(): () => void {
    const { ledger, clock, now } = this.#options;
    let cancel: (() => void) | undefined;
    const look = (): void => {
      const left = (ledger.state.session.expires - now()) * 1_000;
      if (left > 0) {
        cancel = clock.after(Math.min(left, MAX_WAIT_MS), look);
        return;
      }
      ledger.apply({ kind: 'tick', now: now() }).then(
        () => this.stop(),
        () => this.stop(),
      );
    };
    look();
    return () => cancel?.();
  }

  async #close(): Promise<void> {
    const tunnel = this.#tunnel;
    this.#tunnel = undefined;
    if (tunnel === undefined) return;
    try {
      await tunnel.close();
    } catch (error) {
      this.#options.log.error('a tunnel could not be closed', { error: errorText(error) });
    }
  }
}
