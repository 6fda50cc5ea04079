/**
 * Bounds the private messages that a directory has not read yet, as far as its answers to pings show. A path
 * through Tor may hold messages back and deliver them at once, and a directory ignores those above its burst
 * without a notice (docs/protocol.md, section 14).
 *
 * Why no message is lost: in any t seconds a directory reads at most the messages that were on their way before
 * (`MOST`), and those sent meanwhile (25, and 25 a second). onionmc and joinmarket-ng take 1,000 at once and
 * then at least 100 a second, which is more for every t.
 */
import { SlidingWindow } from '../../kit/rate-limit.js';
import type { Clock } from '../ports.js';

/** Most private messages on their way. */
const MOST = 900;
/** A ping follows so many private messages. */
const PING_AFTER = MOST / 2;
/** The Rust directory disconnects above 6 pings in 60 s, measured on arrival, so fewer are sent in a longer time. */
const PINGS = 4;
const PINGS_WINDOW_MS = 75_000;

export class Unanswered {
  readonly #pingTimes: SlidingWindow;
  #sent = 0;
  #answered = 0;
  /** For each ping without an answer, oldest first: how many messages were sent before it. */
  readonly #pings: number[] = [];

  constructor(clock: Clock) {
    this.#pingTimes = new SlidingWindow(clock, PINGS, PINGS_WINDOW_MS);
  }

  /** Whether the next private message must wait for an answer. */
  get isFull(): boolean {
    return this.#sent - this.#answered >= MOST;
  }

  /** Milliseconds until a ping should be sent, or undefined when the next message decides. */
  get pingDueMs(): number | undefined {
    const pinged = this.#pings.at(-1) ?? this.#answered;
    return this.#sent - pinged < PING_AFTER ? undefined : this.#pingTimes.waitMs();
  }

  /** A private message was written. */
  sent(): void {
    this.#sent++;
  }

  /** A ping was written, for any reason. */
  pinged(): void {
    this.#pings.push(this.#sent);
    this.#pingTimes.record();
  }

  /** An answer came. A directory reads lines in order, so it has read all messages before its oldest ping. */
  ponged(): void {
    this.#answered = this.#pings.shift() ?? this.#answered;
  }
}
