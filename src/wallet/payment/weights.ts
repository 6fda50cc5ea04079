/** Sizes of a payment of this wallet. Pure. */
import { bondInputKind } from '../../bitcoin/bond.js';
import { coinKind } from '../../bitcoin/script.js';
import { inputWeight, transactionVsize, type InputKind } from '../../bitcoin/size.js';
import type { WalletCoin } from '../api.js';

/** Nodes do not relay more weight units in one transaction. */
const MAX_STANDARD_WEIGHT = 400_000;

/** How a coin of the wallet is unlocked. */
function inputKind({ script, lockTime }: WalletCoin): InputKind {
  if (lockTime !== undefined) return bondInputKind(lockTime);
  return coinKind(script) ?? 'p2wpkh';
}

/** What a coin costs as an input at a rate in sat/kvB, rounded up. */
export const inputFee = (coin: WalletCoin, feePerKb: number): number =>
  Math.ceil((inputWeight(inputKind(coin), 'low-r') * feePerKb) / 4_000);

/** The most virtual bytes of a transaction that spends these coins and pays these scripts. */
export const paymentVsize = (coins: readonly WalletCoin[], scripts: readonly string[]): number =>
  transactionVsize({ inputs: coins.map(inputKind), outputs: scripts, signatures: 'low-r' });

/** Whether nodes relay a transaction of this size. */
export const isStandardSize = (vsize: number): boolean => vsize * 4 <= MAX_STANDARD_WEIGHT;
