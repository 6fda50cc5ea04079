/**
 * Reads and writes bencode, the format of wallet files of the original (`.jmdat`). Only the one encoding of
 * a value is accepted: keys in order and different, numbers without leading zeros, nothing behind the end.
 */
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { fail, ok, type Parsed } from '../protocol/result.js';

/** A value: a safe integer, bytes, a list or a dictionary. */
export type Bencode = number | Uint8Array | readonly Bencode[] | BencodeDict;

/** A dictionary. Keys are bytes, which may not be text. */
export class BencodeDict {
  readonly entries: readonly (readonly [Uint8Array, Bencode])[];
  readonly #values: ReadonlyMap<string, Bencode>;

  /** The keys may be in any order; the last of equal ones wins. */
  constructor(entries: readonly (readonly [Uint8Array, Bencode])[]) {
    this.#values = new Map(entries.map(([key, value]) => [latin1(key), value]));
    this.entries = entries;
  }

  /** The value of a key that is ASCII text. */
  get(key: string): Bencode | undefined {
    return this.#values.get(key);
  }
}

/** Why bytes are not bencode. */
export type BencodeFault =
  /** Cut off, or a character where none of this kind can be. */
  | 'bencode-form'
  /** Bytes behind the value. */
  | 'bencode-end'
  /** A number with a leading zero, a negative zero, or without digits. */
  | 'bencode-number'
  /** Keys that are not in order, or not different. */
  | 'bencode-order'
  /** More nesting than a caller allows. */
  | 'bencode-depth';

/** Nesting of a wallet file is 6. */
const MAX_DEPTH = 16;

const latin1 = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');

class Fault extends Error {
  constructor(readonly fault: BencodeFault) {
    super(fault);
  }
}

/** Reads exactly one value. Byte strings are views, not copies. */
export function parseBencode(bytes: Uint8Array): Parsed<Bencode, BencodeFault> {
  try {
    const source = new Source(bytes);
    const value = source.value(0);
    return source.ended ? ok(value) : fail('bencode-end');
  } catch (error) {
    if (error instanceof Fault) return fail(error.fault);
    throw error;
  }
}

const CODE = { i: 0x69, l: 0x6c, d: 0x64, e: 0x65, colon: 0x3a, minus: 0x2d } as const;
/** Digits of the greatest safe integer. */
const MAX_DIGITS = 16;
const isDigit = (code: number | undefined): boolean =>
  code !== undefined && code >= 0x30 && code <= 0x39;

class Source {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): Bencode {
    if (depth > MAX_DEPTH) throw new Fault('bencode-depth');
    if (this.#takes(CODE.i)) return this.#integer(CODE.e);
    if (this.#takes(CODE.l)) return this.#list(depth);
    if (this.#takes(CODE.d)) return this.#dictionary(depth);
    return this.#string();
  }

  /** Whether the next byte is this one, which is then behind us. */
  #takes(code: number): boolean {
    if (this.#bytes[this.#at] !== code) return false;
    this.#at += 1;
    return true;
  }

  /** A number up to and with the byte that ends it. */
  #integer(end: number): number {
    const negative = this.#takes(CODE.minus);
    const from = this.#at;
    while (isDigit(this.#bytes[this.#at]) && this.#at - from <= MAX_DIGITS) this.#at += 1;
    const digits = latin1(this.#bytes.subarray(from, this.#at));
    const value = Number(digits);
    const leadingZero = digits.startsWith('0') && (digits.length > 1 || negative);
    if (digits === '' || leadingZero || !Number.isSafeInteger(value)) {
      throw new Fault('bencode-number');
    }
    if (!this.#takes(end)) throw new Fault('bencode-form');
    return negative ? -value : value;
  }

  #string(): Uint8Array {
    if (!isDigit(this.#bytes[this.#at])) throw new Fault('bencode-form');
    const length = this.#integer(CODE.colon);
    const from = this.#at;
    if (length > this.#bytes.length - from) throw new Fault('bencode-form');
    this.#at = from + length;
    return this.#bytes.subarray(from, this.#at);
  }

  #list(depth: number): readonly Bencode[] {
    const items: Bencode[] = [];
    while (!this.#takes(CODE.e)) items.push(this.value(depth + 1));
    return items;
  }

  #dictionary(depth: number): BencodeDict {
    const entries: (readonly [Uint8Array, Bencode])[] = [];
    while (!this.#takes(CODE.e)) {
      const key = this.#string();
      const last = entries.at(-1)?.[0];
      if (last !== undefined && compareBytes(last, key) >= 0) throw new Fault('bencode-order');
      entries.push([key, this.value(depth + 1)]);
    }
    return new BencodeDict(entries);
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let n = 0; n < shared; n++) {
    const difference = (a[n] ?? 0) - (b[n] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** The one encoding. Throws a RangeError for a number that is not a safe integer. */
export function formatBencode(value: Bencode): Uint8Array {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a safe integer`);
    return utf8ToBytes(`i${value}e`);
  }
  if (value instanceof Uint8Array) return concatBytes(utf8ToBytes(`${value.length}:`), value);
  if (value instanceof BencodeDict) {
    const sorted = value.entries.toSorted(([a], [b]) => compareBytes(a, b));
    const parts = sorted.flatMap(([key, item]) => [formatBencode(key), formatBencode(item)]);
    return concatBytes(utf8ToBytes('d'), ...parts, utf8ToBytes('e'));
  }
  return concatBytes(utf8ToBytes('l'), ...value.map(formatBencode), utf8ToBytes('e'));
}
