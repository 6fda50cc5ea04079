/** Reads Tor's authentication cookie, or says exactly why that fails and what to do. */
import { constants, type Stats } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { quotedLine } from '../../kit/shown-text.js';

const COOKIE_BYTES = 32;

export type Cookie =
  | { readonly ok: true; readonly cookie: Uint8Array }
  /** `reason` names the file, the fault and the fix; `code` is for tests and programs. */
  | { readonly ok: false; readonly code: CookieFault; readonly reason: string };

export type CookieFault = 'missing' | 'no-permission' | 'not-a-file' | 'wrong-size' | 'io';

/** The owner of a file or folder and its permissions for others. */
export interface Ownership {
  readonly path: string;
  readonly owner: string;
  readonly group: string;
  /** Permission bits. */
  readonly mode: number;
}

/** The ids of this process. */
export interface OwnUser {
  readonly user: string;
  readonly groups: readonly string[];
}

const PRIVILEGED_GROUPS: ReadonlySet<string> = new Set([
  'root',
  'wheel',
  'sudo',
  'admin',
  'adm',
  'shadow',
  'disk',
  'docker',
  'lxd',
  'kmem',
]);

const octal = (mode: number) => (mode & 0o7777).toString(8).padStart(4, '0');

/**
 * The error text for a cookie that we may not read. `blocked` is the cookie itself or the first folder
 * on its path that denies access.
 */
export function explainNoPermission(
  cookiePath: string,
  blocked: Ownership | undefined,
  us: OwnUser,
): string {
  const who = `we are user ${us.user} in groups ${us.groups.join(', ')}`;
  if (blocked === undefined) return `no permission to read the cookie file ${cookiePath}; ${who}`;
  const what =
    `no permission to read the cookie file ${cookiePath}: ${blocked.path} is owned by ${blocked.owner}, ` +
    `group ${blocked.group}, mode ${octal(blocked.mode)}; ${who}`;
  const isCookie = blocked.path === cookiePath;
  // Members of these groups can take over the machine, so they are not suggested.
  if (PRIVILEGED_GROUPS.has(blocked.group)) {
    return (
      `${what}. Fix: use a control password (tor --hash-password PASSWORD gives the line HashedControlPassword for ` +
      `torrc; tor_control_password = PASSWORD in joinmarket.cfg), and restart Tor`
    );
  }
  const groupMay = (blocked.mode & (isCookie ? 0o040 : 0o010)) !== 0;
  const join = us.groups.includes(blocked.group)
    ? 'log in again, so that the group counts'
    : `add the user to group ${blocked.group}: sudo usermod -aG ${blocked.group} ${us.user}, then log in again`;
  if (groupMay) return `${what}. Fix: ${join}`;
  if (isCookie) {
    return `${what}. Fix: add "CookieAuthFileGroupReadable 1" to torrc, restart Tor, and ${join}`;
  }
  return (
    `${what}. Fix: add "CookieAuthFile /run/tor/control.authcookie" and "CookieAuthFileGroupReadable 1" ` +
    `to torrc, restart Tor, and ${join}`
  );
}

/** The name of a user or group id from `/etc/passwd` or `/etc/group`, or the number. */
export async function nameOfId(table: '/etc/passwd' | '/etc/group', id: number): Promise<string> {
  const text = await readFile(table, 'utf8').catch(() => '');
  const line = text.split('\n').find((entry) => entry.split(':')[2] === String(id));
  return line?.split(':')[0] ?? String(id);
}

async function ownershipOf(path: string, stats: Stats): Promise<Ownership> {
  const owner = await nameOfId('/etc/passwd', stats.uid);
  const group = await nameOfId('/etc/group', stats.gid);
  return { path, owner, group, mode: stats.mode };
}

async function ownUser(): Promise<OwnUser> {
  const user = await nameOfId('/etc/passwd', process.geteuid?.() ?? -1);
  const ids = [...new Set([process.getegid?.() ?? -1, ...(process.getgroups?.() ?? [])])];
  const groups = await Promise.all(ids.map((id) => nameOfId('/etc/group', id)));
  return { user, groups };
}

/** The cookie if it is visible, else the deepest visible folder on its path. */
async function blockingOwnership(cookiePath: string): Promise<Ownership | undefined> {
  for (let path = cookiePath; ; path = dirname(path)) {
    const stats = await stat(path).catch(() => undefined);
    if (stats !== undefined) return ownershipOf(path, stats);
    if (path === dirname(path)) return undefined;
  }
}

async function explain(path: string, cause: NodeJS.ErrnoException): Promise<Cookie> {
  if (cause.code === 'EACCES' || cause.code === 'EPERM') {
    const reason = explainNoPermission(path, await blockingOwnership(path), await ownUser());
    return { ok: false, code: 'no-permission', reason };
  }
  if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') {
    const reason =
      `the cookie file ${path} does not exist on this machine. Fix: if Tor runs elsewhere (another machine, a ` +
      `container), use a control password (HashedControlPassword in its torrc); else restart Tor, which writes the file`;
    return { ok: false, code: 'missing', reason };
  }
  return {
    ok: false,
    code: 'io',
    reason: `the cookie file ${path} cannot be read (${cause.code ?? cause.message})`,
  };
}

/**
 * Reads the 32 bytes at the path that Tor named (bytes, because it need not be UTF-8). Only a regular
 * file of exactly that size is read, because the program on the control port chooses the path. Never
 * rejects.
 */
export async function readCookie(pathBytes: Uint8Array): Promise<Cookie> {
  const raw = Buffer.from(pathBytes);
  const path = raw.toString('utf8');
  if (raw.includes(0) || !path.startsWith('/')) {
    const reason = `Tor named a cookie file that is not an absolute path (${quotedLine(path)})`;
    return { ok: false, code: 'io', reason };
  }
  try {
    // NONBLOCK: opening a pipe must not wait for its writer.
    const file = await open(raw, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return await readExactly(file, path);
    } finally {
      await file.close();
    }
  } catch (cause) {
    return explain(path, cause instanceof Error ? cause : new Error(String(cause)));
  }
}

async function readExactly(file: FileHandle, path: string): Promise<Cookie> {
  const stats = await file.stat();
  if (!stats.isFile()) {
    return {
      ok: false,
      code: 'not-a-file',
      reason: `the cookie file ${path} is not a regular file`,
    };
  }
  const buffer = Buffer.alloc(COOKIE_BYTES + 1);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
  if (bytesRead === COOKIE_BYTES && stats.size === COOKIE_BYTES) {
    return { ok: true, cookie: buffer.subarray(0, COOKIE_BYTES) };
  }
  const reason =
    `the cookie file ${path} has ${stats.size} bytes, not ${COOKIE_BYTES}: something else wrote it, ` +
    `or Tor could not finish writing it (disk full?). Fix: restart Tor, which writes it anew`;
  return { ok: false, code: 'wrong-size', reason };
}
