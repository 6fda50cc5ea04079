/**
 * Which coins pay an amount: the `merge_algorithm` rules of the original. They differ in how many small
 * coins they use up: few by `default`, ever more by `gradual`, `greedy` and `greediest`. Pure.
 */
import type { SelectionRule } from './api.js';

interface Valued {
  readonly value: number;
}

/** The shortest run from the front that reaches the target; undefined when all together do not. */
function shortestRun<T extends Valued>(
  coins: readonly T[],
  target: number,
): readonly T[] | undefined {
  let sum = 0;
  for (const [index, { value }] of coins.entries()) {
    sum += value;
    if (sum >= target) return coins.slice(0, index + 1);
  }
  return undefined;
}

/** Leaves out coins from the front while the rest still reaches the target. */
function withoutSpare<T extends Valued>(coins: readonly T[], target: number): readonly T[] {
  let sum = coins.reduce((total, { value }) => total + value, 0);
  const start = coins.findIndex(({ value }) => {
    sum -= value;
    return sum < target;
  });
  return coins.slice(Math.max(0, start));
}

/**
 * Coins of at least `target` satoshi together; undefined when all coins do not reach it. Values are from 1.
 *
 * - `default`: the smallest coin that suffices alone, otherwise the largest ones first.
 * - `gradual`: of the coins below the target, the largest ones first.
 * - `greedy`: of the coins below the target, the smallest ones first, without those that are not needed.
 * - `greediest`: of the coins below the target, the smallest ones first.
 *
 * Where the coins below the target do not suffice, it is the smallest one that suffices alone.
 */
export function selectCoins<T extends Valued>(
  coins: readonly T[],
  target: number,
  rule: SelectionRule,
): readonly T[] | undefined {
  const rising = coins.toSorted((a, b) => a.value - b.value);
  const below = rising.filter(({ value }) => value < target);
  const alone = rising.find(({ value }) => value >= target);
  const single = alone === undefined ? undefined : [alone];
  switch (rule) {
    case 'default':
      return single ?? shortestRun(below.toReversed(), target);
    case 'gradual':
      return shortestRun(below.toReversed(), target) ?? single;
    case 'greedy': {
      const run = shortestRun(below, target);
      return run === undefined ? single : withoutSpare(run, target);
    }
    case 'greediest':
      return shortestRun(below, target) ?? single;
  }
}
