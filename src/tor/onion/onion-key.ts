/** The key of a v3 onion service (docs/protocol.md, sections 12.1 and 12.3). Pure. */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { onionHost } from '../../protocol/location.js';

/** An onion service's key, ready for ADD_ONION. The blob is secret: never log or print it. */
export interface OnionKey {
  /** 62 characters, with `.onion`. */
  readonly host: string;
  /** Base64 of the 64 bytes of the expanded key (88 characters). */
  readonly blob: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

export const ONION_SEED_BYTES = 32;
const EXPANDED_BYTES = 64;

/** The expanded secret of a 32-byte seed: SHA-512, clamped (RFC 8032, section 5.1.5). */
export function expandOnionSeed(seed: Uint8Array): Uint8Array {
  if (seed.length !== ONION_SEED_BYTES)
    throw new RangeError(`a seed has ${ONION_SEED_BYTES} bytes`);
  const expanded = sha512(seed);
  expanded[0] = (expanded[0] ?? 0) & 248;
  expanded[31] = ((expanded[31] ?? 0) & 63) | 64;
  return expanded;
}

/** The key of an expanded secret, or undefined when it is not 64 bytes or not clamped. */
export function onionKeyOf(expanded: Uint8Array): OnionKey | undefined {
  const first = expanded[0];
  const last = expanded[31];
  if (expanded.length !== EXPANDED_BYTES || first === undefined || last === undefined) {
    return undefined;
  }
  if ((first & 7) !== 0 || (last & 0xc0) !== 0x40) return undefined;
  const bigEndian = Buffer.from(expanded.slice(0, 32).toReversed());
  const scalar = ed25519.Point.Fn.create(BigInt(`0x${bigEndian.toString('hex')}`));
  if (scalar === 0n) return undefined;
  const publicKey = ed25519.Point.BASE.multiply(scalar).toBytes();
  return {
    host: onionHost(publicKey),
    blob: Buffer.from(expanded).toString('base64'),
    publicKey,
  };
}

/** The key of a 32-byte seed. */
export function onionKeyOfSeed(seed: Uint8Array): OnionKey {
  const key = onionKeyOf(expandOnionSeed(seed));
  if (key === undefined) throw new Error('an expanded seed is always a key');
  return key;
}
