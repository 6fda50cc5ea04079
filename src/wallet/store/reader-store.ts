/** A wallet that is open to read, beside a program that writes. It changes nothing in the folder. */
import { join } from 'node:path';
import { WalletStoreError, type JournalValue, type WalletSecret, type WalletStore } from './api.js';
import { writeBackup } from './backup.js';
import { readWhole, type StoreFile } from './files.js';
import { placeOf, walletPath, type OpenFolder } from './folder.js';
import { damagedJournal, diskError, JOURNAL_NAME, openJournalFile } from './journal-file.js';
import type { JournalReader } from './journal-reader.js';
import type { WalletContent } from './wallet-content.js';
import { MAX_WALLET_FILE_BYTES } from './wallet-file.js';

/** A frame that is just being written can look damaged: it is read again. */
const ATTEMPTS = 5;
const PAUSE_MS = 20;

interface OpenJournal {
  readonly file: StoreFile;
  readonly reader: JournalReader;
}

/** All whole frames that are not read yet. */
async function readAll(path: string, { reader }: OpenJournal): Promise<JournalValue[]> {
  const found: JournalValue[] = [];
  for (let attempt = 1; ; attempt++) {
    // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
    for (const record of await reader.readOn()) found.push(record);
    // oxlint-disable-next-line no-await-in-loop
    if ((await reader.rest()) !== 'damaged') return found;
    if (attempt === ATTEMPTS) {
      throw damagedJournal(
        path,
        `damaged at byte ${reader.position}, after ${reader.next} records`,
      );
    }
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

class ReaderStore implements WalletStore {
  readonly folder: string;
  readonly lostBytes = 0;
  readonly #open: OpenFolder;
  readonly #path: string;
  #journal: OpenJournal;
  #content: WalletContent | undefined;
  #records: readonly JournalValue[];
  #waiting: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(open: OpenFolder, journal: OpenJournal, records: readonly JournalValue[]) {
    this.folder = open.folder;
    this.#open = open;
    this.#path = join(open.folder, JOURNAL_NAME);
    this.#content = open.content;
    this.#journal = journal;
    this.#records = records;
  }

  get secret(): WalletSecret {
    if (this.#content === undefined) throw new Error('the wallet is closed');
    return this.#content.secret;
  }

  get records(): readonly JournalValue[] {
    return this.#records;
  }

  append(): Promise<void> {
    return Promise.reject(new Error('the wallet is open to read only'));
  }

  changePassword(): Promise<void> {
    return Promise.reject(new Error('the wallet is open to read only'));
  }

  #next<T>(run: () => Promise<T>): Promise<T> {
    if (this.#content === undefined) return Promise.reject(new Error('the wallet is closed'));
    const done = this.#waiting.then(run);
    this.#waiting = done.catch(() => {});
    return done;
  }

  refresh(): Promise<readonly JournalValue[]> {
    return this.#next(async () => {
      try {
        return await this.#refresh();
      } catch (error) {
        throw error instanceof WalletStoreError ? error : diskError(this.#path, error);
      }
    });
  }

  async #refresh(): Promise<readonly JournalValue[]> {
    const found = await openJournalFile(placeOf(this.#open), 'read');
    const known = this.#journal.reader.next;
    if ((await found.file.identity()) === (await this.#journal.file.identity())) {
      await found.file.close();
      if (!(await this.#journal.reader.isCurrent())) {
        throw damagedJournal(
          this.#path,
          'its last record was taken back by the writer; open again',
        );
      }
      return readAll(this.#path, this.#journal);
    }
    // The writer packed the journal: the same records, with the same numbers, in another file.
    await this.#journal.file.close();
    this.#journal = found;
    const records = await readAll(this.#path, found);
    if (records.length < known)
      throw damagedJournal(this.#path, 'it has fewer records than before');
    return records.slice(known);
  }

  backup(path: string): Promise<void> {
    return this.#next(async () => {
      const { files, folder } = this.#open;
      const wallet = await readWhole(files, walletPath(folder), MAX_WALLET_FILE_BYTES);
      if (wallet === undefined) {
        throw new WalletStoreError('damaged', `${walletPath(folder)}: another program changed it`);
      }
      const { file, reader } = await openJournalFile(placeOf(this.#open), 'read');
      try {
        await readAll(this.#path, { file, reader });
        await writeBackup(files, path, { wallet, journal: file, journalLength: reader.position });
      } finally {
        await file.close();
      }
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { content } = this.#open;
    this.#content = undefined;
    await this.#waiting;
    content.journalKey.fill(0);
    this.#records = [];
    await this.#journal.file.close();
  }
}

/** Opens the journal to read. Rejects with a `WalletStoreError`. */
export async function openReader(open: OpenFolder): Promise<WalletStore> {
  const { file, reader } = await openJournalFile(placeOf(open), 'read');
  const path = join(open.folder, JOURNAL_NAME);
  try {
    return new ReaderStore(open, { file, reader }, await readAll(path, { file, reader }));
  } catch (error) {
    await file.close();
    throw error instanceof WalletStoreError ? error : diskError(path, error);
  }
}
