/** A queue of messages that are written in order, as fast as a rate allows. */
import type { TokenBucket } from '../../kit/rate-limit.js';
import type { Clock } from '../ports.js';

export interface PacedQueueOptions<T> {
  readonly clock: Clock;
  /** One token for each message. The caller may take tokens too, for messages outside the queue. */
  readonly pace: TokenBucket;
  /** Most characters in the queue. */
  readonly most: number;
  readonly lengthOf: (message: T) => number;
  /** Whether the next message must wait until `resume` is called, whatever the rate. Default: never. */
  readonly isHeld?: () => boolean;
  /** Writes one message. After false, this message and all later ones stay in the queue. */
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

  /** Writes the message now or later. False when the queue is full. */
  push(message: T): boolean {
    const length = this.#options.lengthOf(message);
    if (this.#length + length > this.#options.most) return false;
    this.#messages.push(message);
    this.#length += length;
    if (!this.#cancelTurn) this.#drain();
    return true;
  }

  /** Continues after `isHeld` was true. */
  resume(): void {
    if (!this.#cancelTurn) this.#drain();
  }

  /** Writes all waiting messages at once, whatever the rate. */
  flush(): void {
    for (const message of this.#clear()) this.#options.write(message);
  }

  /** Stops the queue; returns the waiting messages in order. */
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
    const { clock, pace, lengthOf, write, isHeld } = this.#options;
    this.#cancelTurn = undefined;
    for (let [next] = this.#messages; next !== undefined; [next] = this.#messages) {
      if (isHeld?.() === true) return;
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
