/** The signature of a bond's key that was made elsewhere, as signers write it. Pure. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { decodeBase64 } from '../protocol/base64-text.js';
import { fail, ok, type Parsed } from '../protocol/result.js';

/** Longest base64 text of a signature: 72 bytes of DER. */
const MAX_CHARS = 96;
/** Header, r and s, as wallets write signed messages (BIP137; Electrum writes the first eight headers). */
const RECOVERABLE_BYTES = 65;
const FIRST_HEADER = 27;
const LAST_HEADER = 42;
const DER_HEADER = 0x30;

function compactPart(bytes: Uint8Array): Uint8Array | undefined {
  const [header = 0] = bytes;
  const isRecoverable = bytes.length === RECOVERABLE_BYTES;
  return isRecoverable && header >= FIRST_HEADER && header <= LAST_HEADER
    ? bytes.subarray(1)
    : undefined;
}

/**
 * Reads a signature in base64: DER, or the 65 bytes of a signed message. The result is DER with low S,
 * as every deployed taker accepts it. Blanks and line ends around the text are ignored.
 */
export function parseColdSignature(text: string): Parsed<Uint8Array, 'signature-form'> {
  const bytes = decodeBase64(text.trim(), MAX_CHARS);
  if (bytes === undefined) return fail('signature-form');
  const compact = compactPart(bytes);
  if (compact === undefined && bytes[0] !== DER_HEADER) return fail('signature-form');
  try {
    const { r, s } = secp256k1.Signature.fromBytes(
      compact ?? bytes,
      compact === undefined ? 'der' : 'compact',
    );
    const low = secp256k1.Point.Fn.ORDER - s;
    return ok(new secp256k1.Signature(r, low < s ? low : s).toBytes('der'));
  } catch {
    return fail('signature-form');
  }
}
