/** The data of the charts. Pure. */
import { hasBond } from './selection.js';

/** Bins of a histogram and points of a curve. */
const BINS = 24;
const POINTS = 96;

/** Smallest and largest value, without zeros. */
function range(values) {
  let low = Infinity;
  let high = 0;
  for (const value of values) {
    if (value > 0 && value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}

/** The range without the lowest and highest 2 %, so that one outlier does not compress the chart. */
function usualRange(values) {
  const order = values.toSorted((a, b) => a - b);
  const aside = Math.floor(order.length / 50);
  return range(order.slice(aside, order.length - aside));
}

/**
 * A histogram with bins of equal width on a logarithmic scale. Values outside the usual range go into
 * the first and the last bin. Returns the edges (one more than counts), or undefined without values.
 */
export function logHistogram(values, bins = BINS) {
  if (values.length === 0) return undefined;
  const { low, high } = usualRange(values);
  if (high === 0) return { edges: [0, 1], counts: [values.length] };
  // A single value gets a bin of its own.
  const top = high > low * 1.0001 ? high : low * 2;
  const width = Math.log(top / low) / bins;
  const counts = Array.from({ length: bins }, () => 0);
  for (const value of values) {
    const bin = value <= low ? 0 : Math.floor(Math.log(value / low) / width);
    counts[Math.min(bins - 1, bin)] += 1;
  }
  const edges = Array.from({ length: bins + 1 }, (_, i) => low * Math.exp(width * i));
  return { edges, counts };
}

const ascending = (values) => values.toSorted((a, b) => a - b);

/** At least half of the values are at most this. */
export const lowerMedian = (values) => ascending(values)[Math.ceil(values.length / 2) - 1];

/** At least half of the values are at least this. */
export const upperMedian = (values) => ascending(values)[Math.floor(values.length / 2)];

/** Ranges of sizes, a list of [min, max] for each maker. */
function rangesByMaker(offers) {
  const all = new Map();
  for (const { counterparty, minsize, maxsize } of offers) {
    const list = all.get(counterparty) ?? [];
    list.push([minsize, maxsize]);
    all.set(counterparty, list);
  }
  return [...all.values()];
}

/** How many of `order` (ascending) are at most `value`. */
function countUpTo(order, value) {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (order[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** For each amount, the number of makers with an offer that contains it. */
function ableAt(amounts, offers) {
  // The amounts at which the number rises and falls.
  const steps = new Int32Array(amounts.length + 1);
  for (const ranges of rangesByMaker(offers)) {
    ranges.sort((a, b) => a[0] - b[0]);
    // A maker whose offers overlap counts once.
    let until = 0;
    for (const [min, max] of ranges) {
      const from = Math.max(until, countUpTo(amounts, min));
      const to = countUpTo(amounts, max * (1 - 1e-12));
      if (to <= from) continue;
      steps[from] += 1;
      steps[to] -= 1;
      until = to;
    }
  }
  let able = 0;
  return amounts.map((_, i) => (able += steps[i]));
}

/**
 * How many makers can take part, by amount: `amounts` on a logarithmic scale, `all` makers and those
 * with a bond.
 */
export function depth(offers, points = POINTS) {
  if (offers.length === 0) return undefined;
  const { low, high } = usualRange(offers.flatMap(({ minsize, maxsize }) => [minsize, maxsize]));
  const top = high > low ? high : low * 2;
  const width = Math.log(top / low) / (points - 1);
  const amounts = Array.from({ length: points }, (_, i) => low * Math.exp(width * i));
  return { amounts, all: ableAt(amounts, offers), bonded: ableAt(amounts, offers.filter(hasBond)) };
}

/** One bond per maker: by value if values are known, else by the years until the lock ends. */
export function bonds(offers, now) {
  const byMaker = new Map();
  for (const offer of offers) if (hasBond(offer)) byMaker.set(offer.counterparty, offer);
  const values = [...byMaker.values()].map((offer) => offer.fidelity_bond_value);
  const known = values.filter((value) => value > 0);
  if (known.length > 0) return { kind: 'value', makers: byMaker.size, ...logHistogram(known) };
  const years = [...byMaker.values()].flatMap(({ bond }) =>
    bond.locktime === null ? [] : [(bond.locktime - now) / 31_556_952],
  );
  if (years.length === 0) return undefined;
  const last = Math.max(1, Math.ceil(Math.max(...years)));
  const step = last > 10 ? 1 : 0.5;
  const counts = Array.from({ length: Math.ceil(last / step) }, () => 0);
  for (const year of years) {
    counts[Math.min(counts.length - 1, Math.max(0, Math.floor(year / step)))] += 1;
  }
  return {
    kind: 'lock',
    makers: byMaker.size,
    edges: Array.from({ length: counts.length + 1 }, (_, i) => i * step),
    counts,
  };
}
