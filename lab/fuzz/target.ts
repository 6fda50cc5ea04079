/** A fuzz target: one parser, or a few that belong together, with invariants that hold for every input. */
import type { FuzzRandom } from './random.js';

export interface Target {
  readonly name: string;
  /** Real inputs that mutation starts from. */
  readonly seeds: readonly Uint8Array[];
  /** Pieces of its grammar. */
  readonly words: readonly string[];
  /** Longest input tried, in bytes. */
  readonly maxBytes: number;
  /**
   * Runs one input; returns the outcomes it reached (reasons, kinds), each from a fixed set. Throws
   * `Broken` when an invariant does not hold; anything else that is thrown is a crash.
   *
   * @param random depends on the input alone, so that a case behaves the same whenever it is run
   */
  run(input: Uint8Array, random: FuzzRandom): Iterable<string>;
}

/** An invariant does not hold. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

/** Throws `Broken` with that text unless the condition holds. */
export function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Broken(what);
}

/** Throws `Broken` unless both sides are the same as JSON. */
export function mustEqual(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Broken(`${what}: ${a.slice(0, 200)} is not ${b.slice(0, 200)}`);
}

/** The bytes in pieces: cut at up to eight places, or after every byte of a short input. */
export function pieces(bytes: Uint8Array, random: FuzzRandom): Uint8Array[] {
  if (bytes.length <= 64 && random.oneIn(2)) {
    return Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
  }
  const cuts = Array.from({ length: random.below(9) }, () => random.below(bytes.length + 1));
  const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
  return at.slice(1).map((to, i) => bytes.subarray(at[i] ?? 0, to));
}

const ESCAPE = /\\u([0-9a-f]{4})/g;

/**
 * The input as a payload. A payload was a JSON string before, so it can hold text that UTF-8 cannot: `\ud800`
 * stands for an unpaired surrogate.
 */
export function payloadOf(input: Uint8Array): string {
  return Buffer.from(input)
    .toString('utf8')
    .replace(ESCAPE, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
