/**
 * One program at a time on something: a lock file that names its owner. The lock of a process that was
 * killed is taken over; a lock of a running one is not.
 */
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { ownMark, readMark } from '../handover/process-mark.js';

/** Several programs may find the same abandoned lock at once; one of them gets it. */
const ATTEMPTS = 20;

/** Somebody else has it. */
export class LockedError extends Error {
  override readonly name = 'LockedError';
  constructor(
    readonly path: string,
    /** Undefined when the lock does not say. */
    readonly pid: number | undefined,
  ) {
    super(`${path} is locked by ${pid === undefined ? 'another program' : `process ${pid}`}`);
  }
}

export interface InstanceLock {
  /** Gives it back. */
  release(): Promise<void>;
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;

/** Puts the lock of a process that runs no more aside. Rejects with a LockedError when it runs. */
async function clearAbandoned(path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return;
  const owner = await readMark(text);
  // A lock is written whole before it gets its name: an empty one is what a power cut left.
  if (text !== '' && (owner === undefined || owner.runs)) throw new LockedError(path, owner?.pid);
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    // Between reading and renaming another program may have replaced it by its own.
    if ((await readFile(aside, 'utf8')) !== text) await link(aside, path).catch(() => {});
  } finally {
    await rm(aside, { force: true });
  }
}

/**
 * Takes the lock; the folder exists. Rejects with a LockedError when another process has it, or with the
 * error of the system.
 */
export async function lockInstance(path: string): Promise<InstanceLock> {
  const mark = await ownMark();
  // Without /proc nobody could tell a living owner from a dead one.
  if (mark === undefined) return { release: () => Promise.resolve() };
  const own = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(own, mark, { mode: 0o600, flag: 'wx' });
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
        await link(own, path);
        break;
      } catch (error) {
        if (codeOf(error) !== 'EEXIST' || attempt === ATTEMPTS) throw error;
        // oxlint-disable-next-line no-await-in-loop
        await clearAbandoned(path);
      }
    }
  } finally {
    await rm(own, { force: true });
  }
  return {
    async release() {
      const text = await readFile(path, 'utf8').catch(() => '');
      if (text === mark) await rm(path, { force: true });
    },
  };
}
