/** The distributions of a plan. Pure: the source of randomness is an argument. */
import type { Random } from '../channel/ports.js';

/** A wait of an exponential distribution, in whole hundredths. */
export function exponential(mean: number, random: Random): number {
  return Math.round(-mean * Math.log(1 - random()) * 100) / 100;
}

/** Normal, by Box and Muller. */
function normal([mean, deviation]: readonly [number, number], random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random()));
  return mean + deviation * radius * Math.cos(2 * Math.PI * random());
}

/** Normal, without its decimals, moved into a range. */
export function count(
  params: readonly [number, number],
  { least, most }: { readonly least: number; readonly most: number },
  random: Random,
): number {
  return Math.min(most, Math.max(least, Math.trunc(normal(params, random))));
}

/** An index, with probabilities in proportion to the weights; one of them is above 0. */
export function weighted(weights: readonly number[], random: Random): number {
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const at = weights.findIndex((weight) => (left -= weight) < 0);
  return at === -1 ? weights.findLastIndex((weight) => weight > 0) : at;
}

/** The least share of the last part, so that a sweep of it is an amount that makers accept. */
export const LAST_SHARE = 0.05;

/**
 * Parts of 1, uniform among all divisions whose last part is above `LAST_SHARE`: a division of the rest
 * has the same distribution as all those divisions, so nothing must be drawn twice.
 */
export function fractions(parts: number, random: Random): readonly number[] {
  const cuts = Array.from({ length: parts - 1 }, () => random()).toSorted((a, b) => a - b);
  const widths = [...cuts, 1].map((cut, index) => cut - (cuts[index - 1] ?? 0));
  const scaled = widths.map((width) => width * (1 - LAST_SHARE));
  const last = scaled.pop() ?? 0;
  return [...scaled, last + LAST_SHARE];
}
