/** Reads members of a parsed document. The caller compares the canonical form afterwards. */
import { isRecord, type JsonRecord } from '../kit/json-record.js';
import { NETWORKS, type Network } from '../protocol/constants.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { LIST_BOUNDS } from './limits.js';
import type { ListRefusal } from './refusal.js';

export const KEY = /^[0-9a-f]{64}$/;
const SIGNATURE = /^[0-9a-f]{128}$/;
/** Characters that JSON writes as they are, or with a backslash before them. */
export const PLAIN_TEXT = /^[ -~]*$/;
export const CAPABILITY = /^[a-z0-9_]+$/;

/** A signature by one key. */
export interface KeySignature {
  /** The public key: 64 lower-case hex digits. */
  readonly key: string;
  /** 128 lower-case hex digits. */
  readonly signature: string;
}

export function networkOf(value: unknown): Network | undefined {
  return NETWORKS.find((name) => name === value);
}

/** A whole number from `least` to 2^53 - 1. */
export function wholeOf(value: unknown, least: number): number | undefined {
  const fits = typeof value === 'number' && Number.isSafeInteger(value) && value >= least;
  return fits && !Object.is(value, -0) ? value : undefined;
}

/** Every item of an array as a record; undefined for anything else. */
export function recordsOf(value: unknown): readonly JsonRecord[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items: readonly unknown[] = value;
  const records = items.filter(isRecord);
  return records.length === items.length ? records : undefined;
}

/** Every item of an array as a text of this form; undefined for anything else. */
export function textsOf(value: unknown, form: RegExp): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items: readonly unknown[] = value;
  const texts = items.filter((item) => typeof item === 'string' && form.test(item));
  return texts.length === items.length ? texts.map(String) : undefined;
}

export function hasDuplicates(texts: readonly string[]): boolean {
  return new Set(texts).size !== texts.length;
}

/** Reads `signatures`: any order, each key once. */
export function parseSignatures(value: unknown): Parsed<readonly KeySignature[], ListRefusal> {
  const records = recordsOf(value);
  if (records === undefined) return fail('malformed');
  if (records.length > LIST_BOUNDS.keys) return fail('too-many');
  const signatures: KeySignature[] = [];
  for (const { key, signature } of records) {
    if (typeof key !== 'string' || !KEY.test(key)) return fail('malformed');
    if (typeof signature !== 'string' || !SIGNATURE.test(signature)) return fail('malformed');
    signatures.push({ key, signature });
  }
  if (hasDuplicates(signatures.map(({ key }) => key))) return fail('duplicate-signature');
  return ok(signatures);
}

/** By code units: the order of the canonical form. */
export function inOrder<T>(items: readonly T[], textOf: (item: T) => string): readonly T[] {
  return items.toSorted((a, b) => {
    const [first, second] = [textOf(a), textOf(b)];
    if (first === second) return 0;
    return first < second ? -1 : 1;
  });
}

/** The canonical form as a value whose members are in order. */
export function signatureValues(signatures: readonly KeySignature[]): readonly KeySignature[] {
  return inOrder(signatures, ({ key }) => key).map(({ key, signature }) => ({ key, signature }));
}
