/**
 * The file of used PoDLE commitments (`cmtdata/commitmentlist`, docs/protocol.md, section 10.5): one
 * per line, lower-case hex. The file is only appended to, so a crash damages at most the last line.
 * Files of the original and of joinmarket-ng are read too.
 */
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from './state-file.js';

const READ_BYTES = 65_536;
/** Longer lines are not commitments; the rest of such a line is skipped. */
const MAX_LINE = 256;

/** An open file of used commitments; a `CommitmentStore`. */
export interface CommitmentFile {
  /** In any form: upper or lower case, with or without a leading `P` and blanks around. */
  has(commitment: string): boolean;
  /**
   * Resolves to whether it was new, after it was synced to disk. Rejects with the error of the file
   * system (the commitment is still remembered, and written with the next one), or with a RangeError
   * for text that is not a commitment.
   */
  add(commitment: string): Promise<boolean>;
  /** Number of commitments. */
  readonly size: number;
  /** Lines that were not commitments when the file was opened, for example damaged ones. */
  readonly ignoredLines: number;
  /** Writes the rest and closes. */
  close(): Promise<void>;
}

/** 64 lower-case hex digits; undefined for text that is not a commitment. */
export function canonicalCommitment(text: string): string | undefined {
  const match = /^\s*P?([0-9a-fA-F]{64})\s*$/.exec(text);
  return match?.[1]?.toLowerCase();
}

interface Contents {
  readonly known: Set<string>;
  readonly ignored: number;
  /** Whether the last line has no line feed, so that the next write must begin with one. */
  readonly torn: boolean;
}

async function readAll(file: FileHandle): Promise<Contents> {
  const known = new Set<string>();
  let ignored = 0;
  let rest = '';
  const take = (line: string): void => {
    if (line.trim() === '') return;
    const commitment = canonicalCommitment(line);
    if (commitment === undefined) ignored += 1;
    else known.add(commitment);
  };
  const buffer = new Uint8Array(READ_BYTES);
  for (let at = 0; ;) {
    // oxlint-disable-next-line no-await-in-loop -- each read continues the one before
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    at += bytesRead;
    const lines = (rest + Buffer.from(buffer.subarray(0, bytesRead)).toString('latin1')).split(
      '\n',
    );
    rest = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) take(line);
  }
  take(rest);
  return { known, ignored, torn: rest !== '' };
}

/**
 * Opens the file; creates it with mode 0600 (folders 0700) if it is missing. Rejects with the error of
 * the file system.
 */
export async function openCommitmentFile(path: string): Promise<CommitmentFile> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, 'a+', 0o600);
  let contents: Contents;
  try {
    contents = await readAll(file);
    // The folder is synced too, otherwise a power cut could lose the new file's name.
    await syncFolder(dirname(path));
  } catch (error) {
    await file.close();
    throw error;
  }
  const { known, ignored } = contents;
  let { torn } = contents;
  let unwritten: string[] = [];
  let writing: Promise<void> = Promise.resolve();
  let closed: Promise<void> | undefined;

  /** All waiting lines, in one write and one sync. */
  async function write(): Promise<void> {
    const lines = unwritten;
    if (lines.length === 0) return;
    unwritten = [];
    try {
      const text = lines.map((line) => `${line}\n`).join('');
      await file.appendFile(torn ? `\n${text}` : text, 'latin1');
      await file.datasync();
      torn = false;
    } catch (error) {
      // A part may have been written, cut anywhere.
      torn = true;
      unwritten = [...lines, ...unwritten];
      throw error;
    }
  }

  return {
    has(text) {
      const commitment = canonicalCommitment(text);
      return commitment !== undefined && known.has(commitment);
    },
    async add(text) {
      const commitment = canonicalCommitment(text);
      if (commitment === undefined) throw new RangeError('a commitment has 64 hex digits');
      const isNew = !known.has(commitment);
      if (isNew) {
        known.add(commitment);
        unwritten.push(commitment);
      }
      // Also for a known commitment: it may not be written yet.
      writing = writing.catch(() => {}).then(write);
      await writing;
      return isNew;
    },
    get size() {
      return known.size;
    },
    ignoredLines: ignored,
    close() {
      closed ??= (async () => {
        try {
          await writing.catch(() => {});
          await write();
        } finally {
          await file.close();
        }
      })();
      return closed;
    },
  };
}
