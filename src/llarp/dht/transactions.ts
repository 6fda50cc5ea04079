/** Questions to other routers that were not answered yet, by transaction number. Bounded in number and time. */
import type { Clock } from '../../kit/clock.js';
import type { RandomBytes } from '../crypto.js';
import type { DhtMessage } from '../dht-messages.js';

const MAX_OPEN = 1_024;
/** A question of a router is open for so long. */
export const ANSWER_MS = 5_000;

interface Open {
  readonly from: string;
  readonly done: (answer: DhtMessage | undefined) => void;
  readonly cancel: () => void;
}

export class Transactions {
  readonly #clock: Clock;
  readonly #randomBytes: RandomBytes;
  readonly #answerMs: number;
  readonly #open = new Map<bigint, Open>();

  /** @param answerMs how long a question is open */
  constructor(clock: Clock, randomBytes: RandomBytes, answerMs: number = ANSWER_MS) {
    this.#clock = clock;
    this.#randomBytes = randomBytes;
    this.#answerMs = answerMs;
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * Opens a question; undefined when too many are open.
   * @param from only this router may answer
   * @param done called once, with undefined when no answer came
   */
  open(from: string, done: (answer: DhtMessage | undefined) => void): bigint | undefined {
    if (this.#open.size >= MAX_OPEN) return undefined;
    const bytes = this.#randomBytes(8);
    const id = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
    if (this.#open.has(id)) return undefined;
    const cancel = this.#clock.after(this.#answerMs, () => {
      this.#open.delete(id);
      done(undefined);
    });
    this.#open.set(id, { from, done, cancel });
    return id;
  }

  /** False when no question with this number is open to this router. */
  answer(from: string, message: DhtMessage): boolean {
    const open = this.#open.get(message.transaction);
    if (open?.from !== from) return false;
    this.#open.delete(message.transaction);
    open.cancel();
    open.done(message);
    return true;
  }

  close(): void {
    for (const { cancel } of this.#open.values()) cancel();
    this.#open.clear();
  }
}
