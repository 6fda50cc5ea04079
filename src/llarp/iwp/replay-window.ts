/** Tells which counters arrived before. Counters that are too old count as arrived. */
const WINDOW = 4_096n;

export class ReplayWindow {
  /** The highest counter so far, plus 1. */
  #next = 0n;
  readonly #seen = new Set<bigint>();

  /** Whether this counter is new; it is not new afterwards. */
  accept(counter: bigint): boolean {
    if (counter + WINDOW < this.#next || this.#seen.has(counter)) return false;
    this.#seen.add(counter);
    if (counter >= this.#next) this.#next = counter + 1n;
    if (this.#seen.size > 2 * Number(WINDOW)) this.#forget();
    return true;
  }

  #forget(): void {
    for (const counter of this.#seen) {
      if (counter + WINDOW < this.#next) this.#seen.delete(counter);
    }
  }
}
