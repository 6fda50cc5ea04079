/**
 * Decides when public frames are written. While there are few, they wait for each other: a cell of Tor
 * holds 498 bytes and costs the same with one frame as with two. As soon as they fill cells by themselves
 * they leave, at a short interval as long as there are many of them. Frames for one peer never wait, and
 * take along what waits for that peer.
 */
import type { Clock } from '../../channel/ports.js';

/** Waiting bytes that fill eight cells of Tor: a longer wait would save little. */
const FULL_BYTES = 8 * 498;
/** A burst is over when less than two cells came within one interval. */
const BURST_BYTES = 2 * 498;

export interface FlushWindows {
  /** Longest time that a public frame waits for others, in milliseconds. */
  readonly publicMs: number;
  /** Least time between two flushes, in milliseconds. */
  readonly burstMs: number;
}

export interface FlushTimer {
  /** So many bytes wait for a flush. Nothing happens before `schedule`. */
  touch(bytes: number): void;
  /** Called at the end of a turn: flushes now, or starts the timer. */
  schedule(): void;
  /** Cancels the flush and the timer. */
  cancel(): void;
}

/** One timer, which runs only while something waits. */
class WindowTimer implements FlushTimer {
  readonly #clock: Clock;
  readonly #windows: FlushWindows;
  readonly #flush: () => void;
  /** Bytes that wait; 0: nothing does. */
  #bytes = 0;
  /** When the first of them came. */
  #since = 0;
  #flushedAt = -Infinity;
  #isBurst = false;
  /** When the timer fires; undefined without one. */
  #dueAt: number | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock, windows: FlushWindows, flush: () => void) {
    this.#clock = clock;
    this.#windows = windows;
    this.#flush = flush;
  }

  touch(bytes: number): void {
    if (this.#bytes === 0) this.#since = this.#clock.now();
    this.#bytes += bytes;
  }

  schedule(): void {
    if (this.#bytes === 0) return;
    const { publicMs, burstMs } = this.#windows;
    const isUrgent = this.#isBurst || this.#bytes >= FULL_BYTES;
    const waitsUntil = isUrgent ? -Infinity : this.#since + publicMs;
    const dueAt = Math.max(waitsUntil, this.#flushedAt + burstMs);
    if (this.#dueAt !== undefined && this.#dueAt <= dueAt) return;
    const wait = dueAt - this.#clock.now();
    this.#stop();
    if (wait <= 0) {
      this.#run();
      return;
    }
    this.#dueAt = dueAt;
    this.#cancelTimer = this.#clock.after(wait, () => this.#run());
  }

  cancel(): void {
    this.#bytes = 0;
    this.#isBurst = false;
    this.#stop();
  }

  #stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#dueAt = undefined;
  }

  #run(): void {
    this.#cancelTimer = undefined;
    this.#dueAt = undefined;
    this.#isBurst = this.#bytes >= (this.#isBurst ? BURST_BYTES : FULL_BYTES);
    this.#bytes = 0;
    this.#flush();
    this.#flushedAt = this.#clock.now();
    this.schedule();
  }
}

/** @param flush is called when something waits; it may call `touch` again */
export function createFlushTimer(
  clock: Clock,
  windows: FlushWindows,
  flush: () => void,
): FlushTimer {
  return new WindowTimer(clock, windows, flush);
}
