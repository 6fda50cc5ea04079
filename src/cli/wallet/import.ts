/** `onionmc wallet import`: a backup of this program, or the wallet of another one. */
import { open } from 'node:fs/promises';
import { basename, extname, resolve } from 'node:path';
import { errorCodeOrText } from '../../kit/error-text.js';
import { isBackup } from '../../wallet/store/backup.js';
import { restoreBackup } from '../../wallet/store/store.js';
import { UsageError } from '../errors.js';
import { print, printJson } from '../print.js';
import { newFolder } from './new-folder.js';
import { parseWalletName } from './option-values.js';
import { withSurroundings, type FolderOptions } from './session.js';

interface ImportOptions extends FolderOptions {
  readonly filePasswordFile?: string;
  readonly from?: number;
  readonly json?: boolean;
}

const HEAD_BYTES = 64;

async function headOf(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const buffer = Buffer.alloc(HEAD_BYTES);
      const { bytesRead } = await file.read(buffer, 0, HEAD_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new UsageError(`${path} cannot be read (${errorCodeOrText(error)})`, { cause: error });
  }
}

/** The name of the file without its ending, where that can be the name of a wallet. */
function nameOf(path: string): string {
  const name = basename(path, extname(path));
  try {
    return parseWalletName(name);
  } catch (error) {
    throw new UsageError(`${path}: the file has no name for a wallet: give one behind it`, {
      cause: error,
    });
  }
}

async function restore(path: string, name: string, options: ImportOptions): Promise<void> {
  const { folder } = await newFolder(name, options);
  await restoreBackup(path, folder);
  if (options.json === true) printJson({ name, folder, from: path, kind: 'backup' });
  else print(`${folder}: restored; it has the password of the day of the backup`);
}

export function runImport(
  file: string,
  name: string | undefined,
  options: ImportOptions,
): Promise<void> {
  return withSurroundings(async () => {
    const path = resolve(file);
    const head = await headOf(path);
    if (isBackup(head)) return restore(path, name ?? nameOf(path), options);
    throw new UsageError(`${path} is no backup of this program and no wallet file that it knows`);
  });
}
