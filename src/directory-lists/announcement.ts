/**
 * A directory's statement that it wants to be listed, signed with the key of its onion service: the address
 * itself is the public key, so the statement proves that its author owns the location
 * (docs/directory-lists.md, section 7).
 */
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { isRecord } from '../kit/json-record.js';
import type { Network } from '../protocol/constants.js';
import { parseOnionHost } from '../protocol/location.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { entryValue, parseEntry, type ListEntry } from './directory-list.js';
import { isSignatureBy, signWithExpandedKey } from './ed25519.js';
import { LIST_VERSION, openDocument } from './list-document.js';
import { networkOf, wholeOf } from './members.js';
import type { ListRefusal } from './refusal.js';

const FORMAT = 'joinmarket-directory-announcement';
const DOMAIN = 'joinmarket-directory-announcement-v1\n';
const SIGNATURE = /^[0-9a-f]{128}$/;

export interface Statement {
  readonly network: Network;
  /** When it was signed, in seconds since 1970. */
  readonly issued: number;
  /** As it shall be listed; its location is an onion. */
  readonly entry: ListEntry;
}

export interface Announcement {
  readonly statement: Statement;
  /** 128 lower-case hex digits. */
  readonly signature: string;
}

function statementValue({ entry, issued, network }: Statement): Record<string, unknown> {
  return { entry: entryValue(entry), issued, network };
}

function statementBytes(statement: Statement): Uint8Array {
  return utf8ToBytes(DOMAIN + JSON.stringify(statementValue(statement)));
}

/** The canonical text, without a line feed at its end. */
export function formatAnnouncement({ statement, signature }: Announcement): string {
  return JSON.stringify({
    format: FORMAT,
    signature,
    statement: statementValue(statement),
    version: LIST_VERSION,
  });
}

/** Signs with the expanded key of the onion service, 64 bytes. */
export function signStatement(statement: Statement, expandedKey: Uint8Array): Announcement {
  return { statement, signature: signWithExpandedKey(statementBytes(statement), expandedKey) };
}

function parseStatement(value: unknown): Parsed<Statement, ListRefusal> {
  if (!isRecord(value) || !isRecord(value['entry'])) return fail('malformed');
  const network = networkOf(value['network']);
  const issued = wholeOf(value['issued'], 0);
  const entry = parseEntry(value['entry']);
  if (!entry.ok) return entry;
  return network === undefined || issued === undefined
    ? fail('malformed')
    : ok({ network, issued, entry: entry.value });
}

/** Reads an announcement and verifies its signature. Never throws. */
export function parseAnnouncement(bytes: Uint8Array): Parsed<Announcement, ListRefusal> {
  const opened = openDocument(bytes, FORMAT);
  if (!opened.ok) return opened;
  const { text, record } = opened.value;
  const statement = parseStatement(record['statement']);
  if (!statement.ok) return statement;
  const { signature } = record;
  if (typeof signature !== 'string' || !SIGNATURE.test(signature)) return fail('malformed');
  const announcement = { statement: statement.value, signature };
  if (formatAnnouncement(announcement) !== text) return fail('not-canonical');
  const key = parseOnionHost(statement.value.entry.location.host);
  if (!key.ok) return fail('unknown-signer');
  const isRight = isSignatureBy(key.value, statementBytes(statement.value), signature);
  return isRight ? ok(announcement) : fail('bad-signature');
}
