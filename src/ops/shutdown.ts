/** How a program stops: signals, the order of its parts, and the deadline. */
import type { Log } from '../channel/log.js';
import { errorFields } from '../kit/error-text.js';
import { ExitCode } from './exit.js';

/** The part of `process` that is used; tests pass their own. */
export interface ProcessPort {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  off(signal: NodeJS.Signals, listener: () => void): unknown;
  exit(code: number): void;
}

/** Calls `fn` once after `ms` milliseconds; returns a function that cancels it. */
export type Timer = (ms: number, fn: () => void) => () => void;

export interface ShutdownOptions {
  readonly log: Log;
  /** SIGHUP: re-read what can change without a disconnect. Without it SIGHUP ends the program. */
  readonly onReload?: (() => void | Promise<void>) | undefined;
  /** SIGUSR2: hand over to a new process. */
  readonly onUpgrade?: (() => void) | undefined;
  /** Called when stopping begins, before any part stops. */
  readonly onStopping?: (() => void) | undefined;
  /**
   * Longest time for all parts together, in milliseconds. Default 4,500, so that stopping takes less
   * than 5 s.
   */
  readonly deadlineMs?: number;
  /** Longest time that one part delays the next, in milliseconds. Default 2,000. */
  readonly stepMs?: number;
  readonly process?: ProcessPort;
  readonly timer?: Timer;
}

export interface Shutdown {
  /** Aborted when stopping begins: pass it to slow start-up steps. */
  readonly signal: AbortSignal;
  /**
   * Registers a part that must be stopped. The last one registered stops first, since later parts
   * depend on earlier ones. Returns a function that removes it, for a part that ended by itself.
   */
  onStop(name: string, stop: () => void | Promise<void>): () => void;
  /** Stops everything and exits with `code` (default 0). Later calls wait for the first one. */
  stop(code?: ExitCode): Promise<void>;
  /** Holds signals back while an upgrade decides which process they are for. */
  suspend(): SuspendedSignals;
  /** Exits at once without stopping any part: another process continues with them. */
  leave(): void;
  /** Removes the signal handlers without stopping anything. */
  close(): void;
}

export interface SuspendedSignals {
  /** The signals held back, in order. */
  readonly came: readonly NodeJS.Signals[];
  /** Acts on the signals held back, and on further ones at once. */
  resume(): void;
}

/**
 * Unlike those of the clock, this timer keeps the process alive: a part that hangs must not end it
 * silently.
 */
const processTimer: Timer = (ms, fn) => {
  const timer = setTimeout(fn, ms);
  return () => clearTimeout(timer);
};

const DEFAULT_DEADLINE_MS = 4_500;
const DEFAULT_STEP_MS = 2_000;

interface Part {
  readonly name: string;
  readonly stop: () => void | Promise<void>;
}

type Action = readonly [signal: NodeJS.Signals, act: () => void];

class RunningShutdown implements Shutdown {
  readonly #options: ShutdownOptions;
  readonly #timer: Timer;
  readonly #host: ProcessPort;
  readonly #abort = new AbortController();
  readonly #parts: Part[] = [];
  readonly #unfinished = new Set<string>();
  readonly #actions: readonly Action[];
  /** The listeners at the process. */
  readonly #handlers: readonly Action[];
  #stopping: Promise<void> | undefined;
  /** Undefined while signals are acted on at once. */
  #suspended: NodeJS.Signals[] | undefined;

  constructor(options: ShutdownOptions) {
    this.#options = options;
    this.#timer = options.timer ?? processTimer;
    this.#host = options.process ?? process;
    const actions: readonly Action[] = [
      ['SIGTERM', () => this.#onSignal()],
      ['SIGINT', () => this.#onSignal()],
      ['SIGHUP', () => this.#onHangup()],
      ['SIGUSR2', () => this.#onUpgrade()],
    ];
    this.#actions = actions.filter(([name]) => name !== 'SIGUSR2' || options.onUpgrade);
    this.#handlers = this.#actions.map(([name, act]) => [name, () => this.#came(name, act)]);
    for (const [name, handler] of this.#handlers) this.#host.on(name, handler);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  onStop(name: string, stop: () => void | Promise<void>): () => void {
    const part = { name, stop };
    this.#parts.push(part);
    return () => {
      const index = this.#parts.indexOf(part);
      if (index >= 0) this.#parts.splice(index, 1);
    };
  }

  stop(code: ExitCode = ExitCode.OK): Promise<void> {
    this.#stopping ??= this.#run(code);
    return this.#stopping;
  }

  suspend(): SuspendedSignals {
    const came: NodeJS.Signals[] = [];
    this.#suspended = came;
    return {
      came,
      resume: () => {
        this.#suspended = undefined;
        for (const signal of came) this.#actions.find(([name]) => name === signal)?.[1]();
      },
    };
  }

  leave(): void {
    this.close();
    this.#host.exit(ExitCode.OK);
  }

  close(): void {
    for (const [name, handler] of this.#handlers) this.#host.off(name, handler);
  }

  /** An upgrade that is under way answers a second request itself. */
  #came(signal: NodeJS.Signals, act: () => void): void {
    if (this.#suspended === undefined || signal === 'SIGUSR2') act();
    else this.#suspended.push(signal);
  }

  #onSignal(): void {
    if (this.#stopping !== undefined) return;
    this.#options.log.info('stopping');
    void this.stop();
  }

  #onHangup(): void {
    const { onReload, log } = this.#options;
    if (onReload === undefined) {
      this.#onSignal();
      return;
    }
    if (this.#stopping !== undefined) return;
    Promise.resolve()
      .then(onReload)
      .catch((error: unknown) => log.error('reload failed; nothing changed', errorFields(error)));
  }

  #onUpgrade(): void {
    if (this.#stopping === undefined) this.#options.onUpgrade?.();
  }

  async #run(code: ExitCode): Promise<void> {
    const { log, onStopping, deadlineMs = DEFAULT_DEADLINE_MS } = this.#options;
    this.#abort.abort();
    onStopping?.();
    await new Promise<void>((resolve) => {
      const cancelDeadline = this.#timer(deadlineMs, resolve);
      void this.#stopParts().finally(() => {
        cancelDeadline();
        resolve();
      });
    });
    if (this.#unfinished.size > 0) {
      const unfinished = [...this.#unfinished].join(', ');
      log.warn('stopped without waiting further', { unfinished });
    }
    this.close();
    this.#host.exit(code);
  }

  async #stopParts(): Promise<void> {
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      // One after the other: the order is the point.
      // oxlint-disable-next-line no-await-in-loop
      await this.#stopPart(part);
    }
  }

  /** Resolves when the part has stopped, or after its time. */
  #stopPart({ name, stop }: Part): Promise<void> {
    const { log, stepMs = DEFAULT_STEP_MS } = this.#options;
    return new Promise((resolve) => {
      this.#unfinished.add(name);
      const cancel = this.#timer(stepMs, () => {
        log.warn('a part is slow to stop; continuing', { part: name });
        resolve();
      });
      const finish = (): void => {
        this.#unfinished.delete(name);
        cancel();
        resolve();
      };
      Promise.resolve()
        .then(stop)
        .then(finish, (error: unknown) => {
          log.warn('a part failed to stop', { part: name, ...errorFields(error) });
          finish();
        });
    });
  }
}

/**
 * Installs the signal handlers. SIGTERM or SIGINT stops the parts in order and exits with 0 within 5
 * seconds, even when a part hangs. Further ones are ignored, since npm and shells may deliver one
 * twice.
 */
export function createShutdown(options: ShutdownOptions): Shutdown {
  return new RunningShutdown(options);
}
