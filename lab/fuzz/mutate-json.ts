/** Changes of a JSON text that leave it JSON: other values, other keys, other ways to write it. */
import type { FuzzRandom } from './random.js';

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

const ODD_VALUES: readonly Json[] = [
  null,
  true,
  false,
  0,
  -1,
  0.5,
  793,
  4_294_967_296,
  1e300,
  '',
  ' ',
  '\ud800',
  '\u0000',
  '\u2028',
  'J5'.padEnd(16, 'O'),
  '127.0.0.1:5222',
  'x'.repeat(65),
  [],
  {},
  ['a'],
  { a: { a: true } },
];
const KEYS = ['type', 'line', '__proto__', 'features', 'nick', 'proto-ver', 'network', 'x', ''];

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsed(text: string): Json | undefined {
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

/** A payload inside an envelope is JSON once more when it is a handshake. */
function changedText(text: string, random: FuzzRandom, words: readonly string[]): string {
  if (!random.oneIn(4)) {
    const inner = mutateJson(text, random, words);
    if (inner !== undefined) return inner;
  }
  const at = random.below(text.length + 1);
  const piece =
    random.oneIn(2) && words.length > 0
      ? random.pick(words)
      : String.fromCharCode(random.below(0x10000));
  return text.slice(0, at) + piece + text.slice(at + random.below(4));
}

function changed(value: Json, random: FuzzRandom, words: readonly string[], depth = 0): Json {
  if (random.oneIn(6) && depth > 0) return random.pick(ODD_VALUES);
  if (typeof value === 'string') return changedText(value, random, words);
  if (typeof value === 'number')
    return random.pick([value + 1, value - 1, -value, value / 2, value * 1e9]);
  if (Array.isArray(value)) return [...value, random.pick(ODD_VALUES)];
  if (!isObject(value)) return random.pick(ODD_VALUES);
  const keys = Object.keys(value);
  const entries = Object.entries(value);
  if (keys.length === 0 || random.oneIn(8)) {
    entries.push([
      random.oneIn(2) ? random.pick(KEYS) : `k${random.below(100)}`,
      random.pick(ODD_VALUES),
    ]);
  } else {
    const at = random.below(entries.length);
    const [key, inner] = entries[at] ?? ['', null];
    const how = random.below(8);
    if (how === 0) entries.splice(at, 1);
    else if (how === 1) entries[at] = [random.pick(KEYS), inner];
    else entries[at] = [key, changed(inner, random, words, depth + 1)];
  }
  return Object.fromEntries(entries);
}

/** The same value in another spelling: escapes, blanks, a key twice. */
function spelled(text: string, random: FuzzRandom): string {
  switch (random.below(8)) {
    case 0:
      return text.replace(/[A-Za-z]/g, (c) =>
        random.oneIn(2) ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}` : c,
      );
    case 1:
      return text.replaceAll(/([:,])/g, '$1 \t');
    case 2:
      return text.replace('{', '{"type":687,');
    case 3:
      return text.replace('{', '{"line":"",');
    default:
      return text;
  }
}

/** The text with one change, or undefined when it is not a JSON object or array. */
export function mutateJson(
  text: string,
  random: FuzzRandom,
  words: readonly string[],
): string | undefined {
  const value = parsed(text);
  if (typeof value !== 'object' || value === null) return undefined;
  return spelled(JSON.stringify(changed(value, random, words)), random);
}
