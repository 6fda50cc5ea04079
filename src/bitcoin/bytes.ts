/** Hashes and integers as bitcoin writes them. */
import { ripemd160 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';

/** RIPEMD-160 of SHA-256, 20 bytes. */
export const hash160 = (bytes: Uint8Array): Uint8Array => ripemd160(sha256(bytes));

/** SHA-256 twice, 32 bytes. */
export const sha256d = (bytes: Uint8Array): Uint8Array => sha256(sha256(bytes));

/** Hashes are shown with their bytes in reverse order ("display order"). */
export const toDisplay = (hash: Uint8Array): string => bytesToHex(hash.toReversed());

/** The bytes of a hash in display order. Throws when it is not hex. */
export const fromDisplay = (hex: string): Uint8Array => hexToBytes(hex).toReversed();

/** Whether two byte strings are the same. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** An unsigned integer in 4 bytes, little-endian. */
export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** An unsigned integer in 8 bytes, little-endian. The value is a safe integer. */
export function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

/** Bytes of `compactSize(value)`. */
export function compactSizeBytes(value: number): number {
  if (value < 0xfd) return 1;
  if (value <= 0xffff) return 3;
  return value <= 0xffff_ffff ? 5 : 9;
}

/** A count or length in front of what it counts: 1, 3, 5 or 9 bytes. */
export function compactSize(value: number): Uint8Array {
  const bytes = new Uint8Array(compactSizeBytes(value));
  const view = new DataView(bytes.buffer);
  if (bytes.length === 1) view.setUint8(0, value);
  else if (bytes.length === 3) {
    view.setUint8(0, 0xfd);
    view.setUint16(1, value, true);
  } else if (bytes.length === 5) {
    view.setUint8(0, 0xfe);
    view.setUint32(1, value, true);
  } else {
    view.setUint8(0, 0xff);
    view.setBigUint64(1, BigInt(value), true);
  }
  return bytes;
}
