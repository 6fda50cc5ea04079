/** Which coins of a wallet a maker may show now, from the journal of the wallet. */
import { formatOutpoint } from '../protocol/outpoint.js';
import type { WalletCoin } from '../wallet/api.js';
import type { SignedTransaction } from '../wallet/requests.js';
import type { Wallet } from '../wallet/wallet.js';
import type { ChoiceTerms, OverdueTransaction } from './coin-choice.js';

/** Coins that were shown to a taker are shown again for this long. */
export const SHOWN_SECONDS = 3_600;

interface AvailabilityTerms {
  readonly wallet: Pick<Wallet, 'coins' | 'leases' | 'lastLease' | 'signedTransactions'>;
  /** Unix seconds. */
  readonly now: number;
  /** Coins of running sessions count as free. */
  readonly withLeased: boolean;
  /** Age from which on an unseen signed transaction is overdue. */
  readonly overdueSeconds: number;
  /** Whether a coin is in use beyond what the journal knows. */
  readonly isTaken: (name: string) => boolean;
}

/**
 * Transactions whose coins may be used again, each with those of its coins that no other signed transaction
 * holds back. The oldest first.
 */
function overdueOf(
  signed: readonly SignedTransaction[],
  now: number,
  overdueSeconds: number,
): readonly OverdueTransaction[] {
  const pending = signed.filter(({ state }) => state === 'pending');
  const isOverdue = ({ kind, seen, signedAt }: SignedTransaction): boolean =>
    kind === 'coinjoin-maker' && !seen && now - signedAt >= overdueSeconds;
  const heldBack = new Set(
    pending.filter((it) => !isOverdue(it)).flatMap(({ coins }) => coins.map(formatOutpoint)),
  );
  return pending.filter(isOverdue).flatMap(({ unsignedTxid, coins }) => {
    const names = coins.map(formatOutpoint).filter((name) => !heldBack.has(name));
    return names.length === 0 ? [] : [{ unsignedTxid, coins: new Set(names) }];
  });
}

/** What may be spent, for the choice of coins. */
export function coinAvailability({
  wallet,
  now,
  withLeased,
  overdueSeconds,
  isTaken,
}: AvailabilityTerms): Pick<ChoiceTerms, 'coins' | 'isFree' | 'isShown' | 'isOverdue' | 'overdue'> {
  const coins = wallet.coins();
  const leased = new Set(wallet.leases().flatMap((lease) => lease.coins.map(formatOutpoint)));
  const isHeld = (coin: WalletCoin): boolean =>
    coin.hold === 'signed' || (coin.hold === 'leased' && !withLeased);
  // An address is shown to one taker at a time.
  const heldScripts = new Set(coins.filter(isHeld).map(({ script }) => script));
  const isOpen = (coin: WalletCoin): boolean =>
    coin.lockTime === undefined &&
    (coin.hold === undefined || (coin.hold === 'leased' && withLeased)) &&
    !isTaken(formatOutpoint(coin));
  const shownScripts = new Set(
    coins.filter((coin) => isRecent(wallet.lastLease(coin), now)).map(({ script }) => script),
  );
  const hasSigned = coins.some(({ hold }) => hold === 'signed');
  // An address may have coins of a session and of several signed transactions.
  const leasedScripts = new Set(
    withLeased
      ? []
      : coins.filter((coin) => leased.has(formatOutpoint(coin))).map(({ script }) => script),
  );
  const signedOfScript = new Map<string, string[]>();
  for (const coin of coins) {
    if (coin.hold !== 'signed') continue;
    const names = signedOfScript.get(coin.script);
    if (names === undefined) signedOfScript.set(coin.script, [formatOutpoint(coin)]);
    else names.push(formatOutpoint(coin));
  }
  return {
    coins,
    isFree: (coin) => isOpen(coin) && !heldScripts.has(coin.script),
    isShown: ({ script }) => shownScripts.has(script),
    isOverdue: (coin, transaction) => {
      if (coin.hold !== 'signed' || isTaken(formatOutpoint(coin))) return false;
      if (leasedScripts.has(coin.script)) return false;
      const names = signedOfScript.get(coin.script) ?? [];
      return names.every((name) => transaction.coins.has(name));
    },
    overdue: hasSigned ? overdueOf(wallet.signedTransactions(), now, overdueSeconds) : [],
  };
}

const isRecent = (
  last: { readonly owner: string; readonly time: number } | undefined,
  now: number,
): boolean => last !== undefined && last.owner === 'maker' && now - last.time <= SHOWN_SECONDS;
