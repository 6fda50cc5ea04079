/** Readers of the fields of records: each returns a typed value, or undefined for any other one. Pure. */
import { isRecord } from '../kit/json-record.js';

/** Reads one value. */
export type Reader<T> = (value: unknown) => T | undefined;

/** A field that may be left out. */
interface OptionalReader<T> {
  readonly optional: Reader<T>;
}

/** One reader for each field except `kind`. */
export type FieldsOf<T> = {
  readonly [K in keyof Omit<T, 'kind'>]-?: undefined extends T[K]
    ? OptionalReader<Exclude<T[K], undefined>>
    : Reader<T[K]>;
};

export const optional = <T>(reader: Reader<T>): OptionalReader<T> => ({ optional: reader });

/** A safe integer from `least`, by default 0. */
export const integer =
  (least = 0): Reader<number> =>
  (value) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= least ? value : undefined;

export const boolean: Reader<boolean> = (value) => (typeof value === 'boolean' ? value : undefined);

/** `true`, for a field that is left out otherwise. */
export const yes: Reader<true> = (value) => (value === true ? true : undefined);

/** A text of at most `most` UTF-16 units. */
export const text =
  (most: number): Reader<string> =>
  (value) =>
    typeof value === 'string' && value.length <= most ? value : undefined;

/** Lower-case hex of at most `most` digits, whole bytes. */
export const hexText =
  (most: number): Reader<string> =>
  (value) =>
    typeof value === 'string' && value.length <= most && /^(?:[0-9a-f]{2})*$/.test(value)
      ? value
      : undefined;

/** Exactly so many lower-case hex digits. */
export const hex =
  (digits: number): Reader<string> =>
  (value) =>
    typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value)
      ? value
      : undefined;

export const oneOf =
  <const T extends string | number>(...values: readonly T[]): Reader<T> =>
  (value) =>
    values.find((it) => it === value);

/** At most `most` values. */
export const list =
  <T>(reader: Reader<T>, most: number): Reader<readonly T[]> =>
  (value) => {
    if (!Array.isArray(value) || value.length > most) return undefined;
    const items: T[] = [];
    for (const item of value) {
      const parsed = reader(item);
      if (parsed === undefined) return undefined;
      items.push(parsed);
    }
    return items;
  };

export const tuple2 =
  <A, B>(first: Reader<A>, second: Reader<B>): Reader<readonly [A, B]> =>
  (value) => {
    if (!Array.isArray(value) || value.length !== 2) return undefined;
    const [a, b] = [first(value[0]), second(value[1])];
    return a === undefined || b === undefined ? undefined : [a, b];
  };

export const tuple3 =
  <A, B, C>(first: Reader<A>, second: Reader<B>, third: Reader<C>): Reader<readonly [A, B, C]> =>
  (value) => {
    if (!Array.isArray(value) || value.length !== 3) return undefined;
    const [a, b, c] = [first(value[0]), second(value[1]), third(value[2])];
    return a === undefined || b === undefined || c === undefined ? undefined : [a, b, c];
  };

/** An object with exactly these fields. */
export function record<T extends object>(fields: FieldsOf<T>): Reader<T> {
  const readers = Object.entries<Reader<unknown> | OptionalReader<unknown>>(fields).map(
    ([key, reader]) =>
      typeof reader === 'function'
        ? { key, isOptional: false, read: reader }
        : { key, isOptional: true, read: reader.optional },
  );
  return (value) => {
    if (!isRecord(value)) return undefined;
    const parsed: Record<string, unknown> = {};
    let count = 0;
    for (const { key, isOptional, read } of readers) {
      if (isOptional && !Object.hasOwn(value, key)) continue;
      const field = read(value[key]);
      if (field === undefined) return undefined;
      parsed[key] = field;
      count += 1;
    }
    if (Object.keys(value).length !== count) return undefined;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each field was read by its reader
    return parsed as T;
  };
}
