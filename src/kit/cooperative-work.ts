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

/** The budgets in use, by their milliseconds. A process has one event loop, and one clock for real time. */
const shared = new WeakMap<Clock, Map<number, TurnBudget>>();

/**
 * Milliseconds of work in one turn of the event loop, for work that is done in place while there is time,
 * and otherwise in a later turn, in order. Its callers bound how much work waits.
 */
export class TurnBudget {
  readonly #clock: Clock;
  readonly #turnMs: number;
  /** Work that waits, in order. */
  readonly #waiting = new Set<{ readonly work: () => void; readonly endsTurn: boolean }>();
  /** When the work of this turn began; a new object for each turn, undefined before the first work. */
  #turn: { readonly startedAt: number } | undefined;
  /** Ends the turn of this budget; set while its timers run. */
  #cancelEnd: (() => void) | undefined;
  #cancelCatchUp: (() => void) | undefined;
  #users = 1;

  /**
   * The budget that all parts of a program share, since they share its event loop. Each closes it.
   * @param turnMs as for the constructor
   */
  static shared(clock: Clock, turnMs: number): TurnBudget {
    const budgets = shared.get(clock) ?? new Map<number, TurnBudget>();
    shared.set(clock, budgets);
    const known = budgets.get(turnMs);
    if (known !== undefined) {
      known.#users++;
      return known;
    }
    const budget = new TurnBudget(clock, turnMs);
    budgets.set(turnMs, budget);
    return budget;
  }

  /** @param turnMs after work has taken this long, the rest waits until other work had a turn */
  constructor(clock: Clock, turnMs: number) {
    this.#clock = clock;
    this.#turnMs = turnMs;
  }

  /**
   * Runs the work now, or later when this turn has no time left or other work waits.
   * @param endsTurn whether other work that waits gets a later turn: what waits for the promises that this
   *   work resolves runs after it in the same turn, and only then is its time known
   * @returns undefined when it has run; otherwise a function that withdraws it
   */
  run(work: () => void, endsTurn = false): (() => void) | undefined {
    if (this.#users === 0 || (this.#waiting.size === 0 && this.#hasTime())) {
      work();
      return undefined;
    }
    const job = { work, endsTurn };
    this.#waiting.add(job);
    this.#catchUpSoon();
    return () => void this.#waiting.delete(job);
  }

  /** At the last user's call: runs all work that waits, and from then on all work at once; leaves no timer. */
  close(): void {
    this.#users--;
    if (this.#users > 0) return;
    const budgets = shared.get(this.#clock);
    if (budgets?.get(this.#turnMs) === this) budgets.delete(this.#turnMs);
    this.#cancelEnd?.();
    this.#cancelCatchUp?.();
    for (const job of this.#waiting) {
      this.#waiting.delete(job);
      job.work();
    }
  }

  #hasTime(): boolean {
    this.#turn ??= this.#begin();
    return this.#clock.now() - this.#turn.startedAt < this.#turnMs;
  }

  /**
   * The first timer fires when this turn is over, but perhaps in the turn of work that waited. The second
   * fires after other work had a turn.
   */
  #begin(): { readonly startedAt: number } {
    this.#cancelEnd?.();
    this.#cancelEnd = this.#clock.after(TURN_MS, () => {
      this.#cancelEnd = this.#clock.after(TURN_MS, () => {
        this.#cancelEnd = undefined;
        this.#turn = undefined;
      });
    });
    return { startedAt: this.#clock.now() };
  }

  #catchUpSoon(): void {
    if (this.#users === 0) return;
    this.#cancelCatchUp ??= this.#clock.after(TURN_MS, () => {
      this.#cancelCatchUp = undefined;
      this.#catchUp();
    });
  }

  /** A turn for work that waits. Work that throws ends it; the rest still runs. */
  #catchUp(): void {
    this.#turn = this.#waiting.size === 0 ? this.#turn : this.#begin();
    try {
      for (const job of this.#waiting) {
        if (!this.#hasTime()) break;
        this.#waiting.delete(job);
        job.work();
        if (job.endsTurn) break;
      }
    } finally {
      if (this.#waiting.size > 0) this.#catchUpSoon();
    }
  }
}
