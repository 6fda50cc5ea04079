/** Which coins a maker shows to a taker. Pure. */
import type { SelectionRule, WalletCoin } from '../wallet/api.js';
import { selectCoins } from '../wallet/selection.js';
import { capacityOf, largestThatReach, poolsOf, type CoinPool } from './coin-pools.js';
import { chooseMixdepth } from './mixdepth-choice.js';

/** A signed transaction that was not seen for so long that its coins may be used again. */
export interface OverdueTransaction {
  readonly unsignedTxid: string;
  /** `txid:vout` of the wallet's coins in it. */
  readonly coins: ReadonlySet<string>;
}

/** What the choice depends on. */
export interface ChoiceTerms {
  readonly coins: readonly WalletCoin[];
  /** Coins that may be spent now. */
  readonly isFree: (coin: WalletCoin) => boolean;
  /** Coins that a taker saw lately: they are shown again rather than others. */
  readonly isShown: (coin: WalletCoin) => boolean;
  /** Whether a coin that is not free becomes so when this transaction is replaced. */
  readonly isOverdue: (coin: WalletCoin, transaction: OverdueTransaction) => boolean;
  /** The oldest first. */
  readonly overdue: readonly OverdueTransaction[];
  /** Number of mixdepths. */
  readonly mixdepths: number;
  readonly rule: SelectionRule;
  /** Most coins of one session. */
  readonly mostCoins: number;
}

/** Coins of one mixdepth for one session. */
export interface CoinChoice {
  readonly mixdepth: number;
  readonly coins: readonly WalletCoin[];
  /** The signed transaction that the session's one conflicts with, because it spends a coin of it. */
  readonly replaces: string | undefined;
}

/** The coins of a pool that hold `least`, by the rule where it does not need too many of them. */
function chooseFrom(
  pool: CoinPool,
  least: number,
  { rule, mostCoins }: Pick<ChoiceTerms, 'rule' | 'mostCoins'>,
): readonly WalletCoin[] | undefined {
  const byRule = selectCoins(pool.groups, least, rule)?.flatMap(({ coins }) => coins);
  if (byRule !== undefined && byRule.length <= mostCoins) return byRule;
  return largestThatReach(pool, least, mostCoins)?.flatMap(({ coins }) => coins);
}

const valueOf = (coins: readonly WalletCoin[]): number =>
  coins.reduce((sum, { value }) => sum + value, 0);

/** The choice from the mixdepth that the rule names: of several pools there, the smallest sum. */
function chooseAmong(
  pools: readonly CoinPool[],
  least: number,
  terms: ChoiceTerms,
): Omit<CoinChoice, 'replaces'> | undefined {
  const choices = pools.flatMap((pool) => {
    const coins = chooseFrom(pool, least, terms);
    return coins === undefined ? [] : [{ mixdepth: pool.mixdepth, coins }];
  });
  const mixdepth = chooseMixdepth(new Set(choices.map((it) => it.mixdepth)), terms.mixdepths);
  const [best] = choices
    .filter((it) => it.mixdepth === mixdepth)
    .toSorted((a, b) => valueOf(a.coins) - valueOf(b.coins));
  return best;
}

const withOverdue = (
  { coins, isFree, isOverdue }: ChoiceTerms,
  transaction: OverdueTransaction,
): readonly CoinPool[] =>
  poolsOf(coins, (coin) => isFree(coin) || isOverdue(coin, transaction)).filter(({ groups }) =>
    groups.some((group) => group.coins.some((coin) => isOverdue(coin, transaction))),
  );

/**
 * Coins of at least `least` satoshi together, all of one mixdepth: from those that were shown lately, if they
 * suffice; otherwise from all free ones; otherwise together with coins of a signed transaction that was
 * never seen, at least one of them. Undefined when nothing suffices.
 */
export function chooseCoins(terms: ChoiceTerms, least: number): CoinChoice | undefined {
  const { coins, isFree, isShown, overdue } = terms;
  const found =
    chooseAmong(
      poolsOf(coins, (coin) => isFree(coin) && isShown(coin)),
      least,
      terms,
    ) ?? chooseAmong(poolsOf(coins, isFree), least, terms);
  if (found !== undefined) return { ...found, replaces: undefined };
  for (const transaction of overdue) {
    // The free coins of these pools do not suffice, so a coin of the transaction is among those chosen.
    const choice = chooseAmong(withOverdue(terms, transaction), least, terms);
    if (choice?.coins.some((coin) => terms.isOverdue(coin, transaction)) === true) {
      return { ...choice, replaces: transaction.unsignedTxid };
    }
  }
  return undefined;
}

/** The most that one session could spend from a mixdepth: `chooseCoins` finds coins up to it, satoshi. */
export function mostFrom(terms: ChoiceTerms, mixdepth: number): number {
  const pools = [
    ...poolsOf(terms.coins, terms.isFree),
    ...terms.overdue.flatMap((transaction) => withOverdue(terms, transaction)),
  ];
  return Math.max(
    0,
    ...pools
      .filter((pool) => pool.mixdepth === mixdepth)
      .map((pool) => capacityOf(pool, terms.mostCoins)),
  );
}
