/**
 * Chooses the makers that a taker asks, and their order: they are drawn by the value of their bonds, so
 * that many nicks of one owner are worth no more than its coins (docs/protocol.md, section 8.2). Pure;
 * chance is an argument.
 */
import type { Random } from '../../channel/ports.js';
import type { Offer } from '../../protocol/offer.js';
import { makerCost, offerFault, type FeePolicy } from './fees.js';
import type { Candidate } from './api.js';

/** Which makers a taker accepts, and how it draws them. */
export interface ChoicePolicy extends FeePolicy {
  /** Share of makers that are drawn without their bonds (`bondless_makers_allowance`). */
  readonly bondlessMakersAllowance: number;
}

/** The default of the original. */
export const DEFAULT_BONDLESS_MAKERS_ALLOWANCE = 0.125;

/** An offer with its maker and the maker's bond; entries of the live orderbook fit. */
export interface OfferOfMaker extends Offer {
  /** Nick of the maker. */
  readonly maker: string;
  /** The maker's bond; undefined if it has none. */
  readonly bond?:
    | {
        /** Its value; undefined while it is not known, which counts as 0. */
        readonly value: number | undefined;
      }
    | undefined;
}

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
}

const MOST = 100;

const valueOf = ({ bond }: OfferOfMaker): number => Math.max(0, bond?.value ?? 0);

/** The cheapest suitable offer of each maker. */
function cheapest({ offers, amount, policy }: MakerChoice): readonly OfferOfMaker[] {
  const best = new Map<string, OfferOfMaker>();
  for (const offer of offers) {
    if (offerFault(offer, amount, policy) !== undefined) continue;
    const known = best.get(offer.maker);
    if (known === undefined || makerCost(offer, amount) < makerCost(known, amount)) {
      best.set(offer.maker, offer);
    }
  }
  return [...best.values()];
}

/** One of them, drawn by the value of its bond; undefined when no bond has a value. */
function drawByBond(left: ReadonlySet<OfferOfMaker>, random: Random): OfferOfMaker | undefined {
  const bonded = [...left].filter((offer) => valueOf(offer) > 0);
  const total = bonded.reduce((sum, offer) => sum + valueOf(offer), 0);
  let rest = random() * total;
  for (const offer of bonded) {
    rest -= valueOf(offer);
    if (rest < 0) return offer;
  }
  return bonded.at(-1);
}

function drawAny(left: ReadonlySet<OfferOfMaker>, random: Random): OfferOfMaker | undefined {
  return [...left][Math.floor(random() * left.size)];
}

/**
 * The candidates of a coinjoin in the order in which they are asked: for each maker the cheapest offer
 * that allows the amount and costs no more than the policy permits. Each seat goes to a maker drawn by
 * the value of its bond; a share of `bondlessMakersAllowance` of the seats, and all others when no bond
 * is left, go to any maker. Without a bitcoin node no bond has a value.
 */
export function chooseMakers(choice: MakerChoice): readonly Candidate[] {
  const { policy, random, most = MOST } = choice;
  const left = new Set(cheapest(choice));
  const chosen: Candidate[] = [];
  while (chosen.length < most) {
    const isAny = random() < policy.bondlessMakersAllowance;
    const drawn = (isAny ? undefined : drawByBond(left, random)) ?? drawAny(left, random);
    if (drawn === undefined) break;
    left.delete(drawn);
    const { type, oid, minsize, maxsize, txfee, cjfee } = drawn;
    chosen.push({ nick: drawn.maker, offer: { type, oid, minsize, maxsize, txfee, cjfee } });
  }
  return chosen;
}
