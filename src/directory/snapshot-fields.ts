/**
 * Reads the fields of JSON that another process wrote: typed values, or a `Fault`, which `parsed` turns into the reason
 * of a failure. What the fields are is in `snapshot.ts`.
 */
import {
  isLocationKind,
  parseDeclaredLocation,
  parseLocation,
  type DeclaredLocation,
  type Location,
  type LocationKind,
} from '../protocol/location.js';
import { isRoutableNick } from '../protocol/nick.js';
import { fail, ok, type Parsed } from '../protocol/result.js';

/** A field is invalid; the message is a part of the reason. Caught by `parsed`. */
export class Fault extends Error {}

export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Fault('not-an-object');
  }
  return { ...value };
}

export function listOf<T>(value: unknown, most: number, read: (item: unknown) => T): readonly T[] {
  if (!Array.isArray(value) || value.length > most) throw new Fault('list');
  return value.map((item: unknown) => read(item));
}

export function numberOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Fault('number');
  return value;
}

/** An age: a clock may have jumped, but no event lies in the future. */
export function ageOf(value: unknown): number {
  return Math.max(0, numberOf(value));
}

export function countOf(value: unknown): number {
  const count = numberOf(value);
  if (!Number.isSafeInteger(count) || count < 0) throw new Fault('count');
  return count;
}

export function textOf(value: unknown, longest: number): string {
  if (typeof value !== 'string' || value.length > longest) throw new Fault('text');
  return value;
}

export function booleanOf(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Fault('boolean');
  return value;
}

export function oneOf<T extends string>(value: unknown, known: readonly T[]): T {
  const found = known.find((name) => name === value);
  if (found === undefined) throw new Fault('name');
  return found;
}

export function optional<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === undefined || value === null ? undefined : read(value);
}

export function nickOf(value: unknown): string {
  const nick = textOf(value, 64);
  if (!isRoutableNick(nick)) throw new Fault('nick');
  return nick;
}

export function bytesOf(value: unknown): Uint8Array {
  const text = textOf(value, Infinity);
  const bytes = Buffer.from(text, 'base64');
  // Node silently skips characters that are not base64.
  if (bytes.toString('base64') !== text) throw new Fault('base64');
  return bytes;
}

export function dialled(value: unknown): Location {
  const location = parseLocation(textOf(value, 128));
  if (!location.ok) throw new Fault('location');
  return location.value;
}

export function declared(value: unknown): DeclaredLocation {
  const location = parseDeclaredLocation(textOf(value, 128));
  if (!location.ok) throw new Fault('location');
  return location.value;
}

export function kindOf(value: unknown): LocationKind {
  const kind = textOf(value, 64);
  if (!isLocationKind(kind)) throw new Fault('kind');
  return kind;
}

export function parsed<T>(value: unknown, reader: (fields: Fields) => T): Parsed<T> {
  try {
    return ok(reader(fieldsOf(value)));
  } catch (error) {
    if (error instanceof Fault) return fail(`snapshot-${error.message}`);
    throw error;
  }
}
