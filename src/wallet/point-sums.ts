/**
 * Many points P + kG of secp256k1 at once, for scalars k that are public. Each k is split into signed
 * digits, whose multiples of G are in tables; one inversion serves an addition of all keys of a batch. Not in
 * constant time: never for private keys. Pure.
 */
import { FpInvertBatch } from '@noble/curves/abstract/modular.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';

const { Point } = secp256k1;
const { Fp } = Point;
const P = Fp.ORDER;
const ORDER = Point.Fn.ORDER;
/** P = 2^256 - GAP. */
const GAP = (1n << 256n) - P;
const LOW_256 = (1n << 256n) - 1n;
/** A multiple of P above any folded value, so that differences stay positive. */
const LIFT = P * 4n;

/** Bits of a digit. Fewer make more additions, more make larger tables: 29 times 256 points. */
const DIGIT_BITS = 9;
const HALF = 1 << (DIGIT_BITS - 1);
const DIGIT_MASK = (1 << DIGIT_BITS) - 1;
const DIGITS = Math.ceil(257 / DIGIT_BITS);
const SCALAR_BYTES = 32;

/** Coordinates of points that are not infinite. */
interface Points {
  readonly x: bigint[];
  readonly y: bigint[];
}

/** Congruent, from 0 to a little above 2^256; cheaper than a division. For values below 2^514. */
function fold(value: bigint): bigint {
  const once = (value & LOW_256) + (value >> 256n) * GAP;
  return (once & LOW_256) + (once >> 256n) * GAP;
}

/** The multiples 1 to HALF of 2^(DIGIT_BITS i) G for each digit i, and the same with -G. */
interface DigitTable extends Points {
  readonly minusY: bigint[];
}

const tables: DigitTable[] = [];
let nextBase = Point.BASE;

/**
 * Makes the next table, some milliseconds; false when all are there. They take 2 MB, and stay for the life
 * of the program.
 */
export function prepareNextTable(): boolean {
  if (tables.length === DIGITS) return false;
  const base = nextBase;
  const points = [base];
  for (let i = 1; i < HALF; i++) points.push((points[i - 1] ?? base).add(base));
  const inverses = FpInvertBatch(
    Fp,
    points.map(({ Z }) => Z),
  );
  const affine = points.map((point, i) => point.toAffine(inverses[i]));
  tables.push({
    x: affine.map(({ x }) => x),
    y: affine.map(({ y }) => y),
    minusY: affine.map(({ y }) => P - y),
  });
  for (let bit = 0; bit < DIGIT_BITS; bit++) nextBase = nextBase.double();
  return true;
}

/** Digits of a scalar in big-endian bytes, the lowest first, each from -HALF + 1 to HALF. */
function digitsOf(scalar: Uint8Array): Int16Array {
  const digits = new Int16Array(DIGITS);
  let carry = 0;
  for (let i = 0; i < DIGITS; i++) {
    const bit = i * DIGIT_BITS;
    const at = SCALAR_BYTES - 1 - (bit >> 3);
    const window = (scalar[at] ?? 0) | ((scalar[at - 1] ?? 0) << 8) | ((scalar[at - 2] ?? 0) << 16);
    const digit = ((window >> (bit & 7)) & DIGIT_MASK) + carry;
    carry = digit > HALF ? 1 : 0;
    digits[i] = digit - (carry << DIGIT_BITS);
  }
  return digits;
}

/**
 * Adds to each sum the point of its digit. False where a sum and its point have the same x, which happens by
 * chance in one of 2^250 additions.
 */
function addDigits(sums: Points, digits: readonly Int16Array[], digit: number): boolean {
  const table = tables[digit];
  if (table === undefined) throw new Error('the tables were not prepared');
  const count = digits.length;
  const before: bigint[] = [];
  const differences: bigint[] = [];
  let product = 1n;
  for (let i = 0; i < count; i++) {
    const value = digits[i]?.[digit] ?? 0;
    const x = table.x[Math.abs(value) - 1];
    const difference = x === undefined ? 1n : x - (sums.x[i] ?? 0n) + LIFT;
    before.push(product);
    differences.push(difference);
    product = fold(product * difference);
  }
  if (product % P === 0n) return false;
  let inverse = Fp.inv(product % P);
  for (let i = count - 1; i >= 0; i--) {
    const value = digits[i]?.[digit] ?? 0;
    const at = Math.abs(value) - 1;
    const x = table.x[at];
    const y = (value < 0 ? table.minusY : table.y)[at];
    if (x === undefined || y === undefined) continue;
    const [oldX, oldY] = [sums.x[i] ?? 0n, sums.y[i] ?? 0n];
    const slope = fold((y - oldY + LIFT) * fold(inverse * (before[i] ?? 1n)));
    inverse = fold(inverse * (differences[i] ?? 1n));
    const newX = fold(slope * slope - oldX - x + LIFT);
    sums.x[i] = newX;
    sums.y[i] = fold(slope * (oldX - newX + LIFT) - oldY + LIFT);
  }
  return true;
}

const isScalar = (scalar: Uint8Array): boolean =>
  scalar.length === SCALAR_BYTES && BigInt(`0x${Buffer.from(scalar).toString('hex')}`) < ORDER;

function compressed(x: bigint, y: bigint): Uint8Array {
  const hex = (x % P).toString(16).padStart(64, '0');
  return new Uint8Array(Buffer.from(((y % P) & 1n ? '03' : '02') + hex, 'hex'));
}

/**
 * The compressed points P + kG for each scalar k of 32 bytes, big-endian. Undefined when one of them is out
 * of range or needs a special case: the caller derives these keys in the ordinary way. The tables must have
 * been prepared. A batch of 64 takes some 5 ms.
 * @param publicKey P, compressed; throws when it is no point
 */
export function pointSums(
  publicKey: Uint8Array,
  scalars: readonly Uint8Array[],
): readonly Uint8Array[] | undefined {
  if (!scalars.every(isScalar)) return undefined;
  const { x, y } = Point.fromBytes(publicKey).toAffine();
  const sums = { x: scalars.map(() => x), y: scalars.map(() => y) };
  const digits = scalars.map(digitsOf);
  for (let digit = 0; digit < DIGITS; digit++) {
    if (!addDigits(sums, digits, digit)) return undefined;
  }
  return sums.x.map((sumX, i) => compressed(sumX, sums.y[i] ?? 0n));
}
