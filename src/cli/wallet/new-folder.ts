/** What `create`, `recover` and `import` share: the folder of a wallet that does not exist yet. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadSettings, peekSettings, type Settings } from '../../config/settings.js';
import type { Network } from '../../protocol/constants.js';
import { WalletStoreError } from '../../wallet/store/api.js';
import { WALLET_NAME } from '../../wallet/store/folder.js';
import { printNote } from '../print.js';
import { networkOf } from './chain.js';
import { MAINNET_NOTICE } from './mainnet.js';
import { walletFolder, type FolderOptions } from './session.js';

/** A place for a new wallet. */
export interface NewFolder {
  readonly folder: string;
  readonly settings: Settings;
  readonly network: Network;
}

/** Settings and folder for a wallet with this name. Writes nothing. Rejects when there is one already. */
export async function newFolder(name: string, options: FolderOptions): Promise<NewFolder> {
  const { settings } = await peekSettings({ role: 'wallet', datadir: options.datadir });
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
  return { folder, settings, network: networkOf(settings) };
}

/** The first start on mainnet says what the word for spending means. */
export function noteMainnet(network: Network): void {
  if (network === 'mainnet') printNote(MAINNET_NOTICE);
}

/** Writes the default configuration where there is none, as every first start does. */
export async function ensureConfig({ datadir }: FolderOptions): Promise<void> {
  const { settings, createdConfig } = await loadSettings({ role: 'wallet', datadir });
  if (createdConfig) printNote(`wrote the default configuration to ${settings.configFile}`);
}
