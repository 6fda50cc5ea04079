/**
 * The file of our own codes: read, changed under a lock, replaced atomically, mode 0600. A running program
 * follows changes that another process makes.
 */
import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { Log } from '../channel/log.js';
import type { Clock } from '../kit/clock.js';
import { errorCode, errorText } from '../kit/error-text.js';
import { lockInstance, LockedError, type InstanceLock } from '../ops/instance-lock.js';
import { readStateFile, writeStateFile } from '../ops/state-file.js';
import {
  formatCodeFile,
  MAX_CODES,
  parseCodeFile,
  type CodeFileContent,
  type CodeKind,
  type CodeRecord,
  type CodeTerms,
} from './code-record.js';
import { codeMac, MAX_CODE_BYTES, madeCodeId, newCodeId, newCodeText } from './code-text.js';
import { scryptHash } from './scrypt-queue.js';

const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** Shortest code that a person may choose, in bytes. */
const MIN_CHOSEN_BYTES = 12;
const LOCK_TRIES = 25;
const LOCK_PAUSE_MS = 200;

/** A code file cannot be used, or a change of it is not possible. */
export class CodeStoreError extends Error {
  override readonly name = 'CodeStoreError';
  /** Wrong usage or configuration. */
  readonly exitCode = 2;
}

function emptyFile(): CodeFileContent {
  return { key: randomBytes(32), salt: randomBytes(16), codes: [] };
}

/** The content of a file; undefined when there is none. Rejects with a CodeStoreError. */
export async function readCodeFile(path: string): Promise<CodeFileContent | undefined> {
  const bytes = await readStateFile(path, MAX_FILE_BYTES);
  if (!bytes) return undefined;
  const content = parseCodeFile(Buffer.from(bytes).toString('utf8'));
  if (content.ok) return content.value;
  throw new CodeStoreError(
    `${path}: not a file of codes (${content.reason}); restore it, or move it away to begin with no codes`,
  );
}

async function lock(path: string): Promise<InstanceLock> {
  for (let attempt = 1; ; attempt++) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      return await lockInstance(`${path}.lock`);
    } catch (error) {
      if (!(error instanceof LockedError) || attempt === LOCK_TRIES) throw error;
    }
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => setTimeout(resolve, LOCK_PAUSE_MS));
  }
}

/** Reads, changes and replaces the file, one process at a time. The folder must exist. */
export async function changeCodeFile<T>(
  path: string,
  change: (
    content: CodeFileContent,
  ) => Promise<{ readonly content: CodeFileContent; readonly value: T }>,
): Promise<T> {
  const held = await lock(path);
  try {
    const { content, value } = await change((await readCodeFile(path)) ?? emptyFile());
    await writeStateFile(path, formatCodeFile(content));
    return value;
  } finally {
    await held.release();
  }
}

/** A code that was just added; the text is known only now. */
export interface AddedCode {
  readonly record: CodeRecord;
  readonly text: string;
}

/** What a code is added with. */
export interface NewCode {
  readonly name: string;
  readonly terms: CodeTerms;
  /** A code that a person chose; undefined: we make one. */
  readonly chosen?: string | undefined;
  readonly now: number;
}

function checkChosen(text: string): void {
  const bytes = Buffer.from(text);
  if (bytes.length < MIN_CHOSEN_BYTES || bytes.length > MAX_CODE_BYTES) {
    throw new CodeStoreError(
      `a chosen code has ${MIN_CHOSEN_BYTES} to ${MAX_CODE_BYTES} bytes; leave it out to get one with 128 random bits`,
    );
  }
  if (madeCodeId(bytes) !== undefined) {
    throw new CodeStoreError('a chosen code must not look like "omc-...": those are made here');
  }
}

/** Adds a code to the file. Rejects with a CodeStoreError or the error of the file system. */
export async function addCode(path: string, code: NewCode): Promise<AddedCode> {
  const { name, terms, chosen, now } = code;
  if (chosen !== undefined) checkChosen(chosen);
  return changeCodeFile(path, async (content) => {
    if (content.codes.length >= MAX_CODES) {
      throw new CodeStoreError(
        `${path} holds ${MAX_CODES} codes; remove revoked ones first: onionmc admission code revoke ID --remove`,
      );
    }
    const id = newCodeId(randomBytes);
    const text = chosen ?? newCodeText(id, randomBytes);
    const kind: CodeKind = chosen === undefined ? 'made' : 'chosen';
    const bytes = Buffer.from(text);
    const hash = (
      kind === 'made' ? codeMac(content.key, bytes) : await scryptHash(bytes, content.salt)
    ).toString('hex');
    if (content.codes.some((other) => other.hash === hash || other.id === id)) {
      throw new CodeStoreError('this code is in the file already');
    }
    const record: CodeRecord = { ...terms, id, kind, name, hash, created: now };
    return {
      content: { ...content, codes: [...content.codes, record] },
      value: { record, text },
    };
  });
}

/** Revokes a code by its id; false when it is not in the file. With `remove` its record goes, too. */
export async function revokeCode(
  path: string,
  id: string,
  options: { readonly now: number; readonly remove?: boolean },
): Promise<boolean> {
  return changeCodeFile(path, async (content) => {
    const codes = content.codes.flatMap((code) => {
      if (code.id !== id) return [code];
      return options.remove === true ? [] : [{ ...code, revoked: code.revoked ?? options.now }];
    });
    return {
      content: { ...content, codes },
      value: content.codes.some((code) => code.id === id),
    };
  });
}

/** Identifies the file that is at a path now. */
async function versionOf(path: string): Promise<string> {
  try {
    const { ino, mtimeMs, ctimeMs, size } = await stat(path);
    return `${ino} ${mtimeMs} ${ctimeMs} ${size}`;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'missing';
    throw error;
  }
}

const LOOK_MS = 1_000;

export interface FollowOptions<T> {
  readonly path: string;
  /** Reads the file; rejects when it is not valid. */
  readonly read: () => Promise<T>;
  readonly changed: (content: T) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Looks once a second whether a file has changed, and reads it then. A file that cannot be read leaves the
 * content before in force. Resolves after the first reading, to a function that stops it.
 */
export async function followFile<T>(options: FollowOptions<T>): Promise<() => void> {
  const { path, read, changed, clock, log } = options;
  let version = await versionOf(path);
  let isStopped = false;
  /** Of the last look; said once. */
  let lastFault = '';
  let cancel: (() => void) | undefined;
  changed(await read());
  const look = async (): Promise<void> => {
    try {
      const found = await versionOf(path);
      if (found !== version) {
        changed(await read());
        // After the reading: one that failed, for want of file handles for example, is repeated.
        version = found;
        log.info('codes of admission were read again');
      }
      lastFault = '';
    } catch (error) {
      const reason = errorText(error);
      if (reason !== lastFault) {
        log.warn('codes of admission cannot be read; those before stay in force', { reason });
      }
      lastFault = reason;
    }
    if (!isStopped) cancel = clock.after(LOOK_MS, () => void look());
  };
  cancel = clock.after(LOOK_MS, () => void look());
  return () => {
    isStopped = true;
    cancel?.();
  };
}

/** The content of a file that may be missing: no codes then. */
export async function codesNow(path: string): Promise<CodeFileContent> {
  return (await readCodeFile(path)) ?? emptyFile();
}
