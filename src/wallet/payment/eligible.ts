/** Which coins of the wallet a payment may spend, and why the others may not. Pure. */
import { isBondOpen } from '../../bitcoin/bond.js';
import { counted, grouped } from '../../kit/decimal.js';
import type { BlockInfo } from '../../chain/ports.js';
import { formatOutpoint, type Outpoint } from '../../protocol/outpoint.js';
import { WalletError, type CoinHold, type WalletCoin, type WalletFault } from '../api.js';

/** A date and time in UTC, to the minute. */
export function shownTime(unixSeconds: number): string {
  return `${new Date(unixSeconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** What to do about a coin that cannot be spent now. */
function refusal(coin: WalletCoin, hold: CoinHold): readonly [WalletFault, string] {
  switch (hold) {
    case 'unconfirmed':
      return ['held', 'is not in a block yet: wait for its confirmation'];
    case 'immature':
      return ['held', 'comes from a new block and can be spent after 100 confirmations'];
    case 'frozen':
      return ['frozen', `is frozen (${coin.frozen ?? 'user'}): unfreeze it first`];
    case 'leased':
      return ['held', 'is reserved for a coinjoin that runs: wait until it ends'];
    case 'signed':
      return [
        'held',
        `is spent by the signed transaction ${coin.signedFor ?? ''}, which may still confirm: bump that one`,
      ];
    case 'locked':
      return ['held', `is a bond that is locked until ${shownTime(coin.lockTime ?? 0)}`];
  }
}

/** Why a coin cannot be spent in a block after `tip`; undefined when it can. */
export function holdOf(coin: WalletCoin, tip: BlockInfo): CoinHold | undefined {
  if (coin.hold !== undefined) return coin.hold;
  const { lockTime } = coin;
  return lockTime === undefined || isBondOpen(lockTime, tip.medianTime) ? undefined : 'locked';
}

/**
 * The named coins, in this order. Throws a WalletError that names the first coin which does not exist, is
 * named twice, is frozen or held, or lies in another mixdepth than the first one.
 */
export function namedCoins(
  coins: readonly WalletCoin[],
  names: readonly Outpoint[],
  mixdepth: number | undefined,
  tip: BlockInfo,
): readonly WalletCoin[] {
  const byName = new Map(coins.map((coin) => [formatOutpoint(coin), coin]));
  const found = new Map<string, WalletCoin>();
  for (const outpoint of names) {
    const name = formatOutpoint(outpoint);
    const coin = byName.get(name);
    if (coin === undefined) {
      throw new WalletError('coin', `the wallet has no coin ${name}: see onionmc wallet coins`);
    }
    if (found.has(name)) throw new WalletError('coin', `the coin ${name} is named twice`);
    const hold = holdOf(coin, tip);
    if (hold !== undefined) {
      const [fault, text] = refusal(coin, hold);
      throw new WalletError(fault, `the coin ${name} ${text}`);
    }
    found.set(name, coin);
    const place = mixdepth ?? [...found.values()][0]?.mixdepth;
    if (coin.mixdepth !== place) {
      throw new WalletError(
        'mixdepth',
        `the coin ${name} is in mixdepth ${coin.mixdepth}, not in ${place}: ` +
          'a payment spends coins of one mixdepth only, because it links them',
      );
    }
  }
  return [...found.values()];
}

/** The coins of a mixdepth that a payment may choose from: no bonds, and nothing that is held. */
export function eligibleCoins(
  coins: readonly WalletCoin[],
  mixdepth: number,
  tip: BlockInfo,
): readonly WalletCoin[] {
  return coins.filter(
    (coin) =>
      coin.mixdepth === mixdepth && coin.lockTime === undefined && holdOf(coin, tip) === undefined,
  );
}

const HOLD_WORDS: Readonly<Record<CoinHold, string>> = {
  unconfirmed: 'not in a block yet',
  immature: 'from new blocks',
  frozen: 'frozen',
  leased: 'reserved for a coinjoin',
  signed: 'in a signed transaction',
  locked: 'locked',
};

/**
 * What a mixdepth has, for a person who asked for more: `12 000 sat available, 5 000 sat frozen`.
 */
export function fundsText(coins: readonly WalletCoin[], mixdepth: number, tip: BlockInfo): string {
  const sums = new Map<string, number>([['available', 0]]);
  for (const coin of coins) {
    if (coin.mixdepth !== mixdepth || coin.lockTime !== undefined) continue;
    const hold = holdOf(coin, tip);
    const word = hold === undefined ? 'available' : HOLD_WORDS[hold];
    sums.set(word, (sums.get(word) ?? 0) + coin.value);
  }
  const parts = [...sums].map(([word, sum]) => `${grouped(sum)} sat ${word}`);
  const others = new Set(
    coins
      .filter((c) => c.mixdepth !== mixdepth && holdOf(c, tip) === undefined)
      .map((c) => c.mixdepth),
  );
  const elsewhere =
    others.size === 0
      ? ''
      : `; ${counted(others.size, 'other mixdepth has coins', 'other mixdepths have coins')}`;
  return `mixdepth ${mixdepth} has ${parts.join(', ')}${elsewhere}`;
}
