/** Signs the packets of this node, and verifies those of the others. */
import { sign, verify, type KeyObject } from 'node:crypto';

/** Length of a signature in bytes: that of ed25519. */
export const SIGNATURE_BYTES = 64;

/** The signatures of packets. A node uses `keySeals`; tests of many simulated hours use cheaper ones. */
export interface Seals {
  /** 64 bytes. */
  sign(body: Uint8Array): Uint8Array;
  /** Whether this node signed this body. */
  isSignedBy(node: string, body: Uint8Array, signature: Uint8Array): boolean;
}

/**
 * ed25519.
 * @param key the private key of this node
 * @param keys the public keys of all nodes, by name
 */
export function keySeals(key: KeyObject, keys: ReadonlyMap<string, KeyObject>): Seals {
  return {
    sign: (body) => sign(null, body, key),
    isSignedBy(node, body, signature) {
      const publicKey = keys.get(node);
      return publicKey !== undefined && verify(null, body, publicKey, signature);
    },
  };
}
