/** What `[POLICY]` says about a wallet, as `Wallet.open` takes it. */
import type { Settings } from './settings.js';

export interface WalletRules {
  /** Unused addresses that are watched on each branch. The wallet watches 1,000 at least. */
  readonly gapLimit: number;
  /** Largest coin that is frozen because its address was used before, satoshi; undefined: every one. */
  readonly freezeReuseUpTo: number | undefined;
}

export function walletRules({ policy }: Pick<Settings, 'policy'>): WalletRules {
  const { gaplimit, maxSatsFreezeReuse: most } = policy;
  return { gapLimit: gaplimit, freezeReuseUpTo: most === -1 ? undefined : most };
}
