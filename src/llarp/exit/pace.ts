/**
 * How fast the client of an exit sends: half as fast after a DDFM, then a little faster with each second without one.
 * One burst of DDFM counts once.
 */
import type { Clock } from '../../kit/clock.js';
import { refill, type Bucket } from '../../kit/rate-limit.js';

/** Bytes a second. */
export const FIRST_RATE = 524_288;
export const LEAST_PACE = 8_192;
const MAX_RATE = 4_194_304;
const MORE_EACH_SECOND = 32_768;
/** DDFM in this time after one are of the same congestion. */
const SAME_MS = 500;
/** What may be sent at once. A packet must fit. */
const LEAST_BURST = 65_536;

export class Pace {
  readonly #clock: Clock;
  readonly #bucket: Bucket;
  #rate = FIRST_RATE;
  #changedAt: number;
  #slowedAt = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#changedAt = clock.now();
    this.#bucket = { tokens: FIRST_RATE, filledAt: clock.now() };
  }

  /** Bytes a second now. */
  get rate(): number {
    this.#grow();
    return this.#rate;
  }

  /** False when so many bytes must not be sent yet. */
  take(bytes: number): boolean {
    this.#grow();
    refill(this.#bucket, this.#rate, Math.max(this.#rate, LEAST_BURST), this.#clock.now());
    if (this.#bucket.tokens < bytes) return false;
    this.#bucket.tokens -= bytes;
    return true;
  }

  /** A message was dropped for congestion. */
  slower(): void {
    this.#grow();
    const now = this.#clock.now();
    if (now - this.#slowedAt < SAME_MS) return;
    this.#slowedAt = now;
    this.#changedAt = now;
    this.#rate = Math.max(LEAST_PACE, this.#rate / 2);
    this.#bucket.tokens = Math.min(this.#bucket.tokens, this.#rate);
  }

  #grow(): void {
    const seconds = Math.floor((this.#clock.now() - this.#changedAt) / 1_000);
    if (seconds <= 0) return;
    this.#changedAt += seconds * 1_000;
    this.#rate = Math.min(MAX_RATE, this.#rate + seconds * MORE_EACH_SECOND);
  }
}
