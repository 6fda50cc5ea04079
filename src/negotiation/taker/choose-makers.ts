/**
 * Whom a taker asks, and in which order: makers are drawn by the value of their bonds, so that many
 * nicks of one owner are not worth more than its coins (docs/protocol.md, section 8.2). Pure but for
 * the chance it is given.
 */
import type { Random } from '../../channel/ports.js';
import type { Offer } from '../../protocol/offer.js';
import { makerCost, offerFault, type FeePolicy } from './fees.js';
import type { Candidate } from './api.js';

/** What a taker accepts of makers, and how it draws them. */
export interface ChoicePolicy extends FeePolicy {
  /** Share of makers that are drawn without looking at bonds (`bondless_makers_allowance`). */
  readonly bondlessMakersAllowance: number;
}

/** The original's, where nothing is configured. */
export const DEFAULT_BONDLESS_MAKERS_ALLOWANCE = 0.125;

/** An offer with its maker and the maker's bond; an entry of the live orderbook is one. */
export interface OfferOfMaker extends Offer {
  readonly maker: string;
  readonly bond?: { readonly value: number | undefined } | undefined;
}

export interface MakerChoice {
  /** Of the wallet's family of addresses only. */
  readonly offers: readonly OfferOfMaker[];
  /** Satoshi that each side is to get. */
  readonly amount: number;
  readonly policy: ChoicePolicy;
  /** Uniform in [0, 1). */
  readonly random: Random;
  /** Most makers wanted, the ones in reserve included. Default 100. */
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

/** One of them, each as likely as its bond is worth; undefined when no bond is worth anything. */
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
 * The candidates of a coinjoin in the order in which they are to be asked: of each maker the cheapest
 * offer that allows the amount and costs no more than the policy permits. Each place goes to a maker
 * drawn by the value of its bond; a share of `bondlessMakersAllowance` of the places, and all that
 * are left when no bond is, go to any maker. Without a bitcoin node no bond has a value.
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
