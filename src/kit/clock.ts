/** Time as an argument. Pure. */

/** A monotonic clock with timers, so that tests own time. */
export interface Clock {
  /** Milliseconds. Only differences between two values have a meaning. */
  now(): number;
  /**
   * Calls `fn` once after `ms` milliseconds; returns a function that cancels it. A timer does not keep
   * the process alive.
   */
  after(ms: number, fn: () => void): () => void;
}
