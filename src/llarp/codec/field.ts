/**
 * Fields of LLARP's structures: how one value of bencode is read into a typed value, and written. A reader never
 * throws; its reason is a short name with the place: `RC.a.0.e: length`.
 */
import type { BDict, BValue } from '../../bencode/value.js';
import { isDict } from '../../bencode/value.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';

/** Reads and writes the values of one kind of field. */
export interface Field<T> {
  /** The value, or the place and the reason why it is none of this kind. */
  read(value: BValue): Parsed<T>;
  /** The value as bencode. */
  write(value: T): BValue;
}

/** A value that was read in another place: the reason names the place. */
export function within<T>(place: string, parsed: Parsed<T>): Parsed<T> {
  if (parsed.ok) return parsed;
  const { reason } = parsed;
  return fail(/^[\w-]+$/.test(reason) ? `${place}: ${reason}` : `${place}.${reason}`);
}

/** An unsigned number of at most this many bits. */
export function uint(bits: 8 | 16 | 32 | 64): Field<bigint> {
  const limit = 1n << BigInt(bits);
  return {
    read(value) {
      if (typeof value !== 'bigint') return fail('not-a-number');
      return value >= 0n && value < limit ? ok(value) : fail('range');
    },
    write: (value) => value,
  };
}

/** A number that must have this value. */
export function exactly<const N extends bigint>(expected: N): Field<N> {
  return {
    read: (value) => (value === expected ? ok(expected) : fail('value')),
    write: () => expected,
  };
}

/** 0 or 1. */
export const flag: Field<boolean> = {
  read(value) {
    if (value === 0n || value === 1n) return ok(value === 1n);
    return fail('not-a-flag');
  },
  write: (value) => (value ? 1n : 0n),
};

/** Bytes, `least` to `most` of them; exactly `least` when `most` is absent. */
export function bytes(least: number, most: number = least): Field<Uint8Array> {
  return {
    read(value) {
      if (!(value instanceof Uint8Array)) return fail('not-bytes');
      return value.length >= least && value.length <= most ? ok(value) : fail('length');
    },
    write: (value) => value,
  };
}

/** Text of at most this many bytes, one character for each byte, so that any bytes are written back unchanged. */
export function text(most: number): Field<string> {
  return {
    read(value) {
      if (!(value instanceof Uint8Array)) return fail('not-bytes');
      return value.length <= most ? ok(Buffer.from(value).toString('latin1')) : fail('length');
    },
    write: (value) => Uint8Array.from(Buffer.from(value, 'latin1')),
  };
}

/** At most this many values of one kind. */
export function listOf<T>(field: Field<T>, most: number): Field<readonly T[]> {
  return {
    read(value) {
      if (!isList(value)) return fail('not-a-list');
      if (value.length > most) return fail('too-many');
      const items: T[] = [];
      for (const [i, each] of value.entries()) {
        const item = within(String(i), field.read(each));
        if (!item.ok) return item;
        items.push(item.value);
      }
      return ok(items);
    },
    write: (items) => items.map((item) => field.write(item)),
  };
}

function isList(value: BValue): value is readonly BValue[] {
  return Array.isArray(value);
}

/** Any dictionary with at most this many keys, whose values are of one kind. */
export function dictOf<T>(field: Field<T>, most: number): Field<ReadonlyMap<string, T>> {
  return {
    read(value) {
      if (!isDict(value)) return fail('not-a-dictionary');
      if (value.size > most) return fail('too-many');
      const items = new Map<string, T>();
      for (const [key, each] of value) {
        const item = field.read(each);
        if (!item.ok) return within('value', item);
        items.set(key, item.value);
      }
      return ok(items);
    },
    write: (items): BDict => new Map([...items].map(([key, item]) => [key, field.write(item)])),
  };
}

/** Any value of bencode, kept as it is: a slot for the future. */
export const anything: Field<BValue> = { read: (value) => ok(value), write: (value) => value };
