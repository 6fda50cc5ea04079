/**
 * Proof of work that prolongs a path (row D17). HS(BE(w)) must start with log_e(y) zero bytes, y the seconds asked for;
 * the text does not say how to round, so it is rounded down. It is workable for a few seconds only:
 *
 * | seconds  | zero bytes | hashes, on average |
 * | -------- | ---------- | ------------------ |
 * | 1 to 2   | 0          | 1                  |
 * | 3 to 7   | 1          | 256                |
 * | 8 to 20  | 2          | 65,536             |
 * | 21 to 54 | 3          | 16,777,216         |
 * | 600      | 6          | 2^48               |
 */
import { BoundedSet } from '../../kit/bounded-map.js';
import { shortHash, type RandomBytes } from '../crypto.js';
import { writeLlarp } from '../read.js';
import { PROOF_OF_WORK, type ProofOfWork } from '../structures.js';

/** More seconds are not worked for: each zero byte is 256 times the work. They are taken when others prove them. */
export const MAX_WORKED_SECONDS = 20;
/** A proof is good for so long after its time, and before it: clocks differ. The text has no rule. */
const FRESH_SECONDS = 60n;
/** Proofs that were used; the oldest is forgotten. */
const MAX_USED = 8_192;

/** Zero bytes that a proof of so many seconds must have. */
export function workZeroBytes(seconds: number): number {
  return seconds < 1 ? 0 : Math.floor(Math.log(seconds));
}

function hashOf(work: ProofOfWork): Uint8Array {
  return shortHash(writeLlarp(PROOF_OF_WORK, work));
}

function isWorked(work: ProofOfWork, hash: Uint8Array): boolean {
  const zeros = workZeroBytes(Number(work.extendedSeconds));
  return hash.subarray(0, zeros).every((byte) => byte === 0);
}

/**
 * Works for so many seconds more, 1 to `MAX_WORKED_SECONDS`; throws a RangeError for others.
 * @param now milliseconds since 1970
 */
export function makeWork(seconds: number, now: bigint, randomBytes: RandomBytes): ProofOfWork {
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_WORKED_SECONDS) {
    throw new RangeError(`work prolongs a path by 1 to ${MAX_WORKED_SECONDS} seconds`);
  }
  const nonce = randomBytes(32);
  const view = new DataView(nonce.buffer, nonce.byteOffset, nonce.byteLength);
  const work = {
    created: now / 1_000n,
    extendedSeconds: BigInt(seconds),
    nonce,
    version: 0n,
  };
  for (let tries = 0; !isWorked(work, hashOf(work)); tries++) view.setUint32(0, tries);
  return work;
}

/** Checks proofs, each of which counts once. */
export class WorkCheck {
  readonly #used = new BoundedSet<string>(MAX_USED);

  /**
   * Milliseconds by which a proof prolongs a path: 0 for one that is wrong, too old, of the future, or used.
   * @param now milliseconds since 1970
   */
  extensionMs(work: ProofOfWork, now: bigint): number {
    const age = now / 1_000n - work.created;
    if (age > FRESH_SECONDS || age < -FRESH_SECONDS) return 0;
    const hash = hashOf(work);
    if (!isWorked(work, hash)) return 0;
    const text = Buffer.from(hash).toString('hex');
    if (this.#used.has(text)) return 0;
    this.#used.add(text);
    return Number(work.extendedSeconds) * 1_000;
  }
}
