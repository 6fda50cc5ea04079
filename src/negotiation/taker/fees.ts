/**
 * A taker's fee limits and its miner fee (`[POLICY]` of docs/protocol.md, section 13.1, with the
 * original's meaning of each key). Pure.
 */
import { coinKind } from '../../bitcoin/script.js';
import { transactionBytes, transactionVsize, type TransactionShape } from '../../bitcoin/size.js';
import { MAX_SATOSHI, offerFee, shareOf, type Offer } from '../../protocol/offer.js';
import type { LegFault } from './api.js';
import type { UnsignedTransaction } from '../transaction.js';

/** The limits of what a taker pays. */
export interface FeePolicy {
  /**
   * Most that a maker gets in total, in satoshi (`max_cj_fee_abs`), and as a share of the amount
   * (`max_cj_fee_rel`). An offer is refused only above both; an undefined limit permits nothing.
   */
  readonly maxCjFeeAbs: number | undefined;
  /** Most that a maker gets, as a share of the amount: 0.001 is 0.1 % (`max_cj_fee_rel`). */
  readonly maxCjFeeRel: number | undefined;
  /**
   * The miner fee (`tx_fees`): up to 1,000 a number of blocks until the confirmation, above it satoshi
   * per 1,000 virtual bytes.
   */
  readonly txFees: number;
  /** The rate is drawn between itself and (1 + factor) times it (`tx_fees_factor`). */
  readonly txFeesFactor: number;
  /** Above this rate no coinjoin begins, satoshi per 1,000 virtual bytes (`absurd_fee_per_kb`). */
  readonly absurdFeePerKb: number;
  /**
   * A sweep fixes its miner fee before its size is known. The ratio between the fee for the real size
   * and the paid fee must be within 1 ± this (`max_sweep_fee_change`).
   */
  readonly maxSweepFeeChange: number;
}

/** Without the limits for makers, which only the user can choose. */
export const DEFAULT_FEE_POLICY: FeePolicy = {
  maxCjFeeAbs: undefined,
  maxCjFeeRel: undefined,
  txFees: 3,
  txFeesFactor: 0.2,
  absurdFeePerKb: 350_000,
  maxSweepFeeChange: 0.8,
};

/** Coins that a maker is expected to bring, as the original expects. */
export const EXPECTED_COINS = 3;

/** `tx_fees` up to this value counts blocks. */
const MOST_BLOCKS = 1_000;
/** The rate when there is no estimate, satoshi per 1,000 virtual bytes; the original's. */
export const FALLBACK_FEE_PER_KB = 10_000;

const within = (value: number, min: number, max: number): boolean => value >= min && value <= max;
const isWhole = (value: number, min: number, max: number): boolean =>
  Number.isInteger(value) && within(value, min, max);

export interface PolicyFault {
  readonly fault: 'no-fee-limit' | 'bad-policy' | 'absurd-fee';
  readonly detail: string;
}

const bad = (detail: string): PolicyFault => ({ fault: 'bad-policy', detail });

/** Why no round may begin with this policy. */
export function policyFault(policy: FeePolicy): PolicyFault | undefined {
  const { maxCjFeeAbs: abs, maxCjFeeRel: rel, txFees } = policy;
  if (abs === undefined && rel === undefined) {
    const detail = 'no limit for fees of makers is given: set maxCjFeeAbs or maxCjFeeRel';
    return { fault: 'no-fee-limit', detail };
  }
  if (abs !== undefined && !isWhole(abs, 0, MAX_SATOSHI)) {
    return bad(`maxCjFeeAbs is ${abs}; a whole number of satoshi is allowed`);
  }
  if (rel !== undefined && !within(rel, 0, 1)) {
    return bad(`maxCjFeeRel is ${rel}; 0 to 1 is allowed`);
  }
  if (!isWhole(txFees, 1, MAX_SATOSHI)) {
    return bad(`txFees is ${txFees}; a whole number above 0 is allowed`);
  }
  if (!within(policy.txFeesFactor, 0, 100)) {
    return bad(`txFeesFactor is ${policy.txFeesFactor}; 0 to 100 is allowed`);
  }
  if (!isWhole(policy.absurdFeePerKb, 1, MAX_SATOSHI)) {
    return bad(`absurdFeePerKb is ${policy.absurdFeePerKb}; a whole number above 0 is allowed`);
  }
  if (!within(policy.maxSweepFeeChange, 0, 100)) {
    return bad(`maxSweepFeeChange is ${policy.maxSweepFeeChange}; 0 to 100 is allowed`);
  }
  return undefined;
}

/** Number of blocks for the chain's estimate; undefined when `tx_fees` is a rate. */
export function feeTarget({ txFees }: FeePolicy): number | undefined {
  return txFees <= MOST_BLOCKS ? txFees : undefined;
}

/**
 * The rate of a round, in satoshi per 1,000 virtual bytes. `estimate` is the chain's answer for
 * `feeTarget`, undefined when there is none; `chance` is uniform in [0, 1).
 */
export function feeRate(
  policy: FeePolicy,
  estimate: number | undefined,
  chance: number,
): { readonly ok: true; readonly feePerKb: number } | ({ readonly ok: false } & PolicyFault) {
  const base = feeTarget(policy) === undefined ? policy.txFees : (estimate ?? FALLBACK_FEE_PER_KB);
  return drawnRate(policy, base, chance);
}

/** A rate between `base` and (1 + `txFeesFactor`) times it, so that rates do not show the settings. */
export function drawnRate(
  policy: Pick<FeePolicy, 'absurdFeePerKb' | 'txFeesFactor'>,
  base: number,
  chance: number,
): ReturnType<typeof feeRate> {
  if (!(base <= policy.absurdFeePerKb)) {
    const detail = `${base} sat/kvB is above absurdFeePerKb, ${policy.absurdFeePerKb}`;
    return { ok: false, fault: 'absurd-fee', detail };
  }
  const drawn = Math.floor(base * (1 + policy.txFeesFactor * chance));
  return { ok: true, feePerKb: Math.min(drawn, policy.absurdFeePerKb) };
}

/** Most that one maker may get for an amount, minus what it pays to the miners; in satoshi. */
export function makerFeeLimit({ maxCjFeeAbs, maxCjFeeRel }: FeePolicy, amount: number): number {
  const share = maxCjFeeRel === undefined ? 0 : shareOf(maxCjFeeRel, amount);
  return Math.max(maxCjFeeAbs ?? 0, share);
}

/** The cost of a maker: its fee minus its contribution to the miner fee. May be negative. */
export const makerCost = (offer: Offer, amount: number): number =>
  offerFee(offer, amount) - offer.txfee;

/** Why an offer does not suit a round. */
export function offerFault(
  offer: Offer,
  amount: number,
  policy: FeePolicy,
): { readonly fault: LegFault; readonly detail: string } | undefined {
  if (!(amount >= offer.minsize && amount <= offer.maxsize)) {
    const detail = `its offer is for ${offer.minsize} to ${offer.maxsize} sat`;
    return { fault: 'amount-range', detail };
  }
  const cost = makerCost(offer, amount);
  const limit = makerFeeLimit(policy, amount);
  if (cost <= limit) return undefined;
  return { fault: 'fee-limit', detail: `it costs ${cost} sat; the limit is ${limit} sat` };
}

const shapeOf = (
  { inputs, outputs }: UnsignedTransaction,
  spentScripts: readonly string[],
): TransactionShape => ({
  inputs: inputs.map((_, n) => coinKind(spentScripts[n] ?? '') ?? 'p2wpkh'),
  outputs: outputs.map(({ script }) => script),
});

/** Size of the signed transaction in virtual bytes, for the scripts of the coins that it spends. */
export const virtualSize = (tx: UnsignedTransaction, spentScripts: readonly string[]): number =>
  transactionVsize(shapeOf(tx, spentScripts));

/** The most bytes of the signed transaction, for the scripts of the coins that it spends. */
export const signedBytes = (tx: UnsignedTransaction, spentScripts: readonly string[]): number =>
  transactionBytes(shapeOf(tx, spentScripts));
