/** Structures and messages of LLARP v0 from bytes, and as bytes. */
import { decode } from '../bencode/decode.js';
import { encode } from '../bencode/encode.js';
import type { BencodeLimits } from '../bencode/value.js';
import { fail, type Parsed } from '../protocol/result.js';
import type { Field } from './codec/field.js';

/** Bounds of one structure or message. */
export const LLARP_LIMITS: BencodeLimits = { bytes: 65_536, depth: 12, parts: 16_384 };

/** Reads one structure that fills the bytes. */
export function readLlarp<T>(
  field: Field<T>,
  bytes: Uint8Array,
  limits: BencodeLimits = LLARP_LIMITS,
): Parsed<T> {
  const decoded = decode(bytes, limits);
  return decoded.ok ? field.read(decoded.value) : fail(`bencode: ${decoded.reason}`);
}

/** The bytes of a structure, with keys in ascending order. */
export function writeLlarp<T>(field: Field<T>, value: T): Uint8Array {
  return encode(field.write(value));
}
