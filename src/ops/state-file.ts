/** Small state files of a program: written atomically, not readable by other users. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from '../kit/error-text.js';

/**
 * Replaces a file atomically: after a crash it has the old content or the new one. Mode 0600; missing
 * folders get mode 0700. Rejects with the error of the file system; the old file is then unchanged.
 */
export async function writeStateFile(path: string, content: string | Uint8Array): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

/** Syncs a folder, so that new or renamed files in it survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A state file is larger than its reader allows. */
export class StateFileTooLargeError extends Error {
  override readonly name = 'StateFileTooLargeError';

  constructor(path: string, maxBytes: number) {
    super(`${path}: larger than ${maxBytes} bytes; move it away if another program wrote it`);
  }
}

/**
 * The bytes of a file of at most `maxBytes`; undefined when it does not exist. Rejects with a
 * StateFileTooLargeError or the error of the file system.
 */
export async function readStateFile(
  path: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const buffer = new Uint8Array(maxBytes + 1);
    let used = 0;
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- each read continues the one before
      const { bytesRead } = await file.read(buffer, used, buffer.length - used);
      used += bytesRead;
      if (used > maxBytes) throw new StateFileTooLargeError(path, maxBytes);
      if (bytesRead === 0) return buffer.slice(0, used);
    }
  } finally {
    await file.close();
  }
}
