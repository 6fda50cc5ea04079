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

/** Collects records, and gives them in parts, each about as large as a frame should be. */
export class RecordPacker {
  #texts: string[] = [];
  #length = 0;
  #first = 0;

  add(records: readonly JournalValue[]): void {
    for (const record of records) {
      const text = JSON.stringify(record);
      this.#texts.push(text);
      this.#length += text.length;
    }
  }

  /** The next part; undefined while there is not enough for one, or with `isLast`, when nothing is left. */
  take(isLast: boolean): RecordPart | undefined {
    if (this.#texts.length === 0 || (!isLast && this.#length < PART_BYTES)) return undefined;
    let length = 0;
    const end = this.#texts.findIndex(({ length: more }) => (length += more) >= PART_BYTES) + 1;
    const texts = this.#texts.splice(0, end === 0 ? this.#texts.length : end);
    const part = { first: this.#first, json: Buffer.from(`[${texts.join(',')}]`) };
    this.#first += texts.length;
    this.#length -= length;
    return part;
  }
}
