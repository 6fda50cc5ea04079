/**
 * Counting in time: budgets for what peers send us and for what we send. Each kind is plain state with
 * functions, for owners that keep many or hand them to another process, and a class on top. Pure.
 */
import type { Clock } from './clock.js';

const SECOND_MS = 1_000;

/** State of a token bucket. */
export interface Bucket {
  tokens: number;
  /** When tokens were last added, in milliseconds of the clock. */
  filledAt: number;
}

/** Adds the tokens that came since the last call, `perSecond` each second, up to `burst`. */
export function refill(bucket: Bucket, perSecond: number, burst: number, now: number): void {
  const grown = bucket.tokens + ((now - bucket.filledAt) / SECOND_MS) * perSecond;
  bucket.tokens = Math.min(burst, grown);
  bucket.filledAt = now;
}

/** Milliseconds until a bucket that was just refilled holds so many tokens; 0 when it does. */
export function untilMs(bucket: Bucket, wanted: number, perSecond: number): number {
  return Math.max(0, ((wanted - bucket.tokens) / perSecond) * SECOND_MS);
}

/** State of a window that begins anew with the first event after its end. */
export interface CountWindow {
  /** When it began, in milliseconds of the clock. */
  since: number;
  count: number;
}

/** Counts one event now and returns how many the window holds, this one included. */
export function countInWindow(window: CountWindow, windowMs: number, now: number): number {
  if (now - window.since >= windowMs) {
    window.since = now;
    window.count = 0;
  }
  return ++window.count;
}

/** At most `most` events in a window of `windowMs`, which begins with the first event after the last window. */
export class WindowCounter {
  readonly #window: CountWindow = { since: -Infinity, count: 0 };
  readonly #clock: Clock;
  readonly #most: number;
  readonly #windowMs: number;

  constructor(clock: Clock, most: number, windowMs: number) {
    this.#clock = clock;
    this.#most = most;
    this.#windowMs = windowMs;
  }

  /** Counts one; false when that is more than the window allows. */
  take(): boolean {
    return countInWindow(this.#window, this.#windowMs, this.#clock.now()) <= this.#most;
  }
}

/** A budget that `perSecond` tokens refill each second, up to `burst`. It is full at the start. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #bucket: Bucket;

  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#bucket = { tokens: burst, filledAt: clock.now() };
  }

  /** Takes one token; false when that would leave fewer than `keep` (default 0). */
  take(keep = 0): boolean {
    this.#refill();
    // A wait is rounded, so a hair less than a token must do.
    if (this.#bucket.tokens < keep + 1 - 1e-6) return false;
    this.#bucket.tokens--;
    return true;
  }

  /**
   * Takes one token, of the future if need be, and returns the milliseconds until that token is there.
   * Callers that wait so long have their turn in the order of the calls.
   */
  reserve(): number {
    this.#refill();
    this.#bucket.tokens--;
    return this.#untilMs(0);
  }

  /** Gives one token back. */
  giveBack(): void {
    this.#bucket.tokens++;
  }

  /** Milliseconds until there is a token; 0 when there is one. */
  waitMs(): number {
    this.#refill();
    return this.#untilMs(1);
  }

  #refill(): void {
    refill(this.#bucket, this.#perSecond, this.#burst, this.#clock.now());
  }

  #untilMs(wanted: number): number {
    return Math.ceil(untilMs(this.#bucket, wanted, this.#perSecond));
  }
}

/** At most `most` events in any `windowMs`. It remembers only those. */
export class SlidingWindow {
  readonly #times: number[] = [];
  readonly #clock: Clock;
  readonly #most: number;
  readonly #windowMs: number;

  constructor(clock: Clock, most: number, windowMs: number) {
    this.#clock = clock;
    this.#most = most;
    this.#windowMs = windowMs;
  }

  /** Milliseconds until one more fits; 0 when it fits now. */
  waitMs(): number {
    const oldest = this.#times.length < this.#most ? undefined : this.#times[0];
    return oldest === undefined ? 0 : Math.max(0, oldest + this.#windowMs - this.#clock.now());
  }

  /** Records one event now. */
  record(): void {
    this.#times.push(this.#clock.now());
    if (this.#times.length > this.#most) this.#times.shift();
  }
}
