/** Which wallets have a coinjoin of a taker that runs in this process. */
import type { Wallet } from '../wallet/wallet.js';

const running = new WeakMap<Wallet, number>();

/** Whether a coinjoin of this wallet runs: what it has signed is not left from an earlier run. */
export const hasRunningRound = (wallet: Wallet): boolean => (running.get(wallet) ?? 0) > 0;

/** Counts the work as a running coinjoin of the wallet until it ends. */
export async function asRunningRound<T>(wallet: Wallet, work: () => Promise<T>): Promise<T> {
  running.set(wallet, (running.get(wallet) ?? 0) + 1);
  try {
    return await work();
  } finally {
    running.set(wallet, (running.get(wallet) ?? 0) - 1);
  }
}
