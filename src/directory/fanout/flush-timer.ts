/**
 * When broadcasts leave: at once when it is quiet, otherwise together, one window after the last
 * flush. Tor's own round trip is ten times the window.
 */
import type { Clock } from '../../channel/ports.js';

export interface FlushTimer {
  /** Something waits to be flushed. Nothing happens before `settle`. */
  touch(): void;
  /** The end of a turn in which things may have been touched: flushes now, or later. */
  settle(): void;
  /** Forgets what waits. No timer is left. */
  cancel(): void;
}

/** @param flush is called with nothing waiting; it may touch again. */
export function createFlushTimer(clock: Clock, windowMs: number, flush: () => void): FlushTimer {
  let touched = false;
  let flushedAt: number | undefined;
  let cancelTimer: (() => void) | undefined;

  function run(): void {
    cancelTimer = undefined;
    touched = false;
    flush();
    flushedAt = clock.now();
    settle();
  }

  function settle(): void {
    if (!touched || cancelTimer) return;
    const wait = flushedAt === undefined ? 0 : flushedAt + windowMs - clock.now();
    if (wait > 0) cancelTimer = clock.after(wait, run);
    else run();
  }

  return {
    touch() {
      touched = true;
    },
    settle,
    cancel() {
      touched = false;
      cancelTimer?.();
      cancelTimer = undefined;
    },
  };
}
