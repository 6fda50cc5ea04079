/**
 * The offers of a maker without a wallet: the terms of `[YIELDGENERATOR]`, varied by their factors as
 * the privacy-enhanced yield generator does, over an amount given by the operator. No offer is
 * announced that loses money.
 */
import type { Random } from '../channel/ports.js';
import type { OfferType } from '../protocol/commands.js';
import { DUST_THRESHOLD, MAX_SATOSHI, offerFee, type Offer } from '../protocol/offer.js';

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
}

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

function relativeFee({ cjfeeRelative, cjfeeFactor }: OfferTerms, random: Random): string {
  // A lower rate would be written as zero, which is a different offer.
  if (!(cjfeeRelative >= LEAST_RATE && cjfeeRelative <= MOST_RATE)) {
    const allowed = `a share of the amount from ${LEAST_RATE.toFixed(FEE_DECIMALS)} to ${MOST_RATE}`;
    throw new OfferTermsError('cjfee_r', String(cjfeeRelative), allowed);
  }
  const rate = vary(cjfeeRelative, cjfeeFactor, random);
  return Math.min(MOST_RATE, Math.max(LEAST_RATE, rate)).toFixed(FEE_DECIMALS);
}

/** The fee covers the maker's contribution to the miner fee. */
function absoluteFee(
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

/**
 * One offer, oid 0, of at most `size` satoshi, that earns money for every allowed amount: an absolute
 * fee is announced with the contribution added; for a relative one the contribution is halved until the
 * smallest amount earns more than it costs. Throws an OfferTermsError when the terms allow no offer,
 * another RangeError when the amount is too small.
 */
export function makeOffer(terms: OfferTerms, size: number, random: Random): Offer {
  const type: OfferType = `${terms.family}${terms.ordertype}`;
  const contribution = Math.round(vary(terms.txfee, terms.txfeeFactor, random));
  const minsize = Math.max(
    DUST_THRESHOLD,
    Math.round(vary(terms.minsize, terms.sizeFactor, random)),
  );
  const cjfee =
    terms.ordertype === 'absoffer'
      ? absoluteFee(terms, contribution, random)
      : relativeFee(terms, random);
  const smallest = { type, oid: 0, minsize, maxsize: minsize, txfee: contribution, cjfee };
  let txfee = contribution;
  if (terms.ordertype === 'reloffer') {
    const brings = offerFee(smallest, minsize);
    while (txfee > 0 && txfee >= brings) txfee = Math.floor(txfee / 2);
  }
  const most = size - Math.max(DUST_THRESHOLD, txfee);
  if (most < minsize) {
    throw new RangeError(
      `a size of ${size} sat leaves ${most} sat to offer, less than the smallest coinjoin of ${minsize} sat ([YIELDGENERATOR] minsize): raise --size or lower minsize`,
    );
  }
  const maxsize = Math.max(minsize, Math.round(most * (1 - terms.sizeFactor * random())));
  return { ...smallest, maxsize, txfee };
}
