/**
 * The cryptography of LLARP v0 (crypto_v0). Keys and nonces are byte strings; all lengths are checked by the
 * functions that are called. Where the documents leave a choice, docs/llarp.md says which one is taken.
 */
import { xchacha20 } from '@noble/ciphers/chacha.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { blake2b } from '@noble/hashes/blake2.js';
import { joinBytes } from './bytes.js';

/** Returns this many random bytes. */
export type RandomBytes = (length: number) => Uint8Array;

/** A key pair of X25519, for the exchange of keys; 32 bytes each. */
export interface ExchangeKeys {
  /** Public, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Secret, 32 bytes. */
  readonly secretKey: Uint8Array;
}

/** A key pair of ed25519, for signatures; 32 bytes each, the secret one is the seed. */
export interface SigningKeys {
  /** Public, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Secret, 32 bytes. */
  readonly seed: Uint8Array;
}

/** Bytes of the nonce of the cipher. A longer nonce of a message is cut to them. */
export const CIPHER_NONCE_BYTES = 24;

/** H: blake2b with 64 bytes. */
export function longHash(x: Uint8Array): Uint8Array {
  return blake2b(x, { dkLen: 64 });
}

/** HS: blake2b with 32 bytes. */
export function shortHash(x: Uint8Array): Uint8Array {
  return blake2b(x, { dkLen: 32 });
}

const hashesOfKeys = new WeakMap<Uint8Array, Uint8Array>();

/** HS of a key that is used again and again, computed once. @param key bytes that never change */
export function hashOfKey(key: Uint8Array): Uint8Array {
  const known = hashesOfKeys.get(key);
  if (known) return known;
  const hash = shortHash(key);
  hashesOfKeys.set(key, hash);
  return hash;
}

/** MD: keyed blake2b with 64 bytes. @param key at most 64 bytes */
export function longKeyedHash(x: Uint8Array, key: Uint8Array): Uint8Array {
  return blake2b(x, { dkLen: 64, key });
}

/** MDS: keyed blake2b with 32 bytes. @param key at most 64 bytes */
export function shortKeyedHash(x: Uint8Array, key: Uint8Array): Uint8Array {
  return blake2b(x, { dkLen: 32, key });
}

/**
 * SE and SD: XChaCha20, which does the same both ways.
 * @param key 32 bytes
 * @param nonce at least 24 bytes; only the first 24 are used
 */
export function cipher(key: Uint8Array, nonce: Uint8Array, x: Uint8Array): Uint8Array {
  return xchacha20(key, nonce.subarray(0, CIPHER_NONCE_BYTES), x);
}

/** EDKG for signatures. */
export function newSigningKeys(randomBytes: RandomBytes): SigningKeys {
  const seed = randomBytes(32);
  return { seed, publicKey: ed25519.getPublicKey(seed) };
}

/** EDKG for the exchange of keys. */
export function newExchangeKeys(randomBytes: RandomBytes): ExchangeKeys {
  const secretKey = randomBytes(32);
  return { secretKey, publicKey: x25519.getPublicKey(secretKey) };
}

/** S: a signature, 64 bytes. @param seed 32 bytes, the first half of the 64 that crypto_v0 keeps */
export function sign(seed: Uint8Array, x: Uint8Array): Uint8Array {
  return ed25519.sign(x, seed);
}

/** V: whether a signature is right. False for bytes that are no key or no signature. */
export function verify(publicKey: Uint8Array, x: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  try {
    return ed25519.verify(signature, x, publicKey);
  } catch {
    return false;
  }
}

/** The two public keys of an exchange, in the order that both sides use. */
export interface ExchangeParties {
  /** The client of a link, or the creator of a path. */
  readonly client: Uint8Array;
  /** The server of a link, or the hop. */
  readonly server: Uint8Array;
}

/** EDDH, HKE and PDH: the same bytes for both sides. Undefined when the other key is a point of low order. */
function exchanged(
  { client, server }: ExchangeParties,
  secretKey: Uint8Array,
  other: Uint8Array,
): Uint8Array | undefined {
  try {
    return shortHash(joinBytes(client, server, x25519.getSharedSecret(secretKey, other)));
  } catch {
    return undefined;
  }
}

/**
 * TKE and PKE, as the client or creator computes them: the key of a link or of a hop, 32 bytes. Undefined when the
 * key of the server is a point of low order.
 * @param secretKey of the client
 * @param nonce 32 bytes that both sides know
 */
export function clientKey(
  parties: ExchangeParties,
  secretKey: Uint8Array,
  nonce: Uint8Array,
): Uint8Array | undefined {
  const secret = exchanged(parties, secretKey, parties.server);
  return secret && shortKeyedHash(nonce, secret);
}

/**
 * TKE and PKE, as the server or hop computes them.
 * @param secretKey of the server
 */
export function serverKey(
  parties: ExchangeParties,
  secretKey: Uint8Array,
  nonce: Uint8Array,
): Uint8Array | undefined {
  const secret = exchanged(parties, secretKey, parties.client);
  return secret && shortKeyedHash(nonce, secret);
}
