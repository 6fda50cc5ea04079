/**
 * Signatures of lists: ed25519 (RFC 8032). Points of small order, and encodings that are not canonical, are
 * refused, so that all programs agree on what is valid.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';

/** The public key of a 32-byte seed, as 64 lower-case hex digits. */
export function publicKeyOf(seed: Uint8Array): string {
  return bytesToHex(ed25519.getPublicKey(seed));
}

/** The signature by the key of a 32-byte seed, as 128 lower-case hex digits. */
export function signBytes(message: Uint8Array, seed: Uint8Array): string {
  return bytesToHex(ed25519.sign(message, seed));
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytesToHex(bytes.toReversed())}`);
}

/**
 * The signature by an expanded key of 64 bytes, the form in which Tor keeps the key of an onion service (RFC
 * 8032, section 5.1.6, from its step 2 on).
 */
export function signWithExpandedKey(message: Uint8Array, expanded: Uint8Array): string {
  const { Fn, BASE } = ed25519.Point;
  const scalar = Fn.create(littleEndian(expanded.slice(0, 32)));
  const prefix = expanded.slice(32, 64);
  const publicKey = BASE.multiply(scalar).toBytes();
  const nonce = Fn.create(littleEndian(sha512(concatBytes(prefix, message))));
  const commitment = BASE.multiply(nonce).toBytes();
  const hash = Fn.create(littleEndian(sha512(concatBytes(commitment, publicKey, message))));
  const answer = Fn.create(nonce + hash * scalar);
  return bytesToHex(concatBytes(commitment, Fn.toBytes(answer)));
}

/** Whether the signature is valid. Never throws. */
export function isSignatureBy(
  publicKey: Uint8Array,
  message: Uint8Array,
  signatureHex: string,
): boolean {
  try {
    return ed25519.verify(hexToBytes(signatureHex), message, publicKey, { zip215: false });
  } catch {
    return false;
  }
}

/** SHA-256 as 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return bytesToHex(sha256(bytes));
}
