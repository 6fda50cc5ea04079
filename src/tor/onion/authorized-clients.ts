/**
 * The clients that may find an onion: files `authorized_clients/NAME.auth` of its HiddenServiceDir. Tor reads
 * them itself where it serves the folder; with ADD_ONION the program passes the keys on.
 */
import { lstat, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorText } from '../../kit/error-text.js';
import { TorError } from '../tor-error.js';
import {
  authorizedLine,
  credentialLine,
  parseAuthorized,
  parseCredential,
  type OnionCredential,
} from './client-keys.js';
import { writeNewFile } from './new-file.js';

/** Most clients of one onion; a descriptor has room for some hundred. */
export const MAX_CLIENTS = 200;
const MAX_FILE_BYTES = 1_024;
const NAME = /^[a-z0-9][a-z0-9_-]{0,31}$/;
const SERVICE_SUFFIX = '.auth';
const CLIENT_SUFFIX = '.auth_private';

/** One client of an onion. */
export interface AuthorizedClient {
  readonly name: string;
  /** 52 characters of base32. */
  readonly publicKey: string;
}

function folderOf(hiddenServiceDir: string): string {
  return join(hiddenServiceDir, 'authorized_clients');
}

function folderError(what: string, error: unknown): TorError {
  return new TorError('key-folder', 'io', `${what}: ${errorText(error)}`, {
    remedy: 'configuration',
    cause: error,
  });
}

/** Names without the suffix, of files with it; none when the folder is missing. */
async function namesIn(folder: string, suffix: string): Promise<readonly string[]> {
  try {
    const files = await readdir(folder);
    return files
      .filter((file) => file.endsWith(suffix))
      .map((file) => file.slice(0, -suffix.length))
      .toSorted();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw folderError(`cannot read ${folder}`, error);
  }
}

async function smallFile(path: string): Promise<string> {
  try {
    const { size } = await lstat(path);
    return size > MAX_FILE_BYTES ? '' : await readFile(path, 'latin1');
  } catch (error) {
    throw folderError(`cannot read ${path}`, error);
  }
}

/**
 * The clients of an onion. Rejects with a TorError (`key-folder`): `io`, or `bad-key-file` for a file that Tor
 * would not read, or would skip with nothing but a line in its log.
 */
export async function authorizedClients(
  hiddenServiceDir: string,
): Promise<readonly AuthorizedClient[]> {
  const folder = folderOf(hiddenServiceDir);
  const names = await namesIn(folder, SERVICE_SUFFIX);
  if (names.length > MAX_CLIENTS) {
    throw folderError(`${folder} has more than ${MAX_CLIENTS} clients`, 'too many');
  }
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, `${name}${SERVICE_SUFFIX}`);
      const publicKey = parseAuthorized(await smallFile(path));
      if (publicKey !== undefined) return { name, publicKey };
      throw new TorError(
        'key-folder',
        'bad-key-file',
        `${path} is not "descriptor:x25519:KEY" with 52 characters of base32. Fix: remove it, or make it anew with "onionmc admission tor-client add"`,
        { remedy: 'configuration' },
      );
    }),
  );
}

/** Adds a client. Rejects with a TorError; `mismatch` when the name is taken. */
export async function authorizeClient(
  hiddenServiceDir: string,
  { name, publicKey }: AuthorizedClient,
): Promise<string> {
  const folder = folderOf(hiddenServiceDir);
  const path = join(folder, `${name}${SERVICE_SUFFIX}`);
  if (!NAME.test(name)) throw folderError('cannot add a client', `${name} is no name of a client`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (!(await writeNewFile(path, authorizedLine(publicKey)))) {
      throw new TorError(
        'key-folder',
        'mismatch',
        `there is a client ${name} already. Fix: revoke it first, or choose another name`,
        { remedy: 'configuration' },
      );
    }
  } catch (error) {
    throw error instanceof TorError ? error : folderError(`cannot write ${path}`, error);
  }
  return path;
}

/** Removes a client; false when there is none of that name. */
export async function revokeClient(hiddenServiceDir: string, name: string): Promise<boolean> {
  if (!NAME.test(name)) return false;
  const path = join(folderOf(hiddenServiceDir), `${name}${SERVICE_SUFFIX}`);
  try {
    await rm(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw folderError(`cannot remove ${path}`, error);
  }
}

/** The credentials of this program for onions of others: files `NAME.auth_private`. */
export async function readCredentials(folder: string): Promise<readonly OnionCredential[]> {
  const names = await namesIn(folder, CLIENT_SUFFIX);
  const found = await Promise.all(
    names.slice(0, MAX_CLIENTS).map(async (name) => {
      const path = join(folder, `${name}${CLIENT_SUFFIX}`);
      const credential = parseCredential(await smallFile(path));
      if (credential) return credential;
      throw new TorError(
        'key-folder',
        'bad-key-file',
        `${path} is not "ONION:descriptor:x25519:KEY". Fix: remove it, and repeat "onionmc admission tor-client use"`,
        { remedy: 'configuration' },
      );
    }),
  );
  return found;
}

/** Stores a credential under a name, replacing the one before. Returns the path. */
export async function storeCredential(
  folder: string,
  name: string,
  credential: OnionCredential,
): Promise<string> {
  const path = join(folder, `${name}${CLIENT_SUFFIX}`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rm(path, { force: true });
    await writeNewFile(path, credentialLine(credential));
  } catch (error) {
    throw folderError(`cannot write ${path}`, error);
  }
  return path;
}
