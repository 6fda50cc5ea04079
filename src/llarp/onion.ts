/**
 * The layers of a path of LLARP v0 (rows D19 and D20): LRUM travels from the creator to the farthest hop, LRDM back.
 * Each hop has a key that it shares with the creator, and changes the nonce for its neighbour.
 */
import { xorBytes } from './bytes.js';
import { cipher, hashOfKey } from './crypto.js';

/** The fields of LRUM and LRDM that a hop changes. */
export interface Layered {
  /** `x`: the ciphertext. */
  readonly x: Uint8Array;
  /** `y`: 32 bytes of nonce; the cipher uses the first 24. */
  readonly y: Uint8Array;
}

/** `y ^ HS(k)`: the nonce after a hop, and before it as well. */
function otherNonce(y: Uint8Array, hopKey: Uint8Array): Uint8Array {
  return xorBytes(y, hashOfKey(hopKey));
}

/**
 * What a hop sends on, in either direction. The farthest hop of a LRUM reads `x` as a routing message; that of a LRDM
 * begins with the message and a random nonce.
 */
export function passHop({ x, y }: Layered, hopKey: Uint8Array): Layered {
  return { x: cipher(hopKey, y, x), y: otherNonce(y, hopKey) };
}

/**
 * What the creator sends upstream, so that the farthest hop reads `message`.
 * @param hopKeys the nearest hop first
 * @param y 32 random bytes
 */
export function wrapUpstream(
  message: Uint8Array,
  hopKeys: readonly Uint8Array[],
  y: Uint8Array,
): Layered {
  let x = message;
  let nonce = y;
  for (const hopKey of hopKeys) {
    x = cipher(hopKey, nonce, x);
    nonce = otherNonce(nonce, hopKey);
  }
  return { x, y };
}

/**
 * The message of the farthest hop, as the creator reads it downstream.
 * @param hopKeys the nearest hop first: it was the last one to change the nonce
 */
export function unwrapDownstream(received: Layered, hopKeys: readonly Uint8Array[]): Uint8Array {
  let { x, y } = received;
  for (const hopKey of hopKeys) {
    y = otherNonce(y, hopKey);
    x = cipher(hopKey, y, x);
  }
  return x;
}
