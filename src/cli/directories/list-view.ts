/** Shows lists and what changed in them, for a person and for a program. */
import {
  entryValue,
  listHash,
  listValue,
  type ListEntry,
} from '../../directory-lists/directory-list.js';
import {
  differenceOf,
  signingKeySet,
  type ListDifference,
} from '../../directory-lists/difference.js';
import { fingerprintOf, keySetValue, type KeySet } from '../../directory-lists/key-set.js';
import type { ListDocument } from '../../directory-lists/list-document.js';
import { missingSignatures } from '../../directory-lists/making.js';
import { textTable, type Column } from '../../kit/text-table.js';
import { formatLocation } from '../../protocol/location.js';

/** The day of a time in seconds since 1970, UTC. */
function day(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `${seconds} s` : date.toISOString().slice(0, 10);
}

const COLUMNS: readonly Column[] = [
  { heading: 'directory' },
  { heading: 'since' },
  { heading: 'capabilities' },
  { heading: 'note' },
];

function entryRow({ location, since, capabilities, note }: ListEntry): readonly string[] {
  return [formatLocation(location), day(since), capabilities.join(' '), note];
}

function keyLines({ keys, threshold, sequence }: KeySet): readonly string[] {
  const head = `key set ${sequence}: ${threshold} of these ${keys.length} keys sign`;
  return [head, ...keys.map((key) => `  ${key}`)];
}

/** The whole document. */
export function documentText(document: ListDocument): string {
  const { list, signatures } = document;
  const keySet = signingKeySet(document);
  const missing = missingSignatures(document).map(
    ({ of, have, need }) => `not complete: ${have} of ${need} signatures of the ${of}`,
  );
  const first = fingerprintOf(document.keySets[0].keySet);
  const newest = fingerprintOf(keySet);
  return [
    `list ${list.sequence} of ${list.network}, issued ${day(list.issued)}, expires ${day(list.expires)}`,
    `hash ${listHash(list)}`,
    ...keyLines(keySet),
    `signed by ${signatures.length} of them`,
    ...missing,
    `list_keys = ${newest}`,
    ...(first === newest ? [] : [`(whoever pinned ${first} may keep it)`]),
    '',
    ...textTable(COLUMNS, list.entries.map(entryRow)),
  ].join('\n');
}

/** What changed; one line for each change. */
export function differenceText(earlier: ListDocument, later: ListDocument): string {
  const { added, removed, changed, sequence, expires, keys } = differenceOf(earlier, later);
  const lines = [
    `list ${sequence.before} -> ${sequence.after}, expires ${day(expires.before)} -> ${day(expires.after)}`,
    ...(keys
      ? [
          `KEYS CHANGE: ${keys.threshold.before} -> ${keys.threshold.after} signatures needed`,
          ...keys.added.map((key) => `+ key ${key}`),
          ...keys.removed.map((key) => `- key ${key}`),
        ]
      : []),
    ...removed.map((entry) => `- ${entryRow(entry).join('  ')}`),
    ...added.map((entry) => `+ ${entryRow(entry).join('  ')}`),
    ...changed.flatMap(({ before, after }) => [
      `< ${entryRow(before).join('  ')}`,
      `> ${entryRow(after).join('  ')}`,
    ]),
  ];
  const same = later.list.entries.length - added.length - changed.length;
  return [...lines, `${same} directories stay as they are`].join('\n');
}

function differenceJson(difference: ListDifference): Record<string, unknown> {
  return {
    ...difference,
    added: difference.added.map(entryValue),
    removed: difference.removed.map(entryValue),
    changed: difference.changed.map(({ before, after }) => ({
      before: entryValue(before),
      after: entryValue(after),
    })),
  };
}

export function documentJson(
  document: ListDocument,
  before: ListDocument | undefined,
): Record<string, unknown> {
  return {
    ...listValue(document.list),
    hash: listHash(document.list),
    keysets: document.keySets.map(({ keySet }) => ({
      ...keySetValue(keySet),
      fingerprint: fingerprintOf(keySet),
    })),
    signed_by: document.signatures.map(({ key }) => key),
    missing: missingSignatures(document),
    ...(before && { difference: differenceJson(differenceOf(before, document)) }),
  };
}
