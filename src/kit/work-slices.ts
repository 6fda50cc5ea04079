/**
 * Expensive work in small slices, so that nothing else waits long: a slice runs work of a bounded cost,
 * then the event loop has its turn. Costs are in units that the owner defines, so that the largest
 * slice is known without a stopwatch.
 */
import type { Clock } from './clock.js';

export interface SlicesOptions {
  readonly clock: Clock;
  /** Most units in one slice; a single job that costs more has a slice of its own. */
  readonly unitsPerSlice: number;
  /** Likewise milliseconds: on a slow machine a slice ends early, after one job at least. */
  readonly sliceMs: number;
  /** Milliseconds between two slices; a few more while the event loop is late. */
  readonly pauseMs: number;
  /** Most jobs that wait; further ones are refused. */
  readonly most: number;
  /** Told after each slice. */
  readonly onSlice?: (units: number) => void;
}

export interface Slices {
  /** False when too many wait. A job that throws ends its slice; the others run all the same. */
  push(units: number, run: () => void): boolean;
  /** Jobs that wait. */
  readonly waiting: number;
  /** Drops what waits. */
  close(): void;
}

interface Job {
  readonly units: number;
  readonly run: () => void;
}

/** A slice that comes this late finds a busy loop. */
const LATE_MS = 3;
const MOST_POSTPONED = 5;

export function createSlices(options: SlicesOptions): Slices {
  const { clock, unitsPerSlice, sliceMs, pauseMs, most, onSlice } = options;
  let jobs: Job[] = [];
  /** Jobs in front of it are done; taking them off one by one would cost O(n) each. */
  let next = 0;
  let cancel: (() => void) | undefined;
  let dueAt = 0;
  let postponed = 0;

  function schedule(afterMs = pauseMs): void {
    if (cancel) return;
    dueAt = clock.now() + afterMs;
    cancel = clock.after(afterMs, slice);
  }

  function runSlice(): number {
    const startedAt = clock.now();
    let units = 0;
    for (let job = jobs[next]; job !== undefined; job = jobs[next]) {
      const isFull = units + job.units > unitsPerSlice || clock.now() - startedAt >= sliceMs;
      if (units > 0 && isFull) break;
      next++;
      units += job.units;
      job.run();
    }
    return units;
  }

  function slice(): void {
    cancel = undefined;
    // Others are at work in this very turn; but they cannot keep us waiting for ever.
    if (clock.now() - dueAt > LATE_MS && postponed < MOST_POSTPONED) {
      postponed++;
      schedule(1);
      return;
    }
    postponed = 0;
    let units = 0;
    try {
      units = runSlice();
    } finally {
      if (next * 2 >= jobs.length) {
        jobs = jobs.slice(next);
        next = 0;
      }
      if (jobs.length > next) schedule();
    }
    onSlice?.(units);
  }

  return {
    push(units, run) {
      if (jobs.length - next >= most) return false;
      jobs.push({ units, run });
      schedule();
      return true;
    },
    get waiting() {
      return jobs.length - next;
    },
    close() {
      cancel?.();
      cancel = undefined;
      jobs = [];
      next = 0;
    },
  };
}
