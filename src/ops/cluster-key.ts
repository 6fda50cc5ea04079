/**
 * The key of a cluster's node: ed25519, PKCS8 in PEM, in a file of mode 0600 of the data directory. It signs
 * the node's records; the other nodes have its public part in `[CLUSTER] nodes`. No file is overwritten.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '../kit/error-text.js';
import { ExitCode } from './exit.js';
import { syncFolder } from './state-file.js';

/** The key of this node. */
export interface ClusterKey {
  /** Never printed or logged. */
  readonly privateKey: KeyObject;
  /** 64 hex digits. */
  readonly publicKey: string;
}

/** A key file that cannot be used, and the fix, on one line. */
export class ClusterKeyError extends Error {
  override readonly name = 'ClusterKeyError';
  readonly exitCode = ExitCode.USAGE;
}

const FILE = 'cluster_key.pem';
const MAX_BYTES = 1024;
const KEY_BYTES = 32;

/** The path of the key file. */
export function clusterKeyPath(datadir: string): string {
  return join(datadir, FILE);
}

/** The public part of an ed25519 key in hex. */
function publicHex(key: KeyObject): string {
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return der.subarray(-KEY_BYTES).toString('hex');
}

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, '0');

async function readKeyFile(path: string, uid: number | undefined): Promise<string | undefined> {
  let file;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    const code = errorCode(cause);
    if (code === 'ENOENT') return undefined;
    const what = code === 'ELOOP' ? 'is a symbolic link' : `cannot be read (${code ?? 'unknown'})`;
    throw new ClusterKeyError(
      `${path} ${what}. Fix: a file of mode 0600 of the user that runs the directory`,
      { cause },
    );
  }
  try {
    // Of the open file, so that it cannot be exchanged in between.
    const stats = await file.stat();
    if (!stats.isFile()) throw new ClusterKeyError(`${path} is no regular file. Fix: move it away`);
    if (uid !== undefined && stats.uid !== uid) {
      throw new ClusterKeyError(
        `${path} belongs to user id ${stats.uid}, but the directory runs as ${uid}. Fix: sudo chown ${uid} "${path}"`,
      );
    }
    if ((stats.mode & 0o077) !== 0) {
      throw new ClusterKeyError(
        `${path} has mode ${octal(stats.mode)}: others can read the key of this node. Fix: chmod 600 "${path}"`,
      );
    }
    const buffer = Buffer.alloc(MAX_BYTES);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Neither the error of OpenSSL nor the text of the file is shown. */
function parseKey(path: string, pem: string): ClusterKey {
  let privateKey: KeyObject | undefined;
  try {
    privateKey = createPrivateKey({ key: pem, format: 'pem' });
  } catch {
    privateKey = undefined;
  }
  if (privateKey?.asymmetricKeyType === 'ed25519') {
    return { privateKey, publicKey: publicHex(privateKey) };
  }
  throw new ClusterKeyError(
    `${path} does not hold an ed25519 key in PEM. Fix: put the right file back from a backup, or move it away, make a new key ("onionmc cluster key") and put that into [CLUSTER] nodes of every node`,
  );
}

/**
 * The key in the data directory; undefined when there is no file. Rejects with a ClusterKeyError.
 * @param uid the user who must own the file; default the user of this process
 */
export async function readClusterKey(
  datadir: string,
  uid: number | undefined = process.geteuid?.(),
): Promise<ClusterKey | undefined> {
  const path = clusterKeyPath(datadir);
  const pem = await readKeyFile(path, uid);
  return pem === undefined ? undefined : parseKey(path, pem);
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The user of the data directory when this is root, who makes the key for the service: the user of the unit
 * exists only while the service runs, and nobody but root and the service can enter its data directory.
 */
async function ownerOf(datadir: string): Promise<Owner | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  return stat(datadir).catch(() => undefined);
}

/** Writes the whole file or nothing; an existing file stays. */
async function createFile(path: string, text: string, owner: Owner | undefined): Promise<void> {
  const beside = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(text);
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(beside, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    const code = errorCode(cause);
    if (code === 'EEXIST') return;
    throw new ClusterKeyError(
      `cannot write ${path} (${code ?? 'unknown'}). Fix: a data directory with room that this user may write to`,
      { cause },
    );
  } finally {
    await rm(beside, { force: true });
  }
}

/**
 * The key in the data directory, or a new one, which is on the disk before this resolves. For root it is the key of
 * the user who owns the data directory. Rejects with a ClusterKeyError.
 */
export async function loadOrCreateClusterKey(
  datadir: string,
): Promise<{ readonly key: ClusterKey; readonly created: boolean }> {
  const owner = await ownerOf(datadir);
  const existing = await readClusterKey(datadir, owner?.uid);
  if (existing !== undefined) return { key: existing, created: false };
  const { privateKey } = generateKeyPairSync('ed25519');
  await createFile(
    clusterKeyPath(datadir),
    privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    owner,
  );
  // Read back: another process may have been faster.
  const key = await readClusterKey(datadir, owner?.uid);
  if (key === undefined) {
    throw new ClusterKeyError(`${clusterKeyPath(datadir)} was removed a moment ago`);
  }
  return { key, created: key.publicKey === publicHex(privateKey) };
}
