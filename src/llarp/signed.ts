/**
 * Signed structures of LLARP v0: the signature covers the whole structure, with 64 zero bytes in place of the
 * signature. Real signed router contacts show that (contradiction 24 of docs/llarp.md).
 */
import type { Field } from './codec/field.js';
import { sign, verify } from './crypto.js';
import { writeLlarp } from './read.js';

const NO_SIGNATURE = new Uint8Array(64);

/** What has a signature. */
interface Signed {
  readonly signature: Uint8Array;
}

/** The same structure with a signature. @param seed 32 bytes of the signing key */
export function signed<T extends Signed>(
  field: Field<T>,
  value: Omit<T, 'signature'>,
  seed: Uint8Array,
): T {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `T` is this with a signature
  const unsigned = { ...value, signature: NO_SIGNATURE } as T;
  return { ...unsigned, signature: sign(seed, writeLlarp(field, unsigned)) };
}

/** Whether a structure was signed with this key. @param publicKey 32 bytes */
export function isSignedBy<T extends Signed>(
  field: Field<T>,
  value: T,
  publicKey: Uint8Array,
): boolean {
  const unsigned = { ...value, signature: NO_SIGNATURE };
  return verify(publicKey, writeLlarp(field, unsigned), value.signature);
}
