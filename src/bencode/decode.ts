/**
 * A strict decoder of bencode: it reads only the one canonical form of each value, so what it accepts is
 * what `encode` writes. Keys are in strictly ascending order of their bytes, numbers have no leading zero
 * and no `-0`, and nothing follows the value. Pure; it never throws.
 */
import { fail, ok, type Parsed } from '../protocol/result.js';
import {
  DEFAULT_LIMITS,
  MAX_INTEGER,
  MIN_INTEGER,
  type BDict,
  type BencodeLimits,
  type BValue,
} from './value.js';

/** Why bytes are not one canonical value within the limits. */
export type BencodeFault =
  'too-long' | 'too-deep' | 'too-many-parts' | 'end' | 'byte' | 'number' | 'key-order' | 'trailing';

const CODE = {
  minus: 0x2d,
  zero: 0x30,
  nine: 0x39,
  colon: 0x3a,
  d: 0x64,
  e: 0x65,
  i: 0x69,
  l: 0x6c,
};
/** `-9223372036854775808` and `18446744073709551615` have 20 characters. */
const MAX_DIGITS = 20;

/** Caught in this file. */
class Fault extends Error {
  constructor(readonly fault: BencodeFault) {
    super(fault);
  }
}

function isDigit(byte: number): boolean {
  return byte >= CODE.zero && byte <= CODE.nine;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #limits: BencodeLimits;
  #at = 0;
  #parts = 0;

  constructor(bytes: Uint8Array, limits: BencodeLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): BValue {
    if (++this.#parts > this.#limits.parts) throw new Fault('too-many-parts');
    const first = this.#peek();
    if (first === CODE.i) return this.#integer();
    if (isDigit(first)) return this.#string();
    if (first !== CODE.l && first !== CODE.d) throw new Fault('byte');
    if (depth >= this.#limits.depth) throw new Fault('too-deep');
    this.#at++;
    return first === CODE.l ? this.#list(depth + 1) : this.#dict(depth + 1);
  }

  #peek(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new Fault('end');
    return byte;
  }

  /** Whether the list or dictionary ends here; the end is read then. */
  #ends(): boolean {
    if (this.#peek() !== CODE.e) return false;
    this.#at++;
    return true;
  }

  /** Decimal digits in canonical form, and the byte that ends them. */
  #digits(end: number): bigint {
    const from = this.#at;
    while (isDigit(this.#peek())) {
      this.#at++;
      if (this.#at - from > MAX_DIGITS) throw new Fault('number');
    }
    const length = this.#at - from;
    if (this.#peek() !== end) throw new Fault('byte');
    if (length === 0 || (length > 1 && this.#bytes[from] === CODE.zero)) throw new Fault('number');
    const text = String.fromCharCode(...this.#bytes.subarray(from, this.#at));
    this.#at++;
    return BigInt(text);
  }

  #integer(): bigint {
    this.#at++;
    const isNegative = this.#peek() === CODE.minus;
    if (isNegative) this.#at++;
    const size = this.#digits(CODE.e);
    if (isNegative && size === 0n) throw new Fault('number');
    const value = isNegative ? -size : size;
    if (value < MIN_INTEGER || value > MAX_INTEGER) throw new Fault('number');
    return value;
  }

  #string(): Uint8Array {
    const length = this.#digits(CODE.colon);
    if (length > BigInt(this.#bytes.length - this.#at)) throw new Fault('end');
    const end = this.#at + Number(length);
    const value = this.#bytes.slice(this.#at, end);
    this.#at = end;
    return value;
  }

  #list(depth: number): readonly BValue[] {
    const values: BValue[] = [];
    while (!this.#ends()) values.push(this.value(depth));
    return values;
  }

  #dict(depth: number): BDict {
    const values = new Map<string, BValue>();
    let previous: string | undefined;
    while (!this.#ends()) {
      if (!isDigit(this.#peek())) throw new Fault('byte');
      if (++this.#parts > this.#limits.parts) throw new Fault('too-many-parts');
      const key = Buffer.from(this.#string()).toString('latin1');
      if (previous !== undefined && key <= previous) throw new Fault('key-order');
      previous = key;
      values.set(key, this.value(depth));
    }
    return values;
  }
}

/** Reads one value that fills the bytes. The result shares no memory with them. */
export function decode(
  bytes: Uint8Array,
  limits: BencodeLimits = DEFAULT_LIMITS,
): Parsed<BValue, BencodeFault> {
  if (bytes.length > limits.bytes) return fail('too-long');
  const reader = new Reader(bytes, limits);
  try {
    const value = reader.value(0);
    return reader.isAtEnd ? ok(value) : fail('trailing');
  } catch (error) {
    if (error instanceof Fault) return fail(error.fault);
    throw error;
  }
}
