/** Decides whether a list is valid here and now (docs/directory-lists.md, section 5). Pure. */
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Network } from '../protocol/constants.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { listBytes, listHash, type DirectoryList } from './directory-list.js';
import { isSignatureBy } from './ed25519.js';
import { fingerprintOf, keySetBytes, type KeySet } from './key-set.js';
import { LIST_BOUNDS } from './limits.js';
import type { ListDocument, SignedKeySet } from './list-document.js';
import type { KeySignature } from './members.js';
import type { ListRefusal } from './refusal.js';

/** A list that was accepted before. A later one must not be older. */
export interface AcceptedList {
  readonly sequence: number;
  readonly hash: string;
  readonly keysSequence: number;
  readonly keysFingerprint: string;
}

export interface Trust {
  readonly network: Network;
  /** The fingerprint of the key set that the user pinned, or that is shipped. */
  readonly pinned: string;
}

export interface VerifyContext extends Trust {
  /** Seconds since 1970; undefined: the times are not checked. */
  readonly now: number | undefined;
  readonly accepted?: AcceptedList | undefined;
}

/** A list whose signatures are right. */
export interface VerifiedList {
  readonly list: DirectoryList;
  /** The key set that signed it. */
  readonly keySet: KeySet;
  readonly accepted: AcceptedList;
}

type Check = { readonly ok: true } | { readonly ok: false; readonly reason: ListRefusal };

const FINE: Check = { ok: true };

/** Whether enough keys of the set signed; each signature must be right, and by one of its keys. */
function checkSignatures(
  set: KeySet,
  message: Uint8Array,
  signatures: readonly KeySignature[],
  below: ListRefusal,
): Check {
  if (signatures.some(({ key }) => !set.keys.includes(key))) return fail('unknown-signer');
  if (signatures.length < set.threshold) return fail(below);
  const right = ({ key, signature }: KeySignature): boolean =>
    isSignatureBy(hexToBytes(key), message, signature);
  return signatures.every(right) ? FINE : fail('bad-signature');
}

/** Each key set names the one before it, and has the next number. */
function isChain(keySets: readonly SignedKeySet[]): boolean {
  return keySets.every(({ keySet }, i) => {
    const before = keySets[i - 1]?.keySet;
    if (before === undefined) return true;
    return keySet.previous === fingerprintOf(before) && keySet.sequence === before.sequence + 1;
  });
}

/** The key sets from the pinned one on are signed by the set before them. */
function checkRotations(keySets: readonly SignedKeySet[], pinned: number): Check {
  for (let i = pinned + 1; i < keySets.length; i++) {
    const before = keySets[i - 1];
    const signed = keySets[i];
    if (before === undefined || signed === undefined) break;
    const check = checkSignatures(
      before.keySet,
      keySetBytes(signed.keySet),
      signed.signatures,
      'rotation-below-threshold',
    );
    if (!check.ok) return check;
  }
  return FINE;
}

function checkAccepted(
  list: AcceptedList,
  fingerprints: readonly string[],
  accepted: AcceptedList | undefined,
): Check {
  if (accepted === undefined) return FINE;
  if (list.keysSequence < accepted.keysSequence) return fail('keys-rolled-back');
  if (!fingerprints.includes(accepted.keysFingerprint)) return fail('forked-keys');
  if (list.sequence < accepted.sequence) return fail('rolled-back');
  if (list.sequence === accepted.sequence && list.hash !== accepted.hash) return fail('forked');
  return FINE;
}

function checkTimes({ issued, expires }: DirectoryList, now: number | undefined): Check {
  if (now === undefined) return FINE;
  if (issued > now + LIST_BOUNDS.clockSlackSeconds) return fail('not-yet-valid');
  return expires <= now ? fail('expired') : FINE;
}

/**
 * Verifies a document. The pinned key set must be among its key sets, each later one must be signed by the one
 * before, and the list by the last one. Never throws.
 */
export function verifyDocument(
  { keySets, list, signatures }: ListDocument,
  { network, pinned, now, accepted }: VerifyContext,
): Parsed<VerifiedList, ListRefusal> {
  const isHere = keySets.every(({ keySet }) => keySet.network === network);
  if (list.network !== network || !isHere) return fail('other-network');
  if (!isChain(keySets)) return fail('broken-chain');
  const fingerprints = keySets.map(({ keySet }) => fingerprintOf(keySet));
  const pinnedAt = fingerprints.indexOf(pinned);
  if (pinnedAt === -1) return fail('unknown-keys');
  const last = keySets.at(-1) ?? keySets[0];
  const keysFingerprint = fingerprintOf(last.keySet);
  if (list.keys !== keysFingerprint) return fail('wrong-keys');
  const rotations = checkRotations(keySets, pinnedAt);
  if (!rotations.ok) return rotations;
  const signed = checkSignatures(last.keySet, listBytes(list), signatures, 'below-threshold');
  if (!signed.ok) return signed;
  const own: AcceptedList = {
    sequence: list.sequence,
    hash: listHash(list),
    keysSequence: last.keySet.sequence,
    keysFingerprint,
  };
  const newer = checkAccepted(own, fingerprints, accepted);
  if (!newer.ok) return newer;
  const times = checkTimes(list, now);
  if (!times.ok) return times;
  return ok({ list, keySet: last.keySet, accepted: own });
}
