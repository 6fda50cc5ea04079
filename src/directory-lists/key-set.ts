/** A key set: the keys that sign lists, and how many of them are needed (docs/directory-lists.md, section 3). */
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { Network } from '../protocol/constants.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { sha256Hex } from './ed25519.js';
import { LIST_BOUNDS } from './limits.js';
import { hasDuplicates, inOrder, KEY, networkOf, textsOf, wholeOf } from './members.js';
import type { ListRefusal } from './refusal.js';

/** Before the canonical form, in what is signed and hashed: a signature is valid for nothing else. */
const DOMAIN = 'joinmarket-directory-keys-v1\n';

export interface KeySet {
  readonly network: Network;
  /** 1 for a first key set; a rotation has the next number. */
  readonly sequence: number;
  /** How many keys have to sign. */
  readonly threshold: number;
  /** Public keys, 64 lower-case hex digits each. */
  readonly keys: readonly string[];
  /** The fingerprint of the key set before; empty for a first one. */
  readonly previous: string;
}

/** The members in the order of the canonical form. */
export function keySetValue(set: KeySet): KeySet {
  return {
    keys: inOrder(set.keys, (key) => key),
    network: set.network,
    previous: set.previous,
    sequence: set.sequence,
    threshold: set.threshold,
  };
}

/** The bytes that the keys of the set before sign. */
export function keySetBytes(set: KeySet): Uint8Array {
  return utf8ToBytes(DOMAIN + JSON.stringify(keySetValue(set)));
}

/** What a user pins: SHA-256 of the signed bytes, 64 lower-case hex digits. */
export function fingerprintOf(set: KeySet): string {
  return sha256Hex(keySetBytes(set));
}

/** Reads a key set from its members. */
export function parseKeySet(
  record: Readonly<Record<string, unknown>>,
): Parsed<KeySet, ListRefusal> {
  const network = networkOf(record['network']);
  const sequence = wholeOf(record['sequence'], 1);
  const threshold = wholeOf(record['threshold'], 1);
  const keys = textsOf(record['keys'], KEY);
  const { previous } = record;
  if (network === undefined || sequence === undefined || threshold === undefined) {
    return fail('malformed');
  }
  if (keys === undefined || typeof previous !== 'string') return fail('malformed');
  if (keys.length > LIST_BOUNDS.keys) return fail('too-many');
  if (hasDuplicates(keys)) return fail('duplicate-key');
  if (threshold > keys.length) return fail('malformed');
  if (sequence === 1 ? previous !== '' : !KEY.test(previous)) return fail('malformed');
  return ok({ network, sequence, threshold, keys, previous });
}
