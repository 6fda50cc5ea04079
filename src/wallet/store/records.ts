/** Records as JSON. Pure. */
import type { JournalValue } from './api.js';

/** Records of so many bytes are packed into one frame. */
const PART_BYTES = 65_536;
/** Objects in objects; deeper ones are a mistake. */
const MAX_DEPTH = 32;

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Whether a value comes out of JSON as it went in. */
function isRecord(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0);
  if (typeof value !== 'object' || depth > MAX_DEPTH) return false;
  if (Array.isArray(value)) return value.every((item) => isRecord(item, depth + 1));
  return isPlain(value) && Object.values(value).every((item) => isRecord(item, depth + 1));
}

/**
 * The JSON of some records. Throws a TypeError for a value that JSON would change: a number that is not
 * a safe integer, undefined, a class.
 */
export function encodeRecords(records: readonly JournalValue[]): Uint8Array {
  if (!records.every((record) => isRecord(record))) {
    throw new TypeError('a record has a value that JSON would change');
  }
  return Buffer.from(JSON.stringify(records));
}

/** Some of the records. */
export interface RecordPart {
  /** Number of the first. */
  readonly first: number;
  readonly json: Uint8Array;
}

/** The records in parts, each about as large as fits into one frame. */
export function* encodeInParts(records: readonly JournalValue[]): Generator<RecordPart> {
  let texts: string[] = [];
  let size = 0;
  let first = 0;
  for (const [at, record] of records.entries()) {
    const text = JSON.stringify(record);
    if (size > 0 && size + text.length > PART_BYTES) {
      yield { first, json: Buffer.from(`[${texts.join(',')}]`) };
      texts = [];
      size = 0;
      first = at;
    }
    texts.push(text);
    size += text.length;
  }
  if (texts.length > 0) yield { first, json: Buffer.from(`[${texts.join(',')}]`) };
}
