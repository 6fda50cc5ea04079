/**
 * Spreads expensive work over several turns of the event loop: as jobs in a queue (`WorkQueue`), or in
 * place with a budget for each turn (`TurnBudget`). Pure.
 */
import type { Clock } from './clock.js';

/** Long enough for one turn of the event loop. */
const TURN_MS = 1;

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** Most units in one slice; a single job that costs more gets a slice of its own. */
  readonly unitsPerSlice: number;
  /** Most milliseconds in one slice: on a slow machine a slice ends early, after at least one job. */
  readonly sliceMs: number;
  /** Milliseconds between two slices; a few more while the event loop is late. */
  readonly pauseMs: number;
  /** Most jobs in the queue; further ones are refused. */
  readonly most: number;
  /** Called after each slice with its cost in units. */
  readonly onSlice?: (units: number) => void;
}

interface Job {
  readonly units: number;
  readonly run: () => void;
}

/** A slice that starts this late shows that the event loop is busy. */
const LATE_MS = 3;
const MOST_POSTPONED = 5;

/**
 * Jobs of a known cost, run in slices with a pause after each. The owner defines the unit of cost, so
 * the largest slice is known without measuring time.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  #jobs: Job[] = [];
  /** Jobs before it are done. Removing them one by one would cost O(n) each. */
  #next = 0;
  #cancel: (() => void) | undefined;
  #dueAt = 0;
  #postponed = 0;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Number of jobs in the queue. */
  get waiting(): number {
    return this.#jobs.length - this.#next;
  }

  /** False when the queue is full. A job that throws ends its slice; the later jobs still run. */
  push(units: number, run: () => void): boolean {
    if (this.waiting >= this.#options.most) return false;
    this.#jobs.push({ units, run });
    this.#schedule(this.#options.pauseMs);
    return true;
  }

  /** Empties the queue and clears the timer. */
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
    // Other work runs in this turn. It can delay the jobs, but only for a bounded time.
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

  /** @param turnMs after work has taken this long, the rest waits until other work had a turn */
  constructor(clock: Clock, turnMs: number) {
    this.#clock = clock;
    this.#turnMs = turnMs;
  }

  /** Called before each piece of work: 0 when it may run now, otherwise milliseconds to wait. */
  delayMs(): number {
    const now = this.#clock.now();
    if (this.#startedAt === undefined) {
      this.#startedAt = now;
      this.#endTurn();
    }
    return now - this.#startedAt < this.#turnMs ? 0 : TURN_MS;
  }

  /**
   * The first timer fires when this turn is over, but perhaps together with the waiting callers, who
   * would then fill the next turn. The second fires after other work had a turn.
   */
  #endTurn(): void {
    this.#clock.after(TURN_MS, () => {
      this.#clock.after(TURN_MS, () => {
        this.#startedAt = undefined;
      });
    });
  }
}
