/** What a wallet needs from outside. */
import type { Chain } from '../chain/ports.js';
import type { WalletStore } from './store/api.js';

/** The parts and answers that `Wallet.open` gets. */
export interface WalletOptions {
  readonly store: WalletStore;
  /** Undefined: the wallet shows what its journal says, and hands out no address. */
  readonly chain: Chain | undefined;
  /**
   * The passphrase of the seed words, for a wallet that has one. Without it the wallet only shows coins,
   * freezes them and follows the chain. Not needed where `secret.hasPassphrase` is false.
   */
  readonly passphrase?: string | undefined;
  /** `read`: the store was opened without the lock. Every writing call is refused. Default `write`. */
  readonly mode?: 'read' | 'write' | undefined;
  /** The wall clock, in Unix seconds. */
  readonly unixTime: () => number;
  /** Random bytes fit for keys. */
  readonly randomBytes: (bytes: number) => Uint8Array;
  /** The word for spending on mainnet was given. */
  readonly acceptMainnetRisk?: boolean | undefined;
  /** Unused addresses that are watched on each branch; never fewer than 1,000, the default. */
  readonly gapLimit?: number | undefined;
  /** Largest coin that is frozen because its address was used before, satoshi. Default: every one. */
  readonly freezeReuseUpTo?: number | undefined;
  /** Called with the share that is done, 0 to 1, while scripts are derived at the first opening. */
  readonly onProgress?: ((done: number) => void) | undefined;
}
