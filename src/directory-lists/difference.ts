/** What changed between two lists, for the people who sign the new one. Pure. */
import { formatLocation } from '../protocol/location.js';
import { entryValue, type DirectoryList, type ListEntry } from './directory-list.js';
import { fingerprintOf, type KeySet } from './key-set.js';
import type { ListDocument } from './list-document.js';

/** An entry that both lists have, with other members. */
export interface ChangedEntry {
  readonly before: ListEntry;
  readonly after: ListEntry;
}

export interface ListDifference {
  readonly added: readonly ListEntry[];
  readonly removed: readonly ListEntry[];
  readonly changed: readonly ChangedEntry[];
  readonly sequence: { readonly before: number; readonly after: number };
  readonly expires: { readonly before: number; readonly after: number };
  /** Absent when the same key set signs both. */
  readonly keys?: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly threshold: { readonly before: number; readonly after: number };
  };
}

function byLocation({ entries }: DirectoryList): ReadonlyMap<string, ListEntry> {
  return new Map(entries.map((entry) => [formatLocation(entry.location), entry]));
}

function keysDifference(before: KeySet, after: KeySet): ListDifference['keys'] {
  if (fingerprintOf(before) === fingerprintOf(after)) return undefined;
  return {
    added: after.keys.filter((key) => !before.keys.includes(key)),
    removed: before.keys.filter((key) => !after.keys.includes(key)),
    threshold: { before: before.threshold, after: after.threshold },
  };
}

/** The key set that signs the list of a document. */
export function signingKeySet({ keySets }: ListDocument): KeySet {
  return (keySets.at(-1) ?? keySets[0]).keySet;
}

/** From the earlier document to the later one. */
export function differenceOf(earlier: ListDocument, later: ListDocument): ListDifference {
  const [old, fresh] = [byLocation(earlier.list), byLocation(later.list)];
  const keys = keysDifference(signingKeySet(earlier), signingKeySet(later));
  const changed = [...fresh].flatMap(([key, after]) => {
    const before = old.get(key);
    const same =
      before === undefined ||
      JSON.stringify(entryValue(before)) === JSON.stringify(entryValue(after));
    return same ? [] : [{ before, after }];
  });
  return {
    added: [...fresh].filter(([key]) => !old.has(key)).map(([, entry]) => entry),
    removed: [...old].filter(([key]) => !fresh.has(key)).map(([, entry]) => entry),
    changed,
    sequence: { before: earlier.list.sequence, after: later.list.sequence },
    expires: { before: earlier.list.expires, after: later.list.expires },
    ...(keys === undefined ? {} : { keys }),
  };
}
