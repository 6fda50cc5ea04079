/**
 * JSON with whole numbers of 64 bits, which JavaScript's numbers cannot hold: amounts of coins. Pure.
 *
 * A wallet accepts an amount as digits only: `1e12`, `1.0` and `-1` are refused, and 2^64 is a parse error.
 */

/** A value that `writeJson` takes. */
export type JsonValue =
  | string
  | number
  | boolean
  | bigint
  | null
  | undefined
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Most of an unsigned number of 64 bits. */
const MAX_U64 = (1n << 64n) - 1n;
/** Strings, which stay as they are, and numbers. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;
/** From 16 digits on a number may not be exact. */
const LONG_WHOLE = /^-?\d{16,}$/;

/** The value as JSON; a bigint is written as digits. Fields that are undefined are left out. */
export function writeJson(value: JsonValue): string {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) {
    return `[${value.map((each: JsonValue) => writeJson(each)).join(',')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${writeJson(field)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** Reads JSON; whole numbers of 16 digits and more become texts of digits. Throws a SyntaxError. */
export function readJson(text: string): unknown {
  return JSON.parse(
    text.replace(TOKENS, (token) => (LONG_WHOLE.test(token) ? `"${token}"` : token)),
  ) as unknown;
}

/** An amount in an answer: a whole number from 0 to 2^64 - 1, as a number or as digits; otherwise undefined. */
export function readAmount(value: unknown): bigint | undefined {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
  }
  if (typeof value !== 'string' || !/^\d{1,20}$/.test(value)) return undefined;
  const amount = BigInt(value);
  return amount <= MAX_U64 ? amount : undefined;
}
