/**
 * Bitcoin signed messages, the signatures of private messages (docs/protocol.md, section 7.2).
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import { decodeBase64 } from './base64-text.js';
import { isEcdsaSignature, type AcceptedS } from './ecdsa.js';
import { platformCurves } from './platform-curves.js';

const MAGIC = utf8ToBytes('\x18Bitcoin Signed Message:\n');

const MAX_SIGNATURE_CHARS = 200;

// A lone surrogate has no UTF-8 form: it would be hashed as U+FFFD, so two texts would have the same
// signature.
const LONE_SURROGATE = /\p{Surrogate}/u;

function compactSize(n: number): Uint8Array {
  if (n < 0xfd) return Uint8Array.of(n);
  if (n <= 0xffff) return Uint8Array.of(0xfd, n & 0xff, n >> 8);
  return Uint8Array.of(0xfe, n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24);
}

/** The first of the two SHA-256. */
function hashedOnce(message: string | Uint8Array): Uint8Array {
  const bytes = typeof message === 'string' ? utf8ToBytes(message) : message;
  return sha256(concatBytes(MAGIC, compactSize(bytes.length), bytes));
}

/** Double SHA-256 of the framed message (a text in UTF-8, or raw bytes); 32 bytes. */
export function signedMessageHash(message: string | Uint8Array): Uint8Array {
  return sha256(hashedOnce(message));
}

/**
 * Whether `der` (strict DER) is a signature of a compressed key over the framed message. Never throws on a
 * signature or a key.
 */
export function isMessageSignature(
  der: Uint8Array,
  message: string | Uint8Array,
  publicKey: Uint8Array,
  accepted: AcceptedS,
): boolean {
  return isEcdsaSignature(der, hashedOnce(message), publicKey, accepted);
}

/** Deterministic (RFC 6979), low-S, DER, standard base64 with padding. Throws on a bad key. */
export function signText(text: string, privateKey: Uint8Array): string {
  const hash = signedMessageHash(text);
  return base64.encode(
    secp256k1.sign(hash, privateKey, { prehash: false, lowS: true, format: 'der' }),
  );
}

/**
 * The signature that `signText` makes, by the key of a nick, which may be computed by the platform. Not for
 * keys of coins. Throws on a bad key.
 */
export function signNickText(text: string, privateKey: Uint8Array): string {
  const compact = platformCurves()?.signForNick?.(signedMessageHash(text), privateKey);
  if (compact === undefined) return signText(text, privateKey);
  return base64.encode(secp256k1.Signature.fromBytes(compact, 'compact').toBytes('der'));
}

/**
 * Verifies as the most tolerant deployed peer does: accepts high S, upper-case key hex, and base64 with
 * or without padding. Refuses a text that is not valid Unicode. Never throws.
 */
export function verifyText(text: string, publicKeyHex: string, signature: string): boolean {
  if (!/^0[23][0-9a-fA-F]{64}$/.test(publicKeyHex)) return false;
  if (LONE_SURROGATE.test(text)) return false;
  const der = decodeBase64(signature, MAX_SIGNATURE_CHARS);
  return der !== undefined && isMessageSignature(der, text, hexToBytes(publicKeyHex), 'any');
}
