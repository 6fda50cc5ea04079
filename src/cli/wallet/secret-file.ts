/** Files with a secret: `--password-file`, `--passphrase-file`, and credentials of systemd. */
import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCodeOrText } from '../../kit/error-text.js';
import { UsageError } from '../errors.js';

/** Longest first line, in bytes. */
export const MAX_SECRET_BYTES = 4_096;

const OTHERS_MAY_READ = 0o044;

export interface SecretFile {
  /** The first line without its line end. */
  readonly secret: string;
  /** One sentence about the file, for a person. */
  readonly warning: string | undefined;
}

/** The bytes up to the first line feed, and at most one more than the bound. */
async function firstLine(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY);
  try {
    const buffer = Buffer.alloc(MAX_SECRET_BYTES + 3);
    let length = 0;
    while (length < buffer.length && !buffer.subarray(0, length).includes(10)) {
      // A pipe has no positions, and gives what is there.
      // oxlint-disable-next-line no-await-in-loop -- one piece after the other
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    const end = buffer.subarray(0, length).indexOf(10);
    return buffer.subarray(0, end === -1 ? length : end);
  } finally {
    await file.close();
  }
}

/**
 * The first line of a file or pipe, as UTF-8. Rejects with a `UsageError` that names the option and the
 * file.
 * @param option what named the file: `--password-file`
 */
export async function readSecretFile(option: string, path: string): Promise<SecretFile> {
  let line: Buffer;
  let mode: number | undefined;
  try {
    const info = await stat(path);
    mode = info.isFile() ? info.mode : undefined;
    line = await firstLine(path);
  } catch (error) {
    throw new UsageError(`${option} ${path} cannot be read (${errorCodeOrText(error)})`, {
      cause: error,
    });
  }
  if (line.length > MAX_SECRET_BYTES + 1) {
    throw new UsageError(
      `${option} ${path}: its first line has more than ${MAX_SECRET_BYTES} bytes`,
    );
  }
  let secret: string;
  try {
    secret = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(line);
  } catch (error) {
    throw new UsageError(`${option} ${path}: its first line is not UTF-8 text`, { cause: error });
  }
  secret = secret.replace(/\r$/, '');
  if (secret === '') throw new UsageError(`${option} ${path}: its first line is empty`);
  const isOpen = mode !== undefined && (mode & OTHERS_MAY_READ) !== 0;
  const warning = isOpen ? `other users may read ${path}: chmod 600 ${path}` : undefined;
  return { secret, warning };
}

/** Names of the credentials that a unit may load (`LoadCredential=`). */
export type Credential = 'wallet-password' | 'wallet-passphrase';

/** The credential that systemd gave to this service; undefined when it gave none of this name. */
export async function readCredential(
  name: Credential,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string | undefined> {
  const folder = env['CREDENTIALS_DIRECTORY'];
  if (folder === undefined || folder === '') return undefined;
  const path = join(folder, name);
  const exists = await stat(path).then(
    () => true,
    () => false,
  );
  return exists ? (await readSecretFile('the credential', path)).secret : undefined;
}
