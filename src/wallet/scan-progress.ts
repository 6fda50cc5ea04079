/** How far the chain was read, and blocks by which a reorganisation is found. Pure. */
import type { BlockId, BlockInfo } from '../chain/ports.js';

/** So many of the newest blocks are kept; older ones at distances that double. */
const DENSE = 12;

/** In place of a hash, where no block was read to the end. */
export const NO_BLOCK = '00'.repeat(32);

/** Keeps the newest blocks, and older ones at growing distances: about 40 for any chain. */
export function thinned(known: readonly BlockId[]): readonly BlockId[] {
  const [newest] = known;
  if (newest === undefined) return known;
  const kept: BlockId[] = [];
  let distance = DENSE;
  for (const block of known) {
    const depth = newest.height - block.height;
    if (kept.length < DENSE) kept.push(block);
    else if (depth >= distance) {
      kept.push(block);
      distance = depth * 2;
    }
  }
  // The oldest block ends every reorganisation that is shorter.
  const oldest = known.at(-1);
  if (oldest !== undefined && kept.at(-1) !== oldest) kept.push(oldest);
  return kept;
}

export class ScanProgress {
  #from: number | undefined;
  #tip: BlockInfo | undefined;
  #known: readonly BlockId[] = [];
  #height = -1;

  /** Height of the first block of a rescan; undefined when no record said so. */
  get from(): number | undefined {
    return this.#from;
  }

  /** The last block that was reached; undefined at the beginning, and after a rewind. */
  get tip(): BlockInfo | undefined {
    return this.#tip;
  }

  /** Height up to which everything was read, as far as it is known; -1 at the beginning. */
  get height(): number {
    return this.#tip?.height ?? this.#known[0]?.height ?? -1;
  }

  /** Height of the newest block in the state, which may be above `height` in the middle of a scan. */
  get newest(): number {
    return Math.max(this.#height, this.height);
  }

  /** Blocks that were read, the newest first. */
  get known(): readonly BlockId[] {
    return this.#known;
  }

  readTo(height: number): void {
    this.#height = height;
  }

  reach(block: BlockInfo): void {
    const { height, hash, time, medianTime } = block;
    this.#tip = { height, hash, time, medianTime };
    this.#height = height;
    const older = this.#known.filter((it) => it.height < height);
    this.#known = thinned([{ height, hash }, ...older]);
  }

  /** The blocks above this one are gone. `NO_BLOCK` as its hash: no block was read to the end. */
  rewind({ height, hash }: BlockId): void {
    this.#tip = undefined;
    this.#height = height;
    const older = this.#known.filter((it) => it.height < height);
    this.#known = hash === NO_BLOCK ? older : thinned([{ height, hash }, ...older]);
  }

  restart(from: number): void {
    this.#from = from;
    this.#tip = undefined;
    this.#known = [];
    this.#height = -1;
  }
}
