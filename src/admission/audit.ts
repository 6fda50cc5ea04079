/**
 * The audit log: one line of JSON for each decision, without codes. Mode 0600, at most two files of 1 MiB.
 * Refusals and repeated admissions come in any number, so a minute has a bound; the rest is counted.
 */
import { closeSync, fchmodSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { errorCode } from '../kit/error-text.js';
import { countInWindow, type CountWindow } from '../kit/rate-limit.js';
import type { AuditEntry } from './api.js';

const MAX_BYTES = 1024 * 1024;
const MINUTE_MS = 60_000;
/** Lines of one verdict in a minute. */
const LINES_PER_MINUTE = 120;

export interface AuditLog {
  /** Writes one line; a failure of the disk is reported once and does not stop admission. */
  record(entry: AuditEntry): void;
  close(): void;
}

export interface AuditOptions {
  readonly path: string;
  readonly onError: (error: unknown) => void;
  readonly maxBytes?: number;
}

/** Throws the error of the file system when the file cannot be opened. */
export function openAudit({ path, onError, maxBytes = MAX_BYTES }: AuditOptions): AuditLog {
  let file = open(path);
  let bytes = fstatSync(file).size;
  let failed = false;
  const windows = new Map<string, CountWindow>();
  const dropped = new Map<string, number>();

  // The old file stays open until the new one is: a number that was closed may be that of a peer's socket.
  const turn = (): void => {
    try {
      renameSync(path, `${path}.1`);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
    const next = open(path);
    closeSync(file);
    file = next;
    bytes = 0;
  };

  const write = (line: string): void => {
    try {
      if (bytes + line.length > maxBytes) {
        turn();
      }
      bytes += writeSync(file, line);
      failed = false;
    } catch (error) {
      if (!failed) onError(error);
      failed = true;
    }
  };

  return {
    record({ now, door, address, verdict, reason, codeId }) {
      const time = new Date(now).toISOString();
      const window = windows.get(verdict) ?? { since: -Infinity, count: 0 };
      windows.set(verdict, window);
      const inMinute = countInWindow(window, MINUTE_MS, now);
      if (inMinute > LINES_PER_MINUTE) {
        dropped.set(verdict, (dropped.get(verdict) ?? 0) + 1);
        return;
      }
      const notWritten = dropped.get(verdict);
      if (inMinute === 1 && notWritten !== undefined) {
        dropped.delete(verdict);
        write(`${JSON.stringify({ time, verdict, notWritten })}\n`);
      }
      write(
        `${JSON.stringify({ time, door, address: shown(address), verdict, reason, codeId })}\n`,
      );
    },
    close: () => closeSync(file),
  };
}

/** The address comes from a stranger. */
function shown(address: string): string {
  return address.replaceAll(/[^\x21-\x7e]/g, '?').slice(0, 128);
}

function open(path: string): number {
  const file = openSync(path, 'a', 0o600);
  try {
    // A file of another user is refused.
    fchmodSync(file, 0o600);
  } catch (error) {
    closeSync(file);
    throw error;
  }
  return file;
}
