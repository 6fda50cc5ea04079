/** Files of lists, with errors for a person. */
import { parseAnnouncement, type Announcement } from '../../directory-lists/announcement.js';
import { parseEntry, type ListEntry } from '../../directory-lists/directory-list.js';
import {
  formatDocument,
  parseDocument,
  type ListDocument,
} from '../../directory-lists/list-document.js';
import { LIST_BOUNDS } from '../../directory-lists/limits.js';
import { recordsOf } from '../../directory-lists/members.js';
import { REFUSAL_TEXTS } from '../../directory-lists/refusal.js';
import { errorCodeOrText } from '../../kit/error-text.js';
import { readStateFile } from '../../ops/state-file.js';
import { UsageError } from '../errors.js';
import { writeNewFile } from '../wallet/new-file.js';

/** The bytes of a file. Rejects with a UsageError. */
export async function readInput(path: string): Promise<Uint8Array> {
  try {
    const bytes = await readStateFile(path, LIST_BOUNDS.documentBytes);
    if (bytes !== undefined) return bytes;
  } catch (error) {
    throw new UsageError(`${path} cannot be read (${errorCodeOrText(error)})`, { cause: error });
  }
  throw new UsageError(`${path} does not exist`);
}

/** A list or a draft. Rejects with a UsageError. */
export async function readDocument(path: string): Promise<ListDocument> {
  const parsed = parseDocument(await readInput(path));
  if (parsed.ok) return parsed.value;
  throw new UsageError(`${path} is no list of directories: ${REFUSAL_TEXTS[parsed.reason]}`);
}

export async function readOptionalDocument(
  path: string | undefined,
): Promise<ListDocument | undefined> {
  return path === undefined ? undefined : readDocument(path);
}

/** An announcement whose signature is right. Rejects with a UsageError. */
export async function readAnnouncement(path: string): Promise<Announcement> {
  const parsed = parseAnnouncement(await readInput(path));
  if (parsed.ok) return parsed.value;
  throw new UsageError(`${path} is no valid announcement: ${REFUSAL_TEXTS[parsed.reason]}`);
}

/** A JSON array of entries, as the list has them. Rejects with a UsageError. */
export async function readEntries(path: string): Promise<readonly ListEntry[]> {
  const text = new TextDecoder('latin1').decode(await readInput(path));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path} is not JSON`, { cause: error });
  }
  const records = recordsOf(value);
  if (records === undefined) throw new UsageError(`${path}: an array of entries is expected`);
  return records.map((record, i) => {
    const entry = parseEntry({ since: 0, note: '', capabilities: [], ...record });
    if (entry.ok) return entry.value;
    throw new UsageError(`${path}: entry ${i + 1} cannot be used: ${REFUSAL_TEXTS[entry.reason]}`);
  });
}

/** Writes a document into a new file. */
export function writeDocument(path: string, document: ListDocument): Promise<void> {
  return writeNewFile(path, `${formatDocument(document)}\n`);
}
