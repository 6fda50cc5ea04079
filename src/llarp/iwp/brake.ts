/**
 * What a session asks the other side for when too much arrives: half of what it gets, until the queue is short again;
 * then twice as much at a time. A limit has a lifetime, after which it is over.
 */
import type { Clock } from '../../kit/clock.js';
import { LEAST_RATE, RATE_UNIT_BYTES } from './send-rate.js';

/** The bytes that arrive are measured over this time. */
const MEASURE_MS = 500;
/** Time between two requests. */
const BETWEEN_MS = 250;
const LIFETIME_MS = 2_000;
const MAX_RATE_UNITS = 0xffff;

/** The fields of `c` and `d`. */
export interface AskedRate {
  /** In `RATE_UNIT_BYTES` a second. */
  readonly rate: number;
  readonly lifetimeMs: number;
}

export class Brake {
  readonly #clock: Clock;
  #since: number;
  #bytes = 0;
  /** Bytes a second that arrived in the last measured time; undefined before the first. */
  #measured: number | undefined;
  #askedAt = -Infinity;
  /** Bytes a second; undefined while there is no limit. */
  #asked: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** Bytes arrived. */
  received(bytes: number): void {
    const now = this.#clock.now();
    const passed = now - this.#since;
    if (passed >= MEASURE_MS) {
      this.#measured = (this.#bytes / passed) * 1_000;
      this.#since = now;
      this.#bytes = 0;
    }
    this.#bytes += bytes;
  }

  /** The rate to ask for; undefined when the last request is too young. */
  slower(): AskedRate | undefined {
    if (!this.#mayAsk()) return undefined;
    const passed = Math.max(1, this.#clock.now() - this.#since);
    const now = this.#measured ?? (this.#bytes / passed) * 1_000;
    return this.#ask(Math.max(LEAST_RATE, Math.min(now, this.#asked ?? now) / 2));
  }

  /** Undefined when there is no limit to ease. */
  faster(): AskedRate | undefined {
    if (this.#asked === undefined) return undefined;
    if (this.#clock.now() - this.#askedAt >= LIFETIME_MS) {
      this.#asked = undefined;
      return undefined;
    }
    return this.#mayAsk() ? this.#ask(this.#asked * 2) : undefined;
  }

  #mayAsk(): boolean {
    return this.#clock.now() - this.#askedAt >= BETWEEN_MS;
  }

  #ask(bytesPerSecond: number): AskedRate {
    this.#asked = bytesPerSecond;
    this.#askedAt = this.#clock.now();
    const rate = Math.min(MAX_RATE_UNITS, Math.ceil(bytesPerSecond / RATE_UNIT_BYTES));
    return { rate, lifetimeMs: LIFETIME_MS };
  }
}
