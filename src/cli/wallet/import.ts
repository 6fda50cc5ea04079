/** `onionmc wallet import`: a backup of this program, or the wallet file of another one. */
import { open, readFile } from 'node:fs/promises';
import { basename, extname, resolve } from 'node:path';
import { errorCodeOrText } from '../../kit/error-text.js';
import { isBackup } from '../../wallet/store/backup.js';
import { restoreBackup } from '../../wallet/store/store.js';
import { MAX_FOREIGN_WALLET_BYTES } from '../../wallet/import/read-foreign-wallet.js';
import { UsageError } from '../errors.js';
import { print, printJson } from '../print.js';
import { importForeign, type ImportOptions } from './import-foreign.js';
import { newFolder, noteMainnet } from './new-folder.js';
import { parseWalletName } from './option-values.js';
import { withSurroundings } from './session.js';

const HEAD_BYTES = 64;

/** A backup may be large, and is copied in pieces; the file of another program is read whole. */
async function headOf(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await file.read(buffer, 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function foreignBytes(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (size > MAX_FOREIGN_WALLET_BYTES) throw new Error('it is too large for a wallet');
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function readOrRefuse<T>(path: string, read: (path: string) => Promise<T>): Promise<T> {
  try {
    return await read(path);
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
    throw new UsageError(`${path}: its name cannot be that of a wallet: give one behind it`, {
      cause: error,
    });
  }
}

async function restore(path: string, name: string, options: ImportOptions): Promise<void> {
  const { folder, network } = await newFolder(name, options);
  await restoreBackup(path, folder);
  // The network of the backup itself is encrypted; a wallet of another one is refused when it is opened.
  noteMainnet(network);
  if (options.json === true) printJson({ name, folder, kind: 'backup' });
  else print(`${folder}: restored; its password is that of the day of the backup`);
}

export function runImport(
  file: string,
  name: string | undefined,
  options: ImportOptions,
): Promise<void> {
  return withSurroundings(async (around) => {
    const path = resolve(file);
    const target = name ?? nameOf(path);
    if (isBackup(await readOrRefuse(path, headOf))) return restore(path, target, options);
    const bytes = await readOrRefuse(path, foreignBytes);
    // A file of joinmarket-ng may have another one beside it.
    const meta = await readFile(`${path}.meta`).catch(() => undefined);
    return importForeign({ path, bytes, meta, name: target }, options, around);
  });
}
