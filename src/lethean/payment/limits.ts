/** Limits that stop a surprise: a wrong price, a greedy provider, a loop of renewals. Pure; all in atomic units. */
import type { PaymentOrder } from '../ports.js';

export interface PaymentLimits {
  /** Most for one payment, without the fee of the network: `max-payment`. */
  readonly payment: bigint;
  /** Most in any 24 hours, without fees: `max-per-day`. */
  readonly perDay: bigint;
  /** Most for one day of a session: `max-day-price`. */
  readonly dayPrice: bigint;
  /** Most for the fees of one payment: `max-fee`. */
  readonly fee: bigint;
}

/** A payment that counts towards the limit of 24 hours. */
export interface CountedPayment {
  /** Seconds since 1970. */
  readonly orderedAt: number;
  readonly amount: bigint;
}

/** What an order exceeds. */
export interface LimitFault {
  readonly key: 'max-payment' | 'max-per-day' | 'max-day-price';
  readonly limit: bigint;
  readonly found: bigint;
}

const DAY_SECONDS = 86_400;

export const orderAmount = ({ destinations }: Pick<PaymentOrder, 'destinations'>): bigint =>
  destinations.reduce((sum, { amount }) => sum + amount, 0n);

/** Undefined: the order is within all limits. @param now seconds since 1970 */
export function limitFault(
  order: PaymentOrder,
  paid: readonly CountedPayment[],
  limits: PaymentLimits,
  now: number,
): LimitFault | undefined {
  const amount = orderAmount(order);
  if (amount > limits.payment) {
    return { key: 'max-payment', limit: limits.payment, found: amount };
  }
  // Without a division, so that no part of a unit is lost.
  if (amount > limits.dayPrice * BigInt(order.days)) {
    const days = BigInt(order.days);
    return { key: 'max-day-price', limit: limits.dayPrice, found: (amount + days - 1n) / days };
  }
  // A time in the future counts too: a clock that was set back must not open the limit.
  const recent = paid.filter(({ orderedAt }) => orderedAt > now - DAY_SECONDS);
  const sum = recent.reduce((total, each) => total + each.amount, amount);
  return sum > limits.perDay ? { key: 'max-per-day', limit: limits.perDay, found: sum } : undefined;
}
