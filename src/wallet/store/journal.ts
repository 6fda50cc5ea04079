/**
 * The journal of an open wallet: the file, where its last whole frame ends, and the calls that wait.
 * The owner holds the lock of the folder.
 */
import { join } from 'node:path';
import { WalletStoreError, type JournalValue } from './api.js';
import { replaceFile, writeAll, writeSynced, type StoreFile } from './files.js';
import type { JournalFrames } from './frames.js';
import {
  damagedJournal,
  diskError,
  JOURNAL_NAME,
  JOURNAL_TEMPORARY_NAME,
  openJournalFile,
  writeJournal,
  type JournalPlace,
} from './journal-file.js';
import type { JournalReader } from './journal-reader.js';
import { encodeRecords } from './records.js';

const CUT_NAME = /^journal\.cut-(\d{1,2})$/;
/** Files of cut ends; the last one is overwritten by later ones. */
const MAX_CUTS = 99;
/**
 * A journal with so many frames, and more frames than a quarter of its records, is packed: opening
 * costs 20 microseconds for each frame.
 */
const PACK_FROM_FRAMES = 4_096;
const PACK_SHARE = 4;

export class Journal {
  readonly #place: JournalPlace;
  readonly #path: string;
  #file: StoreFile;
  #frames: JournalFrames;
  /** Where the last whole frame ends. */
  #end: number;
  #next: number;
  #previous: Uint8Array;
  #count: number;
  /** Not packed before the journal has so many frames. */
  #packFrom: number;
  /** Whether the file was replaced, and its name is perhaps not on the disk. */
  #hasNewName = false;
  /**
   * Bytes behind `#end`, which are removed before anything is added: of a failed call of this object, or
   * found at the opening.
   */
  #rest: 'none' | 'own' | 'found';
  #waiting: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** Opens the journal to write. Rejects with a `WalletStoreError`. */
  static async open(
    place: JournalPlace,
  ): Promise<{ journal: Journal; records: JournalValue[]; lostBytes: number }> {
    const path = join(place.folder, JOURNAL_NAME);
    const { file, frames, reader } = await openJournalFile(place, 'write');
    let journal: Journal | undefined;
    try {
      const records = await reader.readOn();
      const rest = await reader.rest();
      if (rest === 'damaged') {
        throw damagedJournal(
          path,
          `damaged at byte ${reader.position}, after ${reader.next} records`,
        );
      }
      const lostBytes = (await file.size()) - reader.position;
      journal = new Journal(place, file, frames, reader, rest === 'torn' ? 'found' : 'none');
      // On a full disk neither can be done, and the wallet opens all the same.
      if (rest === 'torn') await journal.#cut().catch(() => {});
      else if (journal.#wantsPacking) await journal.#pack();
      return { journal, records, lostBytes };
    } catch (error) {
      await (journal === undefined ? file.close() : journal.close());
      throw error instanceof WalletStoreError ? error : diskError(path, error);
    }
  }

  private constructor(
    place: JournalPlace,
    file: StoreFile,
    frames: JournalFrames,
    reader: JournalReader,
    rest: 'none' | 'found',
  ) {
    this.#place = place;
    this.#path = join(place.folder, JOURNAL_NAME);
    this.#file = file;
    this.#frames = frames;
    this.#end = reader.position;
    this.#next = reader.next;
    this.#previous = reader.previous;
    this.#count = reader.count;
    this.#rest = rest;
    this.#packFrom = this.#packStep;
  }

  /**
   * Adds records, all or none; resolves after the sync. Rejects with a `WalletStoreError` (`disk`), and
   * with a TypeError or RangeError for what is not a record.
   */
  append(records: readonly JournalValue[]): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Error('the wallet is closed'));
    // Encoded now: the caller may change the objects afterwards.
    const json = encodeRecords(records);
    const done = this.#waiting.then(() => this.#append(json, records.length));
    // The next call waits for the packing, this one does not.
    this.#waiting = done
      .then(() => (this.#wantsPacking ? this.#pack() : undefined))
      .catch(() => {});
    return done;
  }

  /** Runs something between two calls of `append`. */
  whileIdle<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#waiting.then(run);
    this.#waiting = done.then(() => undefined).catch(() => {});
    return done;
  }

  /** Length of the part that holds whole frames. */
  get length(): number {
    return this.#end;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#waiting;
    await this.#file.close();
  }

  async #append(json: Uint8Array, count: number): Promise<void> {
    if (count === 0) return;
    const frame = this.#frames.seal(this.#next, this.#previous, json);
    try {
      if (this.#rest === 'found') await this.#cut();
      if (this.#rest === 'own') await this.#removeRest();
      if (this.#hasNewName) await this.#syncName();
      this.#rest = 'own';
      await writeAll(this.#file, frame.bytes, this.#end);
      await this.#file.sync();
    } catch (error) {
      if (this.#rest === 'own') await this.#removeRest().catch(() => {});
      throw diskError(this.#path, error);
    }
    this.#rest = 'none';
    this.#end += frame.bytes.length;
    this.#previous = frame.tag;
    this.#next += count;
    this.#count += 1;
  }

  async #removeRest(): Promise<void> {
    await this.#file.truncate(this.#end);
    await this.#file.sync();
    this.#rest = 'none';
  }

  /** Keeps the bytes behind the last whole frame in a file of their own, and removes them. */
  async #cut(): Promise<void> {
    const { files, folder } = this.#place;
    const rest = new Uint8Array((await this.#file.size()) - this.#end);
    const used = await this.#file.read(rest, this.#end);
    const taken = (await files.list(folder)).map((name) => Number(CUT_NAME.exec(name)?.[1] ?? 0));
    const number = Math.min(MAX_CUTS, Math.max(0, ...taken) + 1);
    const path = join(folder, `${JOURNAL_NAME}.cut-${number}`);
    await writeSynced(files, path, 'replace', (file) => writeAll(file, rest.subarray(0, used), 0));
    await files.syncFolder(folder);
    await this.#removeRest();
  }

  get #packStep(): number {
    return this.#place.packFrom ?? PACK_FROM_FRAMES;
  }

  get #wantsPacking(): boolean {
    return this.#count >= this.#packFrom && this.#count * PACK_SHARE >= this.#next;
  }

  async #syncName(): Promise<void> {
    await this.#place.files.syncFolder(this.#place.folder);
    this.#hasNewName = false;
  }

  /**
   * Replaces the file by one with the same records in few frames. The old one is there until then, and
   * stays when there is no room for the new one.
   */
  async #pack(): Promise<void> {
    const { files, folder, secret } = this.#place;
    const temporary = join(folder, JOURNAL_TEMPORARY_NAME);
    this.#packFrom = this.#count + this.#packStep;
    const old = await openJournalFile(this.#place, 'read');
    try {
      await replaceFile(files, { path: this.#path, temporary, folder }, (file) =>
        writeJournal(file, secret, old.reader.groups()),
      );
    } catch {
      // The file of the path decides below.
      this.#hasNewName = true;
    } finally {
      await old.file.close();
    }
    await this.#openAgain();
  }

  /** Goes on in the file that has the journal's name now. */
  async #openAgain(): Promise<void> {
    const { file, frames, reader } = await openJournalFile(this.#place, 'write');
    if ((await file.identity()) === (await this.#file.identity())) {
      this.#hasNewName = false;
      await file.close();
      return;
    }
    await this.#file.close();
    this.#file = file;
    const next = this.#next;
    for await (const group of reader.groups()) void group;
    this.#frames = frames;
    this.#end = reader.position;
    this.#next = reader.next;
    this.#previous = reader.previous;
    this.#count = reader.count;
    this.#packFrom = this.#packStep;
    if (this.#next !== next)
      throw damagedJournal(this.#path, 'the packed journal has lost records');
  }
}
