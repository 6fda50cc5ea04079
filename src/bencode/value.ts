/**
 * Values of bencode, as LLARP and OxenMQ use it. Numbers have 64 bits, so they are BigInt; keys and strings
 * are bytes. Pure.
 */

/** A bencoded value. */
export type BValue = bigint | Uint8Array | readonly BValue[] | BDict;

/** A dictionary. A key holds one character (0 to 255) for each of its bytes. */
export type BDict = ReadonlyMap<string, BValue>;

/** The least value of a signed number of 64 bits. */
export const MIN_INTEGER = -(2n ** 63n);
/** The greatest value of an unsigned number of 64 bits. */
export const MAX_INTEGER = 2n ** 64n - 1n;

/** Bounds of one message. Every list, dictionary and scalar counts as a part. */
export interface BencodeLimits {
  /** Longest text, in bytes. */
  readonly bytes: number;
  /** Deepest nesting; a value that is no list or dictionary has depth 0. */
  readonly depth: number;
  /** Most values, keys included. */
  readonly parts: number;
}

/** For one message of a peer. */
export const DEFAULT_LIMITS: BencodeLimits = { bytes: 65_536, depth: 16, parts: 4_096 };

/** Whether a value is a dictionary. */
export function isDict(value: BValue | undefined): value is BDict {
  return value instanceof Map;
}
