/**
 * The journal of an open wallet: the file, where its last whole frame ends, and the calls that wait.
 * The owner holds the lock of the folder.
 */
import { join } from 'node:path';
import { errorCodeOrText } from '../../kit/error-text.js';
import { WalletStoreError, type JournalValue } from './api.js';
import { replaceFile, writeAll, writeSynced, type StoreFile, type StoreFiles } from './files.js';
import { JOURNAL_HEADER_BYTES, JournalFrames, type JournalSecret } from './frames.js';
import { JournalReader } from './journal-reader.js';
import { encodeRecords, encodeInParts } from './records.js';

/** The journal's name in the folder of the wallet. */
export const JOURNAL_NAME = 'journal';
const TEMPORARY_NAME = 'journal.new';
const CUT_NAME = /^journal\.cut-(\d{1,2})$/;
/** Files of cut ends; the last one is overwritten by later ones. */
const MAX_CUTS = 99;
/**
 * A journal with so many frames, and more frames than a quarter of its records, is packed: opening
 * costs some microseconds for each frame.
 */
const PACK_FROM_FRAMES = 4_096;
const PACK_SHARE = 4;

/** Where a journal is. */
export interface JournalPlace {
  readonly files: StoreFiles;
  readonly folder: string;
  readonly secret: JournalSecret;
}

/** Throws a `WalletStoreError` (`disk`): the file system refused. */
export function diskError(path: string, error: unknown): WalletStoreError {
  const code = errorCodeOrText(error);
  const hint =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'the disk is full: make room'
      : `the file system refuses (${code}): check the disk and the rights`;
  return new WalletStoreError('disk', `${path}: ${hint}`, undefined, { cause: error });
}

/** A `WalletStoreError` (`damaged`) for a journal. */
export function damagedJournal(path: string, what: string): WalletStoreError {
  return new WalletStoreError(
    'damaged',
    `${path}: ${what}; put a backup back, or recover the wallet from its seed words`,
  );
}

/** Fills an empty file with a new journal that holds these records. */
export async function writeJournal(
  file: StoreFile,
  secret: JournalSecret,
  records: readonly JournalValue[],
): Promise<void> {
  const frames = JournalFrames.create(secret);
  await writeAll(file, frames.header, 0);
  let position = JOURNAL_HEADER_BYTES;
  let previous = frames.firstTag;
  for (const { first, json } of encodeInParts(records)) {
    const frame = frames.seal(first, previous, json);
    // oxlint-disable-next-line no-await-in-loop -- one frame after the other
    await writeAll(file, frame.bytes, position);
    position += frame.bytes.length;
    previous = frame.tag;
  }
}

/** Opens the journal's file and reads its header. Rejects with a `WalletStoreError`. */
export async function openJournalFile(
  place: JournalPlace,
  mode: 'read' | 'write',
): Promise<{ file: StoreFile; frames: JournalFrames; reader: JournalReader }> {
  const path = join(place.folder, JOURNAL_NAME);
  const file = await place.files.open(path, mode).catch((error: unknown) => {
    if (errorCodeOrText(error) === 'ENOENT') throw damagedJournal(path, 'the file is missing');
    throw diskError(path, error);
  });
  try {
    const header = new Uint8Array(JOURNAL_HEADER_BYTES);
    const used = await file.read(header, 0);
    const frames = JournalFrames.of(place.secret, header.subarray(0, used));
    if (frames === 'damaged') {
      throw damagedJournal(path, 'its header is damaged, or of another wallet');
    }
    if (frames === 'version') {
      throw new WalletStoreError(
        'version',
        `${path}: written by a later version of this program: use that version`,
      );
    }
    return { file, frames, reader: new JournalReader(file, frames) };
  } catch (error) {
    await file.close();
    throw error instanceof WalletStoreError ? error : diskError(path, error);
  }
}

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
      else if (journal.#wantsPacking) await journal.#pack(records);
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
    this.#waiting = done.catch(() => {});
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

  get #wantsPacking(): boolean {
    return this.#count >= PACK_FROM_FRAMES && this.#count * PACK_SHARE >= this.#next;
  }

  /**
   * Replaces the file by one with the same records in few frames. The old one is there until then, and
   * stays when there is no room for the new one.
   */
  async #pack(records: readonly JournalValue[]): Promise<void> {
    const { files, folder, secret } = this.#place;
    const temporary = join(folder, TEMPORARY_NAME);
    const failed = await replaceFile(files, { path: this.#path, temporary, folder }, (file) =>
      writeJournal(file, secret, records),
    ).then(
      () => undefined,
      (error: unknown) => error ?? 'unknown',
    );
    const { file, frames, reader } = await openJournalFile(this.#place, 'write');
    if ((await file.identity()) === (await this.#file.identity())) {
      await file.close();
      return;
    }
    const next = this.#next;
    await this.#file.close();
    this.#file = file;
    this.#frames = frames;
    await reader.readOn();
    this.#end = reader.position;
    this.#next = reader.next;
    this.#previous = reader.previous;
    this.#count = reader.count;
    // The name of the new file may not survive a power cut.
    if (failed !== undefined) throw diskError(this.#path, failed);
    if (this.#next !== next)
      throw damagedJournal(this.#path, 'the packed journal has lost records');
  }
}
