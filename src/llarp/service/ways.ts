/** The introductions through which another service is reached: those of its introset and those of its replies. Pure. */
import { equalBytes } from '../bytes.js';
import type { Path } from '../path/path.js';
import { keyText } from '../router/distance.js';
import type { Introduction } from '../structures.js';

/** Most introductions; those that expire first are forgotten. */
export const MAX_WAYS = 12;
/** An introduction is not used in the last part of its life: the message must arrive. */
const LEAST_LEFT_MS = 2_000n;
/** After a doubt another way is preferred for so long. */
const DOUBT_MS = 30_000;
/** Dropped messages after which a way is doubted: one alone may be dropped by a router that is busy. */
const STRIKES = 2;

export interface Way {
  readonly introduction: Introduction;
  /** Until this time of the clock, other ways are preferred. */
  doubtedUntil: number;
  strikes: number;
}

/**
 * Whether the introduction in a frame is the path that the frame was sent over: it ends where the own path ends. Others
 * are not used, so that no stranger chooses where paths are built to.
 * @param source of the frame
 * @param path the own path that the frame came over
 */
export function isAligned(replyTo: Introduction, source: Uint8Array, path: Path): boolean {
  return equalBytes(replyTo.router, path.farthestRouter) && equalBytes(replyTo.pathId, source);
}

export class Ways {
  readonly #ways = new Map<string, Way>();

  get size(): number {
    return this.#ways.size;
  }

  /** Takes introductions that the other service has signed. */
  learn(introductions: readonly Introduction[]): void {
    for (const introduction of introductions) this.#learn(introduction);
    while (this.#ways.size > MAX_WAYS) this.#forgetFirst();
  }

  /** Takes the introduction of a message that has just arrived: there is no doubt about it. */
  learnReply(introduction: Introduction): Way {
    const way = this.#learn(introduction);
    way.doubtedUntil = 0;
    way.strikes = 0;
    while (this.#ways.size > MAX_WAYS) this.#forgetFirst();
    return way;
  }

  /**
   * The ways that can be used, those without doubt first, then those that live longest.
   * @param wall milliseconds since 1970
   * @param now milliseconds of the clock
   */
  usable(wall: bigint, now: number): readonly Way[] {
    for (const [key, { introduction }] of this.#ways) {
      if (introduction.expires <= wall + LEAST_LEFT_MS) this.#ways.delete(key);
    }
    const doubt = ({ doubtedUntil }: Way): number => (doubtedUntil > now ? doubtedUntil : 0);
    return [...this.#ways.values()].toSorted(
      (a, b) => doubt(a) - doubt(b) || Number(b.introduction.expires - a.introduction.expires),
    );
  }

  /** Nothing came back over this way. */
  doubt(way: Way, now: number): void {
    way.doubtedUntil = now + DOUBT_MS;
    way.strikes = 0;
  }

  /** A router dropped a message to this way. */
  strike(way: Way, now: number): void {
    if (++way.strikes >= STRIKES) this.doubt(way, now);
  }

  #learn(introduction: Introduction): Way {
    const key = wayKey(introduction);
    const known = this.#ways.get(key);
    if (known && known.introduction.expires >= introduction.expires) return known;
    const way = { introduction, doubtedUntil: known?.doubtedUntil ?? 0, strikes: 0 };
    this.#ways.set(key, way);
    return way;
  }

  #forgetFirst(): void {
    let first: [string, Way] | undefined;
    for (const entry of this.#ways) {
      const isFirst = !first || entry[1].introduction.expires < first[1].introduction.expires;
      if (isFirst) first = entry;
    }
    if (first) this.#ways.delete(first[0]);
  }
}

function wayKey({ router, pathId }: Introduction): string {
  return `${keyText(router)} ${keyText(pathId)}`;
}
