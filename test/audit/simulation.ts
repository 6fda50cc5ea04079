/** Makers that answer through directories that lose messages; one may withhold them. Exact for a seed. */
import { judge, NEW_PAIR, threshold, type PairState } from '../../src/audit/pair-test.js';

export interface World {
  readonly seed: number;
  readonly directories: number;
  readonly makers: number;
  readonly rounds: number;
  /**
   * How makers answer: each message by `one` directory drawn evenly, through all (`copies`), or once
   * for each request that arrived, by directories drawn evenly (`some`).
   */
  readonly mode: 'one' | 'some' | 'copies';
  /** Share of messages lost, by directory. */
  readonly loss: readonly number[];
  /** Drops this share of the maker's messages. */
  readonly liar?: { readonly directory: number; readonly maker: number; readonly share: number };
}

export interface Outcome {
  /** Rounds until the liar was flagged. */
  readonly flaggedAfter: number | undefined;
  /** Honest pairs that were flagged. */
  readonly falseAlarms: number;
}

/** A small generator with a period of 2^32 (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function simulate(world: World): Outcome {
  const { directories, makers, rounds, mode, loss, liar } = world;
  const random = seeded(world.seed);
  const pairs: PairState[] = Array.from({ length: makers * directories }, () => NEW_PAIR);
  const limit = threshold(pairs.length);
  let flaggedAfter: number | undefined;
  let falseAlarms = 0;

  const draw = (): number => Math.floor(random() * directories);
  function ways(): ReadonlySet<number> {
    if (mode === 'one') return new Set([draw()]);
    const each = Array.from({ length: directories }, (_, d) => d);
    return new Set(mode === 'copies' ? each : each.map(draw));
  }
  function arrives(maker: number, directory: number): boolean {
    if (random() < (loss[directory] ?? 0)) return false;
    const lies = liar?.maker === maker && liar.directory === directory;
    return !(lies && random() < liar.share);
  }

  for (let round = 1; round <= rounds; round++) {
    for (let maker = 0; maker < makers; maker++) {
      const came = new Set([...ways()].filter((directory) => arrives(maker, directory)));
      if (came.size === 0) continue;
      for (let directory = 0; directory < directories; directory++) {
        const delivered = came.has(directory);
        const others = came.size - (delivered ? 1 : 0);
        const index = maker * directories + directory;
        const before = pairs[index] ?? NEW_PAIR;
        const after = judge(before, { eligible: directories, others, delivered }, limit);
        pairs[index] = after;
        if (!after.flagged || before.flagged) continue;
        if (liar?.maker === maker && liar.directory === directory) flaggedAfter ??= round;
        else falseAlarms++;
      }
    }
  }
  return { flaggedAfter, falseAlarms };
}
