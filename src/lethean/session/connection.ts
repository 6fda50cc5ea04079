/** What a user holds of a session that stands: its tunnel, also through reconnects and renewals, and its end. */
import type { Clock } from '../../kit/clock.js';
import { deferred, type Deferred } from '../../kit/deferred.js';
import type { Log } from '../../channel/log.js';
import type { Tunnel } from '../ports.js';
import { SessionOverError } from './errors.js';
import type { SessionLedger } from './ledger.js';
import type { StoredState } from './record-file.js';
import { isLive } from './state.js';
import type { SessionKey } from './store.js';
import type { TunnelRun } from './tunnel-run.js';
import type { Described } from './terms.js';

export interface ConnectionOptions {
  /** Of the session with which the connection begins. A renewal may have another one. */
  readonly described: Described;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes the run of a session; `onTunnel` hears of its tunnels. */
  readonly makeRun: (
    ledger: SessionLedger,
    onTunnel: (tunnel: Tunnel | undefined) => void,
  ) => TunnelRun;
}

export class LetheanConnection {
  readonly #options: ConnectionOptions;
  #ledger: SessionLedger;
  #run: TunnelRun;
  #tunnel: Tunnel | undefined;
  #firstTunnel: Deferred<void> = deferred();
  readonly #ended = deferred<StoredState>();
  /** The run that stands; another one after a renewal. */
  #running: Promise<void>;

  constructor(options: ConnectionOptions, ledger: SessionLedger) {
    this.#options = options;
    this.#ledger = ledger;
    this.#run = this.#newRun(ledger);
    this.#running = this.#start(this.#run, ledger);
    this.#firstTunnel.promise.catch(() => {});
  }

  get key(): SessionKey {
    return this.#ledger.key;
  }

  get state(): StoredState {
    return this.#ledger.state;
  }

  get ledger(): SessionLedger {
    return this.#ledger;
  }

  get described(): Described {
    return this.#ledger.described ?? this.#options.described;
  }

  /** The tunnel that stands now; undefined between two attempts and after the end. */
  get tunnel(): Tunnel | undefined {
    return this.#tunnel;
  }

  /** Resolves with the last state when no tunnel comes any more. Never rejects. */
  get ended(): Promise<StoredState> {
    return this.#ended.promise;
  }

  /** Resolves when a tunnel stands. Rejects with a SessionOverError when the session ends before. */
  ready(): Promise<void> {
    return this.#tunnel === undefined ? this.#firstTunnel.promise : Promise.resolve();
  }

  /**
   * Goes on with a granted renewal. A tunnel of a whole network is closed before the next one is opened, because both
   * would have the same interface; other tunnels overlap, so that new connections find one at each moment.
   */
  async replaceBy(child: SessionLedger): Promise<void> {
    const before = { run: this.#run, ledger: this.#ledger, running: this.#running };
    const overlaps = this.#tunnel !== undefined && !this.#tunnel.kind.startsWith('wg');
    if (!overlaps) {
      before.run.stop();
      await before.running;
    }
    this.#ledger = child;
    this.#run = this.#newRun(child);
    this.#firstTunnel = deferred();
    this.#firstTunnel.promise.catch(() => {});
    const opened = this.#firstTunnel.promise;
    this.#running = this.#start(this.#run, child);
    if (overlaps) {
      await opened.catch(() => {});
      before.run.stop();
      await before.running;
    }
    if (before.ledger.state.state !== 'EXPIRED') await before.ledger.apply({ kind: 'replace' });
  }

  /** Ends the tunnel and all that belongs to it. The session is DISCONNECTED, and can be resumed. */
  async disconnect(): Promise<void> {
    await this.#ledger.apply({ kind: 'disconnect' });
    await this.stop();
  }

  /** Ends the tunnel, as at the end of the program: the session keeps its state, and goes on with the next start. */
  async stop(): Promise<void> {
    this.#run.stop();
    await this.#running;
  }

  #newRun(ledger: SessionLedger): TunnelRun {
    return this.#options.makeRun(ledger, (tunnel) => {
      // A run that was replaced says nothing any more.
      if (ledger !== this.#ledger) return;
      this.#tunnel = tunnel;
      if (tunnel !== undefined) this.#firstTunnel.resolve();
    });
  }

  async #start(run: TunnelRun, ledger: SessionLedger): Promise<void> {
    await run.run();
    if (ledger !== this.#ledger) return;
    this.#tunnel = undefined;
    const { state } = ledger;
    this.#firstTunnel.reject(new SessionOverError(overText(state)));
    if (!isLive(state)) this.#options.log.debug('a Lethean connection ended');
    this.#ended.resolve(state);
  }
}

function overText(state: StoredState): string {
  if (state.state === 'EXPIRED') return `the session is over (${state.cause})`;
  if (state.state === 'DISCONNECTED') {
    return state.reason === ''
      ? 'the session was disconnected'
      : `the session stopped: ${state.reason}`;
  }
  return 'the connection was given up';
}
