/** The heap that paths of three hops take, at their creator and at their hops together, in a network in memory. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Lab } from '../../test/llarp/lab.js';

/** Paths that were built before, so that code and links do not count. */
const BEFORE = 20;
const ROUNDS = 3;

function heapBytes(): number {
  setFlagsFromString('--expose_gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') for (let i = 0; i < 3; i++) collect();
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
}

/** @param paths in each round, at most 1,000 */
export function memoryOfPaths(paths: number): {
  readonly paths: number;
  readonly bytesEach: readonly number[];
} {
  const bytesEach: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const lab = new Lab(4);
    const open = (count: number): unknown[] => {
      const seen = Array.from({ length: count }, () => {
        const path = lab.path(0, [1, 2, 3]);
        lab.clock.advance(100);
        return path;
      });
      if (seen.some(({ path }) => path.state !== 'ready')) throw new Error('a path is not ready');
      return seen;
    };
    const kept = [open(BEFORE)];
    const before = heapBytes();
    kept.push(open(paths));
    bytesEach.push((heapBytes() - before) / paths);
    if (kept.length !== 2) throw new Error('the paths are gone');
    for (const node of lab.nodes) node.close();
  }
  return { paths, bytesEach };
}
