/**
 * The offers of a maker without a wallet: the terms of `[YIELDGENERATOR]`, varied by their factors as
 * the privacy-enhanced yield generator does, over an amount given by the operator.
 */
import type { Random } from '../channel/ports.js';
import type { OfferType } from '../protocol/commands.js';
import { DUST_THRESHOLD, type Offer } from '../protocol/offer.js';

export interface OfferTerms {
  readonly ordertype: 'reloffer' | 'absoffer';
  /** Prefix of the wallet's address family: `sw0` native segwit, `sw` wrapped, empty for legacy. */
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

function decimalShare(value: number): string {
  return value.toFixed(10).replace(/0+$/, '').replace(/\.$/, '.0');
}

/**
 * One offer, oid 0, over at most `size` satoshi. Throws a RangeError when nothing is left to offer.
 */
export function makeOffer(terms: OfferTerms, size: number, random: Random): Offer {
  const txfee = Math.round(vary(terms.txfee, terms.txfeeFactor, random));
  const minsize = Math.max(
    DUST_THRESHOLD,
    Math.round(vary(terms.minsize, terms.sizeFactor, random)),
  );
  const most = size - Math.max(DUST_THRESHOLD, txfee);
  if (most < minsize) {
    throw new RangeError(
      `a size of ${size} sat leaves ${most} sat to offer, less than the smallest coinjoin of ${minsize} sat ([YIELDGENERATOR] minsize): raise --size or lower minsize`,
    );
  }
  const maxsize = Math.max(minsize, Math.round(most * (1 - terms.sizeFactor * random())));
  const type: OfferType = `${terms.family}${terms.ordertype}`;
  const cjfee =
    terms.ordertype === 'absoffer'
      ? String(Math.round(vary(terms.cjfeeAbsolute, terms.cjfeeFactor, random)))
      : decimalShare(vary(terms.cjfeeRelative, terms.cjfeeFactor, random));
  return { type, oid: 0, minsize, maxsize, txfee, cjfee };
}
