/** Writes bencode in its canonical form: keys in ascending order of their bytes. Pure. */
import { MAX_INTEGER, MIN_INTEGER, type BValue } from './value.js';

function isList(value: BValue): value is readonly BValue[] {
  return Array.isArray(value);
}

function stringOf(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${bytes.length}:`, 'latin1'), bytes]);
}

/**
 * The one canonical form of a value. Throws a RangeError for a number that has no 64 bits, and for a key
 * with a character above 255.
 */
export function encode(value: BValue): Uint8Array {
  if (typeof value === 'bigint') {
    if (value < MIN_INTEGER || value > MAX_INTEGER) {
      throw new RangeError('a bencoded number has 64 bits');
    }
    return Buffer.from(`i${value}e`, 'latin1');
  }
  if (value instanceof Uint8Array) return stringOf(value);
  if (isList(value)) {
    return Buffer.concat([Buffer.from('l'), ...value.map(encode), Buffer.from('e')]);
  }
  const keys = [...value.keys()];
  // oxlint-disable-next-line no-control-regex -- the characters of bytes
  if (!keys.every((key) => /^[\0-\xff]*$/.test(key))) {
    throw new RangeError('a character of a bencoded key is one byte');
  }
  const parts = [...value]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, item]) => [stringOf(Buffer.from(key, 'latin1')), encode(item)]);
  return Buffer.concat([Buffer.from('d'), ...parts, Buffer.from('e')]);
}
