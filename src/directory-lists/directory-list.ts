/** A list of directories (docs/directory-lists.md, section 2). */
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { Network } from '../protocol/constants.js';
import { formatLocation, parseLocation, type Location } from '../protocol/location.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { sha256Hex } from './ed25519.js';
import { LIST_BOUNDS } from './limits.js';
import {
  CAPABILITY,
  hasDuplicates,
  inOrder,
  KEY,
  networkOf,
  PLAIN_TEXT,
  recordsOf,
  textsOf,
  wholeOf,
} from './members.js';
import type { ListRefusal } from './refusal.js';

const DOMAIN = 'joinmarket-directory-list-v1\n';

/** One directory of a list. */
export interface ListEntry {
  readonly location: Location;
  /** When it began to serve, in seconds since 1970. */
  readonly since: number;
  /** Of its operator, for a person: printable ASCII. */
  readonly note: string;
  /** Names of what it offers, as in handshakes. */
  readonly capabilities: readonly string[];
}

export interface DirectoryList {
  readonly network: Network;
  /** From 1; the next list has a higher number. */
  readonly sequence: number;
  /** Seconds since 1970. */
  readonly issued: number;
  /** Seconds since 1970; the list is not used from then on. */
  readonly expires: number;
  /** The fingerprint of the key set that signs it. */
  readonly keys: string;
  readonly entries: readonly ListEntry[];
}

interface EntryValue {
  readonly capabilities: readonly string[];
  readonly location: string;
  readonly note: string;
  readonly since: number;
}

/** The members of an entry in the order of the canonical form. */
export function entryValue({ capabilities, location, note, since }: ListEntry): EntryValue {
  const names = inOrder(capabilities, (name) => name);
  return { capabilities: names, location: formatLocation(location), note, since };
}

/** The members in the order of the canonical form. */
export function listValue(list: DirectoryList): Record<string, unknown> {
  return {
    entries: inOrder(list.entries.map(entryValue), ({ location }) => location),
    expires: list.expires,
    issued: list.issued,
    keys: list.keys,
    network: list.network,
    sequence: list.sequence,
  };
}

/** The bytes that are signed. */
export function listBytes(list: DirectoryList): Uint8Array {
  return utf8ToBytes(DOMAIN + JSON.stringify(listValue(list)));
}

/** SHA-256 of the signed bytes, 64 lower-case hex digits. */
export function listHash(list: DirectoryList): string {
  return sha256Hex(listBytes(list));
}

/** Reads an entry from its members. */
export function parseEntry(
  record: Readonly<Record<string, unknown>>,
): Parsed<ListEntry, ListRefusal> {
  const { note, location: address } = record;
  const since = wholeOf(record['since'], 0);
  const capabilities = textsOf(record['capabilities'], CAPABILITY);
  if (since === undefined || capabilities === undefined) return fail('malformed');
  if (typeof note !== 'string' || !PLAIN_TEXT.test(note)) return fail('malformed');
  if (note.length > LIST_BOUNDS.noteLength) return fail('malformed');
  if (capabilities.length > LIST_BOUNDS.capabilities) return fail('too-many');
  if (capabilities.some(({ length }) => length > LIST_BOUNDS.capabilityLength)) {
    return fail('malformed');
  }
  if (hasDuplicates(capabilities) || typeof address !== 'string') return fail('malformed');
  const location = parseLocation(address);
  if (!location.ok) return fail('malformed');
  return ok({ location: location.value, since, note, capabilities });
}

/** Reads a list from its members. */
export function parseList(
  record: Readonly<Record<string, unknown>>,
): Parsed<DirectoryList, ListRefusal> {
  const network = networkOf(record['network']);
  const sequence = wholeOf(record['sequence'], 1);
  const issued = wholeOf(record['issued'], 0);
  const expires = wholeOf(record['expires'], 0);
  const { keys } = record;
  const records = recordsOf(record['entries']);
  if (network === undefined || sequence === undefined) return fail('malformed');
  if (issued === undefined || expires === undefined || expires <= issued) return fail('malformed');
  if (expires - issued > LIST_BOUNDS.lifetimeSeconds) return fail('malformed');
  if (typeof keys !== 'string' || !KEY.test(keys) || records === undefined) {
    return fail('malformed');
  }
  if (records.length > LIST_BOUNDS.entries) return fail('too-many');
  const entries: ListEntry[] = [];
  for (const item of records) {
    const entry = parseEntry(item);
    if (!entry.ok) return entry;
    entries.push(entry.value);
  }
  if (hasDuplicates(entries.map(({ location }) => formatLocation(location)))) {
    return fail('duplicate-entry');
  }
  return ok({ network, sequence, issued, expires, keys, entries });
}
