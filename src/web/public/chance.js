/**
 * The chance that a taker picks a maker. Takers first drop offers that do not fit: other types, sizes
 * that do not contain the amount, or a fee above both limits. They keep the cheapest offer of each
 * maker. Then they pick makers one after the other without replacement: with the bondless share as
 * probability uniformly, else in proportion to the values of bonds.
 */

/** The fee for an amount, in satoshi. */
export function feeAt(offer, amount) {
  return typeof offer.cjfee === 'number' ? offer.cjfee : Math.round(Number(offer.cjfee) * amount);
}

function fits(offer, fee, { amount, family, maxFeeSats, maxFeeShare }) {
  if (
    !offer.ordertype.startsWith(family) ||
    !/^(rel|abs)/.test(offer.ordertype.slice(family.length))
  )
    return false;
  if (!(offer.minsize < amount && amount < offer.maxsize)) return false;
  return fee <= maxFeeSats || fee <= maxFeeShare * amount;
}

/** The offer that a taker would consider, by maker. */
export function eligible(offers, wish) {
  const best = new Map();
  for (const offer of offers) {
    const fee = feeAt(offer, wish.amount);
    if (!fits(offer, fee, wish)) continue;
    const cost = fee - offer.txfee;
    const known = best.get(offer.counterparty);
    if (known === undefined || cost < known.cost) best.set(offer.counterparty, { offer, cost });
  }
  return best;
}

/** Most makers with the largest bonds that are followed one by one, in all combinations. */
const FOLLOWED = 12;
/** The same for many picks: 2^12 combinations for each of 100 picks would take noticeable time. */
const FOLLOWED_OF_MANY = 10;
const MANY_PICKS = 20;

/** The sum of values sorted downwards. Adds the small ones first, for a smaller rounding error. */
function sumBackwards(length, valueAt) {
  let sum = 0;
  for (let i = length - 1; i >= 0; i -= 1) sum += valueAt(i);
  return sum;
}

/** How many of `order` (weights, largest first) are followed. Equal weights are all followed, or not at all. */
function followedOf(order, picks) {
  let count = Math.min(picks > MANY_PICKS ? FOLLOWED_OF_MANY : FOLLOWED, order.length);
  while (count > 0 && (order[count - 1] === 0 || order[count - 1] === order[count])) count -= 1;
  return count;
}

/** The step after which the expected number of picked makers has grown by `wanted`; by Newton's method. */
function stepFor(left, hazard, wanted) {
  let step = 1;
  for (let round = 0; round < 8; round += 1) {
    let excess = -wanted;
    let slope = 0;
    for (let i = 0; i < left.length; i += 1) {
      const stays = left[i] * Math.exp(-step * hazard[i]);
      excess += left[i] - stays;
      slope += stays * hazard[i];
    }
    if (!(slope > 0)) break;
    const next = step - excess / slope;
    if (Math.abs(next - step) < 1e-9) return next;
    step = next > 0 ? next : step / 2;
  }
  return step;
}

/**
 * One pick from every combination of followed makers that may have been picked before.
 * @param chanceOf its probability by combination (a bit for each followed maker that was picked)
 * @returns the same after the pick (`after`); the probability that the pick is one certain maker of the
 *   rest, as a part that is equal for all (`alike`) and a part per unit of weight (`weighted`); and the
 *   probability that it is any maker of the rest (`others`)
 */
function pickFrom(chanceOf, followed, weightLeft, { makers, restWeight, bondless }) {
  const after = new Float64Array(chanceOf.length);
  let alike = 0;
  let weighted = 0;
  let others = 0;
  for (let gone = 0; gone < chanceOf.length; gone += 1) {
    const chance = chanceOf[gone];
    if (chance === 0) continue;
    const total = weightLeft[gone] + restWeight;
    const each = (total > 0 ? bondless : 1) / makers;
    const byWeight = total > 0 ? (1 - bondless) / total : 0;
    let other = 1;
    for (let i = 0; i < followed.length; i += 1) {
      const bit = 1 << i;
      if ((gone & bit) !== 0) continue;
      const picked = each + byWeight * followed[i];
      after[gone | bit] += chance * picked;
      other -= picked;
    }
    other = Math.max(0, other);
    after[gone] += chance * other;
    others += chance * other;
    alike += chance * each;
    weighted += chance * byWeight;
  }
  return { after, alike, weighted, others };
}

/**
 * The chance of each maker to be among those picked. Exact for a single pick. For more picks, the
 * largest bonds are followed in all combinations, since it matters which of them was picked; for the
 * others, the average after each pick is used.
 * @param weights values of bonds, 0 without one
 * @param picks how many makers the taker wants
 * @param bondless share of picks that ignore bonds, 0 to 1
 */
export function pickChances(weights, picks, bondless) {
  if (picks >= weights.length) return new Float64Array(weights.length).fill(1);
  const order = [...weights.keys()].toSorted((a, b) => weights[b] - weights[a]);
  const sorted = order.map((i) => weights[i]);
  const count = followedOf(sorted, picks);
  const followed = sorted.slice(0, count);
  const rest = sorted.slice(count);
  const weightLeft = Float64Array.from({ length: 1 << count }, (_, gone) =>
    sumBackwards(count, (i) => ((gone >> i) & 1 ? 0 : followed[i])),
  );
  let chanceOf = new Float64Array(1 << count);
  chanceOf[0] = 1;
  const left = new Float64Array(rest.length).fill(1);
  const hazard = new Float64Array(rest.length);
  for (let pick = 0; pick < picks; pick += 1) {
    const restWeight = sumBackwards(rest.length, (i) => left[i] * rest[i]);
    const makers = weights.length - pick;
    const step = pickFrom(chanceOf, followed, weightLeft, { makers, restWeight, bondless });
    chanceOf = step.after;
    for (let i = 0; i < rest.length; i += 1) hazard[i] = step.alike + step.weighted * rest[i];
    if (picks === 1) {
      for (let i = 0; i < rest.length; i += 1) left[i] -= hazard[i];
    } else if (rest.length > 0) {
      const far = stepFor(left, hazard, step.others);
      for (let i = 0; i < rest.length; i += 1) left[i] *= Math.exp(-far * hazard[i]);
    }
  }
  const chances = new Float64Array(weights.length);
  for (let i = 0; i < count; i += 1) {
    for (let gone = 0; gone < chanceOf.length; gone += 1) {
      if ((gone >> i) & 1) chances[order[i]] += chanceOf[gone];
    }
  }
  for (let i = 0; i < rest.length; i += 1) chances[order[count + i]] = 1 - left[i];
  return chances;
}

/**
 * Chances by id of the offer that would be taken.
 * @param wish amount (satoshi), family ('sw0', 'sw' or ''), maxFeeSats, maxFeeShare, picks, bondless
 */
export function chancesOf(offers, wish) {
  const makers = [...eligible(offers, wish).values()];
  const weights = makers.map(({ offer }) => offer.fidelity_bond_value);
  const chances = pickChances(weights, wish.picks, wish.bondless);
  return {
    makers: makers.length,
    bonded: weights.filter((weight) => weight > 0).length,
    byOffer: new Map(makers.map(({ offer }, i) => [offer.id, chances[i]])),
  };
}
