/**
 * Why a maker is picked, or is not: its rank in the present orderbook, the picks that it can expect from
 * takers with default settings, and what would change them. Pure.
 */
import { counted } from '../kit/decimal.js';
import type { BondState } from '../orderbook/book-api.js';
import { bondValue, type BondPolicy } from '../protocol/fidelity-bond.js';
import type { Offer } from '../protocol/offer.js';
import { makerCost, makerFeeLimit, offerFault, type FeePolicy } from '../negotiation/taker/fees.js';
import { eligibleOffers, type OfferOfMaker } from '../taker/choose-eligible.js';
import { pickChance, type Chance } from './pick-chance.js';

/** The takers that are assumed: those that set nothing. */
export interface TypicalTaker {
  readonly policy: FeePolicy;
  /** How many makers it wants. */
  readonly makers: number;
  /** Share of seats that ignore bonds. */
  readonly bondless: number;
}

export interface WhyInput {
  /** Every offer of the book that has the address type of the maker, its own too if it is there. */
  readonly book: readonly OfferOfMaker[];
  /** The maker's nick in the book; undefined when it is not running, or its nick is not known. */
  readonly nick: string | undefined;
  /** `txid:vout` of its bond: an earlier nick of the maker may still be in the book. */
  readonly outpoint?: string | undefined;
  readonly offers: readonly Offer[];
  /** Value of its bond; 0 without one, undefined while it cannot be told. */
  readonly bond: number | undefined;
  /** Whether a bitcoin node values the bonds of the book. */
  readonly chain: boolean;
  /** Satoshi; each is looked at by itself. */
  readonly amounts: readonly number[];
  readonly taker: TypicalTaker;
  /** Bonds that could be made: satoshi, and months of lock. */
  readonly bonds: readonly { readonly amount: number; readonly months: number }[];
  readonly bondPolicy: BondPolicy;
  /** Unix seconds. */
  readonly now: number;
}

/** A place among several: 1 is the best; `equal` others share it. */
export interface Rank {
  readonly rank: number;
  readonly of: number;
  readonly equal: number;
}

/** How the offer fares at one amount. */
export interface WhyAmount {
  readonly amount: number;
  /** Makers that takers consider here, this one among them if it fits; and those with a valued bond. */
  readonly makers: number;
  readonly bonded: number;
  /** Why takers do not consider the maker here; undefined when they do. */
  readonly obstacle: 'no-offer' | 'amount-too-small' | 'amount-too-large' | 'fee-limit' | undefined;
  /** What the maker asks, minus its part of the miner fee; undefined without an offer for this amount. */
  readonly cost: number | undefined;
  /** The most that the assumed taker pays to one maker. */
  readonly costLimit: number;
  /** The cheapest is 1. Undefined with an obstacle. */
  readonly byFee: Rank | undefined;
  /** The bond of the highest value is 1. Undefined with an obstacle, and without a bond. */
  readonly byBond: Rank | undefined;
  /** Expected picks per coinjoin; undefined when values of bonds are not known. */
  readonly picks: Chance | undefined;
}

/** Something that the operator could do. */
export type WhyChange =
  | {
      /** Ask so little that takers accept it. */
      readonly kind: 'lower-fee';
      readonly amount: number;
      /** Satoshi, at this amount. */
      readonly cost: number;
      readonly picks: Chance;
    }
  | {
      /** Offer this amount too: it needs more coins in one mixdepth. */
      readonly kind: 'larger-maxsize' | 'smaller-minsize';
      readonly amount: number;
      readonly picks: Chance;
    }
  | {
      /** Lock so many satoshi for so many months. */
      readonly kind: 'bond';
      readonly amount: number;
      readonly lock: number;
      readonly months: number;
      readonly value: number;
      readonly picks: Chance;
    };

export interface WhyReport {
  /** Makers in the book without this one. */
  readonly makers: number;
  /** What limits the answer, one sentence each. */
  readonly gaps: readonly string[];
  readonly amounts: readonly WhyAmount[];
  readonly changes: readonly WhyChange[];
}

/** Mean length of a month in seconds. */
const MONTH_SECONDS = (365.2425 / 12) * 86_400;

const valueOf = ({ bond }: OfferOfMaker): number => Math.max(0, bond?.value ?? 0);

/** The best offer of the maker at an amount, or what stands in its way. */
function ownAt(
  offers: readonly Offer[],
  amount: number,
  policy: FeePolicy,
): Pick<WhyAmount, 'obstacle' | 'cost'> {
  const inRange = offers.filter(({ minsize, maxsize }) => minsize <= amount && amount <= maxsize);
  if (offers.length === 0) return { obstacle: 'no-offer', cost: undefined };
  if (inRange.length === 0) {
    const isLarge = offers.every(({ maxsize }) => maxsize < amount);
    return { obstacle: isLarge ? 'amount-too-large' : 'amount-too-small', cost: undefined };
  }
  const cost = Math.min(...inRange.map((offer) => makerCost(offer, amount)));
  const fits = inRange.some((offer) => offerFault(offer, amount, policy) === undefined);
  return { obstacle: fits ? undefined : 'fee-limit', cost };
}

/** @param better whether a first value is better than a second one */
function rankOf(
  own: number,
  others: readonly number[],
  better: (a: number, b: number) => boolean,
): Rank {
  return {
    rank: 1 + others.filter((value) => better(value, own)).length,
    of: others.length + 1,
    equal: others.filter((value) => value === own).length,
  };
}

/** The offers of other makers. */
function othersOf({ book, nick, outpoint }: WhyInput): readonly OfferOfMaker[] {
  return book.filter(
    ({ maker, bond }) => maker !== nick && (outpoint === undefined || bond?.outpoint !== outpoint),
  );
}

/** The makers against whom this one stands at an amount. */
function rivalsAt(input: WhyInput, amount: number): readonly OfferOfMaker[] {
  return eligibleOffers({ offers: othersOf(input), amount, policy: input.taker.policy });
}

function picksWith(input: WhyInput, rivals: readonly OfferOfMaker[], own: number): Chance {
  const { makers, bondless } = input.taker;
  return pickChance({ others: rivals.map(valueOf), own, seats: makers, bondless });
}

function amountView(input: WhyInput, amount: number): WhyAmount {
  const { policy } = input.taker;
  const rivals = rivalsAt(input, amount);
  const { obstacle, cost } = ownAt(input.offers, amount, policy);
  const values = rivals.map(valueOf);
  const isIn = obstacle === undefined;
  const own = input.bond;
  const bonded = values.filter((value) => value > 0);
  const canTell = input.chain && own !== undefined;
  return {
    amount,
    makers: rivals.length + Number(isIn),
    bonded: bonded.length + Number(isIn && (own ?? 0) > 0),
    obstacle,
    cost,
    costLimit: makerFeeLimit(policy, amount),
    byFee:
      isIn && cost !== undefined
        ? rankOf(
            cost,
            rivals.map((offer) => makerCost(offer, amount)),
            (a, b) => a < b,
          )
        : undefined,
    byBond: isIn && own !== undefined && own > 0 ? rankOf(own, bonded, (a, b) => a > b) : undefined,
    picks: isIn ? (canTell ? picksWith(input, rivals, own) : undefined) : { chance: 0, error: 0 },
  };
}

const OBSTACLE_CHANGES = {
  'amount-too-large': 'larger-maxsize',
  'amount-too-small': 'smaller-minsize',
} as const;

/** What would let takers of this amount consider the maker. */
function obstacleChange(input: WhyInput, view: WhyAmount): readonly WhyChange[] {
  const { amount, obstacle, costLimit } = view;
  if (obstacle === undefined || obstacle === 'no-offer' || input.bond === undefined) return [];
  const picks = picksWith(input, rivalsAt(input, amount), input.bond);
  return obstacle === 'fee-limit'
    ? [{ kind: 'lower-fee', amount, cost: costLimit, picks }]
    : [{ kind: OBSTACLE_CHANGES[obstacle], amount, picks }];
}

/** What a bond made now would change, for takers of this amount. */
function bondChanges(input: WhyInput, { amount, picks: present }: WhyAmount): readonly WhyChange[] {
  // Nothing is better than always.
  if (present?.chance === 1) return [];
  const { now, bonds, bondPolicy } = input;
  const rivals = rivalsAt(input, amount);
  return bonds.flatMap(({ amount: lock, months }) => {
    const value = bondValue({
      satoshi: lock,
      confirmationTime: now,
      lockTime: now + months * MONTH_SECONDS,
      now,
      ...bondPolicy,
    });
    // A maker shows one bond: a smaller one changes nothing.
    if (value <= (input.bond ?? 0)) return [];
    const picks = picksWith(input, rivals, value);
    return [{ kind: 'bond' as const, amount, lock, months, value, picks }];
  });
}

/** States in which a bond may turn out to have a value. */
const UNSETTLED: readonly (BondState | undefined)[] = ['waiting', 'asking', 'signed'];

function gapsOf(input: WhyInput, makers: number): readonly string[] {
  const { chain, bond, taker } = input;
  const gaps: string[] = [];
  if (makers === 0) {
    gaps.push('no offer of another maker was collected, so nothing can be compared');
    return gaps;
  }
  if (makers < taker.makers) {
    gaps.push(
      `the book has ${counted(makers, 'other maker')}, fewer than the ${taker.makers} that a taker wants: most takers would wait, and all makers that fit are picked`,
    );
  }
  if (!chain) {
    gaps.push(
      'without a bitcoin node no bond has a known value, and takers choose by bonds: picks cannot be told',
    );
  } else {
    const open = new Set(
      othersOf(input).flatMap((offer) =>
        offer.bond !== undefined &&
        offer.bond.value === undefined &&
        UNSETTLED.includes(offer.bond.state)
          ? [offer.maker]
          : [],
      ),
    );
    if (open.size > 0) {
      gaps.push(
        `the bonds of ${counted(open.size, 'maker')} are not valued yet and count as 0: picks are too high`,
      );
    }
    if (bond === undefined) {
      gaps.push('the value of your own bond is not known: picks cannot be told');
    }
  }
  return gaps;
}

/**
 * The whole answer. Bonds are tried for the first amount at which takers consider the maker, or else the
 * first amount.
 */
export function whyReport(input: WhyInput): WhyReport {
  const { chain } = input;
  const makers = new Set(othersOf(input).map(({ maker }) => maker)).size;
  const amounts = input.amounts.map((amount) => amountView(input, amount));
  const gaps = gapsOf(input, makers);
  if (makers === 0) {
    const empty = amounts.map((view) => ({ ...view, byFee: undefined, byBond: undefined }));
    return {
      makers,
      gaps,
      amounts: empty.map((view) => ({ ...view, picks: undefined })),
      changes: [],
    };
  }
  const typical = amounts.find(({ obstacle }) => obstacle === undefined) ?? amounts[0];
  const changes = chain
    ? [
        ...amounts.flatMap((view) => obstacleChange(input, view)),
        ...(typical === undefined ? [] : bondChanges(input, typical)),
      ]
    : [];
  return { makers, gaps, amounts, changes };
}
