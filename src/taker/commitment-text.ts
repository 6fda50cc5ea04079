/** Why no proof of a coin can be shown to makers, and what to do about it. Pure. */
import { counted, grouped } from '../kit/decimal.js';
import type { CommitmentCoin } from './api.js';

/** One sentence with the remedy; undefined when a proof is left. */
export function noCommitmentText(
  coins: readonly CommitmentCoin[],
  amount: number,
): string | undefined {
  if (coins.some(({ fault, triesLeft }) => fault === undefined && triesLeft > 0)) return undefined;
  if (coins.length === 0) {
    return 'makers want a proof of a coin, and there is none: wait until a deposit has 5 confirmations';
  }
  const fresh = coins.find(({ fault, triesLeft }) => fault !== undefined && triesLeft > 0);
  const advice =
    fresh === undefined
      ? 'pay a coin to an address of the same mixdepth, which gives a coin with new tries, or add proofs of ' +
        'another wallet to cmtdata/commitments.json'
      : 'wait for more confirmations, join a smaller amount, or add proofs of another wallet to ' +
        'cmtdata/commitments.json';
  const used = coins.filter(({ triesLeft }) => triesLeft === 0).length;
  const why =
    fresh === undefined
      ? `all tries of ${counted(used, 'coin')} are used`
      : `the best coin cannot prove ${grouped(amount)} sat: ${fresh.fault ?? ''}`;
  return `makers want a proof of a coin, and ${why}: ${advice}`;
}
