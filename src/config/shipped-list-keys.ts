import type { Network } from '../protocol/constants.js';

/**
 * The fingerprint of the key set that signs lists of directories, by network (docs/directory-lists.md, section
 * 3). Empty: nobody signs lists for this network yet, and only a key set that the user pins counts.
 */
export const SHIPPED_LIST_KEYS: Readonly<Record<Network, string>> = {
  mainnet: '',
  testnet: '',
  signet: '',
  regtest: '',
};
