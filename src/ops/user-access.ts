/**
 * Whether another user of this machine can read a file or start a program, by owner, group and mode of
 * each folder on the path. Access control lists are ignored.
 */
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A user in the kernel's terms. */
export interface Account {
  /** Undefined for a user that does not exist yet, such as one of systemd (`DynamicUser=`). */
  readonly uid: number | undefined;
  readonly gids: ReadonlySet<number>;
}

/** Why a user cannot use a file. */
export interface Barrier {
  /** The file, or the first folder on its path that denies access. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** The permission that the user lacks. */
  readonly needs: 'read' | 'search' | 'execute';
}

export const NEW_ACCOUNT: Account = { uid: undefined, gids: new Set() };

const BITS = { read: 0o4, search: 0o1, execute: 0o5 } as const;

async function entries(file: string): Promise<readonly (readonly string[])[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').map((line) => line.split(':'));
}

/** The account in `/etc/passwd` and `/etc/group` with that name or number. */
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
 * Why the account cannot use a file; undefined when it can, or when the file does not exist. Symbolic
 * links are followed.
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
    // In order, so that the first fault is the one to fix.
    // oxlint-disable-next-line no-await-in-loop
    const barrier = await barrierAt(account, folder, 'search');
    if (barrier !== undefined) return barrier;
  }
  return barrierAt(account, target, needs);
}
