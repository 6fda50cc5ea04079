/** What `create`, `recover` and `import` share: the folder of a wallet that does not exist yet. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadSettings, peekSettings, type Settings } from '../../config/settings.js';
import type { Network } from '../../protocol/constants.js';
import { WalletStoreError } from '../../wallet/store/api.js';
import { WALLET_NAME } from '../../wallet/store/folder.js';
import { printNote } from '../print.js';
import { networkOf } from './chain.js';
import { walletFolder, type FolderOptions } from './session.js';

/** A place for a new wallet. */
export interface NewFolder {
  readonly folder: string;
  readonly settings: Settings;
  readonly network: Network;
}

/** The network of a new wallet is that of the settings, so their file must be what the person means. */
export const MAINNET_NOTICE =
  'This is a wallet for real bitcoin (mainnet), in software that is new and has no review from outside.\n' +
  'It receives coins and shows them. It spends them only when a command has the option\n' +
  '--mainnet-i-accept-the-risk. The option means: a fault of this program may lose the coins, and you\n' +
  'accept that. To try it without risk, set network = signet in [BLOCKCHAIN] of joinmarket.cfg.';

/** Settings and folder for a wallet with this name. Writes nothing. Rejects when there is one already. */
export async function newFolder(name: string, options: FolderOptions): Promise<NewFolder> {
  const { settings, notices } = await peekSettings({ role: 'wallet', datadir: options.datadir });
  for (const notice of notices) printNote(`warning: ${notice}`);
  const folder = walletFolder(name, options.datadir);
  const exists = await stat(join(folder, WALLET_NAME)).then(
    () => true,
    () => false,
  );
  if (exists) {
    throw new WalletStoreError(
      'exists',
      `${folder}: there is a wallet already: choose another name`,
    );
  }
  const network = networkOf(settings);
  if (network === 'mainnet') printNote(MAINNET_NOTICE);
  return { folder, settings, network };
}

/** Writes the default configuration where there is none, as every first start does. */
export async function ensureConfig({ datadir }: FolderOptions): Promise<void> {
  const { settings, createdConfig } = await loadSettings({ role: 'wallet', datadir });
  if (createdConfig) printNote(`wrote the default configuration to ${settings.configFile}`);
}
