/**
 * Temporary folders, each with the name of its owner, so that a later process can remove those of a
 * killed one.
 */
import { lstat, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ownMark, readMark } from '../../platform/process-mark.js';

const OWNER_FILE = 'owner';

/**
 * Makes this process the owner of a folder: `sweepTemporaryFolders` keeps it while the process runs.
 */
export async function ownTemporaryFolder(path: string): Promise<void> {
  const mark = await ownMark();
  // Without /proc it is unknown whether an owner runs: the folder stays without an owner.
  if (mark !== undefined) await writeFile(join(path, OWNER_FILE), mark, { mode: 0o600 });
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
  const mark = await readMark(owner);
  // It is unknown whether a process of another container runs.
  return mark?.isLocal === true && !mark.runs;
}

/**
 * Removes folders in `parent` that begin with `prefix`, belong to this user and whose owner no longer
 * runs. A folder without an owner file stays. Never rejects.
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
