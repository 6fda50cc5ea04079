/** Fees that are too high or too low for a payment. Pure. */
import { feeFor, formatSatPerVbyte, rateOf } from '../../bitcoin/fee.js';
import { grouped } from '../../kit/decimal.js';
import { WalletError } from '../api.js';

/** Above these a payment needs an explicit word. */
export interface FeeLimits {
  /** Highest fee rate, in satoshi per 1,000 virtual bytes (`[POLICY] absurd_fee_per_kb`). */
  readonly feePerKb: number;
  /** Highest fee of one transaction, in satoshi. */
  readonly fee: number;
}

/** The default of `absurd_fee_per_kb`, and 0.01 BTC for one transaction. */
export const FEE_LIMITS: FeeLimits = { feePerKb: 350_000, fee: 1_000_000 };

/** A fee above this part of the amount is worth a warning. */
export const FEE_WARNING_PERCENT = 5;

/** What a fee is compared with. */
export interface FeeTerms {
  readonly fee: number;
  readonly vsize: number;
  readonly limits: FeeLimits;
  /** What the source of the chain relays at least; undefined when it does not know. */
  readonly minimumFeePerKb: number | undefined;
  readonly acceptAbsurdFee: boolean;
}

/** A rate for people: `2.5 sat/vB`. */
export const rateText = (feePerKb: number): string => `${formatSatPerVbyte(feePerKb)} sat/vB`;

/** What a fee is for each virtual byte, for people; rounded down. */
export const shownRate = (fee: number, vsize: number): string => rateText(rateOf(fee, vsize));

/** Whether a fee is above a limit. */
export const exceedsLimits = (fee: number, vsize: number, limits: FeeLimits): boolean =>
  fee > limits.fee || fee > feeFor(vsize, limits.feePerKb);

/** Throws a WalletError (`fee`) for a fee that is below the minimum of the source, or above a limit. */
export function checkFee({ fee, vsize, limits, minimumFeePerKb, acceptAbsurdFee }: FeeTerms): void {
  const least = feeFor(vsize, minimumFeePerKb ?? 0);
  if (fee < least) {
    const found = `a fee of ${grouped(fee)} sat is ${shownRate(fee, vsize)}`;
    throw new WalletError(
      'fee',
      `${found}; the node relays from ${rateText(minimumFeePerKb ?? 0)}: give a higher --fee-rate`,
    );
  }
  if (acceptAbsurdFee || !exceedsLimits(fee, vsize, limits)) return;
  if (fee > feeFor(vsize, limits.feePerKb)) {
    throw new WalletError(
      'fee',
      `a fee of ${shownRate(fee, vsize)} is above absurd_fee_per_kb, ${rateText(limits.feePerKb)}: give a lower ` +
        '--fee-rate, or --accept-absurd-fee if you mean it',
    );
  }
  throw new WalletError(
    'fee',
    `a fee of ${grouped(fee)} sat is above the limit for one transaction, ${grouped(limits.fee)} sat: ` +
      'give a lower --fee-rate, or --accept-absurd-fee if you mean it',
  );
}
