/**
 * The offers among which a taker chooses: one for each maker, and one for each bond. Pure.
 */
import type { Offer } from '../protocol/offer.js';
import type { BondState } from '../orderbook/book-api.js';
import { makerCost, offerFault, type FeePolicy } from '../negotiation/taker/fees.js';

/** An offer with its maker and the maker's bond; entries of the live orderbook fit. */
export interface OfferOfMaker extends Offer {
  /** Nick of the maker. */
  readonly maker: string;
  /** The maker's bond; undefined if it has none. */
  readonly bond?:
    | {
        /** `txid:vout` of its coins; of two makers with one bond only one is chosen. */
        readonly outpoint?: string | undefined;
        /** Key of the coins, and their lock time. */
        readonly utxoPublicKey?: string | undefined;
        /** In Unix seconds. */
        readonly locktime?: number | undefined;
        /** How far the check of the bond came; an unproven bond is not compared. */
        readonly state?: BondState;
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

/**
 * Names a bond that its maker has proven; undefined without one. A proof does not cover the coin's name, so
 * key and lock time are part of it: another maker that names the coin cannot pass for this one.
 */
export function bondKey({ bond }: Pick<OfferOfMaker, 'bond'>): string | undefined {
  if (bond?.outpoint === undefined) return undefined;
  if (bond.state === 'invalid' || bond.state === 'waiting') return undefined;
  const { outpoint, utxoPublicKey = '', locktime = '' } = bond;
  return `${outpoint}/${utxoPublicKey}/${locktime}`;
}

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
  const valued = new Set(offers.flatMap((offer) => (bondValue(offer) > 0 ? [bondKey(offer)] : [])));
  return offers.filter((offer) => {
    const key = bondKey(offer);
    return key === undefined || bondValue(offer) > 0 || !valued.has(key);
  });
}

/**
 * The offers that allow the amount and cost no more than the policy permits: the cheapest one of each
 * maker, and of several makers that proved the same bond the cheapest one.
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
  return cheapestBy(withoutUnvaluedTwins(makers), amount, (offer) => {
    const key = bondKey(offer);
    return key === undefined ? `maker ${offer.maker}` : `bond ${key}`;
  });
}
