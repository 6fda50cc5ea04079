/**
 * What a Tor says about itself, for a status page: version, bootstrap, circuits, liveness of the network
 * (docs/protocol.md, section 12.2). It uses a control connection of its own, so that a filter that closes
 * the connection at an unknown request cannot end the onion service. Bounded: one connection, at most four
 * short requests per interval.
 */
import type { Log } from '../../channel/log.js';
import type { Clock, DaemonState } from '../../channel/ports.js';
import { errorText } from '../../kit/error-text.js';
import { shownLine } from '../../kit/shown-text.js';
import { isRefusal } from '../tor-error.js';
import type { ControlClient } from './client.js';
import { infoValue, parseBootstrap } from './values.js';

/** Interval between two looks, milliseconds. */
export const TOR_STATE_INTERVAL_MS = 30_000;
/** Longest wait for an answer, milliseconds. */
const ANSWER_MS = 10_000;
/** A filter that ends the connection at a request is not asked this request again. */
const MAX_CUTS = 2;
const MAX_TEXT = 100;

/** The values of one answer. */
type Told = Pick<
  DaemonState,
  'version' | 'bootstrapPercent' | 'bootstrapStep' | 'circuits' | 'networkLive'
>;

/** `status/circuit-established`: `0` or `1`. */
function circuitsIn(value: string): Told {
  return value === '0' || value === '1' ? { circuits: value === '1' } : {};
}

/** `network-liveness`: `up` or `down`. */
function livenessIn(value: string): Told {
  return value === 'up' || value === 'down' ? { networkLive: value === 'up' } : {};
}

function bootstrapIn(value: string): Told {
  const phase = parseBootstrap(value);
  if (!phase.ok) return {};
  const { progress, summary, warning } = phase.value;
  return { bootstrapPercent: progress, bootstrapStep: shownLine(warning ?? summary, MAX_TEXT) };
}

/** What GETINFO is asked for, and how each value is read. */
const QUESTIONS: readonly (readonly [string, (value: string) => Told])[] = [
  ['version', (value) => ({ version: shownLine(value, MAX_TEXT) })],
  ['status/bootstrap-phase', bootstrapIn],
  ['status/circuit-established', circuitsIn],
  ['network-liveness', livenessIn],
];

/** What `TorState` needs. */
export interface TorStateOptions {
  /** Opens an authenticated control connection; must respect the signal. */
  readonly connect: (signal: AbortSignal) => Promise<ControlClient>;
  /** The time of the interval. */
  readonly clock: Clock;
  /** Receives debug lines. */
  readonly log: Log;
}

/** Asks a Tor at intervals, from the first call of `read` until `stop`. */
export class TorState {
  readonly #options: TorStateOptions;
  readonly #stop = new AbortController();
  /** By question: how often in a row the connection ended at it. */
  readonly #cuts = new Map<string, number>();
  /** Questions that Tor or a filter refuses. */
  readonly #refused = new Set<string>();
  #state: DaemonState = { name: 'Tor', connected: false, detail: 'not asked yet' };
  #client: ControlClient | undefined;
  #isStarted = false;
  #cancelNext: (() => void) | undefined;

  constructor(options: TorStateOptions) {
    this.#options = options;
  }

  /** The last answers. The first call starts to ask. */
  read(): DaemonState {
    if (!this.#isStarted && !this.#stop.signal.aborted) {
      this.#isStarted = true;
      void this.#look();
    }
    return this.#state;
  }

  /** Closes the connection and asks no more. */
  stop(): void {
    this.#stop.abort();
    this.#cancelNext?.();
    this.#client?.close();
  }

  async #look(): Promise<void> {
    const { clock, log } = this.#options;
    try {
      const client = await this.#connected();
      const told = await this.#ask(client);
      // The connection may have ended since the last answer.
      if (!client.closed) this.#answered(told);
    } catch (error) {
      const reason = errorText(error);
      if (!this.#stop.signal.aborted) log.debug('Tor does not report its state', { reason });
      this.#client?.close();
      this.#lost(reason);
    }
    if (this.#stop.signal.aborted) return;
    this.#cancelNext = clock.after(TOR_STATE_INTERVAL_MS, () => void this.#look());
  }

  async #connected(): Promise<ControlClient> {
    if (this.#client !== undefined) return this.#client;
    const { signal } = this.#stop;
    const client = await this.#options.connect(signal);
    if (signal.aborted) client.close();
    signal.throwIfAborted();
    this.#client = client;
    void this.#awaitLoss(client);
    return client;
  }

  async #awaitLoss(client: ControlClient): Promise<void> {
    const cause = await client.lost;
    if (this.#client === client) this.#lost(cause?.message ?? 'the control connection was closed');
  }

  async #ask(client: ControlClient): Promise<Told> {
    let told: Told = {};
    for (const [key, read] of QUESTIONS) {
      if (this.#refused.has(key)) continue;
      // One after the other: a cut connection then shows which request it was.
      // oxlint-disable-next-line no-await-in-loop
      told = { ...told, ...(await this.#askFor(client, key, read)) };
    }
    return told;
  }

  async #askFor(client: ControlClient, key: string, read: (value: string) => Told): Promise<Told> {
    const { signal } = this.#stop;
    try {
      const reply = await client.command(`GETINFO ${key}`, { timeoutMs: ANSWER_MS, signal });
      this.#cuts.delete(key);
      return read(infoValue(reply, key) ?? '');
    } catch (error) {
      if (isRefusal(error)) {
        this.#refused.add(key);
        return {};
      }
      if (client.closed) {
        const cuts = (this.#cuts.get(key) ?? 0) + 1;
        this.#cuts.set(key, cuts);
        if (cuts >= MAX_CUTS) this.#refused.add(key);
      }
      throw error;
    }
  }

  #answered(told: Told): void {
    const answeredAt = this.#options.clock.now();
    this.#state = { name: 'Tor', connected: true, ...told, answeredAt };
  }

  /** Keeps what stays true without a connection: the version, and when Tor answered last. */
  #lost(detail: string): void {
    const { version, answeredAt } = this.#state;
    this.#client = undefined;
    this.#state = {
      name: 'Tor',
      connected: false,
      detail: shownLine(detail),
      ...(version === undefined ? {} : { version }),
      ...(answeredAt === undefined ? {} : { answeredAt }),
    };
  }
}
