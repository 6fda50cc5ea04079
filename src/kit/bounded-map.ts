/** Bounded maps and sets: when they are full, the oldest entry is removed. Pure. */

/**
 * A map of at most `most` entries. `set` makes its entry the newest one, also for an existing key;
 * reading does not change the order. The iteration order is from the oldest to the newest entry.
 */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #most: number;
  readonly #onForgotten: ((key: K, value: V) => void) | undefined;

  /**
   * @param most the bound, at least 1
   * @param onForgotten called for each entry removed to make room; not by `delete` and `clear`
   */
  constructor(most: number, onForgotten?: (key: K, value: V) => void) {
    super();
    this.#most = most;
    this.#onForgotten = onForgotten;
  }

  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.size > this.#most) this.#forgetOldest();
    return this;
  }

  /** The value of a key, made by `create` if there is none. It is the newest entry from then on. */
  use(key: K, create: () => V): V {
    const value = this.get(key) ?? create();
    this.set(key, value);
    return value;
  }

  #forgetOldest(): void {
    for (const [key, value] of this) {
      this.delete(key);
      this.#onForgotten?.(key, value);
      return;
    }
  }
}

/** A set of at most `most` values. `add` makes its value the newest one, also an existing one. */
export class BoundedSet<T> extends Set<T> {
  readonly #most: number;
  readonly #onForgotten: ((value: T) => void) | undefined;

  /**
   * @param most the bound, at least 1
   * @param onForgotten called for each value removed to make room; not by `delete` and `clear`
   */
  constructor(most: number, onForgotten?: (value: T) => void) {
    super();
    this.#most = most;
    this.#onForgotten = onForgotten;
  }

  override add(value: T): this {
    this.delete(value);
    super.add(value);
    if (this.size > this.#most) this.#forgetOldest();
    return this;
  }

  #forgetOldest(): void {
    for (const value of this) {
      this.delete(value);
      this.#onForgotten?.(value);
      return;
    }
  }
}
