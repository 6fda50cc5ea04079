/** The bytes of polynomials of Streamlined NTRU Prime 4591^761, as NIST round 1 has them. */
import { freezeQ, P, Q_HALF, type Large, type Small } from './polynomial.js';

/** Four coefficients in a byte. */
export const SMALL_BYTES = 191;
/** Five coefficients in eight bytes; the last one in two. */
export const LARGE_BYTES = 1_218;
/** Three coefficients in four bytes; the last two in three. */
export const ROUNDED_BYTES = 1_015;

/** How many digits of a group go into how many bytes. */
interface Packing {
  readonly digits: number;
  readonly base: number;
  readonly bytes: number;
  /** Bytes of the group at the end, which has fewer digits. */
  readonly lastBytes: number;
}

const LARGE: Packing = { digits: 5, base: 6_144, bytes: 8, lastBytes: 2 };
const ROUNDED: Packing = { digits: 3, base: 1_536, bytes: 4, lastBytes: 3 };

/** The digits of each group, the first one the lowest, as a little-endian integer. */
function pack(values: ArrayLike<number>, { digits, base, bytes, lastBytes }: Packing): Uint8Array {
  const groups = Math.floor(P / digits);
  const packed = new Uint8Array(groups * bytes + lastBytes);
  const view = new DataView(packed.buffer);
  for (let group = 0; group <= groups; group++) {
    const first = group * digits;
    let sum = 0n;
    for (let i = Math.min(P, first + digits) - 1; i >= first; i--) {
      sum = sum * BigInt(base) + BigInt(values[i] ?? 0);
    }
    const length = group < groups ? bytes : lastBytes;
    for (let i = 0; i < length; i++) {
      view.setUint8(group * bytes + i, Number((sum >> BigInt(8 * i)) & 255n));
    }
  }
  return packed;
}

/** The digits of `pack`. The last digit of a group may exceed the base in bytes that were not packed so. */
function unpack(packed: Uint8Array, { digits, base, bytes, lastBytes }: Packing): Int32Array {
  const groups = Math.floor(P / digits);
  const values = new Int32Array(P);
  for (let group = 0; group <= groups; group++) {
    const length = group < groups ? bytes : lastBytes;
    let sum = 0n;
    for (let i = length - 1; i >= 0; i--)
      sum = (sum << 8n) | BigInt(packed[group * bytes + i] ?? 0);
    const first = group * digits;
    const end = Math.min(P, first + digits);
    for (let i = first; i < end; i++) {
      values[i] = Number(i === end - 1 ? sum : sum % BigInt(base));
      sum /= BigInt(base);
    }
  }
  return values;
}

export function encodeSmall(small: Small): Uint8Array {
  const packed = new Uint8Array(SMALL_BYTES);
  for (let i = 0; i < P; i++) {
    const index = i >> 2;
    packed[index] = (packed[index] ?? 0) | (((small[i] ?? 0) + 1) << (2 * (i & 3)));
  }
  return packed;
}

/** @param packed at least `SMALL_BYTES` long; the pair of bits 11 counts as 1, which no encoder writes */
export function decodeSmall(packed: Uint8Array): Small {
  return Int8Array.from({ length: P }, (_, i) => {
    const pair = ((packed[i >> 2] ?? 0) >> (2 * (i & 3))) & 3;
    return pair - (pair >> 1) * (pair & 1) - 1;
  });
}

export function encodeLarge(large: Large): Uint8Array {
  return pack(
    Int32Array.from(large, (x) => x + Q_HALF),
    LARGE,
  );
}

/** @param packed at least `LARGE_BYTES` long; a coefficient that is too large is reduced */
export function decodeLarge(packed: Uint8Array): Large {
  return Int16Array.from(unpack(packed, LARGE), (x) => freezeQ(x - Q_HALF));
}

/** @param large multiples of 3 */
export function encodeRounded(large: Large): Uint8Array {
  return pack(
    Int32Array.from(large, (x) => (x + Q_HALF) / 3),
    ROUNDED,
  );
}

/** @param packed at least `ROUNDED_BYTES` long; a coefficient that is too large is reduced */
export function decodeRounded(packed: Uint8Array): Large {
  return Int16Array.from(unpack(packed, ROUNDED), (x) => freezeQ(3 * x - Q_HALF));
}
