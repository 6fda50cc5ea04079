/**
 * Evidence of the directory audit, one JSON object per line. The file is only appended to. A full file
 * is renamed to `<name>.1` and a new one begins, so at most two files of that size exist.
 */
import { appendFile, chmod, mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readStateFile } from './state-file.js';

export interface EvidenceFileOptions {
  readonly path: string;
  /** Bytes at which the file is rotated. Default 262,144. */
  readonly maxBytes?: number;
  /** The file cannot be written. Called once, and again only after a success. */
  readonly onError: (error: unknown) => void;
}

export interface EvidenceFile<T> {
  /** Writes one record soon, in order. Drops it when 1,000 records wait because the disk is slow. */
  append(record: T): void;
  /** Resolves when all records are written; never rejects. */
  close(): Promise<void>;
}

const MAX_BYTES = 262_144;
const MAX_WAITING = 1_000;
const MODE = 0o600;

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}

/** Makes a file private that other users could read. */
async function makePrivate(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, 'a', MODE);
  await file.close();
  await chmod(path, MODE);
}

/** Whether the last line is complete; a power cut may have cut it. */
async function endsInLine(path: string, size: number): Promise<boolean> {
  if (size === 0) return true;
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    return bytesRead === 0 || buffer[0] === 0x0a;
  } finally {
    await file.close();
  }
}

export function openEvidenceFile<T extends object>(options: EvidenceFileOptions): EvidenceFile<T> {
  const { path, maxBytes = MAX_BYTES, onError } = options;
  let lines: string[] = [];
  let writing: Promise<void> | undefined;
  let failed = false;

  async function write(): Promise<void> {
    const batch = lines.join('');
    lines = [];
    await makePrivate(path);
    const size = await sizeOf(path);
    if (size > 0 && size + Buffer.byteLength(batch) > maxBytes) {
      await rename(path, `${path}.1`);
      await makePrivate(path);
    }
    // Appended to a cut line, the record would be lost with it.
    const whole = await endsInLine(path, await sizeOf(path));
    await appendFile(path, whole ? batch : `\n${batch}`, { mode: MODE, flush: true });
  }

  async function writeAll(): Promise<void> {
    while (lines.length > 0) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- records stay in order
        await write();
        failed = false;
      } catch (error) {
        if (!failed) onError(error);
        failed = true;
      }
    }
    writing = undefined;
  }

  return {
    append(record) {
      if (lines.length >= MAX_WAITING) return;
      lines.push(`${JSON.stringify(record)}\n`);
      writing ??= writeAll();
    },
    async close() {
      await writing;
    },
  };
}

/**
 * The records of both files, oldest first. Skips lines that cannot be parsed, since a power cut may
 * have cut one. Rejects with the error of the file system.
 * @param parse undefined for a value that is not a record
 */
export async function readEvidenceFile<T>(
  path: string,
  parse: (value: unknown) => T | undefined,
): Promise<readonly T[]> {
  const files = await Promise.all(
    // Twice the size, so that a batch always fits.
    [`${path}.1`, path].map((file) => readStateFile(file, 2 * MAX_BYTES)),
  );
  return files.flatMap((bytes) =>
    bytes === undefined
      ? []
      : new TextDecoder()
          .decode(bytes)
          .split('\n')
          .flatMap((line) => {
            const record = parseLine(line, parse);
            return record === undefined ? [] : [record];
          }),
  );
}

function parseLine<T>(line: string, parse: (value: unknown) => T | undefined): T | undefined {
  if (line === '') return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return parse(value);
  } catch {
    return undefined;
  }
}
