/**
 * Whether another user of this machine can read a file or start a program, by owner, group and mode of
 * each folder on the way (access control lists are not looked at).
 */
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A user as the kernel sees it. */
export interface Account {
  /** Undefined for a user that does not exist yet, such as the one systemd makes (`DynamicUser=`). */
  readonly uid: number | undefined;
  readonly gids: ReadonlySet<number>;
}

/** What keeps a user from a file. */
export interface Barrier {
  /** The file, or the first folder on the way to it. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** What the user would need there. */
  readonly needs: 'read' | 'search' | 'execute';
}

export const NEW_ACCOUNT: Account = { uid: undefined, gids: new Set() };

const BITS = { read: 0o4, search: 0o1, execute: 0o5 } as const;

async function entries(file: string): Promise<readonly (readonly string[])[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').map((line) => line.split(':'));
}

/** The account of `/etc/passwd` and `/etc/group` with that name, or with that number as its name. */
export async function accountOf(user: string): Promise<Account> {
  const known = (await entries('/etc/passwd')).find(([name, , id]) => name === user || id === user);
  const [name = user, , uid = user, gid] = known ?? [];
  const groups = (await entries('/etc/group')).filter(([, , , members = '']) =>
    members.split(',').includes(name),
  );
  const gids = [gid, ...groups.map(([, , id]) => id)].filter((id) => id !== undefined);
  return { uid: /^\d+$/.test(uid) ? Number(uid) : undefined, gids: new Set(gids.map(Number)) };
}

async function barrierAt(
  { uid, gids }: Account,
  path: string,
  needs: Barrier['needs'],
): Promise<Barrier | undefined> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined || uid === 0) return undefined;
  const shift = stats.uid === uid ? 6 : gids.has(stats.gid) ? 3 : 0;
  const bits = BITS[needs];
  return ((stats.mode >> shift) & bits) === bits
    ? undefined
    : { path, mode: stats.mode & 0o7777, needs };
}

/**
 * What keeps the account from using a file; undefined when nothing does, or when the file is not there.
 * Symbolic links are followed.
 */
export async function barrierTo(
  account: Account,
  file: string,
  needs: 'read' | 'execute',
): Promise<Barrier | undefined> {
  const target = await realpath(file).catch(() => undefined);
  if (target === undefined) return undefined;
  const folders: string[] = [];
  for (let path = dirname(target); ; path = dirname(path)) {
    folders.unshift(path);
    if (path === dirname(path)) break;
  }
  for (const folder of folders) {
    // In order: the first one is the one to mend.
    // oxlint-disable-next-line no-await-in-loop
    const barrier = await barrierAt(account, folder, 'search');
    if (barrier !== undefined) return barrier;
  }
  return barrierAt(account, target, needs);
}
