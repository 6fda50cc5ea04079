/**
 * Ensures that one program at a time uses something: its owner keeps a file locked (flock(2)) that
 * names the owner. The kernel releases the lock when the owner ends, for any reason. The lock also
 * works between two containers that share the folder, whose process ids are unrelated.
 *
 * Node.js has no flock(2). The program flock(1) locks the open file that it inherits from this process,
 * and the lock stays with the open file after flock(1) has ended.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { ownMark, readMark } from '../platform/process-mark.js';

/**
 * `readLock` holds the lock for a moment. A program that starts then must wait for it instead of giving
 * up.
 */
const ATTEMPTS = 3;
const PAUSE_MS = 200;
/** The exit code of flock(1) when another process has the lock. */
const IS_HELD = 1;
/** A lock file has about 100 characters. */
const MAX_LOCK_BYTES = 500;
/** Non-blocking, because the path may be a pipe. */
const FLAGS = constants.O_NONBLOCK | constants.O_NOFOLLOW;

/** Another process has the lock, or the file is not a lock. */
export class LockedError extends Error {
  override readonly name = 'LockedError';
  constructor(
    readonly path: string,
    /**
     * Undefined when the file does not contain it, or when the number has no meaning here (another
     * container).
     */
    readonly pid: number | undefined,
  ) {
    super(`${path} is locked by ${pid === undefined ? 'another program' : `process ${pid}`}`);
  }
}

export interface InstanceLock {
  /** Releases the lock. The file stays, empty: removing it could remove another program's lock. */
  release(): Promise<void>;
}

export type LockState =
  | { readonly state: 'free' }
  /** `pid` is undefined where the owner runs in another container. */
  | { readonly state: 'held'; readonly pid: number | undefined }
  /** The file contains something other than the name of an owner. */
  | { readonly state: 'foreign' };

/**
 * Locks an open file, or reports that another process has the lock. Undefined where flock(1) cannot be
 * used.
 */
function tryToLock(file: FileHandle): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const child = spawn('flock', ['-n', '3'], {
      stdio: ['ignore', 'ignore', 'ignore', file.fd],
    });
    child.once('error', () => resolve(undefined));
    child.once('close', (code) => {
      resolve(code === 0 ? true : code === IS_HELD ? false : undefined);
    });
  });
}

async function lockFile(file: FileHandle): Promise<boolean | undefined> {
  for (let attempt = 1; ; attempt++) {
    // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
    const isLocked = await tryToLock(file);
    if (isLocked !== false || attempt === ATTEMPTS) return isLocked;
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function textOf(file: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(MAX_LOCK_BYTES);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
  return buffer.toString('utf8', 0, bytesRead);
}

interface Examined {
  readonly lock: LockState;
  /** Whether the kernel holds the lock for this process now. */
  readonly isHeld: boolean;
}

/** Whether the lock was free, and its owner if not. Takes the lock if it was free. */
async function examine(file: FileHandle): Promise<Examined> {
  const isLocked = await lockFile(file);
  return { lock: await stateOf(file, isLocked), isHeld: isLocked === true };
}

async function stateOf(file: FileHandle, isLocked: boolean | undefined): Promise<LockState> {
  const text = await textOf(file);
  const owner = await readMark(text);
  if (owner === undefined && text !== '') return { state: 'foreign' };
  const pid = owner?.isLocal === true && owner.runs ? owner.pid : undefined;
  // Without flock(1) the process id must be enough.
  const isFree = isLocked ?? pid === undefined;
  return isFree ? { state: 'free' } : { state: 'held', pid };
}

/**
 * Reads the lock of an existing file without taking it. Rejects with the error of the system when the
 * file cannot be opened.
 */
export async function readLock(path: string): Promise<LockState> {
  const file = await open(path, FLAGS | constants.O_RDONLY);
  try {
    return (await examine(file)).lock;
  } finally {
    await file.close();
  }
}

/**
 * Takes the lock. The folder must exist. Rejects with a LockedError when another process has the lock,
 * or with the error of the system.
 */
export async function lockInstance(path: string): Promise<InstanceLock> {
  const file = await open(path, FLAGS | constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    const { lock, isHeld } = await examine(file);
    if (lock.state !== 'free') {
      throw new LockedError(path, lock.state === 'held' ? lock.pid : undefined);
    }
    await file.truncate(0);
    try {
      await file.write((await ownMark()) ?? '', 0);
    } catch (error) {
      // On a full disk the kernel's lock is enough; only the owner's name is missing.
      if (!isHeld) throw error;
      await file.truncate(0);
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return {
    async release() {
      try {
        await file.truncate(0);
      } finally {
        await file.close();
      }
    },
  };
}
