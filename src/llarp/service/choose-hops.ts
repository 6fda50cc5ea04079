/** Which routers a new path takes: random ones, each once, never this one. */
import { equalBytes } from '../bytes.js';
import type { RandomBytes } from '../crypto.js';
import { keyText } from '../router/distance.js';
import type { RouterContact } from '../structures.js';

export interface HopChoice {
  readonly known: readonly RouterContact[];
  /** The identity of this router. */
  readonly own: Uint8Array;
  /** 1 to 8. */
  readonly count: number;
  /** The farthest hop; undefined: any. */
  readonly end?: RouterContact | undefined;
  /** Routers that are not taken as the farthest hop, as text, unless there are no others. */
  readonly notAtEnd?: ReadonlySet<string>;
}

/** A random number below `limit`, which is at least 1. */
function randomBelow(limit: number, randomBytes: RandomBytes): number {
  const bytes = randomBytes(4);
  const random = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
  return Math.floor((random / 2 ** 32) * limit);
}

/** Takes one at random out of the list. */
function drawn<T>(list: T[], randomBytes: RandomBytes): T | undefined {
  return list.length === 0 ? undefined : list.splice(randomBelow(list.length, randomBytes), 1)[0];
}

/** The hops of a path, the nearest first; undefined when too few routers are known. */
export function chooseHops(
  { known, own, count, end, notAtEnd = new Set() }: HopChoice,
  randomBytes: RandomBytes,
): readonly RouterContact[] | undefined {
  const others = known.filter(({ signingKey }) => !equalBytes(signingKey, own));
  const ends = others.filter(({ signingKey }) => !notAtEnd.has(keyText(signingKey)));
  const last = end ?? drawn(ends, randomBytes) ?? drawn([...others], randomBytes);
  if (!last || equalBytes(last.signingKey, own)) return undefined;
  const rest = others.filter(({ signingKey }) => !equalBytes(signingKey, last.signingKey));
  const hops = [last];
  while (hops.length < count) {
    const hop = drawn(rest, randomBytes);
    if (!hop) return undefined;
    hops.unshift(hop);
  }
  return hops;
}
