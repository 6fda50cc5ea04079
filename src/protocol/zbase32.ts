/**
 * z-base-32 as Lokinet writes 32-byte keys: five bits to a character, most significant bit first, the last
 * group filled with zero bits, no padding. The npm package `zbase32` fills the first group instead, so its
 * texts of most lengths mean other bytes.
 */
import { fail, ok, type Parsed } from './result.js';

const ALPHABET = 'ybndrfg8ejkmcpqxot1uwisza345h769';
const VALUES: ReadonlyMap<string, number> = new Map(Array.from(ALPHABET, (char, n) => [char, n]));

/** Why a text is not z-base-32. */
export type Zbase32Fault =
  /** A character outside of the alphabet; upper case is outside. */
  | 'zbase32-alphabet'
  /** No number of whole bytes has this many characters. */
  | 'zbase32-length'
  /** The bits behind the last byte are not zero, so the text is a second form of the same bytes. */
  | 'zbase32-spare-bits';

/** The text of the bytes, in lower case. */
export function encodeZbase32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET.charAt((held >>> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + ALPHABET.charAt((held << (5 - bits)) & 31);
}

/** The bytes of a text; only the one text that `encodeZbase32` writes for them is accepted. */
export function decodeZbase32(text: string): Parsed<Uint8Array, Zbase32Fault> {
  const length = Math.floor((text.length * 5) / 8);
  if (Math.ceil((length * 8) / 5) !== text.length) return fail('zbase32-length');
  const bytes = new Uint8Array(length);
  let at = 0;
  let bits = 0;
  let held = 0;
  for (const char of text) {
    const value = VALUES.get(char);
    if (value === undefined) return fail('zbase32-alphabet');
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at] = held >>> bits;
      at++;
    }
    held &= (1 << bits) - 1;
  }
  return held === 0 ? ok(bytes) : fail('zbase32-spare-bits');
}
