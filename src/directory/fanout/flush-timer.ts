/**
 * Decides when broadcasts are written: at once when there is little traffic, otherwise together, one
 * window after the last flush. Tor's round trip is ten times the window.
 */
import type { Clock } from '../../channel/ports.js';

export interface FlushTimer {
  /** There is something to flush. Nothing happens before `schedule`. */
  touch(): void;
  /** Called at the end of a turn: flushes now, or starts the timer. */
  schedule(): void;
  /** Cancels the flush and the timer. */
  cancel(): void;
}

/** @param flush is called when nothing is pending; it may call `touch` again */
export function createFlushTimer(clock: Clock, windowMs: number, flush: () => void): FlushTimer {
  let touched = false;
  let flushedAt: number | undefined;
  let cancelTimer: (() => void) | undefined;

  function run(): void {
    cancelTimer = undefined;
    touched = false;
    flush();
    flushedAt = clock.now();
    schedule();
  }

  function schedule(): void {
    if (!touched || cancelTimer) return;
    const wait = flushedAt === undefined ? 0 : flushedAt + windowMs - clock.now();
    if (wait > 0) cancelTimer = clock.after(wait, run);
    else run();
  }

  return {
    touch() {
      touched = true;
    },
    schedule,
    cancel() {
      touched = false;
      cancelTimer?.();
      cancelTimer = undefined;
    },
  };
}
