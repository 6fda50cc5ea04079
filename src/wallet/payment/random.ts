/** Draws without bias, from cryptographic random bytes. Pure: the source is an argument. */
import type { RandomBytes } from '../../protocol/encryption.js';

const RANGE = 2 ** 32;

/** Uniform in 0 to n - 1; `n` from 1 to 2^32. */
export function randomBelow(n: number, randomBytes: RandomBytes): number {
  if (!Number.isInteger(n) || n < 1 || n > RANGE) throw new RangeError(`no number below ${n}`);
  const limit = RANGE - (RANGE % n);
  for (;;) {
    const [a = 0, b = 0, c = 0, d = 0] = randomBytes(4);
    const drawn = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    if (drawn < limit) return drawn % n;
  }
}

/** The items in a random order (Fisher-Yates). */
export function shuffled<T>(items: readonly T[], randomBytes: RandomBytes): readonly T[] {
  const rest = [...items];
  const result: T[] = [];
  while (rest.length > 0) result.push(...rest.splice(randomBelow(rest.length, randomBytes), 1));
  return result;
}
