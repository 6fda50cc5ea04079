/** The coins that a coinjoin spends, and the most that it costs with them. Pure. */
import { feeFor } from '../bitcoin/fee.js';
import type { CoinKind } from '../bitcoin/script.js';
import { TAKER_DUST } from '../negotiation/taker/transaction.js';
import type { SelectionRule, WalletCoin } from '../wallet/api.js';
import { inputFee } from '../wallet/payment/weights.js';
import { selectCoins } from '../wallet/selection.js';
import { expectedVsize, sumOf, type Worst } from './amounts.js';

/** What the choice of coins depends on. */
export interface CoinTerms {
  /** Coins that may be spent, of one mixdepth. */
  readonly coins: readonly WalletCoin[];
  /** Satoshi of each side's equal output. */
  readonly amount: number;
  readonly makers: number;
  /** The most that makers get. */
  readonly makerFees: number;
  readonly feePerKb: number;
  /** `maxSweepFeeChange` of the policy: so much more than expected the miners may get. */
  readonly tolerance: number;
  /** Script that gets the equal output. */
  readonly destination: string;
  readonly kind: CoinKind;
  readonly rule: SelectionRule;
}

/** Coins, and the most that makers and miners get from them. */
export interface ChosenCoins {
  readonly coins: readonly WalletCoin[];
  readonly worst: Worst;
  /** Whether they pay also the worst case; otherwise a round may fail for lack of funds. */
  readonly isAmple: boolean;
}

/** The most that miners get for these coins. */
function mostMinerFee(coins: readonly WalletCoin[], terms: CoinTerms): number {
  const { destination, kind, makers, feePerKb, tolerance } = terms;
  const inputs = coins.map(({ script }) => script);
  const expected = feeFor(expectedVsize({ inputs, destination, kind }, makers, true), feePerKb);
  return Math.floor(expected * (1 + tolerance));
}

/** The worst case of coins that pay it: what would be a tiny change belongs to the miners. */
function ampleWorst(coins: readonly WalletCoin[], terms: CoinTerms): Worst | undefined {
  const { amount, makerFees } = terms;
  const minerFee = mostMinerFee(coins, terms);
  const rest = sumOf(coins) - amount - makerFees - minerFee;
  if (rest < 0) return undefined;
  return { makerFees, minerFee: rest <= TAKER_DUST ? minerFee + rest : minerFee };
}

/**
 * Coins for an amount, chosen by the rule of the wallet so that they pay also the worst case. Where all coins
 * together do not, all of them are taken: what they hold above the amount is then the most that is paid.
 * Undefined when they do not hold the amount. Coins that cost more than they hold are left out.
 */
export function chooseCoins(terms: CoinTerms): ChosenCoins | undefined {
  const { amount, makerFees, feePerKb, rule } = terms;
  const usable = terms.coins.filter((coin) => coin.value > inputFee(coin, feePerKb));
  let target = amount + makerFees + mostMinerFee([], terms);
  for (;;) {
    const coins = selectCoins(usable, target, rule);
    if (coins === undefined) break;
    const worst = ampleWorst(coins, terms);
    if (worst !== undefined) return { coins, worst, isAmple: true };
    // The fee of more coins is larger, and no later target is smaller.
    target = Math.max(target + 1, amount + makerFees + mostMinerFee(coins, terms));
  }
  const left = sumOf(usable) - amount;
  if (usable.length === 0 || left <= 0) return undefined;
  const most = Math.min(makerFees, left);
  const worst = { makerFees: most, minerFee: left - most };
  return { coins: usable, worst, isAmple: false };
}
