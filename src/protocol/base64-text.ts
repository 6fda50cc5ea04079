/** Base64 as it arrives from peers: bounded, and undefined instead of an exception. */
import { base64 } from '@scure/base';

const ALPHABET = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * Standard base64, with or without padding, of at least one byte; undefined for anything else, for
 * more than `maxChars` characters, and for a last digit that carries bits of no byte.
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
