/** Whether an order can be paid, and whether two orders are the same. Pure. */
import type { PaymentOrder } from '../ports.js';
import { MAX_AMOUNT } from '../amount.js';

/** Most outputs to others of one transaction of the Monero family, without the change. */
const MAX_DESTINATIONS = 15;
/** Longest session: ten years. */
const MAX_DAYS = 3_660;
const SESSION_ID = /^[\x21-\x7e]{1,200}$/;
const PAYMENT_ID = /^(?:[0-9a-f]{16}|[0-9a-f]{64})$/;

/** What is wrong with an order; undefined when it can be paid. */
export function orderFault(
  { sessionId, paymentId, days, destinations }: PaymentOrder,
  isAddress: (text: string) => boolean,
): string | undefined {
  if (!SESSION_ID.test(sessionId)) return 'the session has no usable id';
  if (!PAYMENT_ID.test(paymentId)) return 'the payment id is not 16 or 64 hex digits';
  if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS) {
    return `the number of days is not from 1 to ${MAX_DAYS}`;
  }
  if (destinations.length === 0 || destinations.length > MAX_DESTINATIONS) {
    return `the payment has no destination, or more than ${MAX_DESTINATIONS}`;
  }
  for (const { address, amount } of destinations) {
    if (!isAddress(address)) return 'a destination is not an address of this coin';
    if (amount <= 0n || amount > MAX_AMOUNT) return 'an amount is not above 0';
  }
  return undefined;
}

/** Whether two orders move the same coins to the same places. */
export function sameTerms(a: PaymentOrder, b: PaymentOrder): boolean {
  return (
    a.sessionId === b.sessionId &&
    a.paymentId === b.paymentId &&
    a.days === b.days &&
    a.destinations.length === b.destinations.length &&
    a.destinations.every(
      ({ address, amount }, i) =>
        address === b.destinations[i]?.address && amount === b.destinations[i].amount,
    )
  );
}
