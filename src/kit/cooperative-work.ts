/**
 * Expensive work a little at a time, so that the event loop stays free for everything else: as jobs in a
 * queue (`WorkQueue`), or in place by a budget of each turn (`TurnBudget`). Pure.
 */
import type { Clock } from './clock.js';

/** Long enough for the event loop to go round. */
const TURN_MS = 1;

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** Most units in one slice; a single job that costs more has a slice of its own. */
  readonly unitsPerSlice: number;
  /** Most milliseconds in one slice: on a slow machine a slice ends early, after one job at least. */
  readonly sliceMs: number;
  /** Milliseconds between two slices; a few more while the event loop is late. */
  readonly pauseMs: number;
  /** Most jobs that wait; further ones are refused. */
  readonly most: number;
  /** Called after each slice with the units that it cost. */
  readonly onSlice?: (units: number) => void;
}

interface Job {
  readonly units: number;
  readonly run: () => void;
}

/** A slice that comes this late finds a busy event loop. */
const LATE_MS = 3;
const MOST_POSTPONED = 5;

/**
 * Jobs of a known cost, run in slices with a pause after each. The owner defines the unit of cost, so
 * that the largest slice is known without a stopwatch.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  #jobs: Job[] = [];
  /** Jobs in front of it are done; taking them off one by one would cost O(n) each. */
  #next = 0;
  #cancel: (() => void) | undefined;
  #dueAt = 0;
  #postponed = 0;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Jobs that wait. */
  get waiting(): number {
    return this.#jobs.length - this.#next;
  }

  /** False when too many wait. A job that throws ends its slice; the jobs after it run all the same. */
  push(units: number, run: () => void): boolean {
    if (this.waiting >= this.#options.most) return false;
    this.#jobs.push({ units, run });
    this.#schedule(this.#options.pauseMs);
    return true;
  }

  /** Drops the jobs that wait, and the timer. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#jobs = [];
    this.#next = 0;
  }

  #schedule(afterMs: number): void {
    if (this.#cancel) return;
    const { clock } = this.#options;
    this.#dueAt = clock.now() + afterMs;
    this.#cancel = clock.after(afterMs, () => this.#slice());
  }

  #slice(): void {
    const { clock, pauseMs, onSlice } = this.#options;
    this.#cancel = undefined;
    // Something else works in this very turn; but it cannot keep the jobs waiting for ever.
    if (clock.now() - this.#dueAt > LATE_MS && this.#postponed < MOST_POSTPONED) {
      this.#postponed++;
      this.#schedule(TURN_MS);
      return;
    }
    this.#postponed = 0;
    let units = 0;
    try {
      units = this.#runSlice();
    } finally {
      this.#dropDone();
      if (this.waiting > 0) this.#schedule(pauseMs);
    }
    onSlice?.(units);
  }

  #runSlice(): number {
    const { clock, unitsPerSlice, sliceMs } = this.#options;
    const startedAt = clock.now();
    let units = 0;
    for (let job = this.#jobs[this.#next]; job !== undefined; job = this.#jobs[this.#next]) {
      const isFull = units + job.units > unitsPerSlice || clock.now() - startedAt >= sliceMs;
      if (units > 0 && isFull) break;
      this.#next++;
      units += job.units;
      job.run();
    }
    return units;
  }

  #dropDone(): void {
    if (this.#next * 2 < this.#jobs.length) return;
    this.#jobs = this.#jobs.slice(this.#next);
    this.#next = 0;
  }
}

/** Milliseconds of work in one turn of the event loop, for work that is done in place. */
export class TurnBudget {
  readonly #clock: Clock;
  readonly #turnMs: number;
  #startedAt: number | undefined;

  /** @param turnMs once work has taken this long, the rest waits until other work had its turn */
  constructor(clock: Clock, turnMs: number) {
    this.#clock = clock;
    this.#turnMs = turnMs;
  }

  /** To be asked before each piece of work: 0 when it may be done now, otherwise milliseconds to wait. */
  delayMs(): number {
    const now = this.#clock.now();
    if (this.#startedAt === undefined) {
      this.#startedAt = now;
      this.#endTurn();
    }
    return now - this.#startedAt < this.#turnMs ? 0 : TURN_MS;
  }

  /**
   * The first timer fires when this turn is over, however long it took; but maybe together with those of
   * the work that waits, which would fill the very next turn. The second fires when other work had its turn.
   */
  #endTurn(): void {
    this.#clock.after(TURN_MS, () => {
      this.#clock.after(TURN_MS, () => {
        this.#startedAt = undefined;
      });
    });
  }
}
