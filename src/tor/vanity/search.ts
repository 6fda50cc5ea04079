/**
 * Searches for an onion key whose address begins with chosen letters. Pure.
 *
 * Neighbouring keys are cheap: from a random point P the public keys of `a + 8i` are P + i(8B), and
 * only their y coordinates decide the address. P + Q and P - Q share most of the work, and one
 * inversion serves a whole batch. The key files contain the scalar itself (docs/protocol.md, section
 * 12.3), so a key found this way is an ordinary one. Only the key that was found may be used, because
 * keys of one batch lie a small distance apart.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';
import { expandOnionSeed, ONION_SEED_BYTES } from '../onion/onion-key.js';

/** RFC 4648; Tor writes it in lower case. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const BITS_PER_CHAR = 5;
/** More letters would take too long; and the bits must lie below the sign of x. */
export const MAX_VANITY_CHARS = 12;

export interface VanityPrefix {
  /** Lower case. */
  readonly text: string;
  /** Average number of tries: 32 to the power of the number of letters. */
  readonly expectedTries: number;
  /** The decided bits of y, and their values. */
  readonly mask: bigint;
  readonly value: bigint;
}

/**
 * The letters as bits of y: base32 takes each byte from its highest bit, y begins at its lowest byte.
 */
export function parseVanityPrefix(text: string): Parsed<VanityPrefix, 'empty' | 'long' | 'letter'> {
  const lower = text.toLowerCase();
  if (lower === '') return fail('empty');
  if (lower.length > MAX_VANITY_CHARS) return fail('long');
  let mask = 0n;
  let value = 0n;
  for (const [at, char] of lower.split('').entries()) {
    const letter = BASE32.indexOf(char);
    if (letter < 0) return fail('letter');
    for (let bit = 0; bit < BITS_PER_CHAR; bit += 1) {
      const index = at * BITS_PER_CHAR + bit;
      const place = 1n << BigInt(8 * (index >> 3) + 7 - (index & 7));
      mask |= place;
      if ((letter & (16 >> bit)) !== 0) value |= place;
    }
  }
  return ok({ text: lower, expectedTries: 32 ** lower.length, mask, value });
}

const { Point } = ed25519;
const { Fp } = Point;
const P = Fp.ORDER;
const LOW_255 = (1n << 255n) - 1n;
const D = Point.CURVE().d;
/** A scalar must stay a multiple of 8, so that it stays clamped. */
const COFACTOR = 8n;
/** Neighbours on each side of the centre. */
const HALF_BATCH = 512;
/** Keys tried by one batch. */
export const VANITY_BATCH = 2 * HALF_BATCH;

/** A product, congruent and below 2^255 + 19, cheaper than a division (2^255 = 19 mod p). */
function fold(product: bigint): bigint {
  const once = (product & LOW_255) + (product >> 255n) * 19n;
  return (once & LOW_255) + (once >> 255n) * 19n;
}

const canonical = (folded: bigint): bigint => (folded >= P ? folded - P : folded);

interface Offset {
  readonly x: bigint;
  readonly y: bigint;
  readonly dxy: bigint;
}

const STEP = Point.BASE.multiply(COFACTOR);

/** i(8B) for i = 1 to HALF_BATCH. */
function makeOffsets(): readonly Offset[] {
  const points = [STEP];
  for (let i = 1; i < HALF_BATCH; i += 1) points.push((points[i - 1] ?? STEP).add(STEP));
  return points.map((point) => {
    const { x, y } = point.toAffine();
    return { x, y, dxy: Fp.mul(D, Fp.mul(x, y)) };
  });
}

interface Term {
  readonly numerator: bigint;
  readonly denominator: bigint;
  /** Product of the denominators before this one. */
  readonly before: bigint;
  /** The neighbour: this many steps from the centre. */
  readonly steps: number;
}

/** The y coordinates around a centre, as fractions: (y1 y2 + x1 x2) / (1 - d x1 x2 y1 y2). */
function* neighbours(
  centre: { readonly x: bigint; readonly y: bigint },
  offsets: readonly Offset[],
): Generator<Omit<Term, 'before'>> {
  const xy = fold(centre.x * centre.y);
  for (const [at, offset] of offsets.entries()) {
    const xx = centre.x * offset.x;
    const yy = centre.y * offset.y;
    const k = fold(xy * offset.dxy);
    yield { numerator: fold(yy + xx), denominator: 1n - k + 2n * P, steps: at + 1 };
    // The same with -Q, whose x has the other sign; 2^511 is above any xx.
    yield { numerator: fold(yy - xx + P * P * 4n), denominator: 1n + k, steps: -at - 1 };
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex')}`);
}

function toLittleEndian(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex')).toReversed();
}

/** `bytes` random bytes, from a source fit for keys. */
export type RandomBytes = (bytes: number) => Uint8Array;

export interface VanitySearch {
  /** Tries the next VANITY_BATCH keys; returns the 64 bytes of an expanded key when one fits. */
  next(): Uint8Array | undefined;
}

/** A search of its own, from a random start. */
export function createVanitySearch(prefix: VanityPrefix, random: RandomBytes): VanitySearch {
  const { mask, value } = prefix;
  const offsets = makeOffsets();
  const stride = BigInt(2 * HALF_BATCH + 1);
  const big = STEP.multiply(stride);
  // Clamped, with 2^254 set and 2^253 clear, so that no realistic number of steps overflows it.
  const seed = expandOnionSeed(random(ONION_SEED_BYTES)).subarray(0, 32);
  let scalar = littleEndian(seed) & ~(1n << 253n);
  let centre = Point.BASE.multiply(Point.Fn.create(scalar));

  function found(steps: number): Uint8Array {
    const expanded = new Uint8Array(64);
    expanded.set(toLittleEndian(scalar + BigInt(steps) * COFACTOR));
    // The second half must only be secret: it makes the nonces of signatures.
    expanded.set(random(32), 32);
    return expanded;
  }

  return {
    next() {
      const terms: Term[] = [];
      let product = 1n;
      for (const term of neighbours(centre.toAffine(), offsets)) {
        terms.push({ ...term, before: product });
        product = fold(product * term.denominator);
      }
      let inverse = Fp.inv(canonical(product));
      for (let at = terms.length - 1; at >= 0; at -= 1) {
        const term = terms[at];
        if (term === undefined) break;
        const y = canonical(fold(term.numerator * fold(inverse * term.before)));
        if ((y & mask) === value) return found(term.steps);
        inverse = fold(inverse * term.denominator);
      }
      scalar += stride * COFACTOR;
      centre = centre.add(big);
      return undefined;
    },
  };
}
