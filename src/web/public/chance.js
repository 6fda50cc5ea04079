/**
 * How likely a taker picks a maker. Takers first drop what does not fit: offers of other types, whose
 * sizes do not hold the amount, or that are over both fee limits; of each maker the cheapest offer
 * stays. Then they pick one maker after the other, without putting back: with the bondless share as
 * probability each alike, else in proportion to the values of bonds.
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

/** How far to go so that, together, exactly one more maker is picked. Newton's method. */
function stepFor(left, hazard) {
  let step = 1;
  for (let round = 0; round < 8; round += 1) {
    let excess = -1;
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
 * The chance of each maker to be among those picked. Exact for a single pick; for more, what is left
 * after each pick is taken as its average, which stays within one per cent of a simulation.
 * @param weights values of bonds, 0 without one
 * @param picks how many makers the taker wants
 * @param bondless share of picks that do not look at bonds, 0 to 1
 */
export function pickChances(weights, picks, bondless) {
  const makers = weights.length;
  if (picks >= makers) return new Float64Array(makers).fill(1);
  const left = new Float64Array(makers).fill(1);
  const hazard = new Float64Array(makers);
  const largest = weights.reduce((a, b) => Math.max(a, b), 0);
  for (let pick = 0; pick < picks; pick += 1) {
    let alike = 0;
    let weighted = 0;
    for (let i = 0; i < makers; i += 1) {
      alike += left[i];
      weighted += left[i] * weights[i];
    }
    const bonds = weighted > largest * 1e-12;
    for (let i = 0; i < makers; i += 1) {
      hazard[i] = bonds ? bondless / alike + ((1 - bondless) * weights[i]) / weighted : 1 / alike;
    }
    if (picks === 1) return hazard.slice();
    const step = stepFor(left, hazard);
    for (let i = 0; i < makers; i += 1) left[i] *= Math.exp(-step * hazard[i]);
  }
  return left.map((stays) => 1 - stays);
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
