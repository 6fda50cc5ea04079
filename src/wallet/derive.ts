/**
 * Public keys and scripts of whole branches (BIP32), for the scripts that the wallet watches. It shares work
 * between keys, in turns of the event loop of a few milliseconds. An address that leaves the program is
 * derived by the library instead, from the private key.
 */
import { HDKey } from '@scure/bip32';
import { createHmac } from 'node:crypto';
import { nestedP2wpkh, p2wpkh, p2wsh } from '../bitcoin/script.js';
import type { AccountKey } from './keys.js';
import { bondWitnessScript } from '../bitcoin/bond.js';
import { bondLockTime, MAX_INDEX } from './places.js';
import { pointSums, prepareNextTable } from './point-sums.js';
import { nextTurn, type Turn } from './turns.js';

/** Keys that are derived in one turn, some 5 ms; fewer at first, while the code is not compiled. */
const BATCH = 64;
const FIRST_BATCH = 8;

/** A public key below which the keys of a branch lie. */
export interface BranchKey {
  /** Compressed, 33 bytes. */
  readonly publicKey: Uint8Array;
  readonly chainCode: Uint8Array;
}

function complete({ publicKey, chainCode }: HDKey): BranchKey {
  if (publicKey === null || chainCode === null) throw new Error('a branch key is complete');
  return { publicKey, chainCode };
}

/** The key of a branch, by the library. */
export function branchKey(account: Omit<AccountKey, 'mixdepth'>, branch: number): BranchKey {
  const { publicKey, chainCode } = account;
  return complete(new HDKey({ publicKey, chainCode }).deriveChild(branch));
}

/** The public key of one place, by the library. */
export function publicKeyAt(key: BranchKey, index: number): Uint8Array {
  return complete(new HDKey({ ...key }).deriveChild(index)).publicKey;
}

/** Part of a child key that is added to its parent (BIP32, public derivation). */
function tweakOf({ publicKey, chainCode }: BranchKey, index: number): Uint8Array {
  const data = Buffer.alloc(publicKey.length + 4);
  data.set(publicKey);
  data.writeUInt32BE(index, publicKey.length);
  return createHmac('sha512', chainCode).update(data).digest().subarray(0, 32);
}

/**
 * What `make` makes of the compressed public keys of the indices from `from`, in order.
 * @param turn called between batches; it may reject to stop the work
 */
export async function deriveEach<T>(
  key: BranchKey,
  from: number,
  count: number,
  make: (publicKey: Uint8Array, index: number) => T,
  turn: Turn = nextTurn,
): Promise<readonly T[]> {
  if (from < 0 || count < 0 || from + count > MAX_INDEX) throw new RangeError('no such indices');
  while (prepareNextTable()) {
    // oxlint-disable-next-line no-await-in-loop -- one piece of work in a turn
    await turn();
  }
  const made: T[] = [];
  for (let size = FIRST_BATCH; made.length < count; size = Math.min(BATCH, size * 2)) {
    const first = from + made.length;
    const indices = Array.from(
      { length: Math.min(size, count - made.length) },
      (_, i) => first + i,
    );
    const sums = pointSums(
      key.publicKey,
      indices.map((index) => tweakOf(key, index)),
    );
    const keys = sums ?? indices.map((index) => publicKeyAt(key, index));
    made.push(...keys.map((publicKey, i) => make(publicKey, first + i)));
    // oxlint-disable-next-line no-await-in-loop -- one piece of work in a turn
    await turn();
  }
  return made;
}

/** The script of a public key of branches 0 and 1, lower-case hex. */
export const keyScript = (kind: 'native' | 'nested'): ((publicKey: Uint8Array) => string) =>
  kind === 'native' ? p2wpkh : nestedP2wpkh;

/** The script of a month's bond with this key, lower-case hex. */
export function bondScript(publicKey: Uint8Array, index: number): string {
  return p2wsh(bondWitnessScript(bondLockTime(index), publicKey));
}
