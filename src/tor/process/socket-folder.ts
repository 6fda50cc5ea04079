/** The folder of the unix sockets of a managed Tor: where it can be, and how long it stays. */
import { rmSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_SOCKET_PATH_BYTES } from '../../kit/socket-path.js';
import {
  makeTemporaryFolder,
  ownTemporaryFolder,
  sweepTemporaryFolders,
} from './temporary-folder.js';

const RUN_PREFIX = 'run-';
export const TEMPORARY_PREFIX = `onionmc-${RUN_PREFIX}`;
export const SOCKS_SOCKET = 'socks.sock';
export const CONTROL_SOCKET = 'control.sock';

/**
 * Whether a folder whose name begins like this can contain sockets that torrc and ADD_ONION can name.
 */
function takesSockets(prefix: string): boolean {
  const fits = Buffer.byteLength(join(`${prefix}XXXXXX`, CONTROL_SOCKET)) <= MAX_SOCKET_PATH_BYTES;
  return fits && !/[\s#"\\]/.test(prefix);
}

/** Parent of the folder of our sockets when that cannot be in the data folder. */
export function temporaryBase(): string {
  return takesSockets(join(tmpdir(), TEMPORARY_PREFIX)) ? tmpdir() : '/tmp';
}

export interface SocketFolder {
  readonly path: string;
  /** Removes leftovers of crashed runs; only while our Tor has the lock of the data folder. */
  removeOthers(): Promise<void>;
  /** Whether the end of this process, however slow its Tor is to end, takes the folder away. */
  endWithProcess(does: boolean): void;
  remove(): Promise<void>;
}

/**
 * A folder for the sockets of this run: a second tor on the same data folder opens its listeners before
 * it finds the folder locked, and would remove the sockets of the first one. It is inside the data
 * folder, or in the system's temporary one if its name would be too long or has a blank or another
 * character that torrc does not accept everywhere (a comment begins at `#` even in quotes).
 */
export async function socketFolder(dataDir: string, inherited?: string): Promise<SocketFolder> {
  const inside = join(dataDir, RUN_PREFIX);
  const temporary = temporaryBase();
  // Files of the killed process.
  await sweepTemporaryFolders(temporary, TEMPORARY_PREFIX);
  const path =
    inherited ??
    (await (takesSockets(inside)
      ? mkdtemp(inside)
      : makeTemporaryFolder(temporary, TEMPORARY_PREFIX)));
  if (inherited !== undefined) await ownTemporaryFolder(path);
  const atExit = (): void => rmSync(path, { recursive: true, force: true });
  return {
    path,
    endWithProcess(does) {
      process.off('exit', atExit);
      if (does) process.once('exit', atExit);
    },
    async removeOthers() {
      const names = await readdir(dataDir);
      const stale = names.filter(
        (name) => name.startsWith(RUN_PREFIX) && join(dataDir, name) !== path,
      );
      await Promise.all(
        stale.map((name) => rm(join(dataDir, name), { recursive: true, force: true })),
      );
    },
    async remove() {
      await rm(path, { recursive: true, force: true });
      process.off('exit', atExit);
    },
  };
}
