/** The fields of an object that a stranger sent, read into typed values with the path of each fault. Pure. */
import { canonicalHost } from '../../kit/host-name.js';
import { parseComputedAmount } from '../amount.js';
import {
  isJsonList,
  isJsonObject,
  JsonError,
  JsonNumber,
  parseExactJson,
  type Json,
  type JsonObject,
} from '../exact-json.js';
import type { HostAndPort } from '../model.js';

/** A description, or an answer of a manager, breaks a rule. The message names the field and the rule. */
export class DescriptionError extends Error {
  /** Stable, for programs. */
  override readonly name = 'DescriptionError';
  constructor(
    /** Where: `gates[2].wg.endpoint`. */
    readonly field: string,
    /** What the field must be. */
    readonly rule: string,
  ) {
    super(field === '' ? rule : `${field}: ${rule}`);
  }
}

/** Longest texts, in UTF-16 units, and longest lists. */
export const MAX_NAME = 256;
export const MAX_DESCRIPTION = 4_096;
export const MAX_PEM = 16_384;
export const MAX_URL = 1_024;
export const MAX_LIST = 256;

/** The object that a text holds. Throws a DescriptionError. */
export function readFields(text: string): Fields {
  try {
    return Fields.of(parseExactJson(text), '');
  } catch (error) {
    if (error instanceof JsonError) throw new DescriptionError('', error.message);
    throw error;
  }
}

/** One object. A field of null counts as missing, as in answers of the reference. */
export class Fields {
  readonly #values: JsonObject;

  private constructor(
    values: JsonObject,
    readonly path: string,
  ) {
    this.#values = values;
  }

  /** Throws unless the value is an object. */
  static of(value: Json | undefined, path: string): Fields {
    if (!isJsonObject(value)) throw new DescriptionError(path, 'must be an object');
    return new Fields(value, path);
  }

  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  has(name: string): boolean {
    return this.#value(name) !== undefined;
  }

  /** The first of these names that the object has; the last one when it has none of them. */
  named(...names: readonly [string, ...string[]]): string {
    return names.find((name) => this.has(name)) ?? names[names.length - 1] ?? names[0];
  }

  fault(name: string, rule: string): DescriptionError {
    return new DescriptionError(this.#pathOf(name), rule);
  }

  text(name: string, most: number = MAX_NAME): string {
    return this.optionalText(name, most) ?? this.#missing(name);
  }

  optionalText(name: string, most: number = MAX_NAME): string | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw this.fault(name, 'must be text');
    if (value.length > most) throw this.fault(name, `must be at most ${most} characters`);
    return value;
  }

  matching(name: string, pattern: RegExp, rule: string): string {
    return this.optionalMatching(name, pattern, rule) ?? this.#missing(name);
  }

  optionalMatching(name: string, pattern: RegExp, rule: string): string | undefined {
    const value = this.optionalText(name, MAX_PEM);
    if (value !== undefined && !pattern.test(value)) throw this.fault(name, rule);
    return value;
  }

  flag(name: string, otherwise: boolean): boolean {
    const value = this.#value(name);
    if (value === undefined) return otherwise;
    if (typeof value !== 'boolean') throw this.fault(name, 'must be true or false');
    return value;
  }

  /** A whole number from `least` to `most`. `1.0` and `1e3` are whole numbers too. */
  integer(name: string, least: number, most: number): number {
    return this.optionalInteger(name, least, most) ?? this.#missing(name);
  }

  optionalInteger(name: string, least: number, most: number): number | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    const number = value instanceof JsonNumber ? Number(value.text) : Number.NaN;
    if (!Number.isSafeInteger(number) || number < least || number > most) {
      throw this.fault(name, `must be a whole number from ${least} to ${most}`);
    }
    return number;
  }

  /** Seconds since 1970. */
  time(name: string): number {
    return this.integer(name, 0, MAX_TIME);
  }

  /** Seconds since 1970. */
  optionalTime(name: string): number | undefined {
    return this.optionalInteger(name, 0, MAX_TIME);
  }

  /** LTHN as a number, or as a text that holds one; in atomic units, by the rule of `parseComputedAmount`. */
  amount(name: string): bigint {
    return this.optionalAmount(name) ?? this.#missing(name);
  }

  /** The amount in a list of one; undefined where the field is no list of one. */
  optionalOnly(name: string): bigint | undefined {
    const value = this.#value(name);
    const [only, ...more] = isJsonList(value) ? value : [];
    return only === undefined || more.length > 0 ? undefined : this.#amountIn(name, only);
  }

  optionalAmount(name: string): bigint | undefined {
    const value = this.#value(name);
    return value === undefined ? undefined : this.#amountIn(name, value);
  }

  #amountIn(name: string, value: Json): bigint {
    const text = value instanceof JsonNumber ? value.text : value;
    const amount = typeof text === 'string' ? parseComputedAmount(text) : undefined;
    if (amount === undefined) throw this.fault(name, 'must be an amount of LTHN, at least 0');
    return amount;
  }

  /** A number that is not money. */
  optionalNumber(name: string): number | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    const number = value instanceof JsonNumber ? Number(value.text) : Number.NaN;
    if (!Number.isFinite(number) || number < 0)
      throw this.fault(name, 'must be a number, at least 0');
    return number;
  }

  object(name: string): Fields {
    return this.optionalObject(name) ?? this.#missing(name);
  }

  optionalObject(name: string): Fields | undefined {
    const value = this.#value(name);
    return value === undefined ? undefined : Fields.of(value, this.#pathOf(name));
  }

  /** The items of a list, with the path of each; no items where the field is missing. */
  list(name: string, most: number = MAX_LIST): readonly ListItem[] {
    const value = this.#value(name);
    if (value === undefined) return [];
    if (!isJsonList(value)) throw this.fault(name, 'must be a list');
    if (value.length > most) throw this.fault(name, `must have at most ${most} items`);
    return value.map((item, index) => ({ value: item, path: `${this.#pathOf(name)}[${index}]` }));
  }

  texts(name: string, most: number = MAX_NAME): readonly string[] {
    return this.list(name).map(({ value, path }) => {
      if (typeof value !== 'string') throw new DescriptionError(path, 'must be text');
      if (value.length > most)
        throw new DescriptionError(path, `must be at most ${most} characters`);
      return value;
    });
  }

  /** A list of texts, or one text alone, as older files have for `ca`. */
  textOrTexts(name: string, most: number): readonly string[] {
    const value = this.#value(name);
    return typeof value === 'string' ? [this.text(name, most)] : this.texts(name, most);
  }

  /** A name or an address of a machine. */
  host(name: string): string {
    const host = canonicalHost(this.text(name));
    if (host === undefined) throw this.fault(name, 'must be a host name or an address');
    return host;
  }

  port(name: string): number {
    return this.integer(name, 1, 65_535);
  }

  /** `host:port`, an IPv6 address in brackets. */
  hostAndPort(name: string): HostAndPort {
    const [, host = '', port = ''] = /^(.*):(\d{1,5})$/s.exec(this.text(name)) ?? [];
    const canonical = canonicalHost(host);
    const number = Number(port);
    if (canonical === undefined || number < 1 || number > 65_535) {
      throw this.fault(name, 'must be a host and a port, as in "exit.example:8774"');
    }
    return { host: canonical, port: number };
  }

  #value(name: string): Json | undefined {
    return this.#values.get(name) ?? undefined;
  }

  #pathOf(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  #missing(name: string): never {
    throw this.fault(name, 'is missing');
  }
}

export interface ListItem {
  readonly value: Json;
  readonly path: string;
}

/** The year 9999, in seconds. */
const MAX_TIME = 253_402_300_799;
