/** Makes, opens and restores the folder of a wallet: `wallet`, `journal`, and `lock` while a program writes. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { errorCode } from '../../kit/error-text.js';
import { LockedError, type InstanceLock } from '../../ops/instance-lock.js';
import { WalletStoreError, type JournalValue, type WalletSecret, type WalletStore } from './api.js';
import { openBackup } from './backup.js';
import {
  nodeFiles,
  readWhole,
  writeAll,
  writeSynced,
  type StoreFile,
  type StoreFiles,
} from './files.js';
import { WALLET_NAME, WALLET_TEMPORARY_NAME, type OpenFolder } from './folder.js';
import { diskError, JOURNAL_NAME, JOURNAL_TEMPORARY_NAME, writeJournal } from './journal-file.js';
import { openReader } from './reader-store.js';
import { encodeRecords } from './records.js';
import { isWalletSecret, type WalletContent } from './wallet-content.js';
import {
  checkPassword,
  MAX_WALLET_FILE_BYTES,
  openWalletFile,
  sealWalletFile,
  type ScryptCost,
} from './wallet-file.js';
import { openWriter } from './writer-store.js';

const LOCK_NAME = 'lock';

/** For tests: another file system, a cheaper key derivation, a journal that is packed sooner. */
export interface StoreOptions {
  readonly files?: StoreFiles | undefined;
  readonly cost?: ScryptCost | undefined;
  /** Number of frames of the journal from which it is packed. */
  readonly packFrom?: number | undefined;
}

/** What a new wallet folder holds. */
export interface NewWallet {
  readonly secret: WalletSecret;
  readonly password: string;
  /** The first records of the journal, there from the start. */
  readonly records?: readonly JournalValue[] | undefined;
}

async function namesIn(files: StoreFiles, folder: string): Promise<readonly string[]> {
  try {
    return await files.list(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw diskError(folder, error);
  }
}

function existsError(folder: string): WalletStoreError {
  return new WalletStoreError(
    'exists',
    `${folder}: there is a wallet already: choose another name`,
  );
}

async function takeLock(files: StoreFiles, folder: string): Promise<InstanceLock> {
  const path = join(folder, LOCK_NAME);
  try {
    return await files.lock(path);
  } catch (error) {
    if (!(error instanceof LockedError)) throw diskError(path, error);
    const owner = error.pid === undefined ? 'another program' : `process ${error.pid}`;
    throw new WalletStoreError(
      'locked',
      `${folder}: ${owner} uses the wallet: stop it first, or wait until it ends`,
      error.pid,
      { cause: error },
    );
  }
}

/**
 * Throws where a folder has a wallet. A journal beside `wallet.new` is a wallet that was not finished; a
 * journal alone has lost its wallet file, and nothing overwrites it.
 */
async function checkNew(files: StoreFiles, folder: string): Promise<void> {
  const names = await namesIn(files, folder);
  if (names.includes(WALLET_NAME)) throw existsError(folder);
  if (!names.includes(JOURNAL_NAME) || names.includes(WALLET_TEMPORARY_NAME)) return;
  throw new WalletStoreError(
    'exists',
    `${join(folder, JOURNAL_NAME)}: the journal of a wallet whose file is missing: move the folder away`,
  );
}

/**
 * Runs something in a folder without a wallet, under its lock, which stays where `run` resolves.
 * Rejects with a `WalletStoreError`.
 */
async function inNewFolder<T>(
  files: StoreFiles,
  folder: string,
  run: (lock: InstanceLock) => Promise<T>,
): Promise<T> {
  try {
    await files.makeFolder(folder);
  } catch (error) {
    throw diskError(folder, error);
  }
  const lock = await takeLock(files, folder);
  try {
    await checkNew(files, folder);
    return await run(lock);
  } catch (error) {
    await lock.release();
    throw error instanceof WalletStoreError ? error : diskError(folder, error);
  }
}

/**
 * Writes the files of a new wallet. The wallet file gets its name last, and only then is there a wallet.
 * Where it fails, nothing stays.
 */
async function writeFiles(
  files: StoreFiles,
  folder: string,
  wallet: Uint8Array,
  fillJournal: (file: StoreFile) => Promise<void>,
): Promise<void> {
  const temporary = join(folder, WALLET_TEMPORARY_NAME);
  const journal = join(folder, JOURNAL_NAME);
  try {
    await writeSynced(files, temporary, 'replace', (file) => writeAll(file, wallet, 0));
    await files.syncFolder(folder);
    await writeSynced(files, journal, 'replace', fillJournal);
    await files.rename(temporary, join(folder, WALLET_NAME));
  } catch (error) {
    await files.remove(journal).catch(() => {});
    await files.remove(temporary).catch(() => {});
    throw error;
  }
  await files.syncFolder(folder);
}

/**
 * Makes a wallet in a folder, which is made too (mode 0700), and opens it to write. The wallet is there
 * as a whole, or not at all. Rejects with a `WalletStoreError`: `exists`, `locked`, `password`, `disk`;
 * with a RangeError or TypeError for a secret or records that cannot be stored.
 */
export async function createWalletStore(
  folder: string,
  wallet: NewWallet,
  options: StoreOptions = {},
): Promise<WalletStore> {
  const { files = nodeFiles, cost, packFrom } = options;
  checkPassword(wallet.password);
  encodeRecords(wallet.records ?? []);
  if (!isWalletSecret(wallet.secret)) throw new RangeError('a field of the secret is out of range');
  if ((await namesIn(files, folder)).includes(WALLET_NAME)) throw existsError(folder);
  const content: WalletContent = {
    secret: { ...wallet.secret },
    id: randomBytes(16),
    journalKey: randomBytes(32),
  };
  const bytes = await sealWalletFile(content, wallet.password, cost);
  return inNewFolder(files, folder, async (lock) => {
    await writeFiles(files, folder, bytes, (file) =>
      writeJournal(file, content, [wallet.records ?? []]),
    );
    return openWriter({ files, folder, content, cost, packFrom }, lock);
  });
}

/** Removes what a killed program did not bring to its end. Nothing depends on it. */
async function removeUnfinished(files: StoreFiles, folder: string): Promise<void> {
  const names = await namesIn(files, folder);
  const unfinished = [WALLET_TEMPORARY_NAME, JOURNAL_TEMPORARY_NAME];
  for (const name of unfinished.filter((each) => names.includes(each))) {
    // oxlint-disable-next-line no-await-in-loop -- at most two
    await files.remove(join(folder, name)).catch(() => {});
  }
}

/**
 * Opens the wallet in a folder: to write, with the lock, or to read beside a program that writes.
 * Rejects with a `WalletStoreError`: `missing`, `password`, `damaged`, `version`, `locked`, `disk`.
 */
export async function openWalletStore(
  folder: string,
  password: string,
  options: StoreOptions & { readonly mode: 'read' | 'write' },
): Promise<WalletStore> {
  const { files = nodeFiles, mode } = options;
  if (!(await namesIn(files, folder)).includes(WALLET_NAME)) {
    throw new WalletStoreError('missing', `${folder}: no wallet there: check the name`);
  }
  checkPassword(password);
  if (mode === 'read') return openReader(await readFolder(files, folder, password, options));
  const lock = await takeLock(files, folder);
  try {
    await removeUnfinished(files, folder);
    return await openWriter(await readFolder(files, folder, password, options), lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function readFolder(
  files: StoreFiles,
  folder: string,
  password: string,
  { cost, packFrom }: StoreOptions,
): Promise<OpenFolder> {
  const path = join(folder, WALLET_NAME);
  const bytes = await readWhole(files, path, MAX_WALLET_FILE_BYTES).catch((error: unknown) => {
    throw diskError(path, error);
  });
  // A file that is too large has no valid header either.
  const content = await openWalletFile(bytes ?? new Uint8Array(0), password, path);
  return { files, folder, content, cost, packFrom };
}

/**
 * Makes a wallet folder from a backup. Its password is the one that the wallet had then. Rejects with a
 * `WalletStoreError`: `missing`, `damaged` or `version` (of the backup), `exists`, `locked`, `disk`.
 */
export async function restoreBackup(
  path: string,
  folder: string,
  options: StoreOptions = {},
): Promise<void> {
  const { files = nodeFiles } = options;
  const backup = await openBackup(files, path);
  try {
    const lock = await inNewFolder(files, folder, async (held) => {
      await writeFiles(files, folder, backup.wallet, async (file) => {
        let position = 0;
        for await (const piece of backup.readJournal()) {
          await writeAll(file, piece, position);
          position += piece.length;
        }
      });
      return held;
    });
    await lock.release();
  } finally {
    await backup.close();
  }
}
