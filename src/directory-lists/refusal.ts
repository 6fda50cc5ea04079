/** Why a directory list is refused (docs/directory-lists.md, section 5). */

/** The reasons, each with a sentence for a person. */
export const REFUSAL_TEXTS = {
  oversize: 'it is larger than 524,288 bytes',
  'not-json': 'it is not JSON',
  'unknown-format': 'it is no document of this kind',
  'unknown-version': 'it has a version that this program does not know: use a later program',
  malformed: 'a member is missing, or has a value that is not allowed',
  'not-canonical': 'its bytes are not in the canonical form',
  'too-many': 'it has more entries, keys or signatures than allowed',
  'duplicate-entry': 'two entries have the same location',
  'duplicate-key': 'a key set has the same key twice',
  'duplicate-signature': 'a key signed twice',
  'other-network': 'it is of another network',
  'broken-chain': 'its key sets do not follow each other',
  'unknown-keys': 'none of its key sets is the one that is trusted here',
  'wrong-keys': 'the list names another key set than the newest one',
  'unknown-signer': 'a signature is by a key that is not in the key set',
  'bad-signature': 'a signature is wrong',
  'rotation-below-threshold': 'too few keys of the old key set signed the new one',
  'below-threshold': 'too few keys signed the list',
  'keys-rolled-back': 'its key set is older than one that was accepted before',
  'forked-keys': 'it leaves out a key set that was accepted before',
  'rolled-back': 'it is older than a list that was accepted before',
  forked: 'another list with the same sequence number was accepted before',
  'not-yet-valid': 'it is issued in the future: check the clock of this machine',
  expired: 'it has expired',
} as const;

/** A stable name of a reason; it contains no text of the document. */
export type ListRefusal = keyof typeof REFUSAL_TEXTS;
