/** Making a list: draft, signatures one by one, and their combination. Pure. */
import { fail, ok, type Parsed } from '../protocol/result.js';
import { listBytes, listHash, type DirectoryList, type ListEntry } from './directory-list.js';
import { publicKeyOf, signBytes } from './ed25519.js';
import { fingerprintOf, keySetBytes, type KeySet } from './key-set.js';
import { signingKeySet } from './difference.js';
import type { ListDocument, SignedKeySet } from './list-document.js';
import type { KeySignature } from './members.js';

export interface DraftOptions {
  /** The list that this one replaces; undefined for a first list. */
  readonly before: ListDocument | undefined;
  /** Keys that sign from now on; undefined: those that signed the list before. */
  readonly keys: Pick<KeySet, 'threshold' | 'keys'> | undefined;
  readonly network: DirectoryList['network'];
  readonly issued: number;
  readonly expires: number;
  readonly entries: readonly ListEntry[];
}

/** A first list needs keys. */
export type DraftFault = 'no-keys';

type KeySets = ListDocument['keySets'];

function keySetsOf({ before, keys, network }: DraftOptions): Parsed<KeySets, DraftFault> {
  if (before === undefined) {
    if (keys === undefined) return fail('no-keys');
    return ok([{ keySet: { ...keys, network, sequence: 1, previous: '' }, signatures: [] }]);
  }
  if (keys === undefined) return ok(before.keySets);
  const last = signingKeySet(before);
  const keySet: KeySet = {
    ...keys,
    network,
    sequence: last.sequence + 1,
    previous: fingerprintOf(last),
  };
  const [first, ...rest] = before.keySets;
  return ok([first, ...rest, { keySet, signatures: [] }]);
}

/** A document without signatures. */
export function draftDocument(options: DraftOptions): Parsed<ListDocument, DraftFault> {
  const { before, network, issued, expires, entries } = options;
  const keySets = keySetsOf(options);
  if (!keySets.ok) return keySets;
  const last = keySets.value.at(-1) ?? keySets.value[0];
  const list: DirectoryList = {
    network,
    sequence: (before?.list.sequence ?? 0) + 1,
    issued,
    expires,
    keys: fingerprintOf(last.keySet),
    entries,
  };
  return ok({ keySets: keySets.value, list, signatures: [] });
}

function withSignature(
  signatures: readonly KeySignature[],
  key: string,
  sign: () => string,
): readonly KeySignature[] {
  if (signatures.some((each) => each.key === key)) return signatures;
  return [...signatures, { key, signature: sign() }];
}

/** The rotation that is not complete yet: the last key set, while too few keys of the one before signed it. */
function openRotation({ keySets }: ListDocument): SignedKeySet | undefined {
  const before = keySets.at(-2);
  const last = keySets.at(-1);
  if (before === undefined || last === undefined) return undefined;
  return last.signatures.length < before.keySet.threshold ? last : undefined;
}

/** What the key may sign in a document. */
export interface SigningPart {
  readonly list: boolean;
  readonly rotation: boolean;
}

export function partsOf(document: ListDocument, key: string): SigningPart {
  const before = document.keySets.at(-2)?.keySet;
  return {
    list: signingKeySet(document).keys.includes(key),
    rotation: openRotation(document) !== undefined && before?.keys.includes(key) === true,
  };
}

/** The document with the signatures that the key of this seed may add; `not-a-signer` when there is none. */
export function signDocument(
  document: ListDocument,
  seed: Uint8Array,
): Parsed<ListDocument, 'not-a-signer'> {
  const key = publicKeyOf(seed);
  const parts = partsOf(document, key);
  if (!parts.list && !parts.rotation) return fail('not-a-signer');
  const open = openRotation(document);
  const signed = (each: SignedKeySet): SignedKeySet => {
    if (!parts.rotation || each !== open) return each;
    const sign = (): string => signBytes(keySetBytes(each.keySet), seed);
    return { ...each, signatures: withSignature(each.signatures, key, sign) };
  };
  const [first, ...rest] = document.keySets;
  const sign = (): string => signBytes(listBytes(document.list), seed);
  return ok({
    ...document,
    keySets: [first, ...rest.map(signed)],
    signatures: parts.list ? withSignature(document.signatures, key, sign) : document.signatures,
  });
}

function merged(all: readonly (readonly KeySignature[])[]): readonly KeySignature[] {
  return [...new Map(all.flat().map((each) => [each.key, each])).values()];
}

/** Whether two documents differ at most in their signatures. */
export function isSameDraft(a: ListDocument, b: ListDocument): boolean {
  return listHash(a.list) === listHash(b.list) && a.keySets.length === b.keySets.length;
}

/** Copies of one draft that different people signed become one document. */
export function combineDocuments(
  first: ListDocument,
  others: readonly ListDocument[],
): Parsed<ListDocument, 'other-draft'> {
  if (others.some((other) => !isSameDraft(first, other))) return fail('other-draft');
  const all = [first, ...others];
  const combined = (signed: SignedKeySet, i: number): SignedKeySet => ({
    keySet: signed.keySet,
    signatures: merged(all.map(({ keySets }) => keySets[i]?.signatures ?? [])),
  });
  const [root, ...rest] = first.keySets;
  return ok({
    keySets: [combined(root, 0), ...rest.map((signed, i) => combined(signed, i + 1))],
    list: first.list,
    signatures: merged(all.map(({ signatures }) => signatures)),
  });
}

/** Which signatures a document still needs. */
export interface Missing {
  readonly of: 'rotation' | 'list';
  readonly have: number;
  readonly need: number;
  /** Keys that have not signed. */
  readonly from: readonly string[];
}

export function missingSignatures(document: ListDocument): readonly Missing[] {
  const missing = (
    of: Missing['of'],
    set: KeySet,
    signatures: readonly KeySignature[],
  ): readonly Missing[] => {
    if (signatures.length >= set.threshold) return [];
    const from = set.keys.filter((key) => !signatures.some((each) => each.key === key));
    return [{ of, have: signatures.length, need: set.threshold, from }];
  };
  const before = document.keySets.at(-2);
  const last = document.keySets.at(-1) ?? document.keySets[0];
  return [
    ...(before === undefined ? [] : missing('rotation', before.keySet, last.signatures)),
    ...missing('list', last.keySet, document.signatures),
  ];
}
