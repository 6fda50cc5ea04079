/** Reproducible randomness: the same seed gives the same run on every machine. */

export interface FuzzRandom {
  /** Uniform in [0, 1). */
  next(): number;
  /** A whole number, 0 to `below` - 1. */
  below(below: number): number;
  /** One of them; the list must not be empty. */
  pick<T>(items: readonly T[]): T;
  /** True once in `n` times. */
  oneIn(n: number): boolean;
}

/** FNV-1a, 32 bits. */
export function hashText(text: string | Uint8Array): number {
  let hash = 0x811c9dc5;
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** @param seed any text; a number in decimal is as good as a word */
export function fuzzRandom(seed: string): FuzzRandom {
  let state = hashText(seed);
  // mulberry32
  function next(): number {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), 1 | state);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 0x1_0000_0000;
  }
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    pick<T>(items: readonly T[]): T {
      const item = items[below(items.length)];
      if (item === undefined) throw new RangeError('picked from an empty list');
      return item;
    },
    oneIn: (n) => below(n) === 0,
  };
}
