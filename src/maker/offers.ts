/**
 * The offers of a maker. With a wallet they follow from what its mixdepths can give; without one from an
 * amount that the operator gives. No offer loses money. Pure.
 */
import type { Random } from '../channel/ports.js';
import { DUST_THRESHOLD, MAX_SATOSHI, offerFee, type Offer } from '../protocol/offer.js';
import type { MixdepthFunds } from './api.js';
import {
  absoluteFee,
  contribution,
  coveredBySmallest,
  largestAmount,
  openOffer,
  relativeFee,
  smallestAmount,
  typeOf,
  type OfferTerms,
  type OpenOffer,
} from './offer-terms.js';

export { OfferTermsError, type OfferTerms } from './offer-terms.js';

/**
 * One offer, oid 0, of at most `size` satoshi, for a maker without a wallet. Throws an OfferTermsError when
 * the terms allow no offer, another RangeError when the amount is too small.
 */
export function makeOffer(terms: OfferTerms, size: number, random: Random): Offer {
  const open = openOffer(terms, random);
  const { minsize, txfee } = open;
  const most = size - Math.max(DUST_THRESHOLD, txfee);
  if (most < minsize) {
    throw new RangeError(
      `a size of ${size} sat leaves ${most} sat to offer, less than the smallest coinjoin of ${minsize} sat ([YIELDGENERATOR] minsize): raise --size or lower minsize`,
    );
  }
  return withMost(open, largestAmount(terms, most, minsize, random));
}

/** In the order in which offers are written. */
function withMost({ type, oid, minsize, txfee, cjfee }: OpenOffer, maxsize: number): Offer {
  return { type, oid, minsize, maxsize, txfee, cjfee };
}

type FeeTerms = Pick<Offer, 'type' | 'txfee' | 'cjfee'>;

/**
 * The least sum of coins for a coinjoin of this amount: the amount and the contribution, and more than the
 * dust threshold for the change, minus the fee.
 */
export function neededFor(offer: FeeTerms, amount: number): number {
  const fee = offerFee({ ...offer, oid: 0, minsize: 0, maxsize: 0 }, amount);
  return amount + offer.txfee + DUST_THRESHOLD + 1 - fee;
}

/**
 * The largest amount that coins of this sum can fill, exactly; 0 when they can fill none. One satoshi
 * more of the amount raises the fee by at most one, so what is needed never falls.
 */
export function largestFillable(offer: FeeTerms, available: number): number {
  if (neededFor(offer, 0) > available) return 0;
  let least = 0;
  let above = MAX_SATOSHI + 1;
  while (above - least > 1) {
    const middle = Math.floor((least + above) / 2);
    if (neededFor(offer, middle) <= available) least = middle;
    else above = middle;
  }
  return least;
}

/** What a maker can offer, and from which sum; or why it can offer nothing. */
export type FundedOffers =
  | {
      readonly offers: readonly [Offer, ...Offer[]];
      readonly noOffer: undefined;
      /** What the mixdepth behind the offers can give, satoshi. */
      readonly available: number;
    }
  | { readonly offers: readonly []; readonly noOffer: string; readonly available: number };

/** The mixdepth that can give most; the lowest of several. */
export function largestMixdepth(funds: readonly MixdepthFunds[]): MixdepthFunds | undefined {
  return funds.reduce<MixdepthFunds | undefined>(
    (best, each) => (best === undefined || each.available > best.available ? each : best),
    undefined,
  );
}

/**
 * The offers from the largest mixdepth, by the rules of deployed makers: its exact fillable amount, and
 * every term varied by its factor. With `dual` an absolute offer up to the amount at which both fees are
 * equal (oid 0), and a relative one from there (oid 1). Throws an OfferTermsError when the terms allow no
 * offer.
 */
export function fundedOffers(
  terms: OfferTerms,
  funds: readonly MixdepthFunds[],
  random: Random,
): FundedOffers {
  const largest = largestMixdepth(funds);
  const available = largest?.available ?? 0;
  const [first, ...more] =
    terms.dual === true ? dualOffers(terms, available, random) : oneOffer(terms, available, random);
  if (first !== undefined) return { offers: [first, ...more], noOffer: undefined, available };
  return { offers: [], noOffer: whyNone(terms, funds, largest), available };
}

/** The smallest amount of the terms, not varied: whether there is an offer does not depend on chance. */
const leastOf = ({ minsize }: OfferTerms): number => Math.max(DUST_THRESHOLD, minsize);

/** A smallest amount that was varied above what the coins can fill is lowered to that. */
function fitted(
  terms: OfferTerms,
  open: OpenOffer,
  available: number,
): { readonly open: OpenOffer; readonly most: number } | undefined {
  const most = largestFillable(open, available);
  // A fee above the amount would need no coins.
  if (available <= 0 || most < leastOf(terms)) return undefined;
  if (most >= open.minsize) return { open, most };
  const lower = coveredBySmallest({ ...open, minsize: most });
  return { open: lower, most: largestFillable(lower, available) };
}

function oneOffer(terms: OfferTerms, available: number, random: Random): readonly Offer[] {
  const fit = fitted(terms, openOffer(terms, random), available);
  if (fit === undefined) return [];
  const { open, most } = fit;
  return [withMost(open, largestAmount(terms, most, open.minsize, random))];
}

/** The amount up to which an absolute fee is higher than a relative one. */
function equalFees(absolute: string, relative: string): number {
  const millionths = BigInt(Math.round(Number(relative) * 1e6));
  const amount = (BigInt(absolute) * 1_000_000n) / millionths;
  return amount > BigInt(MAX_SATOSHI) ? MAX_SATOSHI : Number(amount);
}

function dualOffers(terms: OfferTerms, available: number, random: Random): readonly Offer[] {
  const txfee = contribution(terms, random);
  const minsize = smallestAmount(terms, random);
  const absolute = absoluteFee(terms, txfee, random);
  const relative = relativeFee(terms, random);
  const border = equalFees(absolute, relative);
  const below: OpenOffer = {
    type: typeOf(terms, 'absoffer'),
    oid: 0,
    minsize,
    txfee,
    cjfee: absolute,
  };
  const above = coveredBySmallest({
    type: typeOf(terms, 'reloffer'),
    oid: 1,
    minsize: Math.max(minsize, border),
    txfee,
    cjfee: relative,
  });
  if (border <= minsize) {
    const fit = fitted(terms, above, available);
    if (fit === undefined) return [];
    return [withMost(fit.open, largestAmount(terms, fit.most, fit.open.minsize, random))];
  }
  const fit = fitted(terms, below, available);
  if (fit === undefined) return [];
  const largest = largestAmount(terms, largestFillable(above, available), 0, random);
  if (largest > border) {
    return [withMost(fit.open, Math.min(border, fit.most)), withMost(above, largest)];
  }
  const most = largestAmount(terms, fit.most, fit.open.minsize, random);
  return [withMost(fit.open, Math.min(border, most))];
}

function whyNone(
  terms: OfferTerms,
  funds: readonly MixdepthFunds[],
  largest: MixdepthFunds | undefined,
): string {
  const held = funds.reduce((sum, each) => sum + each.held, 0);
  const waits =
    held === 0 ? '' : `; ${held} sat are in coinjoins that are not settled, and may come back`;
  if (largest === undefined || largest.available === 0) {
    return held === 0
      ? 'the wallet has no confirmed coin that a coinjoin may spend: deposit to it'
      : `every coin is held${waits}`;
  }
  const { mixdepth, available } = largest;
  return (
    `the largest mixdepth (${mixdepth}) can give ${available} sat, too little for the smallest coinjoin of ` +
    `${leastOf(terms)} sat ([YIELDGENERATOR] minsize) and its change of more than ${DUST_THRESHOLD} sat: ` +
    `deposit to it, or lower minsize${waits}`
  );
}
