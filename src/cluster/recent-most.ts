/** The highest value of the last seconds, within half of that time. Pure. */

/** Values count for this long, and for at most twice as long. */
const WINDOW_MS = 10_000;

export class RecentMost {
  #since = -Infinity;
  #before = -Infinity;
  #latest = -Infinity;

  /** @param now milliseconds, never less than before */
  add(value: number, now: number): void {
    const age = now - this.#since;
    if (age >= WINDOW_MS) {
      this.#before = age >= 2 * WINDOW_MS ? -Infinity : this.#latest;
      this.#latest = value;
      this.#since = now;
    } else if (value > this.#latest) {
      this.#latest = value;
    }
  }

  /** -Infinity: none was added. */
  get value(): number {
    return Math.max(this.#before, this.#latest);
  }
}
