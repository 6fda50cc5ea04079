/** Which bond of a wallet its maker announces. Pure. */
import { isBondOpen } from '../bitcoin/bond.js';
import type { BlockInfo } from '../chain/ports.js';
import { bondValue, certExpired, type BondPolicy } from '../protocol/fidelity-bond.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import type { WalletCoin } from '../wallet/api.js';
import type { BondCertificate } from '../wallet/requests.js';

/** A bond that can be announced. */
export interface BondChoice {
  readonly coin: WalletCoin;
  readonly lockTime: number;
  /** As takers value it now. */
  readonly value: number;
  /** The certificate to use, for a key outside the wallet; undefined where the wallet certifies a fresh key. */
  readonly certificate: BondCertificate | undefined;
}

export interface BondChoiceInput {
  /** All coins of the wallet; others than bonds are ignored. */
  readonly coins: readonly WalletCoin[];
  readonly certificates: readonly BondCertificate[];
  readonly tip: BlockInfo;
  /** Time of the header of the block at a height; undefined when it is not known. */
  readonly timeOf: (height: number) => number | undefined;
  readonly policy: BondPolicy;
}

/** Bonds in a block that no signed transaction spends and whose lock is not over. */
export const lockedBonds = (
  coins: readonly WalletCoin[],
  tip: BlockInfo,
): readonly (WalletCoin & { readonly lockTime: number; readonly height: number })[] =>
  coins.flatMap((coin) => {
    const { lockTime, height, hold, confirmations } = coin;
    if (lockTime === undefined || height === undefined || confirmations === 0) return [];
    return hold === 'signed' || isBondOpen(lockTime, tip.medianTime)
      ? []
      : [{ ...coin, lockTime, height }];
  });

/** The most valuable bond that can be proven; undefined without one. */
export function mostValuableBond(input: BondChoiceInput): BondChoice | undefined {
  const { coins, certificates, tip, timeOf, policy } = input;
  const signed = new Map(
    certificates
      .filter(
        ({ certSignature, certExpiry }) =>
          certSignature !== undefined && !certExpired(certExpiry, tip.height),
      )
      .map((it) => [formatOutpoint(it), it]),
  );
  let best: BondChoice | undefined;
  for (const coin of lockedBonds(coins, tip)) {
    const isOutside = coin.outsideKey !== undefined;
    const certificate = isOutside ? signed.get(formatOutpoint(coin)) : undefined;
    const confirmationTime = timeOf(coin.height);
    if ((isOutside && certificate === undefined) || confirmationTime === undefined) continue;
    const { lockTime } = coin;
    const value = bondValue({
      ...policy,
      satoshi: coin.value,
      confirmationTime,
      lockTime,
      now: tip.medianTime,
    });
    if (value > (best?.value ?? 0)) best = { coin, lockTime, value, certificate };
  }
  return best;
}
