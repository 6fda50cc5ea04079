/**
 * The optional obfuscation of IWP: every packet looks random to somebody who does not know the identity of its
 * recipient. It hides the form and protects nothing else.
 */
import { joinBytes } from '../bytes.js';
import { cipher, hashOfKey, shortHash, type RandomBytes } from '../crypto.js';

const NONCE_BYTES = 16;

function keysOf(identity: Uint8Array, n: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const key = hashOfKey(identity);
  return [key, shortHash(joinBytes(n, key))];
}

/** @param identity of the recipient, 32 bytes */
export function obfuscate(
  packet: Uint8Array,
  identity: Uint8Array,
  randomBytes: RandomBytes,
): Uint8Array {
  const n = randomBytes(NONCE_BYTES);
  const [key, nonce] = keysOf(identity, n);
  return joinBytes(n, cipher(key, nonce, packet));
}

/** The packet in clear; undefined when it is too short. @param identity of this router */
export function deobfuscate(bytes: Uint8Array, identity: Uint8Array): Uint8Array | undefined {
  if (bytes.length <= NONCE_BYTES) return undefined;
  const [key, nonce] = keysOf(identity, bytes.subarray(0, NONCE_BYTES));
  return cipher(key, nonce, bytes.subarray(NONCE_BYTES));
}
