/**
 * Keys of Tor's client authorisation (restricted discovery, rend-spec-v3): X25519 keys, as the service and
 * the client write them. Pure.
 */
import { createPublicKey, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { base32nopad } from '@scure/base';
import { parseOnionHost } from '../../protocol/location.js';

const KEY_BYTES = 32;
/** The ASN.1 in front of the 32 bytes of a private key of X25519 (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');
/** 52 characters of base32 hold 260 bits; the last four are 0. */
const BASE32_KEY = /^[A-Z2-7]{51}[AQ]$/;

/** The key of one client. */
export interface ClientKey {
  /** 52 characters of base32, upper case. */
  readonly publicKey: string;
  /** 52 characters of base32, upper case. */
  readonly privateKey: string;
}

/** The client's side: the onion, and the private key for it. */
export interface OnionCredential {
  /** 62 characters, with `.onion`. */
  readonly host: string;
  /** 52 characters of base32. */
  readonly privateKey: string;
}

function publicOf(secret: Uint8Array): string {
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_HEAD, secret]),
    format: 'der',
    type: 'pkcs8',
  });
  const bytes = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return base32nopad.encode(bytes.subarray(-KEY_BYTES));
}

/** A new key. */
export function newClientKey(): ClientKey {
  const { privateKey } = generateKeyPairSync('x25519');
  const secret = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-KEY_BYTES);
  return { publicKey: publicOf(secret), privateKey: base32nopad.encode(secret) };
}

/** The line of a file in `authorized_clients` of the service. */
export function authorizedLine(publicKey: string): string {
  return `descriptor:x25519:${publicKey}\n`;
}

/** The public key in such a file; undefined for any other text. */
export function parseAuthorized(text: string): string | undefined {
  const key = /^descriptor:x25519:([a-zA-Z2-7]{52})\s*$/.exec(text)?.[1]?.toUpperCase();
  return key !== undefined && BASE32_KEY.test(key) ? key : undefined;
}

/** The line of a file in `ClientOnionAuthDir` of the client, and what an operator gives to a client. */
export function credentialLine({ host, privateKey }: OnionCredential): string {
  return `${host.replace(/\.onion$/, '')}:descriptor:x25519:${privateKey}\n`;
}

/** The credential in such a file; undefined for any other text. */
export function parseCredential(text: string): OnionCredential | undefined {
  const found = /^([a-z2-7]{56}):descriptor:x25519:([a-zA-Z2-7]{52})\s*$/.exec(text);
  const host = `${found?.[1] ?? ''}.onion`;
  const privateKey = (found?.[2] ?? '').toUpperCase();
  return parseOnionHost(host).ok && BASE32_KEY.test(privateKey) ? { host, privateKey } : undefined;
}

/** The private key as ONION_CLIENT_AUTH_ADD takes it: base64. */
export function controlKey(privateKey: string): string {
  return Buffer.from(base32nopad.decode(privateKey)).toString('base64');
}
