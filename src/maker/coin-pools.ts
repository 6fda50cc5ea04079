/**
 * Which coins a maker may spend together. Coins of one address are linked already, so they are spent together
 * or not at all. In mixdepth 0, deposits from different places would be linked by a common spend: there, only
 * coins that the journal proves to come from coinjoins are merged (the rule of joinmarket-ng). Pure.
 */
import type { WalletCoin } from '../wallet/api.js';

/** The coins of one address. */
export interface CoinGroup {
  readonly coins: readonly WalletCoin[];
  /** Their sum, satoshi. */
  readonly value: number;
}

/** Groups of one mixdepth that one transaction may spend together. */
export interface CoinPool {
  readonly mixdepth: number;
  readonly groups: readonly CoinGroup[];
}

const valueOf = (coins: readonly WalletCoin[]): number =>
  coins.reduce((sum, { value }) => sum + value, 0);

function groupsOf(coins: readonly WalletCoin[]): readonly CoinGroup[] {
  const byScript = new Map<string, WalletCoin[]>();
  for (const coin of coins) {
    const others = byScript.get(coin.script);
    if (others === undefined) byScript.set(coin.script, [coin]);
    else others.push(coin);
  }
  return [...byScript.values()].map((group) => ({ coins: group, value: valueOf(group) }));
}

const isMerged = (group: CoinGroup): boolean => group.coins.every(({ mergeable }) => mergeable);

function poolsOfMixdepth(mixdepth: number, coins: readonly WalletCoin[]): readonly CoinPool[] {
  const groups = groupsOf(coins);
  if (mixdepth > 0) return [{ mixdepth, groups }];
  const merged = groups.filter(isMerged);
  const alone = groups.filter((group) => !isMerged(group));
  return [
    ...(merged.length > 0 ? [{ mixdepth, groups: merged }] : []),
    ...alone.map((group) => ({ mixdepth, groups: [group] })),
  ];
}

/**
 * The pools of a wallet, by rising mixdepth. A transaction may spend any groups of one pool.
 * @param isFree whether a coin may be spent now. An address with a coin that is in use elsewhere must be
 *   left out as a whole by the caller, so that two sessions never show one script.
 */
export function poolsOf(
  coins: readonly WalletCoin[],
  isFree: (coin: WalletCoin) => boolean,
): readonly CoinPool[] {
  const byMixdepth = new Map<number, WalletCoin[]>();
  for (const coin of coins) {
    if (coin.lockTime !== undefined || !isFree(coin)) continue;
    const others = byMixdepth.get(coin.mixdepth);
    if (others === undefined) byMixdepth.set(coin.mixdepth, [coin]);
    else others.push(coin);
  }
  return [...byMixdepth]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([mixdepth, own]) => poolsOfMixdepth(mixdepth, own));
}

/** The largest groups first, as long as all their coins together are at most `mostCoins`. */
function largestGroups(groups: readonly CoinGroup[], mostCoins: number): readonly CoinGroup[] {
  let left = mostCoins;
  return groups
    .toSorted((a, b) => b.value - a.value)
    .filter(({ coins }) => {
      if (coins.length > left) return false;
      left -= coins.length;
      return true;
    });
}

/** The most that one transaction can spend from a pool with at most `mostCoins` inputs, satoshi. */
export const capacityOf = ({ groups }: CoinPool, mostCoins: number): number =>
  largestGroups(groups, mostCoins).reduce((sum, { value }) => sum + value, 0);

/**
 * Groups that together hold `least` satoshi and have at most `mostCoins` coins: the largest ones first.
 * Undefined exactly where `capacityOf` is below `least`.
 */
export function largestThatReach(
  { groups }: CoinPool,
  least: number,
  mostCoins: number,
): readonly CoinGroup[] | undefined {
  const chosen: CoinGroup[] = [];
  let sum = 0;
  for (const group of largestGroups(groups, mostCoins)) {
    if (sum >= least) break;
    chosen.push(group);
    sum += group.value;
  }
  return sum >= least ? chosen : undefined;
}
