/**
 * What a Tor says about itself, for a status page: version, bootstrap, circuits, liveness of the network
 * (docs/protocol.md, section 12.2). It uses a control connection of its own, so that a filter that closes
 * the connection at an unknown request cannot end the onion service. Bounded: one connection, at most four
 * short requests per interval.
 */
import type { Log } from '../../channel/log.js';
import type { Clock, DaemonState } from '../../channel/ports.js';
import { DaemonWatch, type DaemonAnswers } from '../../kit/daemon-watch.js';
import { shownLine } from '../../kit/shown-text.js';
import { isRefusal } from '../tor-error.js';
import type { ControlClient } from './client.js';
import { infoValue, parseBootstrap } from './values.js';

/** Longest wait for an answer, milliseconds. */
const ANSWER_MS = 10_000;
/** A filter that ends the connection at a request is not asked this request again. */
const MAX_CUTS = 2;
const MAX_TEXT = 100;

/** `status/circuit-established`: `0` or `1`. */
function circuitsIn(value: string): DaemonAnswers {
  return value === '0' || value === '1' ? { circuits: value === '1' } : {};
}

/** `network-liveness`: `up` or `down`. */
function livenessIn(value: string): DaemonAnswers {
  return value === 'up' || value === 'down' ? { networkLive: value === 'up' } : {};
}

function bootstrapIn(value: string): DaemonAnswers {
  const phase = parseBootstrap(value);
  if (!phase.ok) return {};
  const { progress, summary, warning } = phase.value;
  return { bootstrapPercent: progress, bootstrapStep: shownLine(warning ?? summary, MAX_TEXT) };
}

/** What GETINFO is asked for, and how each value is read. */
const QUESTIONS: readonly (readonly [string, (value: string) => DaemonAnswers])[] = [
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
  readonly #watch: DaemonWatch;
  /** By question: how often in a row the connection ended at it. */
  readonly #cuts = new Map<string, number>();
  /** Questions that Tor or a filter refuses. */
  readonly #refused = new Set<string>();
  #client: ControlClient | undefined;

  constructor(options: TorStateOptions) {
    const { clock, log } = options;
    this.#options = options;
    this.#watch = new DaemonWatch({
      name: 'Tor',
      clock,
      ask: (signal) => this.#askAll(signal),
      onFailed: (reason) => {
        log.debug('Tor does not report its state', { reason });
        this.#client?.close();
        this.#client = undefined;
      },
    });
  }

  /** The last answers. The first call starts to ask. */
  read(): DaemonState {
    return this.#watch.read();
  }

  /** Closes the connection and asks no more. */
  stop(): void {
    this.#watch.stop();
    this.#client?.close();
  }

  async #connected(signal: AbortSignal): Promise<ControlClient> {
    if (this.#client !== undefined) return this.#client;
    const client = await this.#options.connect(signal);
    if (signal.aborted) client.close();
    signal.throwIfAborted();
    this.#client = client;
    void this.#awaitLoss(client);
    return client;
  }

  async #awaitLoss(client: ControlClient): Promise<void> {
    const cause = await client.lost;
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#watch.lost(cause?.message ?? 'the control connection was closed');
  }

  async #askAll(signal: AbortSignal): Promise<DaemonAnswers | undefined> {
    const client = await this.#connected(signal);
    let answers: DaemonAnswers = {};
    for (const [key, read] of QUESTIONS) {
      if (this.#refused.has(key)) continue;
      // One after the other: a cut connection then shows which request it was.
      // oxlint-disable-next-line no-await-in-loop
      answers = { ...answers, ...(await this.#askFor(client, key, read, signal)) };
    }
    // The connection may have ended since the last answer.
    return client.closed ? undefined : answers;
  }

  async #askFor(
    client: ControlClient,
    key: string,
    read: (value: string) => DaemonAnswers,
    signal: AbortSignal,
  ): Promise<DaemonAnswers> {
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
}
