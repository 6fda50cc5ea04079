/** Keys by Argon2 (RFC 9106), sliced so that the event loop has its turn at least each 20 ms. */
import { argon2iAsync, argon2idAsync } from '@noble/hashes/argon2.js';
import { damagedFile } from './foreign-wallet.js';

const KEY_BYTES = 32;
const VERSION = 0x13;
const SLICE_MS = 10;

/** Cost of Argon2: memory in KiB, passes, lanes. */
export interface Argon2Cost {
  readonly m: number;
  readonly t: number;
  readonly p: number;
}

/** What a derivation that takes long needs. */
export interface DerivationOptions {
  /** Share of the work that is done, 0 to 1. */
  readonly onProgress?: ((done: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Derives a key of 32 bytes. */
export type DeriveKey = (
  kind: 'argon2i' | 'argon2id',
  password: string,
  salt: Uint8Array,
  cost: Argon2Cost,
) => Promise<Uint8Array>;

/** The most that a file may ask for: 256 MiB, and about a minute in all. */
const MAX_MEMORY = 262_144;
const MAX_PASSES = 1_000;
const MAX_LANES = 16;
const MAX_WORK = 2_097_152;

/** Throws a `WalletImportError` (`damaged`) for a cost that no program writes. */
export function checkArgon2Cost({ m, t, p }: Argon2Cost): void {
  const isInRange =
    p >= 1 && p <= MAX_LANES && t >= 1 && t <= MAX_PASSES && m >= 8 * p && m <= MAX_MEMORY;
  if (!isInRange || m * t > MAX_WORK) throw damagedFile('it asks for too much work');
}

/** The real derivation. It rejects with the reason of the signal. */
export function slicedArgon2({ onProgress, signal }: DerivationOptions): DeriveKey {
  return async (kind, password, salt, cost) => {
    signal?.throwIfAborted();
    const derive = kind === 'argon2i' ? argon2iAsync : argon2idAsync;
    return derive(new TextEncoder().encode(password), salt, {
      ...cost,
      dkLen: KEY_BYTES,
      version: VERSION,
      asyncTick: SLICE_MS,
      onProgress: (done) => {
        signal?.throwIfAborted();
        onProgress?.(done);
      },
    });
  };
}
