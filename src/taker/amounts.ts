/**
 * The amounts of a taker's coinjoin, in exact integers: what makers and miners get at most, and how much a
 * sweep joins. Pure.
 */
import { feeFor } from '../bitcoin/fee.js';
import { coinKind, type CoinKind } from '../bitcoin/script.js';
import { transactionVsize } from '../bitcoin/size.js';
import type { Candidate } from '../negotiation/taker/api.js';
import {
  EXPECTED_COINS,
  makerCost,
  offerFault,
  type FeePolicy,
} from '../negotiation/taker/fees.js';
import { TAKER_DUST } from '../negotiation/taker/transaction.js';
import { DUST_THRESHOLD } from '../protocol/offer.js';

/** A script of each kind of coin, for sizes. */
const SCRIPT_LIKE: Readonly<Record<CoinKind, string>> = {
  p2wpkh: `0014${'00'.repeat(20)}`,
  'p2sh-p2wpkh': `a914${'00'.repeat(20)}87`,
};

/** A script that addresses of this kind of wallet have, for sizes. */
export const scriptLike = (kind: CoinKind): string => SCRIPT_LIKE[kind];

interface Valued {
  readonly value: number;
}

/** Sum of the values of coins, in satoshi. */
export const sumOf = (coins: readonly Valued[]): number =>
  coins.reduce((sum, { value }) => sum + value, 0);

/** The scripts of a coinjoin's transaction, for its size. */
export interface CoinjoinShape {
  /** Scripts of the coins. */
  readonly inputs: readonly string[];
  /** Scripts of the outputs. */
  readonly outputs: readonly string[];
}

/** The most virtual bytes of a signed coinjoin. */
export const coinjoinVsize = ({ inputs, outputs }: CoinjoinShape): number =>
  transactionVsize({ inputs: inputs.map((script) => coinKind(script) ?? 'p2wpkh'), outputs });

/** Our side of a coinjoin. */
export interface OwnSide {
  /** Scripts of our coins. */
  readonly inputs: readonly string[];
  /** Script that gets the equal output. */
  readonly destination: string;
  /** Kind of our addresses, and so of those of the makers. */
  readonly kind: CoinKind;
}

/**
 * The size that a coinjoin with so many makers is expected to have: three coins and two outputs for each of
 * them. A sweep has no change.
 */
export function expectedVsize(own: OwnSide, makers: number, hasChange: boolean): number {
  const like = scriptLike(own.kind);
  return coinjoinVsize({
    inputs: [...own.inputs, ...Array.from({ length: EXPECTED_COINS * makers }, () => like)],
    outputs: [
      own.destination,
      ...(hasChange ? [like] : []),
      ...Array.from({ length: 2 * makers }, () => like),
    ],
  });
}

/** The most that makers and miners get. */
export interface Worst {
  readonly makerFees: number;
  readonly minerFee: number;
}

/** Sum of both. */
export const worstCost = ({ makerFees, minerFee }: Worst): number => makerFees + minerFee;

/**
 * The most that up to `makers` of these candidates cost together: each may be replaced by any other. A maker
 * that pays more to the miners than it gets counts as 0, since it may be missing.
 */
export function mostMakerFees(
  candidates: readonly Candidate[],
  amount: number,
  makers: number,
): number {
  const costs = candidates.map(({ offer }) => Math.max(0, makerCost(offer, amount)));
  return costs
    .toSorted((a, b) => b - a)
    .slice(0, makers)
    .reduce((sum, cost) => sum + cost, 0);
}

/**
 * The candidates without the dearest ones, so that no `makers` of them cost more than `most` together. Keeps
 * their order.
 */
export function affordable(
  candidates: readonly Candidate[],
  amount: number,
  makers: number,
  most: number,
): readonly Candidate[] {
  const dearest = candidates.toSorted(
    (a, b) => makerCost(b.offer, amount) - makerCost(a.offer, amount),
  );
  let from = 0;
  while (mostMakerFees(dearest.slice(from, from + makers), amount, makers) > most) from += 1;
  const kept = new Set(dearest.slice(from));
  return candidates.filter((candidate) => kept.has(candidate));
}

/** What is left for the miners and our change is divided. */
export interface MinerShare {
  readonly minerFee: number;
  /** 0: no change output. */
  readonly change: number;
}

/** What the miners' share depends on. */
export interface ShareTerms {
  /** Satoshi of our coins that are left after the equal output (or in a sweep the amount) and the makers. */
  readonly left: number;
  /** The most that the miners may get. */
  readonly most: number;
  readonly feePerKb: number;
  /** The least rate that is relayed. */
  readonly minimumFeePerKb: number;
  /** Virtual bytes with and without our change. */
  readonly vsize: { readonly withChange: number; readonly withoutChange: number };
  /** `maxSweepFeeChange` of the policy. */
  readonly tolerance: number;
}

/** Whether a fee is enough for a size: relayed, and not far below the rate that was agreed on. */
export function isEnough(
  fee: number,
  vsize: number,
  terms: Omit<ShareTerms, 'left' | 'most' | 'vsize'>,
): boolean {
  const { feePerKb, minimumFeePerKb, tolerance } = terms;
  return fee >= feeFor(vsize, minimumFeePerKb) && feeFor(vsize, feePerKb) <= fee * (1 + tolerance);
}

/**
 * The miner fee and our change, for a fixed amount. Makers may bring more coins than expected: the fee then
 * stays at `most`, as long as that is enough. A change of at most 2,730 sat goes to the miners. Undefined when
 * what is left is not enough.
 */
export function minerShare(terms: ShareTerms): MinerShare | undefined {
  const { left, most, vsize } = terms;
  // The node may relay less than when the rate was chosen.
  const rate = Math.max(terms.feePerKb, terms.minimumFeePerKb);
  const fee = Math.min(feeFor(vsize.withChange, rate), most);
  const change = left - fee;
  if (change > TAKER_DUST) {
    return isEnough(fee, vsize.withChange, terms) ? { minerFee: fee, change } : undefined;
  }
  const isFit = left >= 0 && left <= most && isEnough(left, vsize.withoutChange, terms);
  return isFit ? { minerFee: left, change: 0 } : undefined;
}

/** The candidates of a sweep, and what it costs. */
export interface SweepTerms {
  /** Sum of all coins that are spent. */
  readonly total: number;
  /** What the miners should get with so many makers. */
  readonly budget: (makers: number) => number;
  /** In the order in which they would be asked. */
  readonly candidates: readonly Candidate[];
  readonly makers: number;
  readonly minimumMakers: number;
  readonly policy: FeePolicy;
}

/** The amount of a sweep, for the makers that are asked first. */
export interface Sweep {
  /** Satoshi of each side's equal output. */
  readonly amount: number;
  /** The makers that are asked first, then the spare ones; none of the former is unsuitable. */
  readonly candidates: readonly Candidate[];
  /** How many are asked first. */
  readonly makers: number;
  /** What they get, minus their part of the miner fee. */
  readonly makerFees: number;
  /** The rest: at least the budget, or what the makers pay beyond their fees where that is more. */
  readonly minerFee: number;
}

const costOf = (chosen: readonly Candidate[], amount: number): number =>
  chosen.reduce((sum, { offer }) => sum + makerCost(offer, amount), 0);

/**
 * The largest amount for which these makers and the miners can be paid from `total`, with the fee of each
 * maker as it computes it: its share rounded half to even.
 */
function largestAmount(total: number, budget: number, chosen: readonly Candidate[]): number {
  // Makers that pay more than they get do so for the miners, not for us.
  const isPaid = (amount: number): boolean =>
    amount + Math.max(0, costOf(chosen, amount) + budget) <= total;
  let low = 0;
  let high = total;
  if (!isPaid(0)) return 0;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isPaid(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * The amount of a sweep, for the first makers in the order of the candidates. A maker whose offer does not
 * allow the amount, or asks too much for it, is left out, and the amount is computed again. It never changes
 * within a round, so a maker gets exactly the change that it expects. Undefined when too few makers are left.
 */
export function sweepAmount(terms: SweepTerms): Sweep | undefined {
  const { total, budget, makers, minimumMakers, policy } = terms;
  let left = [...new Map(terms.candidates.map((it) => [it.nick, it])).values()];
  for (;;) {
    const chosen = left.slice(0, makers);
    if (chosen.length < Math.max(1, minimumMakers)) return undefined;
    const amount = largestAmount(total, budget(chosen.length), chosen);
    if (amount < DUST_THRESHOLD) return undefined;
    const unfit = new Set(
      chosen.filter(({ offer }) => offerFault(offer, amount, policy) !== undefined),
    );
    if (unfit.size === 0) {
      const makerFees = costOf(chosen, amount);
      const minerFee = total - amount - makerFees;
      return { amount, candidates: left, makers: chosen.length, makerFees, minerFee };
    }
    left = left.filter((candidate) => !unfit.has(candidate));
  }
}

/**
 * The sweep with the dearest of the candidates: the most that a sweep costs when makers fail and others take
 * their places.
 */
export function dearestSweep(terms: SweepTerms, { amount }: Sweep): Sweep | undefined {
  const candidates = terms.candidates.toSorted(
    (a, b) => makerCost(b.offer, amount) - makerCost(a.offer, amount),
  );
  return sweepAmount({ ...terms, candidates });
}

/** A sweep that costs at most this: where the makers asked first cost more, the dearest are left out. */
export function sweepWithin(terms: SweepTerms, worst: Worst): Sweep | undefined {
  let { candidates } = terms;
  for (;;) {
    const sweep = sweepAmount({ ...terms, candidates });
    if (sweep === undefined) return undefined;
    const { amount, makers, makerFees } = sweep;
    const isWithin = terms.total - amount <= worstCost(worst) && makerFees <= worst.makerFees;
    if (isWithin) return sweep;
    const dearest = sweep.candidates
      .slice(0, makers)
      .toSorted((a, b) => makerCost(b.offer, amount) - makerCost(a.offer, amount))[0];
    candidates = sweep.candidates.filter((candidate) => candidate !== dearest);
  }
}
