/** One timer for every timeout of every connection. Runs only while there are connections. */
import type { Clock } from '../../channel/ports.js';
import type { DirectoryLimits } from '../limits.js';

/** Longest delay of a timeout while something may time out; two such delays stay below a second. */
const MAX_PERIOD_MS = 250;
/** Longest delay otherwise: what begins to wait then times out after seconds. */
const MAX_CALM_PERIOD_MS = 1_000;
const MIN_PERIOD_MS = 10;

export interface SweepTimer {
  /** To be called for each new connection: something may wait now. */
  start(): void;
  stop(): void;
  /** After a change of the limits. */
  retime(limits: DirectoryLimits): void;
}

export interface SweepTimerOptions {
  readonly clock: Clock;
  readonly limits: DirectoryLimits;
  /** Whether nothing waits that can time out. */
  readonly isCalm: () => boolean;
  readonly sweep: (now: number) => void;
}

/** A quarter of the shortest timeout, in milliseconds, for limits that are shorter than the longest delay. */
function quarterOf(limits: DirectoryLimits): number {
  const { handshakeTimeoutMs, heartbeatIntervalMs, heartbeatPongWaitMs, writeStallTimeoutMs } =
    limits;
  const all = [handshakeTimeoutMs, heartbeatIntervalMs, heartbeatPongWaitMs, writeStallTimeoutMs];
  return Math.max(MIN_PERIOD_MS, Math.min(...all.filter((ms) => ms > 0)) / 4);
}

class RunningSweepTimer implements SweepTimer {
  readonly #options: SweepTimerOptions;
  #quarterMs: number;
  #cancel: (() => void) | undefined;
  /** The timer that runs has the period for when nothing waits. */
  #isCalm = false;

  constructor(options: SweepTimerOptions) {
    this.#options = options;
    this.#quarterMs = quarterOf(options.limits);
  }

  start(): void {
    if (this.#cancel) this.#hasten();
    else this.#arm();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  retime(limits: DirectoryLimits): void {
    this.#quarterMs = quarterOf(limits);
  }

  #arm(): void {
    const { clock, isCalm, sweep } = this.#options;
    this.#isCalm = isCalm();
    const most = this.#isCalm ? MAX_CALM_PERIOD_MS : MAX_PERIOD_MS;
    this.#cancel = clock.after(Math.min(most, this.#quarterMs), () => {
      this.#arm();
      sweep(clock.now());
      this.#hasten();
    });
  }

  /** Replaces a long wait by a short one where something waits by now. */
  #hasten(): void {
    if (!this.#cancel || !this.#isCalm || this.#options.isCalm()) return;
    this.#cancel();
    this.#arm();
  }
}

/** @returns a timer that owns nothing else; `stop` ends it */
export function createSweepTimer(options: SweepTimerOptions): SweepTimer {
  return new RunningSweepTimer(options);
}
