/**
 * Streamlined NTRU Prime 4591^761 (NIST round 1): agrees on a key of 32 bytes. LLARP v0 calls it PQKG and PQKE
 * (crypto_v0). Nobody has reviewed this code; it serves a laboratory.
 *
 * - public key: h = g / 3f modulo 4591, 1,218 bytes
 * - secret key: f and 1/g modulo 3 (191 bytes each), and the public key: 1,600 bytes
 * - ciphertext: 32 bytes that confirm the key, and h * r rounded to multiples of 3: 1,047 bytes
 */
import { sha512 } from '@noble/hashes/sha2.js';
import { joinBytes } from '../bytes.js';
import type { RandomBytes } from '../crypto.js';
import {
  decodeLarge,
  decodeRounded,
  decodeSmall,
  encodeLarge,
  encodeRounded,
  encodeSmall,
  LARGE_BYTES,
  ROUNDED_BYTES,
  SMALL_BYTES,
} from './encoding.js';
import {
  multiply3,
  multiplyQ,
  P,
  reciprocal3,
  reciprocalOfTriple,
  round3,
  tripleTo3,
  weightFault,
  WEIGHT,
  type Small,
} from './polynomial.js';

export const SNTRUP_PUBLIC_KEY_BYTES = LARGE_BYTES;
export const SNTRUP_SECRET_KEY_BYTES = 2 * SMALL_BYTES + LARGE_BYTES;
const CONFIRMATION_BYTES = 32;
export const SNTRUP_CIPHERTEXT_BYTES = CONFIRMATION_BYTES + ROUNDED_BYTES;

/** A key pair of sntrup4591761. */
export interface SntrupKeyPair {
  /** 1,218 bytes. */
  readonly publicKey: Uint8Array;
  /** 1,600 bytes. */
  readonly secretKey: Uint8Array;
}

/** What an encapsulation gives. */
export interface Encapsulated {
  /** 1,047 bytes for the owner of the secret key. */
  readonly ciphertext: Uint8Array;
  /** The key of both, 32 bytes. */
  readonly key: Uint8Array;
}

function checkLength(name: string, bytes: Uint8Array, length: number): void {
  if (bytes.length === length) return;
  throw new RangeError(`${name} of sntrup4591761 has ${length} bytes, not ${bytes.length}`);
}

function randomWords(randomBytes: RandomBytes): Uint32Array {
  const bytes = randomBytes(4 * P);
  checkLength('the random source', bytes, 4 * P);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Uint32Array.from({ length: P }, (_, i) => view.getUint32(4 * i, true));
}

/** Each coefficient is -1, 0 or 1, with equal chances up to a part in 2^30. */
function randomSmall(randomBytes: RandomBytes): Small {
  return Int8Array.from(randomWords(randomBytes), (word) => {
    return Math.floor(((word & 0x3fffffff) * 3) / 2 ** 30) - 1;
  });
}

/**
 * `WEIGHT` coefficients that are not zero, at random places: each is the end of a random word, and the words are
 * sorted. The time of the sort depends on the words.
 */
function randomShort(randomBytes: RandomBytes): Small {
  const words = randomWords(randomBytes).map((word, i) => {
    return i < WEIGHT ? (word & 0xfffffffe) >>> 0 : ((word & 0xfffffffc) | 1) >>> 0;
  });
  return Int8Array.from(words.toSorted(), (word) => (word & 3) - 1);
}

/** The confirmation and the key: two halves of a hash of r. */
function halves(r: Small): { readonly confirmation: Uint8Array; readonly key: Uint8Array } {
  const hash = sha512(encodeSmall(r));
  return { confirmation: hash.slice(0, 32), key: hash.slice(32) };
}

/** A new key pair (PQKG). Tries again, with new random bytes, while the polynomial has no inverse. */
export function sntrupKeyPair(randomBytes: RandomBytes): SntrupKeyPair {
  for (;;) {
    const g = randomSmall(randomBytes);
    const inverse = reciprocal3(g);
    if (!inverse) continue;
    const f = randomShort(randomBytes);
    // A short polynomial always has an inverse modulo 4591: the modulus is irreducible.
    const third = reciprocalOfTriple(f);
    if (!third) continue;
    const publicKey = encodeLarge(multiplyQ(third, g));
    return { publicKey, secretKey: joinBytes(encodeSmall(f), encodeSmall(inverse), publicKey) };
  }
}

/** A key, and the ciphertext that tells it to the owner of the secret key (PQKE_A). */
export function sntrupEncapsulate(publicKey: Uint8Array, randomBytes: RandomBytes): Encapsulated {
  checkLength('a public key', publicKey, SNTRUP_PUBLIC_KEY_BYTES);
  const r = randomShort(randomBytes);
  const { confirmation, key } = halves(r);
  const rounded = round3(multiplyQ(decodeLarge(publicKey), r));
  return { ciphertext: joinBytes(confirmation, encodeRounded(rounded)), key };
}

/** 0 when the two are equal, of equal length. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let found = 0;
  for (let i = 0; i < a.length; i++) found |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return found;
}

/**
 * The key of a ciphertext (PQKE_B); undefined when it was not made for this secret key, or was changed. Other bytes
 * for the same coefficients count as changed too, unlike in the reference. A wrong length throws a RangeError.
 */
export function sntrupDecapsulate(
  ciphertext: Uint8Array,
  secretKey: Uint8Array,
): Uint8Array | undefined {
  checkLength('a ciphertext', ciphertext, SNTRUP_CIPHERTEXT_BYTES);
  checkLength('a secret key', secretKey, SNTRUP_SECRET_KEY_BYTES);
  const f = decodeSmall(secretKey);
  const inverse = decodeSmall(secretKey.subarray(SMALL_BYTES));
  const h = decodeLarge(secretKey.subarray(2 * SMALL_BYTES));
  const packed = ciphertext.subarray(CONFIRMATION_BYTES);
  const c = decodeRounded(packed);
  const r = multiply3(tripleTo3(multiplyQ(c, f)), inverse);
  const { confirmation, key } = halves(r);
  const fault =
    weightFault(r) |
    difference(round3(multiplyQ(h, r)), c) |
    difference(encodeRounded(c), packed) |
    difference(confirmation, ciphertext.subarray(0, CONFIRMATION_BYTES));
  return fault === 0 ? key : undefined;
}
