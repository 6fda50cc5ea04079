/** Messages that wait for their turn: they leave in order, as fast as a rate allows. */
import type { TokenBucket } from '../../kit/rate-limit.js';
import type { Clock } from '../ports.js';

export interface PacedQueueOptions<T> {
  readonly clock: Clock;
  /** One token for each message. Stays the caller's, who may send past the queue. */
  readonly pace: TokenBucket;
  /** Most characters that wait. */
  readonly most: number;
  readonly lengthOf: (message: T) => number;
  /** Writes one message. False ends the turn: the message stays, and so do all behind it. */
  readonly write: (message: T) => boolean;
}

export class PacedQueue<T> {
  readonly #options: PacedQueueOptions<T>;
  #messages: T[] = [];
  #length = 0;
  #cancelTurn: (() => void) | undefined;

  constructor(options: PacedQueueOptions<T>) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  /** Writes the message in its turn. False when too much waits. */
  push(message: T): boolean {
    const length = this.#options.lengthOf(message);
    if (this.#length + length > this.#options.most) return false;
    this.#messages.push(message);
    this.#length += length;
    if (!this.#cancelTurn) this.#drain();
    return true;
  }

  /** Writes all that waits, whatever the rate. */
  flush(): void {
    for (const message of this.#clear()) this.#options.write(message);
  }

  /** Stops, and returns what waits, in order. */
  close(): readonly T[] {
    this.#cancelTurn?.();
    return this.#clear();
  }

  #clear(): readonly T[] {
    const messages = this.#messages;
    this.#messages = [];
    this.#length = 0;
    return messages;
  }

  #drain(): void {
    const { clock, pace, lengthOf, write } = this.#options;
    this.#cancelTurn = undefined;
    for (let [next] = this.#messages; next !== undefined; [next] = this.#messages) {
      if (!pace.take()) {
        this.#cancelTurn = clock.after(pace.waitMs(), () => this.#drain());
        return;
      }
      if (!write(next)) return;
      this.#messages.shift();
      this.#length -= lengthOf(next);
    }
  }
}
