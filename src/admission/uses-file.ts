/**
 * Uses of codes that have a most number of uses, appended to a file: the id of the code, one a line. A line
 * is with the kernel before the answer leaves, so kill -9 loses none. Opening the file writes it anew with
 * one line for each code.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { writeStateFile, readStateFile } from '../ops/state-file.js';
import { isCodeId } from './code-text.js';
import type { UseCounter } from './sessions.js';

const MAX_BYTES = 64 * 1024 * 1024;

/** `ID` counts one, `ID 12` counts twelve; anything else is skipped, such as half a line. */
function parseUses(text: string): Map<string, number> {
  const uses = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [id = '', count = '1'] = line.split(' ', 2);
    if (!isCodeId(id) || !/^[1-9]\d{0,14}$/.test(count)) continue;
    uses.set(id, (uses.get(id) ?? 0) + Number(count));
  }
  return uses;
}

export interface UsesFile extends UseCounter {
  close(): void;
}

/** Reads how often codes were used, for `list`. */
export async function readUses(path: string): Promise<ReadonlyMap<string, number>> {
  const bytes = await readStateFile(path, MAX_BYTES);
  return parseUses(bytes ? Buffer.from(bytes).toString('latin1') : '');
}

/** Opens the file, or makes it. Rejects with the error of the file system. One program uses it at a time. */
export async function openUses(path: string): Promise<UsesFile> {
  const uses = new Map(await readUses(path));
  await writeStateFile(path, [...uses].map(([id, count]) => `${id} ${count}\n`).join(''));
  const file = openSync(path, 'a', 0o600);
  return {
    count: (id) => uses.get(id) ?? 0,
    add(id) {
      writeSync(file, `${id}\n`);
      uses.set(id, (uses.get(id) ?? 0) + 1);
    },
    close: () => closeSync(file),
  };
}
