/** Tells which counters arrived before. Counters that are too old count as arrived. A fixed size: one bit for each. */
const WINDOW = 4_096;
const SIZE = BigInt(WINDOW);

export class ReplayWindow {
  /** The highest counter so far, plus 1. */
  #next = 0n;
  /** The last `WINDOW` counters, by their remainder. */
  readonly #seen = new Uint32Array(WINDOW / 32);

  /** The highest counter so far, plus 1. */
  get next(): bigint {
    return this.#next;
  }

  /** Whether this counter is new; it is not new afterwards. */
  accept(counter: bigint): boolean {
    if (counter + SIZE < this.#next || counter < 0n) return false;
    if (counter >= this.#next) this.#advance(counter + 1n);
    const bit = Number(counter % SIZE);
    const word = this.#seen[bit >> 5] ?? 0;
    const mask = 1 << (bit & 31);
    if ((word & mask) !== 0) return false;
    this.#seen[bit >> 5] = word | mask;
    return true;
  }

  /** Frees the places of the counters that come into the window. */
  #advance(next: bigint): void {
    if (next - this.#next >= SIZE) this.#seen.fill(0);
    else {
      for (let counter = this.#next; counter < next; counter++) {
        const bit = Number(counter % SIZE);
        this.#seen[bit >> 5] = (this.#seen[bit >> 5] ?? 0) & ~(1 << (bit & 31));
      }
    }
    this.#next = next;
  }
}
