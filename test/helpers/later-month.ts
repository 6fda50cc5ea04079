/** A month for bonds of a test. */
import { BondMonth } from '../../src/bitcoin/bond.js';

/** The month after the next one, so that the test may run at the end of a month. */
export function laterMonth(): BondMonth {
  const now = new Date();
  const index = (now.getUTCFullYear() - 2020) * 12 + now.getUTCMonth() + 2;
  const month = BondMonth.ofIndex(index);
  if (month === undefined) throw new Error('no such month');
  return month;
}
