/** Changes to an input: of its bytes, of the pieces between its separators, and of JSON inside it. */
import { mutateJson } from './mutate-json.js';
import type { FuzzRandom } from './random.js';

export interface MutationContext {
  readonly random: FuzzRandom;
  /** Something else to take pieces from. */
  readonly other: Uint8Array;
  readonly words: readonly string[];
  readonly maxBytes: number;
}

type Mutation = (input: Buffer, context: MutationContext) => Buffer;

/** Bytes that parsers treat in their own way. */
const ODD_BYTES = [...Buffer.from('\0\t\n\r "%!#+,-./0:;=?@[\\]{}\x7f\x80\xc0\xed\xff', 'latin1')];
const ODD_TEXTS = [
  '\r\n',
  '\n',
  '\r',
  '\ufeff',
  '\u2028',
  '\u{1f600}',
  '\\ud800',
  '\\u0000',
  'PUBLIC',
  'NOT-SERVING-ONION',
  '__proto__',
  'constructor',
  'null',
  'true',
  'NaN',
  '-0',
  '1e400',
  '9007199254740993',
  '65536',
  '2147483648',
  '%(a)s',
  ' '.repeat(30),
];

function cutOut(input: Buffer, from: number, to: number, instead: Uint8Array): Buffer {
  return Buffer.concat([input.subarray(0, from), instead, input.subarray(to)]);
}

/** A range of the input, mostly short. */
function range(input: Buffer, random: FuzzRandom): [number, number] {
  const from = random.below(input.length + 1);
  const longest = random.oneIn(4) ? input.length : 16;
  return [from, Math.min(input.length, from + random.below(longest + 1))];
}

const flipBit: Mutation = (input, { random }) => {
  const at = random.below(input.length);
  input[at] = (input[at] ?? 0) ^ (1 << random.below(8));
  return input;
};

const setByte: Mutation = (input, { random }) => {
  input[random.below(input.length)] = random.oneIn(3) ? random.below(256) : random.pick(ODD_BYTES);
  return input;
};

const insertByte: Mutation = (input, { random }) => {
  const [at] = range(input, random);
  return cutOut(input, at, at, Uint8Array.of(random.pick(ODD_BYTES)));
};

const remove: Mutation = (input, { random }) => {
  const [from, to] = range(input, random);
  return cutOut(input, from, to, Buffer.alloc(0));
};

const repeat: Mutation = (input, { random }) => {
  const [from, to] = range(input, random);
  const piece = Buffer.from(input.subarray(from, to));
  const times = random.oneIn(8) ? random.below(1000) : 1 + random.below(3);
  return cutOut(input, to, to, Buffer.concat(Array<Buffer>(times).fill(piece)));
};

/** Up to the bounds of lines and files: they only matter from 40,000 bytes on. */
const swell: Mutation = (input, { random, maxBytes }) => {
  const at = random.below(input.length + 1);
  const size = random.oneIn(2) ? random.below(maxBytes) : 39_900 + random.below(200);
  return cutOut(input, at, at, Buffer.alloc(size, random.oneIn(2) ? 'x' : random.pick(ODD_BYTES)));
};

const spliceOther: Mutation = (input, { random, other }) => {
  const [from, to] = range(input, random);
  const [otherFrom, otherTo] = range(Buffer.from(other), random);
  return cutOut(input, from, to, other.subarray(otherFrom, otherTo));
};

const crossOver: Mutation = (input, { random, other }) =>
  Buffer.concat([
    input.subarray(0, random.below(input.length + 1)),
    other.subarray(random.below(other.length + 1)),
  ]);

const insertText: Mutation = (input, { random, words }) => {
  const [from, to] = range(input, random);
  const text = random.pick(random.oneIn(2) && words.length > 0 ? words : ODD_TEXTS);
  return cutOut(input, from, random.oneIn(2) ? from : to, Buffer.from(text));
};

const number: Mutation = (input, { random }) => {
  const text = input.toString('latin1');
  const numbers = [...text.matchAll(/\d+/g)];
  if (numbers.length === 0) return input;
  const found = random.pick(numbers);
  const value = BigInt(found[0].slice(0, 30));
  const changed = random.pick([
    value + 1n,
    value - 1n,
    value * 10n,
    -value,
    0n,
    2n ** 53n,
    65_536n,
  ]);
  return cutOut(input, found.index, found.index + found[0].length, Buffer.from(`${changed}`));
};

const SEPARATOR = /([\r\n]+|[;,!+ :="{}[\]])/;

/** Drops, doubles, exchanges or replaces the text between two separators, or a separator. */
const token: Mutation = (input, { random, other, words }) => {
  const tokens = input.toString('latin1').split(SEPARATOR);
  const at = random.below(tokens.length);
  const here = tokens[at] ?? '';
  switch (random.below(5)) {
    case 0:
      tokens.splice(at, 1);
      break;
    case 1:
      tokens.splice(at, 0, here);
      break;
    case 2: {
      const to = random.below(tokens.length);
      tokens[at] = tokens[to] ?? '';
      tokens[to] = here;
      break;
    }
    case 3:
      tokens[at] = random.pick(Buffer.from(other).toString('latin1').split(SEPARATOR));
      break;
    default:
      tokens[at] = Buffer.from(random.pick(words.length > 0 ? words : ODD_TEXTS)).toString(
        'latin1',
      );
  }
  return Buffer.from(tokens.join(''), 'latin1');
};

const LF = 0x0a;

/** The JSON of one line (or of all of it) changed in one place. */
const json: Mutation = (input, { random, words }) => {
  const starts = [0];
  for (let at = input.indexOf(LF); at >= 0; at = input.indexOf(LF, at + 1)) starts.push(at + 1);
  const from = random.pick(starts);
  const next = input.indexOf(LF, from);
  const to = next < 0 ? input.length : next;
  const changed = mutateJson(input.toString('utf8', from, to), random, words);
  return changed === undefined ? input : cutOut(input, from, to, Buffer.from(changed));
};

const BYTES: readonly Mutation[] = [
  flipBit,
  setByte,
  insertByte,
  remove,
  repeat,
  spliceOther,
  crossOver,
  insertText,
];
const STRUCTURE: readonly Mutation[] = [token, token, number, json, json, json];

/** One to a few changes, never longer than `maxBytes`. */
export function mutate(seed: Uint8Array, context: MutationContext): Uint8Array {
  const { random, maxBytes } = context;
  let input: Buffer = Buffer.from(seed);
  const steps = 1 + random.below(random.oneIn(4) ? 8 : 3);
  for (let i = 0; i < steps; i++) {
    if (input.length === 0) input = Buffer.from(context.other);
    if (input.length === 0) input = Buffer.from(' ');
    const change = random.oneIn(200) ? swell : random.pick(random.oneIn(2) ? BYTES : STRUCTURE);
    input = change(input, context).subarray(0, maxBytes);
  }
  return input;
}
