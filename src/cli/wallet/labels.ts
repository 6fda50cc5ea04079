/** `onionmc wallet labels`: labels and freezes as a BIP329 file, for another wallet program or from one. */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { counted } from '../../kit/decimal.js';
import { errorCodeOrText } from '../../kit/error-text.js';
import { shownLine } from '../../kit/shown-text.js';
import { UsageError } from '../errors.js';
import { print, printJson, printNote } from '../print.js';
import { writeNewFile } from './new-file.js';
import { readWallet, writeWallet, type WriteOptions } from './session.js';

interface LabelsOptions extends WriteOptions {
  readonly json?: boolean;
}

/** A label has at most a few hundred bytes; a wallet has at most some 100,000 of them. */
const MAX_FILE_BYTES = 64 * 1_048_576;
/** How many refused lines are named. */
const MOST_REFUSED = 10;

async function exportLabels(name: string, path: string, options: LabelsOptions): Promise<void> {
  await readWallet(name, { ...options, offline: true }, async ({ wallet }) => {
    const text = wallet.exportLabels();
    // Labels say what coins are for: only this user may read the file.
    await writeNewFile(path, text);
    const lines = text.split('\n').filter((line) => line !== '').length;
    if (options.json === true) printJson({ file: path, labels: lines });
    else print(`${path}: ${counted(lines, 'label')}`);
  });
}

async function labelsIn(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES} bytes`);
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${path} cannot be read (${errorCodeOrText(error)})`, { cause: error });
  }
}

async function importLabels(name: string, path: string, options: LabelsOptions): Promise<void> {
  const text = await labelsIn(path);
  await writeWallet(name, { ...options, isKeyless: true }, async ({ wallet }) => {
    const { taken, refused } = await wallet.importLabels(text);
    if (options.json === true) {
      printJson({ taken, refused });
      return;
    }
    for (const { line, reason } of refused.slice(0, MOST_REFUSED)) {
      printNote(`line ${line} was left out: ${shownLine(reason)}`);
    }
    print(`took ${counted(taken, 'line')}, left out ${refused.length}`);
  });
}

export function runLabels(
  name: string,
  action: string,
  file: string,
  options: LabelsOptions,
): Promise<void> {
  const path = resolve(file);
  return action === 'export'
    ? exportLabels(name, path, options)
    : importLabels(name, path, options);
}
