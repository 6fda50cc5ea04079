/**
 * A backup: the wallet file and the journal in one file, as they are, so it opens with the password
 * that the wallet had then. A header of 32 bytes, both files, and a SHA-256 of all of it.
 *
 * | bytes | field                                     |
 * | ----- | ----------------------------------------- |
 * | 0-7   | `OMCBACKU`                                |
 * | 8     | version, 1                                |
 * | 9-11  | 0                                         |
 * | 12-15 | length of the wallet file, big-endian     |
 * | 16-23 | length of the journal, big-endian         |
 * | 24-31 | 0                                         |
 */
import { createHash, randomBytes } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { errorCode } from '../../kit/error-text.js';
import { WalletStoreError } from './api.js';
import { writeAll, writeSynced, type StoreFile, type StoreFiles } from './files.js';
import { JOURNAL_HEADER_BYTES } from './frames.js';
import { diskError } from './journal-file.js';
import { checkWalletFile, MAX_WALLET_FILE_BYTES } from './wallet-file.js';

const MAGIC = Buffer.from('OMCBACKU', 'latin1');
const VERSION = 1;
const VERSION_AT = 8;
const WALLET_LENGTH_AT = 12;
const JOURNAL_LENGTH_AT = 16;
const HEADER_BYTES = 32;
const DIGEST_BYTES = 32;
const CHUNK_BYTES = 1_048_576;

/** Whether a file begins as a backup of this program does. */
export function isBackup(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, MAGIC.length)).equals(MAGIC);
}

/** Pieces of a part of a file; each is valid until the next one. */
async function* piecesOf(
  file: StoreFile,
  from: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(length, CHUNK_BYTES));
  for (let at = 0; at < length;) {
    // oxlint-disable-next-line no-await-in-loop -- each read continues the one before
    const used = await file.read(buffer.subarray(0, length - at), from + at);
    if (used === 0) throw new Error('the file ends too early');
    at += used;
    yield buffer.subarray(0, used);
  }
}

/** The digest of the first bytes of a file. */
async function digestOf(file: StoreFile, length: number): Promise<Buffer> {
  const hash = createHash('sha256');
  for await (const piece of piecesOf(file, 0, length)) hash.update(piece);
  return hash.digest();
}

/** What a backup is made of. */
export interface BackupSource {
  /** The bytes of the wallet file. */
  readonly wallet: Uint8Array;
  readonly journal: StoreFile;
  /** How much of the journal belongs to it. */
  readonly journalLength: number;
}

async function fillBackup(file: StoreFile, source: BackupSource): Promise<void> {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt8(VERSION, VERSION_AT);
  header.writeUInt32BE(source.wallet.length, WALLET_LENGTH_AT);
  header.writeBigUInt64BE(BigInt(source.journalLength), JOURNAL_LENGTH_AT);
  const hash = createHash('sha256');
  let position = 0;
  const add = async (bytes: Uint8Array): Promise<void> => {
    hash.update(bytes);
    await writeAll(file, bytes, position);
    position += bytes.length;
  };
  await add(header);
  await add(source.wallet);
  for await (const piece of piecesOf(source.journal, 0, source.journalLength)) await add(piece);
  const digest = hash.digest();
  await writeAll(file, digest, position);
  await file.sync();
  // Read again from the file: a backup that cannot be read is none.
  if (!(await digestOf(file, position)).equals(digest)) {
    throw new Error('the file has other bytes than were written');
  }
}

/**
 * Writes a backup to a new file, mode 0600. Rejects with a `WalletStoreError`: `exists`, or `disk`; the
 * file is then not there.
 */
export async function writeBackup(
  files: StoreFiles,
  path: string,
  source: BackupSource,
): Promise<void> {
  const target = resolve(path);
  const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`;
  const found = await files.open(target, 'read').then(
    async (file) => {
      await file.close();
      return true;
    },
    (error: unknown) => errorCode(error) !== 'ENOENT',
  );
  if (found)
    throw new WalletStoreError('exists', `${path}: there is a file already: name a new one`);
  try {
    await writeSynced(files, temporary, 'new', (file) => fillBackup(file, source));
    await files.rename(temporary, target);
    await files.syncFolder(dirname(target));
  } catch (error) {
    await files.remove(temporary).catch(() => {});
    throw diskError(path, error);
  }
}

function damaged(path: string, what: string): WalletStoreError {
  return new WalletStoreError('damaged', `${path}: ${what}; use another backup`);
}

/** The content of a backup, checked. `readJournal` gives the journal's bytes in pieces. */
export interface OpenBackup {
  readonly wallet: Uint8Array;
  readJournal(): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

async function readBackup(file: StoreFile, path: string): Promise<OpenBackup> {
  const header = Buffer.alloc(HEADER_BYTES);
  const used = await file.read(header, 0);
  if (!isBackup(header)) throw damaged(path, 'no backup of a wallet of this program');
  if (header.readUInt8(VERSION_AT) > VERSION) {
    throw new WalletStoreError(
      'version',
      `${path}: written by a later version of this program: use that version`,
    );
  }
  const walletLength = header.readUInt32BE(WALLET_LENGTH_AT);
  const journalLength = Number(header.readBigUInt64BE(JOURNAL_LENGTH_AT));
  const size = HEADER_BYTES + walletLength + journalLength;
  if (
    used < HEADER_BYTES ||
    walletLength > MAX_WALLET_FILE_BYTES ||
    journalLength < JOURNAL_HEADER_BYTES ||
    (await file.size()) !== size + DIGEST_BYTES
  ) {
    throw damaged(path, 'damaged or cut off');
  }
  const digest = new Uint8Array(DIGEST_BYTES);
  await file.read(digest, size);
  if (!(await digestOf(file, size)).equals(digest)) throw damaged(path, 'damaged');
  const wallet = new Uint8Array(walletLength);
  await file.read(wallet, HEADER_BYTES);
  checkWalletFile(wallet, path);
  return {
    wallet,
    readJournal: () => piecesOf(file, HEADER_BYTES + walletLength, journalLength),
    close: () => file.close(),
  };
}

/**
 * Opens a backup and checks that it is whole. Rejects with a `WalletStoreError`: `missing`, `damaged`,
 * `version` or `disk`.
 */
export async function openBackup(files: StoreFiles, path: string): Promise<OpenBackup> {
  const file = await files.open(path, 'read').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT')
      throw new WalletStoreError('missing', `${path}: no such file`);
    throw diskError(path, error);
  });
  try {
    return await readBackup(file, path);
  } catch (error) {
    await file.close();
    throw error instanceof WalletStoreError ? error : diskError(path, error);
  }
}
