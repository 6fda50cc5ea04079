/**
 * Results of `onionmc check --watch` in a file: one line of JSON for each probe of a directory.
 * Bounded; a crash loses at most the last line. Mode 0600: it shows which directories the user watches.
 */
import { open } from 'node:fs/promises';
import { errorCodeOrText } from '../kit/error-text.js';
import { parseRecord } from '../kit/json-record.js';
import { ExitCode } from '../ops/exit.js';
import { readStateFile, StateFileTooLargeError, writeStateFile } from '../ops/state-file.js';
import { outcomeText, isFine, type ProbeResult } from '../probe/probe.js';
import { formatLocation, parseLocation } from '../protocol/location.js';

/** Above this size the older half is removed; about a month of five directories every five minutes. */
const MAX_BYTES = 8 * 1024 * 1024;
const KEPT_BYTES = MAX_BYTES / 2;
const LF = 0x0a;
const BRACE = 0x7b;

/** The history cannot be used; one line with the file, the reason, and what to do. */
export class CheckHistoryError extends Error {
  override readonly name = 'CheckHistoryError';
  readonly exitCode = ExitCode.USAGE;
}

function unusable(path: string, error: unknown): unknown {
  if (error instanceof StateFileTooLargeError || !(error instanceof Error)) return error;
  const reason = errorCodeOrText(error);
  return new CheckHistoryError(
    `the history ${path} cannot be kept (${reason}): give another file with --history, in a folder with room that this user may write to`,
    { cause: error },
  );
}

export interface HistoryEntry {
  /** Seconds since 1970. */
  readonly at: number;
  readonly directory: string;
  readonly ok: boolean;
  readonly found: string;
  /** Until the connection stood; undefined when it failed. */
  readonly dialMs?: number;
}

export function historyEntry(result: ProbeResult, at: number): HistoryEntry {
  return {
    at,
    directory: formatLocation(result.location),
    ok: isFine(result),
    found: outcomeText(result),
    ...('dialMs' in result ? { dialMs: Math.round(result.dialMs) } : {}),
  };
}

function parseEntry(text: string): HistoryEntry | undefined {
  const value = parseRecord(text);
  if (!value) return undefined;
  const { at, directory, ok, found, dialMs } = value;
  if (typeof at !== 'number' || !Number.isFinite(at) || typeof ok !== 'boolean') return undefined;
  if (typeof directory !== 'string' || !parseLocation(directory).ok) return undefined;
  return {
    at,
    directory,
    ok,
    found: typeof found === 'string' ? found : '',
    ...(typeof dialMs === 'number' ? { dialMs } : {}),
  };
}

/** Reads whole lines; skips lines that are not entries (a partial line after a crash). */
export function parseHistory(text: string): readonly HistoryEntry[] {
  return text.split('\n').flatMap((line) => parseEntry(line) ?? []);
}

export interface Uptime {
  readonly checks: number;
  /** Share of successful probes, 0 to 1. */
  readonly share: number;
}

/** Statistics of one directory since a time (seconds since 1970); undefined without a probe. */
export function uptimeOf(
  entries: readonly HistoryEntry[],
  directory: string,
  since = 0,
): Uptime | undefined {
  const own = entries.filter((entry) => entry.directory === directory && entry.at >= since);
  if (own.length === 0) return undefined;
  return { checks: own.length, share: own.filter(({ ok }) => ok).length / own.length };
}

export interface CheckHistory {
  /** Oldest first, including those of earlier programs. */
  readonly entries: readonly HistoryEntry[];
  /** Appends and syncs to disk. Rejects with a CheckHistoryError. */
  add(entries: readonly HistoryEntry[]): Promise<void>;
}

/** The last whole lines within `bytes`. */
function tail(content: Uint8Array, bytes: number): Uint8Array {
  if (content.length <= bytes) return content;
  const cut = content.subarray(content.length - bytes);
  return cut.subarray(cut.indexOf(LF) + 1);
}

async function openUnnamed(path: string, maxBytes: number): Promise<CheckHistory> {
  const keptBytes = Math.min(KEPT_BYTES, Math.floor(maxBytes / 2));
  // Room for lines that another program may have appended meanwhile.
  let content = (await readStateFile(path, 2 * maxBytes)) ?? new Uint8Array(0);
  if (content.length > 0 && content[0] !== BRACE) throw new Error('the file is not a history');
  if (content.length > maxBytes || content.length === 0) {
    content = tail(content, keptBytes);
    await writeStateFile(path, content);
  }
  let size = content.length;
  let entries = parseHistory(Buffer.from(content).toString('utf8'));
  let isWhole = size === 0 || content[size - 1] === LF;
  return {
    get entries() {
      return entries;
    },
    async add(fresh) {
      const lines = fresh.map((entry) => `${JSON.stringify(entry)}\n`).join('');
      const bytes = Buffer.from(isWhole ? lines : `\n${lines}`);
      const file = await open(path, 'a', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      isWhole = true;
      size += bytes.length;
      entries = [...entries, ...fresh];
      if (size <= maxBytes) return;
      const kept = tail((await readStateFile(path, 2 * maxBytes)) ?? bytes, keptBytes);
      await writeStateFile(path, kept);
      size = kept.length;
      entries = parseHistory(Buffer.from(kept).toString('utf8'));
    },
  };
}

/**
 * Opens or creates the file. Rejects with a CheckHistoryError, also for another kind of file, or with a
 * StateFileTooLargeError.
 */
export async function openCheckHistory(
  path: string,
  maxBytes: number = MAX_BYTES,
): Promise<CheckHistory> {
  try {
    const history = await openUnnamed(path, maxBytes);
    return {
      get entries() {
        return history.entries;
      },
      add: (fresh) =>
        history.add(fresh).catch((error: unknown) => {
          throw unusable(path, error);
        }),
    };
  } catch (error) {
    throw unusable(path, error);
  }
}
