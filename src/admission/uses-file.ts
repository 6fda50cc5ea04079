/**
 * Uses of codes that have a most number of uses: a file to which each use appends the id of its code. The
 * line is with the kernel before the answer leaves, so kill -9 loses none. Several programs may share the
 * file: each reads what the others have appended. It grows by ten bytes for each use, so at most as far as
 * the codes allow.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { isCodeId } from './code-text.js';
import type { UseCounter } from './sessions.js';

const PIECE_BYTES = 65_536;

export interface UsesFile extends UseCounter {
  close(): void;
}

/** Opens the file, or makes it. Throws the error of the file system. */
export function openUses(path: string): UsesFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const file = openSync(path, 'a+', 0o600);
  const uses = new Map<string, number>();
  const buffer = Buffer.alloc(PIECE_BYTES);
  let read = 0;
  /** A line that was not complete. */
  let rest = '';

  const readOn = (): void => {
    while (read < fstatSync(file).size) {
      const bytes = readSync(file, buffer, 0, buffer.length, read);
      if (bytes === 0) return;
      read += bytes;
      const lines = (rest + buffer.toString('latin1', 0, bytes)).split('\n');
      rest = (lines.pop() ?? '').slice(-64);
      for (const id of lines) if (isCodeId(id)) uses.set(id, (uses.get(id) ?? 0) + 1);
    }
  };

  try {
    readOn();
  } catch (error) {
    closeSync(file);
    throw error;
  }
  return {
    count(id) {
      readOn();
      return uses.get(id) ?? 0;
    },
    add(id) {
      // Behind half a line of a full disk it would be lost.
      const line = rest === '' ? `${id}\n` : `\n${id}\n`;
      const written = writeSync(file, line);
      readOn();
      if (written < line.length) throw new Error(`${path}: the disk took only a part of a line`);
    },
    close: () => closeSync(file),
  };
}
