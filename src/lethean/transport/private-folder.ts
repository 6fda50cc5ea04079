/** Folders for keys and sockets of one tunnel, which no other user can read, and which a crash does not leave for ever. */
import { readlinkSync } from 'node:fs';
import { chmod, lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from '../../kit/error-text.js';

const PREFIX = 'onionmc-lethean-';
/** Bytes of the path of a folder: that of a socket in it may have 107. */
const MAX_FOLDER_BYTES = 90;

/** The namespace of process ids, since a process of another container can use the same folder. */
function namespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    return '0';
  }
}

/** The parent: the system's temporary folder, unless its name is too long or has characters that ssh interprets. */
function parent(): string {
  const system = tmpdir();
  const fits = Buffer.byteLength(system) < MAX_FOLDER_BYTES - PREFIX.length - 30;
  return fits && /^[A-Za-z0-9/._-]+$/.test(system) ? system : '/tmp';
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Removes folders of processes of this user that no longer run. Never rejects. */
async function sweep(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  const own = new RegExp(`^${PREFIX}${namespace()}-(\\d{1,10})-`);
  for (const name of names) {
    const pid = own.exec(name)?.[1];
    if (pid === undefined || runs(Number(pid))) continue;
    const path = join(folder, name);
    // oxlint-disable-next-line no-await-in-loop -- there are few
    const stat = await lstat(path).catch(() => undefined);
    if (stat?.isDirectory() !== true || stat.uid !== process.geteuid?.()) continue;
    // oxlint-disable-next-line no-await-in-loop -- there are few
    await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

/** A new folder, mode 0700. The caller removes it; after a crash the next call of any process does. */
export async function makePrivateFolder(): Promise<string> {
  const base = parent();
  await sweep(base);
  const path = await mkdtemp(join(base, `${PREFIX}${namespace()}-${process.pid}-`));
  await chmod(path, 0o700);
  return path;
}
