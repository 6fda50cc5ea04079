/** The lock time of a payment, as ordinary wallets set it against fee sniping. */
import type { BlockInfo } from '../../chain/ports.js';
import type { RandomBytes } from '../../protocol/encryption.js';
import type { WalletCoin } from '../api.js';
import { randomBelow } from './random.js';

/** Signals replacement by fee (BIP125), and enables the lock time. */
export const PAYMENT_SEQUENCE = 0xffff_fffd;
/**
 * Bitcoin Knots 29.4 relays no transaction with this lock time, which it takes for the mark of a token
 * (findings/knots-locktime-21.sh). Only a chain of at most 120 blocks has payments that meet it.
 */
const REFUSED_BY_KNOTS = 21;

/**
 * The height of the tip, in one of ten cases up to 99 blocks less, so that delayed transactions do not
 * stand out. With bonds among the coins it is the latest of their lock times instead, in Unix seconds:
 * a bond can be spent by no other transaction.
 */
export function paymentLockTime(
  coins: readonly WalletCoin[],
  tip: BlockInfo,
  randomBytes: RandomBytes,
): number {
  const locks = coins.flatMap(({ lockTime }) => (lockTime === undefined ? [] : [lockTime]));
  if (locks.length > 0) return Math.max(...locks);
  const back = randomBelow(10, randomBytes) === 0 ? randomBelow(100, randomBytes) : 0;
  const height = Math.max(0, tip.height - back);
  return height === REFUSED_BY_KNOTS ? height - 1 : height;
}
