/**
 * Temporary folders that a killed process leaves behind and a later one removes. Each folder holds a
 * file that names its owner: the process id, and the time at which that process started, because
 * process ids are used again.
 */
import { lstat, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const OWNER_FILE = 'owner';
/** Bytes of `/proc/PID/stat` and of an owner file; more is not one of them. */
const OWNER_PATTERN = /^(\d{1,10}) (\d{1,20})\n$/;

/** When a process started, in clock ticks since boot; undefined when it does not run (any more). */
async function startOf(pid: number | 'self'): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the program's name in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Field 22 of proc(5); the third is the first here. A zombie runs no more.
  return fields[0] === 'Z' ? undefined : fields[19];
}

/** Makes this process the owner of a folder: `sweepTemporaryFolders` keeps it while the process lives. */
export async function ownTemporaryFolder(path: string): Promise<void> {
  const start = await startOf('self');
  // Without /proc nobody can tell whether the owner lives: the folder stays without an owner.
  if (start === undefined) return;
  await writeFile(join(path, OWNER_FILE), `${process.pid} ${start}\n`, { mode: 0o600 });
}

/** Makes a folder with mode 0700 whose name begins with `prefix`, owned by this process. */
export async function makeTemporaryFolder(parent: string, prefix: string): Promise<string> {
  const path = await mkdtemp(join(parent, prefix));
  await ownTemporaryFolder(path);
  return path;
}

async function isAbandoned(path: string): Promise<boolean> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isDirectory() !== true || stats.uid !== process.geteuid?.()) return false;
  const owner = await readFile(join(path, OWNER_FILE), 'utf8').catch(() => '');
  const [, pid, start] = OWNER_PATTERN.exec(owner) ?? [];
  if (pid === undefined) return false;
  return (await startOf(Number(pid))) !== start;
}

/**
 * Removes the folders in `parent` that begin with `prefix`, belong to this user and whose owner runs
 * no more. A folder without an owner file is left alone. Never rejects.
 */
export async function sweepTemporaryFolders(parent: string, prefix: string): Promise<void> {
  const names = await readdir(parent).catch((): string[] => []);
  await Promise.all(
    names
      .filter((name) => name.startsWith(prefix))
      .map(async (name) => {
        const path = join(parent, name);
        if (!(await isAbandoned(path))) return;
        await rm(path, { recursive: true, force: true, maxRetries: 3 }).catch(() => {});
      }),
  );
}
