/** Random choices that a seed repeats. */
export interface Chance {
  /** Uniform in [0, 1). */
  readonly next: () => number;
  /** A whole number, both ends included. */
  between(low: number, high: number): number;
  /** One of the items; undefined for an empty list. */
  pick<T>(from: readonly T[]): T | undefined;
  bytes(count: number): Uint8Array;
}

/** Marsaglia's xorshift on 32 bits: poor, quick, and the same everywhere. */
export function createChance(seed: number): Chance {
  let state = seed | 0 || 1;
  function next(): number {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4_294_967_296;
  }
  return {
    next,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (from) => from[Math.floor(next() * from.length)],
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)),
  };
}
