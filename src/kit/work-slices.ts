/**
 * Runs expensive work in small slices, so that other work does not wait long. A slice runs work of a
 * bounded cost, then the event loop gets a turn. The owner defines the unit of cost, so the largest
 * slice is known without measuring time.
 */
import type { Clock } from './clock.js';

export interface SlicesOptions {
  readonly clock: Clock;
  /** Most units in one slice. A single job that costs more gets a slice of its own. */
  readonly unitsPerSlice: number;
  /** Most milliseconds in one slice: on a slow machine a slice ends early, after at least one job. */
  readonly sliceMs: number;
  /** Milliseconds between two slices; a few more while the event loop is late. */
  readonly pauseMs: number;
  /** Most jobs in the queue; further ones are refused. */
  readonly most: number;
  /** Called after each slice. */
  readonly onSlice?: (units: number) => void;
}

export interface Slices {
  /** False when the queue is full. A job that throws ends its slice; the other jobs still run. */
  push(units: number, run: () => void): boolean;
  /** Jobs in the queue. */
  readonly waiting: number;
  /** Empties the queue. */
  close(): void;
}

interface Job {
  readonly units: number;
  readonly run: () => void;
}

/** A slice that starts this late shows that the loop is busy. */
const LATE_MS = 3;
const MOST_POSTPONED = 5;

export function createSlices(options: SlicesOptions): Slices {
  const { clock, unitsPerSlice, sliceMs, pauseMs, most, onSlice } = options;
  let jobs: Job[] = [];
  /** Jobs before it are done. Removing them one by one would cost O(n) each. */
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
    // Other work runs in this turn. It can delay a slice, but only for a bounded time.
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
