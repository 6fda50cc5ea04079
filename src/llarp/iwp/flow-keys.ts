/**
 * The two keys of a flow, from the ephemeral keys of both E packets. The text names TKE and no nonce; ours is a hash of
 * the flow id and of the counter of the sender's E, so that the directions differ (docs/llarp.md).
 */
import { joinBytes } from '../bytes.js';
import { clientKey, serverKey, shortHash, type ExchangeKeys } from '../crypto.js';

function nonceOf(flowId: Uint8Array, counter: number): Uint8Array {
  return shortHash(joinBytes(flowId, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, counter)));
}

/** Undefined when the key of the other side is a point of low order. */
export function flowKeys(
  flowId: Uint8Array,
  own: ExchangeKeys,
  otherKey: Uint8Array,
  isInitiator: boolean,
): { readonly transmitKey: Uint8Array; readonly receiveKey: Uint8Array } | undefined {
  const parties = isInitiator
    ? { client: own.publicKey, server: otherKey }
    : { client: otherKey, server: own.publicKey };
  const derive = isInitiator ? clientKey : serverKey;
  const first = derive(parties, own.secretKey, nonceOf(flowId, 0));
  const second = derive(parties, own.secretKey, nonceOf(flowId, 1));
  if (!first || !second) return undefined;
  return isInitiator
    ? { transmitKey: first, receiveKey: second }
    : { transmitKey: second, receiveKey: first };
}
