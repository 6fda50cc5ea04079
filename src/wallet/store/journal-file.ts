/** The file of a journal: written as a whole, opened, and the errors of both. */
import { join } from 'node:path';
import { errorCode, errorCodeOrText } from '../../kit/error-text.js';
import { WalletStoreError, type JournalValue } from './api.js';
import { writeAll, type StoreFile, type StoreFiles } from './files.js';
import { JOURNAL_HEADER_BYTES, JournalFrames, type JournalSecret } from './frames.js';
import { JournalReader } from './journal-reader.js';
import { RecordPacker } from './records.js';

/** The journal's name in the folder of the wallet. */
export const JOURNAL_NAME = 'journal';
/** Its successor, until it is whole. */
export const JOURNAL_TEMPORARY_NAME = 'journal.new';

/** Where a journal is. */
export interface JournalPlace {
  readonly files: StoreFiles;
  readonly folder: string;
  readonly secret: JournalSecret;
  /** Number of frames from which it is packed; undefined: 4,096. */
  readonly packFrom?: number | undefined;
}

/** A `WalletStoreError` (`disk`): the file system refused. */
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

/** Fills an empty file with a new journal: these records, in few frames. */
export async function writeJournal(
  file: StoreFile,
  secret: JournalSecret,
  records: Iterable<readonly JournalValue[]> | AsyncIterable<readonly JournalValue[]>,
): Promise<void> {
  const frames = JournalFrames.create(secret);
  const packer = new RecordPacker();
  let position = 0;
  let previous = frames.firstTag;
  const add = async (bytes: Uint8Array): Promise<void> => {
    await writeAll(file, bytes, position);
    position += bytes.length;
  };
  const addFrames = async (isLast: boolean): Promise<void> => {
    for (let part = packer.take(isLast); part !== undefined; part = packer.take(isLast)) {
      const frame = frames.seal(part.first, previous, part.json);
      previous = frame.tag;
      // oxlint-disable-next-line no-await-in-loop -- one frame after the other
      await add(frame.bytes);
    }
  };
  await add(frames.header);
  for await (const group of records) {
    packer.add(group);
    await addFrames(false);
  }
  await addFrames(true);
}

/** Opens the journal's file and reads its header. Rejects with a `WalletStoreError`. */
export async function openJournalFile(
  place: JournalPlace,
  mode: 'read' | 'write',
): Promise<{ file: StoreFile; frames: JournalFrames; reader: JournalReader }> {
  const path = join(place.folder, JOURNAL_NAME);
  const file = await place.files.open(path, mode).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') throw damagedJournal(path, 'the file is missing');
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
