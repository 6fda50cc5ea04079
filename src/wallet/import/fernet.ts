/**
 * Fernet tokens (the specification of that name, version 0x80): AES-128-CBC with PKCS#7, and HMAC-SHA256
 * over all of it. The time in the token is not checked.
 */
import { createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { wrongPassword } from './foreign-wallet.js';

const VERSION = 0x80;
const IV_AT = 9;
const TEXT_AT = 25;
const DIGEST_BYTES = 32;
const BLOCK_BYTES = 16;
const KEY_BYTES = 32;
/** Every token begins so: its version, and the first bytes of a time before the year 2106. */
const HEAD = 'gAAAAA';

/** Whether bytes begin as a token does. */
export function isFernetToken(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, HEAD.length)).toString('latin1') === HEAD;
}

/**
 * Decrypts a token, given as the ASCII of its base64url. The first half of the 32 bytes of the key signs,
 * the other half encrypts. Throws a `WalletImportError` (`password`) where the key is another one, or the
 * token was changed: a token does not tell the two apart.
 */
export function openFernetToken(token: Uint8Array, key: Uint8Array): Buffer {
  const bytes = Buffer.from(Buffer.from(token).toString('latin1').trim(), 'base64url');
  const end = bytes.length - DIGEST_BYTES;
  const length = end - TEXT_AT;
  if (key.length !== KEY_BYTES || bytes[0] !== VERSION) throw wrongPassword();
  if (length < BLOCK_BYTES || length % BLOCK_BYTES !== 0) throw wrongPassword();
  const digest = createHmac('sha256', key.subarray(0, KEY_BYTES / 2))
    .update(bytes.subarray(0, end))
    .digest();
  if (!timingSafeEqual(digest, bytes.subarray(end))) throw wrongPassword();
  const iv = bytes.subarray(IV_AT, TEXT_AT);
  const decipher = createDecipheriv('aes-128-cbc', key.subarray(KEY_BYTES / 2), iv);
  try {
    return Buffer.concat([decipher.update(bytes.subarray(TEXT_AT, end)), decipher.final()]);
  } catch {
    throw wrongPassword();
  }
}
