/**
 * The key of a persistent onion service, in Tor's HiddenServiceDir format (docs/protocol.md, section
 * 12.3), made offline when missing. No file is ever overwritten.
 *
 *   hs_ed25519_secret_key   "== ed25519v1-secret: type0 ==" NUL NUL NUL, 64 bytes of expanded key
 *   hs_ed25519_public_key   "== ed25519v1-public: type0 ==" NUL NUL NUL, 32 bytes
 *   hostname                56 characters ".onion" LF
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, lstat, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { parseOnionHost } from '../../protocol/location.js';
import { expandOnionSeed, ONION_SEED_BYTES, onionKeyOf, type OnionKey } from './onion-key.js';
import { TorError, type TorFault } from '../tor-error.js';

export type { OnionKey } from './onion-key.js';

const SECRET_FILE = 'hs_ed25519_secret_key';
const PUBLIC_FILE = 'hs_ed25519_public_key';
const HOSTNAME_FILE = 'hostname';
const TAG_BYTES = 32;
const EXPANDED_BYTES = 64;
const MAX_FILE_BYTES = 256;

function tag(kind: 'secret' | 'public'): Buffer {
  const bytes = Buffer.alloc(TAG_BYTES);
  bytes.write(`== ed25519v1-${kind}: type0 ==`, 'latin1');
  return bytes;
}

function folderError(code: TorFault, message: string, cause?: unknown): TorError {
  return new TorError('key-folder', code, message, { remedy: 'configuration', cause });
}

function errnoOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string'
    ? cause.code
    : '';
}

function ioError(what: string, cause: unknown): TorError {
  const reason = errnoOf(cause) || (cause instanceof Error ? cause.message : String(cause));
  return folderError('io', `${what}: ${reason}`, cause);
}

const octal = (mode: number) => (mode & 0o7777).toString(8).padStart(4, '0');

/**
 * The required owner of the folder: `us` (this process), a user id, or `any-user`, for a folder that is
 * only read to be copied.
 */
export type KeyOwner = 'us' | 'any-user' | number;

/** Checks owner and mode as Tor does: the right owner, no access for group and others. */
function checkOwnership(
  path: string,
  stats: { readonly uid: number; readonly mode: number },
  wanted: '700' | '600',
  owner: KeyOwner,
): void {
  if (owner === 'any-user') return;
  const us = owner === 'us' ? process.geteuid?.() : owner;
  if (us !== undefined && stats.uid !== us) {
    const runner = owner === 'us' ? `we run as ${us}` : `the directory runs as ${us}`;
    throw folderError(
      'wrong-owner',
      `${path} belongs to user id ${stats.uid}, but ${runner}. Fix: run as that user, or: sudo chown ${us} "${path}"`,
    );
  }
  if ((stats.mode & 0o077) !== 0) {
    throw folderError(
      'wrong-mode',
      `${path} has mode ${octal(stats.mode)}: others can read the onion key. Fix: chmod ${wanted} "${path}"`,
    );
  }
}

/**
 * Whether the folder exists; throws unless it is a real folder of the right owner without access for
 * others.
 */
async function folderExists(dir: string, owner: KeyOwner): Promise<boolean> {
  try {
    const stats = await lstat(dir);
    if (stats.isSymbolicLink()) {
      throw folderError(
        'symlink',
        `${dir} is a symbolic link, which Tor refuses too. Fix: configure the folder that it points to`,
      );
    }
    if (!stats.isDirectory()) throw folderError('not-a-folder', `${dir} is not a folder`);
    checkOwnership(dir, stats, '700', owner);
    return true;
  } catch (cause) {
    if (cause instanceof TorError) throw cause;
    if (errnoOf(cause) === 'ENOENT') return false;
    throw ioError(`cannot look at the key folder ${dir}`, cause);
  }
}

/**
 * The bytes of a small regular file, or undefined when it does not exist. Symbolic links are not
 * followed. With `secretOf`, it must belong to that user and be private.
 */
async function readSmallFile(
  path: string,
  secretOf: KeyOwner | undefined,
): Promise<Buffer | undefined> {
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const file = await open(path, flags);
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw folderError('bad-key-file', `${path} is not a regular file`);
      if (secretOf !== undefined) checkOwnership(path, stats, '600', secretOf);
      const buffer = Buffer.alloc(MAX_FILE_BYTES);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof TorError) throw cause;
    if (errnoOf(cause) === 'ENOENT') return undefined;
    if (errnoOf(cause) === 'ELOOP') {
      throw folderError(
        'symlink',
        `${path} is a symbolic link. Fix: put the file itself into the folder`,
      );
    }
    throw ioError(`cannot read ${path}`, cause);
  }
}

interface Folder {
  readonly key: OnionKey | undefined;
  readonly hasPublicKey: boolean;
  readonly hasHostname: boolean;
}

const RESTORE =
  'Fix: put the right file back from a backup, or move the folder away to start with a new address';

async function examine(dir: string, owner: KeyOwner): Promise<Folder> {
  if (!(await folderExists(dir, owner))) {
    return { key: undefined, hasPublicKey: false, hasHostname: false };
  }
  const secretPath = join(dir, SECRET_FILE);
  const secret = await readSmallFile(secretPath, owner);
  const publicKey = await readSmallFile(join(dir, PUBLIC_FILE), undefined);
  const hostname = await readSmallFile(join(dir, HOSTNAME_FILE), undefined);
  const found = { hasPublicKey: publicKey !== undefined, hasHostname: hostname !== undefined };
  if (secret === undefined) {
    if (!found.hasPublicKey && !found.hasHostname) return { key: undefined, ...found };
    const other = found.hasHostname ? HOSTNAME_FILE : PUBLIC_FILE;
    throw folderError('partial', `${dir} has a ${other} but no ${SECRET_FILE}. ${RESTORE}`);
  }
  if (
    secret.length !== TAG_BYTES + EXPANDED_BYTES ||
    !secret.subarray(0, TAG_BYTES).equals(tag('secret'))
  ) {
    throw folderError(
      'bad-key-file',
      `${secretPath} is not a key file of Tor (${secret.length} bytes; it must have 96 and Tor's header). ${RESTORE}`,
    );
  }
  const key = onionKeyOf(secret.subarray(TAG_BYTES));
  if (key === undefined) {
    throw folderError('bad-key-file', `${secretPath} does not hold an ed25519 key. ${RESTORE}`);
  }
  if (
    publicKey !== undefined &&
    !publicKey.equals(Buffer.concat([tag('public'), Buffer.from(key.publicKey)]))
  ) {
    throw folderError(
      'mismatch',
      `${join(dir, PUBLIC_FILE)} does not belong to ${SECRET_FILE} beside it. ${RESTORE}`,
    );
  }
  if (hostname !== undefined && hostname.toString('latin1').trim() !== key.host) {
    throw folderError(
      'mismatch',
      `${join(dir, HOSTNAME_FILE)} does not name the address of ${SECRET_FILE} beside it (${key.host}). ${RESTORE}`,
    );
  }
  return { key, ...found };
}

/**
 * The key in a folder made by Tor or by this program, checked against the public key and the hostname
 * in it; undefined when the folder is missing or has no key. Writes nothing. Throws a TorError of step
 * `key-folder`.
 */
export async function readOnionKey(
  dir: string,
  owner: KeyOwner = 'us',
): Promise<OnionKey | undefined> {
  return (await examine(dir, owner)).key;
}

/**
 * The address in `<dir>/hostname` of a service that the operator's torrc serves (the secret stays with
 * Tor; the folder may be readable for our group). Throws a TorError of step `key-folder`.
 */
export async function readOnionHostname(dir: string): Promise<string> {
  const path = join(dir, HOSTNAME_FILE);
  const text = (await readSmallFile(path, undefined))?.toString('latin1').trim();
  if (text === undefined) {
    throw folderError(
      'partial',
      `there is no ${path}. Fix: check HiddenServiceDir in torrc and restart Tor, which writes that file`,
    );
  }
  if (!parseOnionHost(text).ok) {
    throw folderError('bad-key-file', `${path} does not hold the address of a v3 onion service`);
  }
  return text;
}

async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Creates a file atomically: written under another name, synced, then linked, which fails if the name
 * exists. Returns false in that case.
 */
async function createFile(dir: string, name: string, bytes: Uint8Array): Promise<boolean> {
  const path = join(dir, name);
  const beside = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(beside, path);
    await syncFolder(dir);
    return true;
  } catch (cause) {
    if (errnoOf(cause) === 'EEXIST') return false;
    throw ioError(`cannot write ${path}`, cause);
  } finally {
    await unlink(beside).catch(() => {});
  }
}

/**
 * The key in `dir`, or a new one, written there (folder 0700, files 0600) before this resolves. A
 * missing public key file or hostname is added. `random` returns that many random bytes (default: the
 * operating system's). Throws a TorError of step `key-folder`.
 */
export function loadOrCreateOnionKey(
  dir: string,
  random: (bytes: number) => Uint8Array = randomBytes,
): Promise<{
  /** The key. */
  readonly key: OnionKey;
  /** Whether it is new. */
  readonly created: boolean;
}> {
  return keepOnionKey(dir, () => expandOnionSeed(random(ONION_SEED_BYTES)));
}

/**
 * The same with a given key of 64 bytes in expanded form, which is requested only when the folder has
 * none. An existing key stays, whichever it is: the caller compares `key` with the one it meant.
 */
export async function keepOnionKey(
  dir: string,
  makeExpanded: () => Uint8Array,
): Promise<{ readonly key: OnionKey; readonly created: boolean }> {
  let folder = await examine(dir, 'us');
  let created = false;
  if (folder.key === undefined) {
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw ioError(`cannot make the key folder ${dir}`, cause);
    }
    created = await createFile(dir, SECRET_FILE, Buffer.concat([tag('secret'), makeExpanded()]));
    // Read back: the key on disk counts, ours or that of a faster process.
    folder = await examine(dir, 'us');
  }
  const { key } = folder;
  if (key === undefined) {
    throw folderError('io', `the key that was written to ${dir} cannot be found again`);
  }
  if (!folder.hasPublicKey) {
    await createFile(dir, PUBLIC_FILE, Buffer.concat([tag('public'), key.publicKey]));
  }
  if (!folder.hasHostname) await createFile(dir, HOSTNAME_FILE, Buffer.from(`${key.host}\n`));
  return { key, created };
}
