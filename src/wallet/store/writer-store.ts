/** A wallet that is open to write. */
import { join } from 'node:path';
import type { InstanceLock } from '../../ops/instance-lock.js';
import { WalletStoreError, type JournalValue, type WalletSecret, type WalletStore } from './api.js';
import { writeBackup } from './backup.js';
import { readWhole, replaceFile, writeAll } from './files.js';
import { placeOf, WALLET_TEMPORARY_NAME, walletPath, type OpenFolder } from './folder.js';
import { diskError, JOURNAL_NAME } from './journal-file.js';
import { Journal } from './journal.js';
import type { WalletContent } from './wallet-content.js';
import { MAX_WALLET_FILE_BYTES, sealWalletFile } from './wallet-file.js';

class WriterStore implements WalletStore {
  readonly folder: string;
  readonly lostBytes: number;
  readonly #open: OpenFolder;
  readonly #journal: Journal;
  readonly #lock: InstanceLock;
  #content: WalletContent | undefined;
  #records: readonly JournalValue[];
  #closing: Promise<void> | undefined;

  constructor(
    open: OpenFolder,
    lock: InstanceLock,
    found: { journal: Journal; records: readonly JournalValue[]; lostBytes: number },
  ) {
    this.folder = open.folder;
    this.lostBytes = found.lostBytes;
    this.#open = open;
    this.#content = open.content;
    this.#journal = found.journal;
    this.#records = found.records;
    this.#lock = lock;
  }

  get secret(): WalletSecret {
    return this.#contentNow().secret;
  }

  get records(): readonly JournalValue[] {
    return this.#records;
  }

  #contentNow(): WalletContent {
    if (this.#content === undefined) throw new Error('the wallet is closed');
    return this.#content;
  }

  append(records: readonly JournalValue[]): Promise<void> {
    return this.#journal.append(records);
  }

  refresh(): Promise<readonly JournalValue[]> {
    return Promise.resolve([]);
  }

  async changePassword(password: string): Promise<void> {
    const { files, folder, cost } = this.#open;
    const bytes = await sealWalletFile(this.#contentNow(), password, cost);
    const path = walletPath(folder);
    const temporary = join(folder, WALLET_TEMPORARY_NAME);
    await this.#journal.whileIdle(async () => {
      try {
        await replaceFile(files, { path, temporary, folder }, (file) => writeAll(file, bytes, 0));
      } catch (error) {
        throw diskError(path, error);
      }
    });
  }

  async backup(path: string): Promise<void> {
    this.#contentNow();
    const { files, folder } = this.#open;
    await this.#journal.whileIdle(async () => {
      const wallet = await readWhole(files, walletPath(folder), MAX_WALLET_FILE_BYTES);
      if (wallet === undefined) {
        throw new WalletStoreError('damaged', `${walletPath(folder)}: another program changed it`);
      }
      const journal = await files.open(join(folder, JOURNAL_NAME), 'read');
      try {
        await writeBackup(files, path, { wallet, journal, journalLength: this.#journal.length });
      } finally {
        await journal.close();
      }
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#journal.close();
    } finally {
      this.#content?.journalKey.fill(0);
      this.#content = undefined;
      this.#records = [];
      await this.#lock.release();
    }
  }
}

/** Opens the journal to write. The lock belongs to the wallet from here on, where it resolves. */
export async function openWriter(open: OpenFolder, lock: InstanceLock): Promise<WalletStore> {
  return new WriterStore(open, lock, await Journal.open(placeOf(open)));
}
