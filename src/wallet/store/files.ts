/**
 * The file system as the wallet folder uses it. Every effect goes through this interface, so that the
 * tests know each write point, let it fail, and kill the program there.
 */
import { constants } from 'node:fs';
import { chmod, mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { lockInstance, type InstanceLock } from '../../ops/instance-lock.js';
import { syncFolder } from '../../ops/state-file.js';

/** An open file. All methods reject with the error of the system. */
export interface StoreFile {
  /** Resolves to the number of bytes read: fewer than the buffer holds at the end of the file only. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Resolves to the number of bytes written, which may be fewer than given. */
  write(bytes: Uint8Array, position: number): Promise<number>;
  /** Resolves when content and length are on the disk. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  /** Equal for two open files when both are the same file of the disk. */
  identity(): Promise<string>;
  close(): Promise<void>;
}

/**
 * How a file is opened: an existing one to read, or to read and write; a new or emptied one to write; or
 * a new one, where an existing one is refused (`EEXIST`).
 */
export type OpenMode = 'read' | 'write' | 'replace' | 'new';

/** Files and folders by path. All methods reject with the error of the system. */
export interface StoreFiles {
  /** Makes a folder and its parents, mode 0700, and syncs them. An existing folder gets the mode. */
  makeFolder(path: string): Promise<void>;
  /** New files have mode 0600. A symbolic link is refused. */
  open(path: string, mode: OpenMode): Promise<StoreFile>;
  rename(from: string, to: string): Promise<void>;
  /** Does nothing when the file is missing. */
  remove(path: string): Promise<void>;
  /** Resolves when the names in the folder are on the disk. */
  syncFolder(path: string): Promise<void>;
  /** The names in a folder. */
  list(path: string): Promise<readonly string[]>;
  /** Rejects with a `LockedError` when another process has the lock. */
  lock(path: string): Promise<InstanceLock>;
}

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  replace: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
  new: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};

class NodeFile implements StoreFile {
  readonly #file: FileHandle;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    let used = 0;
    while (used < buffer.length) {
      // oxlint-disable-next-line no-await-in-loop -- each read continues the one before
      const { bytesRead } = await this.#file.read(
        buffer,
        used,
        buffer.length - used,
        position + used,
      );
      if (bytesRead === 0) break;
      used += bytesRead;
    }
    return used;
  }

  async write(bytes: Uint8Array, position: number): Promise<number> {
    return (await this.#file.write(bytes, 0, bytes.length, position)).bytesWritten;
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  truncate(length: number): Promise<void> {
    return this.#file.truncate(length);
  }

  async size(): Promise<number> {
    return (await this.#file.stat()).size;
  }

  async identity(): Promise<string> {
    const { dev, ino } = await this.#file.stat({ bigint: true });
    return `${dev}:${ino}`;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** The file system of this machine. */
export const nodeFiles: StoreFiles = {
  async makeFolder(path) {
    const first = await mkdir(path, { recursive: true, mode: 0o700 });
    if (first === undefined) {
      await chmod(path, 0o700);
      return;
    }
    for (let folder = path; ; folder = dirname(folder)) {
      // oxlint-disable-next-line no-await-in-loop -- from the inside out
      await syncFolder(dirname(folder));
      if (folder === first || folder === dirname(folder)) return;
    }
  },
  async open(path, mode) {
    return new NodeFile(await open(path, FLAGS[mode] | constants.O_NOFOLLOW, 0o600));
  },
  rename,
  remove: (path) => rm(path, { force: true }),
  syncFolder,
  list: (path) => readdir(path),
  lock: lockInstance,
};

/** Writes all bytes at a place of a file. */
export async function writeAll(
  file: StoreFile,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    // oxlint-disable-next-line no-await-in-loop -- each write continues the one before
    const written = await file.write(bytes.subarray(at), position + at);
    if (written === 0) throw new Error('the file system wrote nothing');
    at += written;
  }
}

/** The bytes of a file; undefined where it has more than `maxBytes`. */
export async function readWhole(
  files: StoreFiles,
  path: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const file = await files.open(path, 'read');
  try {
    const size = await file.size();
    if (size > maxBytes) return undefined;
    const buffer = new Uint8Array(size);
    return buffer.subarray(0, await file.read(buffer, 0));
  } finally {
    await file.close();
  }
}

/** Writes a file and syncs it, but not its name: `syncFolder` does. */
export async function writeSynced(
  files: StoreFiles,
  path: string,
  mode: 'replace' | 'new',
  fill: (file: StoreFile) => Promise<void>,
): Promise<void> {
  const file = await files.open(path, mode);
  try {
    await fill(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Replaces a file atomically: after a crash it has the old content or the new one. The new content is
 * first in `temporary`, in the same folder. When it fails, the old file is unchanged.
 */
export async function replaceFile(
  files: StoreFiles,
  paths: { readonly path: string; readonly temporary: string; readonly folder: string },
  fill: (file: StoreFile) => Promise<void>,
): Promise<void> {
  try {
    await writeSynced(files, paths.temporary, 'replace', fill);
    await files.rename(paths.temporary, paths.path);
  } catch (error) {
    await files.remove(paths.temporary).catch(() => {});
    throw error;
  }
  await files.syncFolder(paths.folder);
}
