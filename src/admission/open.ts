/** Opens an engine with its backend, its audit log and the files that it follows. */
import { access, constants, mkdir, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { Log } from '../channel/log.js';
import type { Clock } from '../kit/clock.js';
import { errorText } from '../kit/error-text.js';
import { readStateFile } from '../ops/state-file.js';
import type { Backend } from './api.js';
import { openAudit, type AuditLog } from './audit.js';
import { CodeBook, type CodeBookOptions } from './backends/code-book.js';
import { HashLines, parseHashLines } from './backends/hash-lines.js';
import { Program } from './backends/program.js';
import { StaticList } from './backends/static-list.js';
import { codesNow, CodeStoreError, followFile } from './code-store.js';
import { AdmissionEngine } from './engine.js';
import type { UseCounter } from './sessions.js';
import { openUses } from './uses-file.js';

/** Where codes come from. */
export type CodeSource =
  /** Our own file. */
  | { readonly kind: 'codes'; readonly path: string }
  /** The guide's lines of SHA-256. */
  | { readonly kind: 'hash-lines'; readonly path: string }
  /** A program with two arguments. */
  | { readonly kind: 'program'; readonly path: string }
  /** A file of mode 0600 with one code in clear, or one `.loki` address, a line; read once. */
  | { readonly kind: 'list'; readonly path: string };

/** The files of admission in a data directory. */
export function admissionFiles(datadir: string) {
  const folder = join(datadir, 'admission');
  return {
    codes: join(folder, 'codes.json'),
    audit: join(folder, 'audit.log'),
    curveKey: join(folder, 'curve.key'),
  };
}

export interface OpenAdmissionOptions {
  readonly source: CodeSource;
  readonly auditPath: string;
  readonly clock: Clock;
  readonly log: Log;
  /** See `AdmissionEngineOptions`. */
  readonly payme?: boolean;
  /** Of the program, in milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Of the program. */
  readonly concurrency?: number | undefined;
}

const MAX_LINES_BYTES = 8 * 1024 * 1024;

interface Opened {
  readonly backend: Backend;
  readonly stop: () => void;
}

async function textOf(path: string): Promise<string> {
  const bytes = await readStateFile(path, MAX_LINES_BYTES);
  if (!bytes) throw new CodeStoreError(`${path}: no such file`);
  return Buffer.from(bytes).toString('utf8');
}

/** Uses whose faults are logged once, until the disk takes one again. */
function toldUses(
  uses: UseCounter,
  path: string,
  log: Log,
): Required<Pick<CodeBookOptions, 'uses' | 'onFault'>> {
  let isFailing = false;
  return {
    uses: {
      count: (id) => uses.count(id),
      add(id) {
        uses.add(id);
        isFailing = false;
      },
    },
    onFault(error) {
      if (!isFailing) {
        log.error('the use of a code cannot be stored, so the code is refused: free the disk', {
          path: `${path}.uses`,
          reason: errorText(error),
        });
      }
      isFailing = true;
    },
  };
}

async function openCodes(path: string, { clock, log }: OpenAdmissionOptions): Promise<Opened> {
  const uses = openUses(`${path}.uses`);
  try {
    const book = new CodeBook(await codesNow(path), toldUses(uses, path, log));
    const stop = await followFile({
      path,
      read: () => codesNow(path),
      changed: (content) => book.replace(content),
      clock,
      log,
    });
    return {
      backend: book,
      stop() {
        stop();
        uses.close();
      },
    };
  } catch (error) {
    uses.close();
    throw error;
  }
}

async function openLines(path: string, { clock, log }: OpenAdmissionOptions): Promise<Opened> {
  const lines = new HashLines(new Set());
  const stop = await followFile({
    path,
    read: async () => parseHashLines(await textOf(path)),
    changed({ hashes, ignored }) {
      lines.replace(hashes);
      if (ignored > 0) log.warn('lines that are no SHA-256 in hex are ignored', { lines: ignored });
    },
    clock,
    log,
  });
  return { backend: lines, stop };
}

async function openProgram(path: string, options: OpenAdmissionOptions): Promise<Opened> {
  const { timeoutMs, concurrency } = options;
  if (!isAbsolute(path)) throw new CodeStoreError(`${path}: give the absolute path of the program`);
  try {
    await access(path, constants.X_OK);
  } catch (error) {
    throw new CodeStoreError(`${path} cannot be started: ${errorText(error)}`, { cause: error });
  }
  const backend = new Program({
    program: path,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(concurrency === undefined ? {} : { concurrency }),
  });
  return { backend, stop() {} };
}

function isLoki(line: string): boolean {
  return /^[a-z0-9.-]+\.loki$/.test(line);
}

async function openList(path: string): Promise<Opened> {
  const text = await textOf(path);
  if (((await stat(path)).mode & 0o077) !== 0) {
    throw new CodeStoreError(`${path} holds codes in clear and other users can read it: chmod 600`);
  }
  const lines = text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#'));
  const codes = lines.filter((line) => !isLoki(line));
  return { backend: new StaticList({ codes, addresses: lines.filter(isLoki) }), stop() {} };
}

function openSource(options: OpenAdmissionOptions): Promise<Opened> {
  const { kind, path } = options.source;
  switch (kind) {
    case 'codes':
      return openCodes(path, options);
    case 'hash-lines':
      return openLines(path, options);
    case 'program':
      return openProgram(path, options);
    case 'list':
      return openList(path);
  }
}

/** An engine with open files. */
export interface OpenedAdmission {
  readonly engine: AdmissionEngine;
  close(): void;
}

async function auditOf({ auditPath, log }: OpenAdmissionOptions): Promise<AuditLog> {
  await mkdir(dirname(auditPath), { recursive: true, mode: 0o700 });
  return openAudit({
    path: auditPath,
    onError: (error) => {
      log.warn('the audit log cannot be written', { reason: errorText(error) });
    },
  });
}

/** Rejects with a CodeStoreError or the error of the file system; nothing is left open then. */
export async function openAdmission(options: OpenAdmissionOptions): Promise<OpenedAdmission> {
  const { payme = false } = options;
  const { backend, stop } = await openSource(options);
  let audit: AuditLog;
  try {
    audit = await auditOf(options);
  } catch (error) {
    stop();
    backend.close();
    throw error;
  }
  const engine = new AdmissionEngine({
    backend,
    payme,
    onDecision: (entry) => audit.record(entry),
  });
  return {
    engine,
    close() {
      stop();
      engine.close();
      audit.close();
    },
  };
}
