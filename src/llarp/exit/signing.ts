/**
 * The signatures of the messages of exits (rows D25 and D30): over the whole message, its number included, with 64 zero
 * bytes in their place. A client signs with the key of its OXM, an exit with the identity of the router.
 */
import { sign, verify } from '../crypto.js';
import type { Finish } from '../path/path.js';
import { writeLlarp } from '../read.js';
import { ROUTING_MESSAGE, type RoutingMessage } from '../routing-messages.js';

/** Stands in a message until `signedBy` replaces it. */
export const NO_SIGNATURE = new Uint8Array(64);

type SignedMessage = Extract<RoutingMessage, { readonly signature: Uint8Array }>;

function covered(message: SignedMessage): Uint8Array {
  return writeLlarp(ROUTING_MESSAGE, { ...message, signature: NO_SIGNATURE });
}

/** Signs a message after it got its number. @param seed 32 bytes */
export function signedBy(seed: Uint8Array): Finish {
  return (message) =>
    'signature' in message ? { ...message, signature: sign(seed, covered(message)) } : message;
}

/** Whether a message was signed with this key. @param key 32 bytes */
export function isFrom(message: SignedMessage, key: Uint8Array): boolean {
  return verify(key, covered(message), message.signature);
}
