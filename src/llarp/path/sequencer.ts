/**
 * The order of the routing messages of a path (row D32): messages are delivered by their number, each once. A message
 * that does not arrive is waited for until `GAP_MS` have passed or `MAX_WAITING` others have arrived; then it counts
 * as lost.
 */
import type { Clock } from '../../kit/clock.js';

const GAP_MS = 500;
export const MAX_WAITING = 64;
/** A number so far ahead is not believed: it would make all others late. */
const MAX_AHEAD = 4_096n;

export class Sequencer<T> {
  readonly #clock: Clock;
  readonly #deliver: (message: T) => void;
  readonly #waiting = new Map<bigint, T>();
  #next = 0n;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, deliver: (message: T) => void) {
    this.#clock = clock;
    this.#deliver = deliver;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** False for a message that arrived before, is too late, or too far ahead. */
  add(sequence: bigint, message: T): boolean {
    if (sequence < this.#next || sequence >= this.#next + MAX_AHEAD) return false;
    if (this.#waiting.has(sequence)) return false;
    this.#waiting.set(sequence, message);
    this.#drain();
    if (this.#waiting.size > MAX_WAITING) this.#skip();
    return true;
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#waiting.clear();
  }

  #drain(): void {
    for (;;) {
      const message = this.#waiting.get(this.#next);
      if (message === undefined) break;
      this.#waiting.delete(this.#next++);
      this.#deliver(message);
    }
    this.#cancel?.();
    this.#cancel =
      this.#waiting.size === 0 ? undefined : this.#clock.after(GAP_MS, () => this.#skip());
  }

  /** Gives up the missing messages before the first one that waits. */
  #skip(): void {
    let first: bigint | undefined;
    for (const sequence of this.#waiting.keys()) {
      if (first === undefined || sequence < first) first = sequence;
    }
    if (first === undefined) return;
    this.#next = first;
    this.#drain();
  }
}
