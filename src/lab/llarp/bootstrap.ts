/**
 * Bootstrap files: one router contact, or a list of them, as Lokinet wrote them. A file, unlike a message, may end with
 * a line feed.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { listOf } from '../../llarp/codec/field.js';
import { readLlarp, writeLlarp } from '../../llarp/read.js';
import { ROUTER_CONTACT, type RouterContact } from '../../llarp/structures.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';

/** Most contacts of a file, and the bounds of its bencode. */
const MAX_CONTACTS = 1_024;
const LIMITS = { bytes: 4_194_304, depth: 12, parts: 262_144 };
const CONTACTS = listOf(ROUTER_CONTACT, MAX_CONTACTS);
const LINE_FEED = 0x0a;
const LIST = 'l'.charCodeAt(0);

/** The contacts in the bytes of a file; their signatures and times are checked by the book that takes them. */
export function parseBootstrap(file: Uint8Array): Parsed<readonly RouterContact[]> {
  const bytes = file.at(-1) === LINE_FEED ? file.subarray(0, -1) : file;
  if (bytes[0] === LIST) return readLlarp(CONTACTS, bytes, LIMITS);
  const contact = readLlarp(ROUTER_CONTACT, bytes);
  return contact.ok ? ok([contact.value]) : fail(contact.reason);
}

/** Reads a file. Throws with its path when it cannot be read, or is not a bootstrap file. */
export async function readBootstrap(path: string): Promise<readonly RouterContact[]> {
  const contacts = parseBootstrap(new Uint8Array(await readFile(path)));
  if (!contacts.ok) throw new Error(`${path} is not a bootstrap file: ${contacts.reason}`);
  return contacts.value;
}

/** Writes a list. A reader sees the file before or after it, never a part. */
export async function writeBootstrap(
  path: string,
  contacts: readonly RouterContact[],
): Promise<void> {
  const next = `${path}.${process.pid}.next`;
  await writeFile(next, writeLlarp(CONTACTS, contacts), { mode: 0o600 });
  await rename(next, path);
}
