/**
 * The text of a code that we make: `omc-ID-SECRET` with 40 bits of id and 128 random bits of secret in
 * base32. It is printed once, and only a keyed hash of it is stored. Pure.
 */
import { createHmac } from 'node:crypto';
import { base32nopad } from '@scure/base';

const MADE = /^omc-([a-z2-7]{8})-[a-z2-7]{26}$/;
const ID_BYTES = 5;
const SECRET_BYTES = 16;
/** Longest code of any kind, in bytes. */
export const MAX_CODE_BYTES = 256;

/** Fresh random bytes. */
export type RandomBytes = (length: number) => Uint8Array;

function base32(bytes: Uint8Array): string {
  return base32nopad.encode(bytes).toLowerCase();
}

/** A new id: eight letters and digits. */
export function newCodeId(randomBytes: RandomBytes): string {
  return base32(randomBytes(ID_BYTES));
}

/** The text of a new code with this id. */
export function newCodeText(id: string, randomBytes: RandomBytes): string {
  return `omc-${id}-${base32(randomBytes(SECRET_BYTES))}`;
}

/** Whether a text is an id of a code. */
export function isCodeId(text: string): boolean {
  return /^[a-z2-7]{8}$/.test(text);
}

/** The id in the text of a code that we make; undefined for any other bytes. */
export function madeCodeId(code: Uint8Array): string | undefined {
  if (code.length !== 39) return undefined;
  return MADE.exec(Buffer.from(code).toString('latin1'))?.[1];
}

/** The keyed hash that is stored instead of a code: HMAC-SHA256, 32 bytes. */
export function codeMac(key: Uint8Array, code: Uint8Array): Buffer {
  return createHmac('sha256', key).update(code).digest();
}
