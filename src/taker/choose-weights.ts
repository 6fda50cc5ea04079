/** The weights by which a taker draws makers: bonds with a cap, and fees. Pure. */

/**
 * The values with the largest ones lowered, so that none is more than `cap` of their sum. With fewer
 * values than 1/cap that is impossible: all positive ones then get the same weight. Values of 0 or less
 * keep the weight 0.
 */
export function cappedWeights(values: readonly number[], cap: number): readonly number[] {
  const weights = values.map((value) => Math.max(0, value));
  const positive = weights.filter((weight) => weight > 0).toSorted((a, b) => b - a);
  if (cap >= 1 || positive.length === 0) return weights;
  if (!(cap * positive.length > 1)) return weights.map((weight) => (weight > 0 ? 1 : 0));
  // With the n largest at the limit, limit = cap * (n * limit + rest); rests are summed from the smallest.
  const rests = positive.map(() => 0);
  for (let n = positive.length - 1; n >= 0; n--)
    rests[n] = (positive[n] ?? 0) + (rests[n + 1] ?? 0);
  for (const [n, weight] of positive.entries()) {
    const room = 1 - cap * n;
    const limit = (cap * (rests[n] ?? 0)) / room;
    // All others together are below the limit when one more at it would leave no room.
    if (weight <= limit || room <= cap * (1 + 1e-9)) {
      return n === 0 ? weights : weights.map((each) => Math.min(each, limit));
    }
  }
  return weights.map((weight) => (weight > 0 ? 1 : 0));
}

/**
 * The weights of the rule `weighted`: exp(-(fee - least) / spread). The spread is the distance from the
 * least fee to the fee of the offer with the number `3 * makers` in the order of fees, or to the last
 * one. As in the original.
 */
export function feeWeights(fees: readonly number[], makers: number): readonly number[] {
  const sorted = fees.toSorted((a, b) => a - b);
  const least = sorted[0] ?? 0;
  const spread = (sorted[3 * makers] ?? sorted.at(-1) ?? 0) - least;
  return fees.map((fee) => (spread > 0 ? Math.exp(-(fee - least) / spread) : 1));
}

/** The number of an entry, drawn by weight; undefined when no weight is positive. */
export function drawByWeight(weights: readonly number[], chance: number): number | undefined {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (!(total > 0)) return undefined;
  let rest = chance * total;
  let last: number | undefined;
  for (const [n, weight] of weights.entries()) {
    if (!(weight > 0)) continue;
    rest -= weight;
    last = n;
    if (rest < 0) break;
  }
  return last;
}
