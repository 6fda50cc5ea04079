/**
 * The offers among which a taker chooses: one for each maker, and one for each bond. Pure.
 */
import type { Offer } from '../protocol/offer.js';
import { makerCost, offerFault, type FeePolicy } from '../negotiation/taker/fees.js';

/** An offer with its maker and the maker's bond; entries of the live orderbook fit. */
export interface OfferOfMaker extends Offer {
  /** Nick of the maker. */
  readonly maker: string;
  /** The maker's bond; undefined if it has none. */
  readonly bond?:
    | {
        /** `txid:vout` of its coins; of two makers with one outpoint only one is chosen. */
        readonly outpoint?: string | undefined;
        /** Its value; undefined while it is not known, which counts as 0. */
        readonly value: number | undefined;
      }
    | undefined;
}

/** Offers, and what the taker wants. */
export interface OffersToFilter {
  /** Only offers for the wallet's type of addresses. */
  readonly offers: readonly OfferOfMaker[];
  /** Satoshi of each side's coinjoin output. */
  readonly amount: number;
  /** Limits of fees. */
  readonly policy: FeePolicy;
  /** These makers and no others, where it is not empty. */
  readonly picks?: readonly string[];
}

/** The value of the maker's bond; 0 without one. */
export const bondValue = ({ bond }: OfferOfMaker): number => Math.max(0, bond?.value ?? 0);

/** Of two offers with the same key, the one that costs less stays. */
function cheapestBy(
  offers: Iterable<OfferOfMaker>,
  amount: number,
  keyOf: (offer: OfferOfMaker) => string,
): readonly OfferOfMaker[] {
  const best = new Map<string, OfferOfMaker>();
  for (const offer of offers) {
    const key = keyOf(offer);
    const known = best.get(key);
    if (known === undefined || makerCost(offer, amount) < makerCost(known, amount)) {
      best.set(key, offer);
    }
  }
  return [...best.values()];
}

/** A copy of a bond whose value is known stays before one whose value is not, also if it costs more. */
function withoutUnvaluedTwins(offers: readonly OfferOfMaker[]): readonly OfferOfMaker[] {
  const valued = new Set(
    offers.flatMap((offer) => (bondValue(offer) > 0 ? [offer.bond?.outpoint] : [])),
  );
  return offers.filter(
    (offer) =>
      offer.bond?.outpoint === undefined ||
      bondValue(offer) > 0 ||
      !valued.has(offer.bond.outpoint),
  );
}

/**
 * The offers that allow the amount and cost no more than the policy permits: the cheapest one of each
 * maker, and of several makers that show the same bond the cheapest one. A nick has no space, and an
 * outpoint has a colon, so that keys of both kinds differ.
 */
export function eligibleOffers(options: OffersToFilter): readonly OfferOfMaker[] {
  const { offers, amount, policy, picks = [] } = options;
  const picked = new Set(picks);
  const suitable = offers.filter(
    (offer) =>
      (picked.size === 0 || picked.has(offer.maker)) &&
      offerFault(offer, amount, policy) === undefined,
  );
  const makers = cheapestBy(suitable, amount, ({ maker }) => maker);
  return cheapestBy(withoutUnvaluedTwins(makers), amount, ({ maker, bond }) =>
    bond?.outpoint === undefined ? `maker ${maker}` : `bond ${bond.outpoint}`,
  );
}
