/** Time as an argument. Pure. */

/** A monotonic clock with timers, so that tests own time. */
export interface Clock {
  /** Milliseconds; only differences mean something. */
  now(): number;
  /** Calls `fn` once after `ms` milliseconds; returns the cancellation. Never keeps a process alive by itself. */
  after(ms: number, fn: () => void): () => void;
}
