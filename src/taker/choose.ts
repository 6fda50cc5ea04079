/**
 * Chooses the makers that a taker asks, and their order. By default they are drawn by the value of their
 * bonds, so that many nicks of one owner are worth no more than its coins (docs/protocol.md, section
 * 8.2). docs/taker.md explains the rules. Pure; chance is an argument.
 */
import type { Random } from '../channel/ports.js';
import type { Candidate } from '../negotiation/taker/api.js';
import { makerCost, type FeePolicy } from '../negotiation/taker/fees.js';
import type { ChoiceRule } from './api.js';
import { bondValue, eligibleOffers, type OfferOfMaker } from './choose-eligible.js';
import { cappedWeights, drawByWeight, feeWeights } from './choose-weights.js';

export { eligibleOffers, type OfferOfMaker, type OffersToFilter } from './choose-eligible.js';

/** Which makers a taker accepts, and how it draws them. */
export interface ChoicePolicy extends FeePolicy {
  /** Share of makers that are drawn without their bonds (`bondless_makers_allowance`). */
  readonly bondlessMakersAllowance: number;
  /**
   * Most of the weight that one bond has in a draw (`max_bond_share`), above 0. Default 1: no limit.
   * With fewer than 1/share bonds all of them weigh the same.
   */
  readonly maxBondShare?: number;
  /**
   * The least share of makers whose bond has a value (`min_bonded_share`). Default 0. Where too few have
   * one, fewer makers are chosen.
   */
  readonly minBondedShare?: number;
}

/** The default of the original. */
export const DEFAULT_BONDLESS_MAKERS_ALLOWANCE = 0.125;

/** The offers to choose from, and how to choose. */
export interface MakerChoice {
  /** Only offers for the wallet's type of addresses. */
  readonly offers: readonly OfferOfMaker[];
  /** Satoshi of each side's coinjoin output. */
  readonly amount: number;
  /** Limits of fees, and how far bonds matter. */
  readonly policy: ChoicePolicy;
  /** Uniform in [0, 1). */
  readonly random: Random;
  /** Most makers, with spare ones. Default 100. */
  readonly most?: number;
  /** How makers are drawn. Default `bond-weighted`. */
  readonly rule?: ChoiceRule;
  /** Number of makers of the coinjoin, for the rule `weighted`. Default 9. */
  readonly makers?: number;
  /** These makers and no others, in this order, where it is not empty. */
  readonly picks?: readonly string[];
  /**
   * How many reasons there are to ask a maker later, for example failures of the last days; 0 without
   * one. Makers with fewer reasons come first.
   */
  readonly doubts?: (offer: OfferOfMaker) => number;
}

const MOST = 100;
const DEFAULT_MAKERS = 9;

const isBonded = (offer: OfferOfMaker): boolean => bondValue(offer) > 0;

function drawAny(pool: readonly OfferOfMaker[], random: Random): OfferOfMaker | undefined {
  return pool[Math.floor(random() * pool.length)];
}

function drawByBond(
  pool: readonly OfferOfMaker[],
  { policy, random }: MakerChoice,
): OfferOfMaker | undefined {
  const isAny = random() < policy.bondlessMakersAllowance;
  if (!isAny) {
    const weights = cappedWeights(pool.map(bondValue), policy.maxBondShare ?? 1);
    const drawn = drawByWeight(weights, random());
    if (drawn !== undefined) return pool[drawn];
  }
  return drawAny(pool, random);
}

function drawByFee(
  pool: readonly OfferOfMaker[],
  { amount, random, makers = DEFAULT_MAKERS }: MakerChoice,
): OfferOfMaker | undefined {
  const fees = pool.map((offer) => makerCost(offer, amount));
  return pool[drawByWeight(feeWeights(fees, makers), random()) ?? -1];
}

/** One of the cheapest. */
function drawCheapest(
  pool: readonly OfferOfMaker[],
  { amount, random }: MakerChoice,
): OfferOfMaker | undefined {
  let least = Infinity;
  let cheapest: OfferOfMaker[] = [];
  for (const offer of pool) {
    const cost = makerCost(offer, amount);
    if (cost > least) continue;
    if (cost < least) cheapest = [];
    least = cost;
    cheapest.push(offer);
  }
  return drawAny(cheapest, random);
}

function draw(pool: readonly OfferOfMaker[], choice: MakerChoice): OfferOfMaker | undefined {
  switch (choice.rule ?? 'bond-weighted') {
    case 'bond-weighted':
      return drawByBond(pool, choice);
    case 'weighted':
      return drawByFee(pool, choice);
    case 'random':
      return drawAny(pool, choice.random);
    case 'cheapest':
      return drawCheapest(pool, choice);
  }
}

/** Those with the fewest reasons against them. */
function leastDoubted(
  offers: readonly OfferOfMaker[],
  doubts: ReadonlyMap<OfferOfMaker, number>,
): readonly OfferOfMaker[] {
  let least = Infinity;
  for (const offer of offers) least = Math.min(least, doubts.get(offer) ?? 0);
  return offers.filter((offer) => (doubts.get(offer) ?? 0) === least);
}

function candidateOf({ maker: nick, ...offer }: OfferOfMaker): Candidate {
  const { type, oid, minsize, maxsize, txfee, cjfee } = offer;
  return { nick, offer: { type, oid, minsize, maxsize, txfee, cjfee } };
}

function inPickedOrder(
  offers: readonly OfferOfMaker[],
  picks: readonly string[],
): readonly OfferOfMaker[] {
  return offers.toSorted((a, b) => picks.indexOf(a.maker) - picks.indexOf(b.maker));
}

/** How many of the first `count` makers need a bond; without errors of binary fractions. */
export const bondedNeeded = (share: number, count: number): number =>
  Math.ceil(share * count - 1e-9);

/**
 * The candidates of a coinjoin in the order in which they are asked, one for each maker and for each
 * bond (`eligibleOffers`). Of the first N of them at least `minBondedShare * N` have a bond of known
 * value, for every N. With the default rule each seat goes to a maker drawn by the value of its bond; a
 * share of `bondlessMakersAllowance` of the seats, and all others when no bond is left, go to any maker.
 * Without a bitcoin node no bond has a value.
 */
export function chooseMakers(choice: MakerChoice): readonly Candidate[] {
  const { policy, most = MOST, picks = [] } = choice;
  const eligible = eligibleOffers(choice);
  if (picks.length > 0) return inPickedOrder(eligible, picks).slice(0, most).map(candidateOf);
  const doubts = new Map(eligible.map((offer) => [offer, choice.doubts?.(offer) ?? 0] as const));
  const left = new Set(eligible);
  const chosen: OfferOfMaker[] = [];
  let bonded = 0;
  while (chosen.length < most) {
    const needsBond = bondedNeeded(policy.minBondedShare ?? 0, chosen.length + 1) > bonded;
    const allowed = needsBond ? [...left].filter(isBonded) : [...left];
    const drawn = draw(leastDoubted(allowed, doubts), choice);
    if (drawn === undefined) break;
    left.delete(drawn);
    chosen.push(drawn);
    if (isBonded(drawn)) bonded += 1;
  }
  return chosen.map(candidateOf);
}
