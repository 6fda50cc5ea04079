/**
 * The terms of `[YIELDGENERATOR]`, varied by their factors as the privacy-enhanced yield generator of the
 * original does.
 */
import type { Random } from '../channel/ports.js';
import type { OfferType } from '../protocol/commands.js';
import {
  DUST_THRESHOLD,
  isRelative,
  MAX_SATOSHI,
  offerFee,
  type Offer,
} from '../protocol/offer.js';

export interface OfferTerms {
  readonly ordertype: 'reloffer' | 'absoffer';
  /** Prefix for the wallet's addresses: `sw0` native segwit, `sw` wrapped, empty for legacy. */
  readonly family: 'sw0' | 'sw' | '';
  /** Satoshi. */
  readonly cjfeeAbsolute: number;
  /** Share of the amount, e.g. 0.00002. */
  readonly cjfeeRelative: number;
  readonly cjfeeFactor: number;
  /** Satoshi. */
  readonly txfee: number;
  readonly txfeeFactor: number;
  /** Satoshi. */
  readonly minsize: number;
  readonly sizeFactor: number;
  /** Both kinds of fee: absolute for small amounts, relative for large ones. `ordertype` is not used then. */
  readonly dual?: boolean;
}

/** An offer before its largest amount is known. */
export type OpenOffer = Omit<Offer, 'maxsize'>;

/** Uniform in [value × (1 − factor), value × (1 + factor)]. */
function vary(value: number, factor: number, random: Random): number {
  return value * (1 + factor * (2 * random() - 1));
}

/** Relative fees are written with this many decimals, as deployed makers do. */
const FEE_DECIMALS = 6;
/** The lowest and the highest rate with that many decimals that peers accept. */
const LEAST_RATE = 0.000001;
const MOST_RATE = 0.999999;

/** A value of `[YIELDGENERATOR]` for which no offer is possible. */
export class OfferTermsError extends RangeError {
  override readonly name = 'OfferTermsError';

  constructor(
    readonly key: 'cjfee_a' | 'cjfee_r',
    readonly found: string,
    readonly allowed: string,
  ) {
    super(`[YIELDGENERATOR] ${key} is ${found}; allowed: ${allowed}`);
  }
}

/** A share with six decimals, never in scientific notation. */
export function relativeFee({ cjfeeRelative, cjfeeFactor }: OfferTerms, random: Random): string {
  // A lower rate would be written as zero, which is a different offer.
  if (!(cjfeeRelative >= LEAST_RATE && cjfeeRelative <= MOST_RATE)) {
    const allowed = `a share of the amount from ${LEAST_RATE.toFixed(FEE_DECIMALS)} to ${MOST_RATE}`;
    throw new OfferTermsError('cjfee_r', String(cjfeeRelative), allowed);
  }
  const rate = vary(cjfeeRelative, cjfeeFactor, random);
  return Math.min(MOST_RATE, Math.max(LEAST_RATE, rate)).toFixed(FEE_DECIMALS);
}

/** The fee covers the maker's contribution to the miner fee. */
export function absoluteFee(
  { cjfeeAbsolute, cjfeeFactor }: OfferTerms,
  txfee: number,
  random: Random,
): string {
  const fee = Math.round(vary(cjfeeAbsolute, cjfeeFactor, random)) + txfee;
  if (fee > MAX_SATOSHI) {
    throw new OfferTermsError(
      'cjfee_a',
      String(cjfeeAbsolute),
      `a fee of at most ${MAX_SATOSHI} sat`,
    );
  }
  return String(fee);
}

export const contribution = ({ txfee, txfeeFactor }: OfferTerms, random: Random): number =>
  Math.round(vary(txfee, txfeeFactor, random));

export const smallestAmount = ({ minsize, sizeFactor }: OfferTerms, random: Random): number =>
  Math.max(DUST_THRESHOLD, Math.round(vary(minsize, sizeFactor, random)));

/** Uniform in [most × (1 − factor), most], and at least `least`. */
export const largestAmount = (
  { sizeFactor }: OfferTerms,
  most: number,
  least: number,
  random: Random,
): number => Math.max(least, Math.round(most * (1 - sizeFactor * random())));

/** The command of an offer with this kind of fee. */
export const typeOf = ({ family }: OfferTerms, ordertype: OfferTerms['ordertype']): OfferType =>
  `${family}${ordertype}`;

/**
 * The same offer with a contribution that its fee for the smallest amount covers: that of a relative
 * offer is halved until it does. The fee of an absolute offer includes it.
 */
export function coveredBySmallest(offer: OpenOffer): OpenOffer {
  if (!isRelative(offer.type)) return offer;
  const brings = offerFee({ ...offer, maxsize: offer.minsize }, offer.minsize);
  let { txfee } = offer;
  while (txfee > 0 && txfee >= brings) txfee = Math.floor(txfee / 2);
  return { ...offer, txfee };
}

/** One offer, oid 0, without its largest amount. Throws an OfferTermsError. */
export function openOffer(terms: OfferTerms, random: Random): OpenOffer {
  const txfee = contribution(terms, random);
  const minsize = smallestAmount(terms, random);
  const cjfee =
    terms.ordertype === 'absoffer' ? absoluteFee(terms, txfee, random) : relativeFee(terms, random);
  return coveredBySmallest({ type: typeOf(terms, terms.ordertype), oid: 0, minsize, txfee, cjfee });
}
