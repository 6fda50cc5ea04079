/**
 * How fast a session may send: as fast as it can, until the other side asks for less (`c`) or for more again (`d`). A
 * limit ends by itself, so that a lost message or a hostile neighbour cannot stop a link.
 */
import type { Clock } from '../../kit/clock.js';

/** Rates on the wire are in this unit, a second. */
export const RATE_UNIT_BYTES = 1_024;
/** The lowest limit that is obeyed. */
export const LEAST_RATE = 16 * RATE_UNIT_BYTES;
/** The longest time that a limit is obeyed. */
const MAX_LIMIT_MS = 10_000;

export class SendRate {
  readonly #clock: Clock;
  #limit: number | undefined;
  #endsAt = 0;
  /** When the bytes so far are paid for. */
  #freeAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Bytes a second. */
  get limit(): number | undefined {
    return this.#clock.now() < this.#endsAt ? this.#limit : undefined;
  }

  /** @param rate in `RATE_UNIT_BYTES` a second */
  asked(kind: 'slower' | 'faster', rate: number, lifetimeMs: number): void {
    const bytes = Math.max(LEAST_RATE, rate * RATE_UNIT_BYTES);
    const known = this.limit;
    // `faster` only eases a limit, and `slower` only tightens one.
    if (kind === 'faster' && (known === undefined || bytes < known)) return;
    if (kind === 'slower' && known !== undefined && bytes > known) return;
    this.#limit = bytes;
    this.#endsAt = this.#clock.now() + Math.min(lifetimeMs, MAX_LIMIT_MS);
  }

  /** Milliseconds until the next message may leave; 0 when it may now. */
  waitMs(): number {
    if (this.limit === undefined) return 0;
    const now = this.#clock.now();
    return Math.max(0, Math.min(this.#freeAt, this.#endsAt) - now);
  }

  sent(bytes: number): void {
    const { limit } = this;
    if (limit === undefined) return;
    const now = this.#clock.now();
    this.#freeAt = Math.max(now, this.#freeAt) + Math.ceil((bytes / limit) * 1_000);
  }
}
