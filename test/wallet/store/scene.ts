/** A wallet on a simulated disk, for the tests of the store. */
import type {
  JournalValue,
  WalletSecret,
  WalletStore,
  WalletStoreFault,
} from '../../../src/wallet/store/api.js';
import { WalletStoreError } from '../../../src/wallet/store/api.js';
import type { StoreFiles } from '../../../src/wallet/store/files.js';
import { createWalletStore, openWalletStore } from '../../../src/wallet/store/store.js';

/** A wallet of the tests. */
export const SECRET: WalletSecret = {
  network: 'regtest',
  entropy: '00'.repeat(16),
  kind: 'native',
  mixdepths: 5,
  fingerprint: '73c5da0a',
  hasPassphrase: false,
  birthHeight: 0,
  created: 1_790_000_000,
};

export const PASSWORD = 'correct horse';
/** Cheap, so that a test can open a wallet thousands of times. */
export const COST = { log2N: 1, r: 1, p: 1 } as const;
export const FOLDER = '/wallets/main';

/** Makes a wallet and closes it. */
export async function makeWallet(
  files: StoreFiles,
  groups: readonly (readonly JournalValue[])[] = [],
  folder: string = FOLDER,
): Promise<void> {
  const wallet = { secret: SECRET, password: PASSWORD };
  const store = await createWalletStore(folder, wallet, { files, cost: COST });
  // oxlint-disable-next-line no-await-in-loop -- one group after the other
  for (const group of groups) await store.append(group);
  await store.close();
}

export function openWallet(
  files: StoreFiles,
  mode: 'read' | 'write' = 'write',
  folder: string = FOLDER,
  packFrom?: number,
): Promise<WalletStore> {
  return openWalletStore(folder, PASSWORD, { files, mode, cost: COST, packFrom });
}

/** The records of a closed wallet. */
export async function recordsOf(files: StoreFiles): Promise<readonly JournalValue[]> {
  const store = await openWallet(files);
  const { records } = store;
  await store.close();
  return records;
}

/** Why a call was refused; undefined when it was not. Another error is thrown again. */
export async function faultOf(call: Promise<unknown>): Promise<WalletStoreFault | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof WalletStoreError) return error.fault;
    throw error;
  }
}
