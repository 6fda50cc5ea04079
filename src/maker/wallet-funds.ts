/** What the mixdepths of a wallet can give to coinjoins, for a wallet that is only read. */
import type { Wallet } from '../wallet/wallet.js';
import type { MixdepthFunds } from './api.js';
import { coinAvailability } from './coin-availability.js';
import { mostFrom } from './coin-choice.js';

/** The terms of a running maker. */
export interface FundsTerms {
  /** Unix seconds. */
  readonly now: number;
  /** Age from which on an unseen signed transaction is overdue, seconds. */
  readonly overdueSeconds: number;
  /** Most coins of one session. */
  readonly mostCoins: number;
}

/** As a maker with this wallet would offer them: coins of running sessions count as free. */
export function walletFunds(
  wallet: Pick<Wallet, 'coins' | 'leases' | 'lastLease' | 'signedTransactions' | 'secret'>,
  { now, overdueSeconds, mostCoins }: FundsTerms,
): readonly MixdepthFunds[] {
  const { mixdepths } = wallet.secret;
  const availability = coinAvailability({
    wallet,
    now,
    withLeased: true,
    overdueSeconds,
    isTaken: () => false,
  });
  const terms = { ...availability, mixdepths, rule: 'default' as const, mostCoins };
  return Array.from({ length: mixdepths }, (_, mixdepth) => ({
    mixdepth,
    available: mostFrom(terms, mixdepth),
    held: availability.coins
      .filter((coin) => coin.mixdepth === mixdepth && coin.hold === 'signed')
      .filter(({ lockTime }) => lockTime === undefined)
      .reduce((sum, { value }) => sum + value, 0),
  }));
}
