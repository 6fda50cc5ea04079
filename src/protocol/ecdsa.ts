/** ECDSA over secp256k1 for hashes of two SHA-256, as in signed messages and in transactions. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { platformCurves } from './platform-curves.js';

const COMPRESSED_BYTES = 33;

/** Which signatures are valid. `low`: only with S in the lower half, as relay rules demand. */
export type AcceptedS = 'low' | 'any';

type ParsedSignature = ReturnType<typeof secp256k1.Signature.fromBytes>;

/** A signature in strict DER whose numbers are scalars; undefined for any other bytes. */
function parseSignature(der: Uint8Array): ParsedSignature | undefined {
  try {
    return secp256k1.Signature.fromBytes(der, 'der');
  } catch {
    return undefined;
  }
}

/**
 * Whether `der` (strict DER) is a signature of this key for SHA256(`once`). Never throws on a signature
 * or a key.
 * @param once the first of the two SHA-256 of the message, 32 bytes
 */
export function isEcdsaSignature(
  der: Uint8Array,
  once: Uint8Array,
  publicKey: Uint8Array,
  accepted: AcceptedS,
): boolean {
  const signature = parseSignature(der);
  if (signature === undefined) return false;
  const lowS = accepted === 'low';
  if (lowS && signature.hasHighS()) return false;
  if (publicKey.length === COMPRESSED_BYTES) {
    const compact = signature.toBytes('compact');
    const verdict = platformCurves()?.verifyEcdsa(compact, once, publicKey);
    if (verdict !== undefined) return verdict;
  }
  try {
    const hash = sha256(once);
    return secp256k1.verify(der, hash, publicKey, { prehash: false, lowS, format: 'der' });
  } catch {
    return false;
  }
}
