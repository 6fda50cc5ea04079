/**
 * Structures of LLARP: dictionaries of bencode with known keys. A structure without `v` has version 0. Unknown keys
 * are kept, so that writing what was read gives the same bytes.
 */
import type { BDict, BValue } from '../../bencode/value.js';
import { isDict } from '../../bencode/value.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';
import { uint, within, type Field } from './field.js';

/** A key, and the kind of its value. */
export interface Column<T> {
  readonly key: string;
  readonly field: Field<T>;
}

export interface OptionalColumn<T> extends Column<T> {
  readonly optional: true;
}

type Columns = Readonly<Record<string, Column<unknown> | OptionalColumn<unknown>>>;
type ValueOf<C> = C extends Column<infer T> ? T : never;
type RequiredNames<C> = {
  [K in keyof C]: C[K] extends { readonly optional: true } ? never : K;
}[keyof C];

/** The typed value of a structure. */
export type StructureValue<C> = {
  readonly [K in RequiredNames<C>]: ValueOf<C[K]>;
} & {
  readonly [K in Exclude<keyof C, RequiredNames<C>>]?: ValueOf<C[K]>;
} & {
  /** Absent: version 0. */
  readonly version?: bigint;
  /** Keys of later versions, unchanged. Absent when there are none. */
  readonly unknown?: BDict;
};

/** The value of a codec. */
export type Of<F> = F extends Field<infer T> ? T : never;

/** A key that must be there. */
export function column<T>(key: string, field: Field<T>): Column<T> {
  return { key, field };
}

/** A key that may be absent. */
export function optional<T>(key: string, field: Field<T>): OptionalColumn<T> {
  return { key, field, optional: true };
}

/** The key of the version: `v` in structures and link messages, `V` in routing and DHT messages. */
type VersionKey = 'v' | 'V';

export interface StructureOptions {
  /** Default `v`. */
  readonly versionKey?: VersionKey;
  /** The key that tells a message from others, and its value. */
  readonly tag?: { readonly key: string; readonly value: string };
}

function tagFault(dict: BDict, tag: StructureOptions['tag']): boolean {
  if (!tag) return false;
  const found = dict.get(tag.key);
  return !(found instanceof Uint8Array) || Buffer.from(found).toString('latin1') !== tag.value;
}

/**
 * The codec of a structure.
 * @param name stands before the key in reasons
 * @param columns by the name of the property
 */
export function structure<C extends Columns>(
  name: string,
  columns: C,
  { versionKey = 'v', tag }: StructureOptions = {},
): Field<StructureValue<C>> {
  const entries: readonly (readonly [string, Columns[string]])[] = [
    ...Object.entries(columns),
    ['version', optional(versionKey, uint(64))],
  ];
  const known = new Set(entries.map(([, { key }]) => key));
  if (tag) known.add(tag.key);

  function read(value: BValue): Parsed<StructureValue<C>> {
    if (!isDict(value)) return fail(`${name}: not-a-dictionary`);
    if (tagFault(value, tag)) return fail(`${name}.${tag?.key}: value`);
    const result: Record<string, unknown> = {};
    for (const [property, entry] of entries) {
      const found = value.get(entry.key);
      if (found === undefined) {
        if ('optional' in entry) continue;
        return fail(`${name}.${entry.key}: missing`);
      }
      const item = within(`${name}.${entry.key}`, entry.field.read(found));
      if (!item.ok) return item;
      result[property] = item.value;
    }
    const unknown = new Map([...value].filter(([key]) => !known.has(key)));
    if (unknown.size > 0) result['unknown'] = unknown;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every column was read with its own field
    return ok(result as StructureValue<C>);
  }

  function write(value: StructureValue<C>): BDict {
    const record: Readonly<Record<string, unknown>> = value;
    const dict = new Map<string, BValue>(value.unknown);
    if (tag) dict.set(tag.key, Uint8Array.from(Buffer.from(tag.value, 'latin1')));
    for (const [property, { key, field }] of entries) {
      const item = record[property];
      if (item !== undefined) dict.set(key, field.write(item));
    }
    return dict;
  }

  return { read, write };
}

/** The typed value of a list whose items have names. */
export type TupleValue<C extends Readonly<Record<string, Field<unknown>>>> = {
  readonly [K in keyof C]: Of<C[K]>;
};

/** A list of a fixed length, whose items have these names in this order. */
export function tuple<C extends Readonly<Record<string, Field<unknown>>>>(
  columns: C,
): Field<TupleValue<C>> {
  const entries = Object.entries(columns);
  return {
    read(value) {
      if (!Array.isArray(value)) return fail('not-a-list');
      const items: readonly BValue[] = value;
      if (items.length !== entries.length) return fail('length');
      const result: Record<string, unknown> = {};
      for (const [i, [name, field]] of entries.entries()) {
        const item = within(String(i), field.read(items[i] ?? []));
        if (!item.ok) return item;
        result[name] = item.value;
      }
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every item was read with its own field
      return ok(result as TupleValue<C>);
    },
    write: (value) => entries.map(([name, field]) => field.write(value[name])),
  };
}

/** A value of one of several structures, with the name that tells which. */
export type Tagged<M> = { readonly [K in keyof M]: { readonly kind: K } & Of<M[K]> }[keyof M];

/**
 * The codec of a message that is one of several structures.
 * @param codecs by name
 * @param choose the name of the structure of a dictionary; undefined for an unknown one
 */
export function choice<M extends Readonly<Record<string, Field<object>>>>(
  name: string,
  codecs: M,
  choose: (dict: BDict) => keyof M | undefined,
): Field<Tagged<M>> {
  return {
    read(value) {
      if (!isDict(value)) return fail(`${name}: not-a-dictionary`);
      const kind = choose(value);
      const codec = kind === undefined ? undefined : codecs[kind];
      if (kind === undefined || !codec) return fail(`${name}: unknown-message`);
      const read = codec.read(value);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the codec of this name read it
      return read.ok ? ok({ kind, ...read.value } as Tagged<M>) : read;
    },
    write(value) {
      const codec = codecs[value.kind];
      if (!codec) throw new TypeError(`${name} has no message ${String(value.kind)}`);
      return codec.write(value);
    },
  };
}

/** The text under a key of a dictionary; undefined when there is none. */
export function tagOf(dict: BDict, key: string): string | undefined {
  const found = dict.get(key);
  return found instanceof Uint8Array ? Buffer.from(found).toString('latin1') : undefined;
}
