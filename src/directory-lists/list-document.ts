/**
 * The document that carries a list: the list with its signatures, and the key sets that lead from a pinned one
 * to the one that signs (docs/directory-lists.md, sections 2 to 4). Parsing says nothing about validity.
 */
import { parseRecord } from '../kit/json-record.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { parseList, listValue, type DirectoryList } from './directory-list.js';
import { keySetValue, parseKeySet, type KeySet } from './key-set.js';
import { LIST_BOUNDS } from './limits.js';
import { isRecord } from '../kit/json-record.js';
import { parseSignatures, recordsOf, signatureValues, type KeySignature } from './members.js';
import type { ListRefusal } from './refusal.js';

export const LIST_FORMAT = 'joinmarket-directory-list';
export const LIST_VERSION = 1;

/** A key set, with the signatures of keys of the set before it. */
export interface SignedKeySet {
  readonly keySet: KeySet;
  readonly signatures: readonly KeySignature[];
}

export interface ListDocument {
  /** The oldest first; the last one signs the list. */
  readonly keySets: readonly [SignedKeySet, ...SignedKeySet[]];
  readonly list: DirectoryList;
  /** Empty in a draft. */
  readonly signatures: readonly KeySignature[];
}

/** The canonical text, without a line feed at its end. */
export function formatDocument({ keySets, list, signatures }: ListDocument): string {
  return JSON.stringify({
    format: LIST_FORMAT,
    keysets: keySets.map((signed) => ({
      keyset: keySetValue(signed.keySet),
      signatures: signatureValues(signed.signatures),
    })),
    list: listValue(list),
    signatures: signatureValues(signatures),
    version: LIST_VERSION,
  });
}

/** Printable ASCII on one line, and at most one line feed at the end. */
const ONE_LINE = /^[ -~]*\n?$/;

function parseSignedKeySets(
  value: unknown,
): Parsed<readonly [SignedKeySet, ...SignedKeySet[]], ListRefusal> {
  const records = recordsOf(value);
  if (records === undefined) return fail('malformed');
  if (records.length > LIST_BOUNDS.keySets) return fail('too-many');
  const signed: SignedKeySet[] = [];
  for (const { keyset, signatures: values } of records) {
    if (!isRecord(keyset)) return fail('malformed');
    const keySet = parseKeySet(keyset);
    if (!keySet.ok) return keySet;
    const signatures = parseSignatures(values);
    if (!signatures.ok) return signatures;
    signed.push({ keySet: keySet.value, signatures: signatures.value });
  }
  const [first, ...rest] = signed;
  return first === undefined ? fail('malformed') : ok([first, ...rest]);
}

/** One character for each byte, so that the length and every character are those of the bytes. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes);
}

/** Reads a document of the format and version; other members are left to the caller. */
export function openDocument(
  bytes: Uint8Array,
  format: string,
): Parsed<
  { readonly text: string; readonly record: Readonly<Record<string, unknown>> },
  ListRefusal
> {
  if (bytes.length > LIST_BOUNDS.documentBytes) return fail('oversize');
  const text = textOf(bytes);
  const record = parseRecord(text);
  if (record === undefined) return fail('not-json');
  if (record['format'] !== format) return fail('unknown-format');
  if (record['version'] !== LIST_VERSION) return fail('unknown-version');
  if (!ONE_LINE.test(text)) return fail('not-canonical');
  return ok({ text: text.endsWith('\n') ? text.slice(0, -1) : text, record });
}

/** Reads a document. Never throws; the result has exactly one text, `formatDocument`. */
export function parseDocument(bytes: Uint8Array): Parsed<ListDocument, ListRefusal> {
  const opened = openDocument(bytes, LIST_FORMAT);
  if (!opened.ok) return opened;
  const { text, record } = opened.value;
  const keySets = parseSignedKeySets(record['keysets']);
  if (!keySets.ok) return keySets;
  if (!isRecord(record['list'])) return fail('malformed');
  const list = parseList(record['list']);
  if (!list.ok) return list;
  const signatures = parseSignatures(record['signatures']);
  if (!signatures.ok) return signatures;
  const document = {
    keySets: keySets.value,
    list: list.value,
    signatures: signatures.value,
  };
  return formatDocument(document) === text ? ok(document) : fail('not-canonical');
}
