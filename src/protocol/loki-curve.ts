/** The optional check of a `.loki` address: it has no checksum, but half of all byte strings are no key. */
import { ed25519 } from '@noble/curves/ed25519.js';

/** Whether these 32 bytes are a point of the curve ed25519 in its canonical form. */
export function isOnCurve(publicKey: Uint8Array): boolean {
  try {
    ed25519.Point.fromBytes(publicKey);
    return true;
  } catch {
    return false;
  }
}
