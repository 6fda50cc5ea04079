/**
 * JSON whose numbers keep their text, because `JSON.parse` turns a price into a float. Objects become maps, so that
 * no key of a stranger is a property. The writer takes whole numbers of 64 bits as bigints. Pure.
 */

/** A number as the sender wrote it. */
export class JsonNumber {
  /** Matches the grammar of JSON, at most `MAX_NUMBER` characters. */
  constructor(readonly text: string) {}
}

export type JsonObject = ReadonlyMap<string, Json>;
export type Json = string | boolean | null | JsonNumber | readonly Json[] | JsonObject;

export const isJsonObject = (value: Json | undefined): value is JsonObject => value instanceof Map;
export const isJsonList = (value: Json | undefined): value is readonly Json[] =>
  Array.isArray(value);

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

/** Deepest nesting that is read. The published schemas need 6 levels. */
export const MAX_DEPTH = 16;
/** Longest number, in characters. */
export const MAX_NUMBER = 64;

/** The text is not the JSON that this client reads; `at` is the index of the fault. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
  constructor(
    reason: string,
    readonly at: number,
  ) {
    super(`not valid JSON: ${reason} at character ${at}`);
  }
}

const BLANK = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// oxlint-disable-next-line no-control-regex -- JSON allows no control characters in a string
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const WORDS: ReadonlyMap<string, Json> = new Map<string, Json>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/** Reads one text. The caller bounds its length. Two equal keys in one object are an error. */
export function parseExactJson(text: string): Json {
  return new Reader(text).whole();
}

/** From 16 digits on a number may not be exact. */
const LONG_WHOLE = /^-?\d{16,}$/;

/**
 * The value with properties and numbers, for answers of the own wallet: whole numbers of 16 digits and more become
 * texts of digits.
 */
export function plainJson(value: Json): unknown {
  if (value instanceof JsonNumber) {
    return LONG_WHOLE.test(value.text) ? value.text : Number(value.text);
  }
  if (isJsonObject(value)) {
    return Object.fromEntries([...value].map(([key, item]) => [key, plainJson(item)]));
  }
  return isJsonList(value) ? value.map((item) => plainJson(item)) : value;
}

/**
 * The value as JSON; a bigint is written as digits. Fields that are undefined are left out. A wallet accepts an amount
 * as digits only: `1e12`, `1.0` and `-1` are refused, and 2^64 is a parse error.
 */
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

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Json {
    const value = this.#value(0);
    this.#blank();
    if (this.#at < this.#text.length) throw this.#fault('text after the value');
    return value;
  }

  #value(depth: number): Json {
    if (depth > MAX_DEPTH) throw this.#fault(`more than ${MAX_DEPTH} levels`);
    this.#blank();
    const next = this.#text[this.#at];
    if (next === '{') return this.#object(depth);
    if (next === '[') return this.#array(depth);
    if (next === '"') return this.#string();
    const word = this.#word();
    return word === undefined ? this.#number() : word;
  }

  #object(depth: number): JsonObject {
    const entries = new Map<string, Json>();
    this.#at++;
    if (this.#takes('}')) return entries;
    do {
      this.#blank();
      if (this.#text[this.#at] !== '"') throw this.#fault('a key was expected');
      const key = this.#string();
      if (entries.has(key)) throw this.#fault('a key occurs twice');
      if (!this.#takes(':')) throw this.#fault('":" was expected');
      entries.set(key, this.#value(depth + 1));
    } while (this.#takes(','));
    if (!this.#takes('}')) throw this.#fault('"," or "}" was expected');
    return entries;
  }

  #array(depth: number): readonly Json[] {
    const items: Json[] = [];
    this.#at++;
    if (this.#takes(']')) return items;
    do items.push(this.#value(depth + 1));
    while (this.#takes(','));
    if (!this.#takes(']')) throw this.#fault('"," or "]" was expected');
    return items;
  }

  #string(): string {
    const raw = this.#match(STRING);
    if (raw === undefined) throw this.#fault('a malformed string');
    const value: unknown = JSON.parse(raw);
    if (typeof value !== 'string') throw this.#fault('a malformed string');
    return value;
  }

  #word(): Json | undefined {
    for (const [word, value] of WORDS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return undefined;
  }

  #number(): JsonNumber {
    const text = this.#match(NUMBER);
    if (text === undefined) throw this.#fault('a value was expected');
    if (text.length > MAX_NUMBER) throw this.#fault(`a number of over ${MAX_NUMBER} characters`);
    return new JsonNumber(text);
  }

  #takes(character: string): boolean {
    this.#blank();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #blank(): void {
    this.#match(BLANK);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #fault(reason: string): JsonError {
    return new JsonError(reason, this.#at);
  }
}
