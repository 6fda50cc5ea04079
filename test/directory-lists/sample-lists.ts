/** Key sets and lists for tests. Their keys are made at run time. */
import { randomBytes } from 'node:crypto';
import type { ListEntry } from '../../src/directory-lists/directory-list.js';
import { publicKeyOf } from '../../src/directory-lists/ed25519.js';
import { fingerprintOf } from '../../src/directory-lists/key-set.js';
import { formatDocument, type ListDocument } from '../../src/directory-lists/list-document.js';
import {
  draftDocument,
  signDocument,
  type DraftOptions,
} from '../../src/directory-lists/making.js';
import type { VerifyContext } from '../../src/directory-lists/verify.js';
import { onionHost, type Location } from '../../src/protocol/location.js';

export const NOW = 1_800_000_000;
const DAY = 86_400;

/** A private key and its public key. */
export interface Signer {
  readonly seed: Uint8Array;
  readonly key: string;
}

export function newSigner(): Signer {
  const seed = Uint8Array.from(randomBytes(32));
  return { seed, key: publicKeyOf(seed) };
}

export function newSigners(count: number): readonly Signer[] {
  return Array.from({ length: count }, newSigner);
}

/** The onion of a number. */
export function onionNumber(n: number): Location {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, n);
  return { kind: 'onion', host: onionHost(key), port: 5222 };
}

export function entryAt(location: Location, more: Partial<ListEntry> = {}): ListEntry {
  return { location, since: NOW - DAY, note: 'a test', capabilities: ['ping'], ...more };
}

export interface SampleOptions extends Partial<Omit<DraftOptions, 'keys'>> {
  /** The keys of a first list, or of a rotation. */
  readonly keys?: { readonly threshold: number; readonly signers: readonly Signer[] };
  /** Sign the list and the rotation. */
  readonly by: readonly Signer[];
}

/** A signed list of two directories on signet, valid for 30 days from now. */
export function sampleList(options: SampleOptions): ListDocument {
  const { keys, by, ...more } = options;
  const draft = draftDocument({
    before: undefined,
    network: 'signet',
    issued: NOW,
    expires: NOW + 30 * DAY,
    entries: [entryAt(onionNumber(1)), entryAt(onionNumber(2), { note: 'second' })],
    ...more,
    keys: keys && { threshold: keys.threshold, keys: keys.signers.map(({ key }) => key) },
  });
  if (!draft.ok) throw new Error(draft.reason);
  return by.reduce((document, { seed }) => {
    const signed = signDocument(document, seed);
    if (!signed.ok) throw new Error(signed.reason);
    return signed.value;
  }, draft.value);
}

export function bytesOf(document: ListDocument): Uint8Array {
  return Buffer.from(`${formatDocument(document)}\n`, 'latin1');
}

/** Trusts the first key set of the document. */
export function trusting(
  { keySets }: ListDocument,
  more: Partial<VerifyContext> = {},
): VerifyContext {
  const pinned = fingerprintOf(keySets[0].keySet);
  return { network: 'signet', pinned, now: NOW + DAY, ...more };
}
