/** What the open wallets of both modes share. */
import { join } from 'node:path';
import type { StoreFiles } from './files.js';
import type { JournalPlace } from './journal-file.js';
import type { WalletContent } from './wallet-content.js';
import type { ScryptCost } from './wallet-file.js';

/** The name of the wallet file in its folder. */
export const WALLET_NAME = 'wallet';
/** Its successor, until it is whole. */
export const WALLET_TEMPORARY_NAME = 'wallet.new';

/** A folder whose wallet file was decrypted. */
export interface OpenFolder {
  readonly files: StoreFiles;
  readonly folder: string;
  readonly content: WalletContent;
  /** For the next wallet file. */
  readonly cost: ScryptCost | undefined;
  /** For tests: see `StoreOptions`. */
  readonly packFrom: number | undefined;
}

export function placeOf({ files, folder, content, packFrom }: OpenFolder): JournalPlace {
  return { files, folder, secret: content, packFrom };
}

export function walletPath(folder: string): string {
  return join(folder, WALLET_NAME);
}
