/**
 * Arithmetic of Streamlined NTRU Prime 4591^761: polynomials of degree below 761 over x^761 - x - 1, with
 * coefficients modulo 4591 or modulo 3 (NIST round 1, 2017).
 *
 * No branch and no index depends on a coefficient, and every loop has a fixed length. That is as far as
 * TypeScript goes: the engine decides how it stores and multiplies a number, so a run is not proven to take
 * a constant time.
 */

/** Number of coefficients. */
export const P = 761;
/** Modulus of the coefficients of a public key. */
export const Q = 4591;
/** The largest coefficient modulo Q; the smallest is its negative. */
export const Q_HALF = 2295;
/** Number of coefficients that are not zero in a short polynomial. */
export const WEIGHT = 286;

/** `P` coefficients from -1 to 1. */
export type Small = Int8Array;
/** `P` coefficients from -2295 to 2295. */
export type Large = Int16Array;

/** The representative from -2295 to 2295. @param x an integer, at most 2^31 in size */
export function freezeQ(x: number): number {
  return x - Q * Math.round(x / Q);
}

/** The representative from -1 to 1. @param x an integer, at most 2^31 in size */
export function freeze3(x: number): number {
  return x - 3 * Math.round(x / 3);
}

/** All bits set when x is not zero. @param x at most 2^31 - 1 in size */
function nonzeroMask(x: number): number {
  return (x | -x) >> 31;
}

/** All bits set when x is below zero. */
function negativeMask(x: number): number {
  return x >> 31;
}

/**
 * The product, not reduced modulo an integer. One factor is small, so each sum stays below 2^24.
 */
function product(factor: Large | Small, small: Small): Int32Array {
  const sums = new Int32Array(2 * P - 1);
  for (let i = 0; i < P; i++) {
    const a = factor[i] ?? 0;
    for (let j = 0; j < P; j++) sums[i + j] = (sums[i + j] ?? 0) + a * (small[j] ?? 0);
  }
  // x^761 = x + 1
  for (let i = 2 * P - 2; i >= P; i--) {
    const high = sums[i] ?? 0;
    sums[i - P] = (sums[i - P] ?? 0) + high;
    sums[i - P + 1] = (sums[i - P + 1] ?? 0) + high;
  }
  return sums.subarray(0, P);
}

/** The product modulo 4591. */
export function multiplyQ(factor: Large, small: Small): Large {
  return Int16Array.from(product(factor, small), freezeQ);
}

/** The product modulo 3. */
export function multiply3(factor: Small, small: Small): Small {
  return Int8Array.from(product(factor, small), freeze3);
}

/** The inverse of an integer modulo 4591, by Fermat. @param x not a multiple of 4591 */
function inverseQ(x: number): number {
  let power = freezeQ(x);
  let result = 1;
  for (let exponent = Q - 2; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) === 1) result = freezeQ(result * power);
    power = freezeQ(power * power);
  }
  return result;
}

/** What differs between the two moduli. */
interface Field {
  /** The representative of x. */
  readonly freeze: (x: number) => number;
  /** The first coefficient of the cofactor: the inverse of 3 modulo 4591, or 1. */
  readonly start: number;
  /** The inverse of a coefficient that is not zero. */
  readonly inverse: (x: number) => number;
}

const FIELD_Q: Field = { freeze: freezeQ, start: inverseQ(3), inverse: inverseQ };
const FIELD_3: Field = { freeze: freeze3, start: 1, inverse: (x) => x };

/** `kept * (-cofactor)` is added to `changed`, coefficient by coefficient. */
function combine(
  field: Field,
  changed: Int32Array,
  kept: Int32Array,
  f0: number,
  g0: number,
): void {
  for (let i = 0; i <= P; i++) {
    changed[i] = field.freeze(f0 * (changed[i] ?? 0) - g0 * (kept[i] ?? 0));
  }
}

/** Exchanges the two arrays where the mask is set. */
function exchange(mask: number, a: Int32Array, b: Int32Array): void {
  for (let i = 0; i <= P; i++) {
    const t = mask & ((a[i] ?? 0) ^ (b[i] ?? 0));
    a[i] = (a[i] ?? 0) ^ t;
    b[i] = (b[i] ?? 0) ^ t;
  }
}

/**
 * `start / input`, by division steps (Bernstein and Yang, 2019): 2 * 761 - 1 steps, whatever the input.
 * Undefined when the input has no inverse.
 */
function reciprocal(input: Small, field: Field): Int32Array | undefined {
  let f = new Int32Array(P + 1);
  let g = new Int32Array(P + 1);
  const v = new Int32Array(P + 1);
  const r = new Int32Array(P + 1);
  r[0] = field.start;
  f[0] = 1;
  f[P - 1] = -1;
  f[P] = -1;
  for (let i = 0; i < P; i++) g[P - 1 - i] = input[i] ?? 0;
  let delta = 1;
  for (let step = 0; step < 2 * P - 1; step++) {
    v.copyWithin(1, 0, P);
    v[0] = 0;
    const swap = negativeMask(-delta) & nonzeroMask(g[0] ?? 0);
    delta ^= swap & (delta ^ -delta);
    delta += 1;
    exchange(swap, f, g);
    exchange(swap, v, r);
    const f0 = f[0] ?? 0;
    const g0 = g[0] ?? 0;
    combine(field, g, f, f0, g0);
    combine(field, r, v, f0, g0);
    g.copyWithin(0, 1);
    g[P] = 0;
  }
  if (delta !== 0) return undefined;
  const scale = field.inverse(f[0] ?? 0);
  return Int32Array.from({ length: P }, (_, i) => field.freeze(scale * (v[P - 1 - i] ?? 0)));
}

/** `1 / (3 * input)` modulo 4591; undefined when there is no inverse. */
export function reciprocalOfTriple(input: Small): Large | undefined {
  const found = reciprocal(input, FIELD_Q);
  return found && Int16Array.from(found);
}

/** `1 / input` modulo 3; undefined when there is no inverse. */
export function reciprocal3(input: Small): Small | undefined {
  const found = reciprocal(input, FIELD_3);
  return found && Int8Array.from(found);
}

/** Each coefficient rounded to the nearest multiple of 3. */
export function round3(large: Large): Large {
  return large.map((x) => x - freeze3(x));
}

/** Three times each coefficient modulo 4591, then modulo 3. */
export function tripleTo3(large: Large): Small {
  return Int8Array.from(large, (x) => freeze3(freezeQ(3 * x)));
}

/** 0 when exactly `WEIGHT` coefficients are not zero. */
export function weightFault(small: Small): number {
  let weight = 0;
  for (let i = 0; i < P; i++) weight += (small[i] ?? 0) & 1;
  return weight ^ WEIGHT;
}
