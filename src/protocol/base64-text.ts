/** Base64 of peers: bounded, and undefined instead of an exception. */
import { base64 } from '@scure/base';

const ALPHABET = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * Decodes standard base64 of at least one byte, with or without padding. Undefined for any other text,
 * for more than `maxChars` characters, and when the last digit has bits that belong to no byte.
 */
export function decodeBase64(text: string, maxChars: number): Uint8Array | undefined {
  if (text.length > maxChars || !ALPHABET.test(text)) return undefined;
  const digits = text.replace(/=+$/, '');
  try {
    return base64.decode(digits.padEnd(Math.ceil(digits.length / 4) * 4, '='));
  } catch {
    return undefined;
  }
}
