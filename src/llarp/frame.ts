/**
 * Encrypted frames of LLARP v0 (row D13): a record that only one router can read.
 *
 * 32 bytes h, 32 bytes nonce n, 32 bytes ephemeral key k of the sender, then the ciphertext x. The text names the
 * signing key of the router for the exchange; only its path key `RC.p` can take part in one (docs/llarp.md).
 */
import { equalBytes, joinBytes } from './bytes.js';
import {
  cipher,
  clientKey,
  newExchangeKeys,
  serverKey,
  shortKeyedHash,
  type ExchangeKeys,
  type RandomBytes,
} from './crypto.js';

const HASH_BYTES = 32;
const NONCE_BYTES = 32;
const KEY_BYTES = 32;
/** Bytes of a frame beside its record. */
export const FRAME_OVERHEAD_BYTES = HASH_BYTES + NONCE_BYTES + KEY_BYTES;

/**
 * Encrypts a record to a router. Undefined when the key of the router is a point of low order.
 * @param routerPathKey `RC.p`, 32 bytes
 */
export function sealFrame(
  record: Uint8Array,
  routerPathKey: Uint8Array,
  randomBytes: RandomBytes,
): Uint8Array | undefined {
  const sender = newExchangeKeys(randomBytes);
  const nonce = randomBytes(NONCE_BYTES);
  const parties = { client: sender.publicKey, server: routerPathKey };
  const key = clientKey(parties, sender.secretKey, nonce);
  if (!key) return undefined;
  const body = joinBytes(nonce, sender.publicKey, cipher(key, nonce, record));
  return joinBytes(shortKeyedHash(body, key), body);
}

/** The record of a frame; undefined when the frame is too short, was changed, or is for another router. */
export function openFrame(frame: Uint8Array, router: ExchangeKeys): Uint8Array | undefined {
  if (frame.length < FRAME_OVERHEAD_BYTES) return undefined;
  const hash = frame.subarray(0, HASH_BYTES);
  const body = frame.subarray(HASH_BYTES);
  const nonce = body.subarray(0, NONCE_BYTES);
  const sender = body.subarray(NONCE_BYTES, NONCE_BYTES + KEY_BYTES);
  const parties = { client: sender, server: router.publicKey };
  const key = serverKey(parties, router.secretKey, nonce);
  if (!key || !equalBytes(shortKeyedHash(body, key), hash)) return undefined;
  return cipher(key, nonce, body.subarray(NONCE_BYTES + KEY_BYTES));
}
