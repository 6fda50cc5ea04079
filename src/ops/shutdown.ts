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

interface Part {
  readonly name: string;
  readonly stop: () => void | Promise<void>;
}

/**
 * Installs the signal handlers. SIGTERM or SIGINT stops the parts in order and exits with 0 within 5
 * seconds, even when a part hangs. Further ones are ignored, since npm and shells may deliver one
 * twice.
 */
export function createShutdown(options: ShutdownOptions): Shutdown {
  const { log, deadlineMs = 4500, stepMs = 2000, timer = processTimer } = options;
  const host: ProcessPort = options.process ?? process;
  const abort = new AbortController();
  const parts: Part[] = [];
  const unfinished = new Set<string>();
  let stopping: Promise<void> | undefined;

  const stopPart = (part: Part): Promise<void> =>
    new Promise((resolve) => {
      unfinished.add(part.name);
      const cancel = timer(stepMs, () => {
        log.warn('a part is slow to stop; continuing', { part: part.name });
        resolve();
      });
      const finish = (): void => {
        unfinished.delete(part.name);
        cancel();
        resolve();
      };
      Promise.resolve()
        .then(part.stop)
        .then(finish, (error: unknown) => {
          log.warn('a part failed to stop', { part: part.name, ...errorFields(error) });
          finish();
        });
    });

  const stopParts = async (): Promise<void> => {
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      // One after the other: the order is the point.
      // oxlint-disable-next-line no-await-in-loop
      await stopPart(part);
    }
  };

  const run = async (code: ExitCode): Promise<void> => {
    abort.abort();
    options.onStopping?.();
    await new Promise<void>((resolve) => {
      const cancelDeadline = timer(deadlineMs, resolve);
      void stopParts().finally(() => {
        cancelDeadline();
        resolve();
      });
    });
    if (unfinished.size > 0) {
      log.warn('stopped without waiting further', { unfinished: [...unfinished].join(', ') });
    }
    close();
    host.exit(code);
  };

  const stop = (code: ExitCode = ExitCode.OK): Promise<void> => (stopping ??= run(code));

  const onSignal = (): void => {
    if (stopping !== undefined) return;
    log.info('stopping');
    void stop();
  };

  const onHangup = (): void => {
    if (options.onReload === undefined) {
      onSignal();
      return;
    }
    if (stopping !== undefined) return;
    Promise.resolve()
      .then(options.onReload)
      .catch((error: unknown) => log.error('reload failed; nothing changed', errorFields(error)));
  };

  const onUpgrade = (): void => {
    if (stopping === undefined) options.onUpgrade?.();
  };

  /** Undefined while signals are acted on at once. */
  let suspended: NodeJS.Signals[] | undefined;

  const actions = [
    ['SIGTERM', onSignal],
    ['SIGINT', onSignal],
    ['SIGHUP', onHangup],
    ['SIGUSR2', onUpgrade],
  ] as const;
  const handled = actions.filter(([name]) => name !== 'SIGUSR2' || options.onUpgrade);
  const handlers = handled.map(
    ([signal, act]) =>
      [
        signal,
        () => {
          if (suspended === undefined || signal === 'SIGUSR2') act();
          else suspended.push(signal);
        },
      ] as const,
  );
  for (const [signal, handler] of handlers) host.on(signal, handler);

  function close(): void {
    for (const [signal, handler] of handlers) host.off(signal, handler);
  }

  return {
    signal: abort.signal,
    onStop(name, stopIt) {
      const part = { name, stop: stopIt };
      parts.push(part);
      return () => {
        const index = parts.indexOf(part);
        if (index >= 0) parts.splice(index, 1);
      };
    },
    stop,
    suspend() {
      const came: NodeJS.Signals[] = [];
      suspended = came;
      return {
        came,
        resume() {
          suspended = undefined;
          for (const signal of came) actions.find(([name]) => name === signal)?.[1]();
        },
      };
    },
    leave() {
      close();
      host.exit(ExitCode.OK);
    },
    close,
  };
}
