/**
 * Creates the keys of a relay of the private network, so that its directory documents can be written
 * before it starts. File formats are Tor's own (`DataDirectory/keys`).
 */
import {
  createHash,
  generateKeyPair,
  type KeyObject,
  type KeyPairKeyObjectResult,
} from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const generate = promisify(generateKeyPair);

/** Tor's tagged key files start with 32 bytes of text, padded with NUL. */
const TAG_BYTES = 32;

export interface RelayKeys {
  /** RSA-1024 identity, PKCS#1 PEM. */
  readonly identityPem: string;
  /** SHA-1 of the identity's public key, 20 bytes: the name of the relay. */
  readonly fingerprint: Buffer;
  readonly ed25519Public: Buffer;
  /** 64 bytes: the clamped scalar and the prefix. */
  readonly ed25519Expanded: Buffer;
  readonly ntorSecret: Buffer;
  readonly ntorPublic: Buffer;
}

/** An RSA key for directory documents. 1024 bits: fast, and the network is short-lived. */
export function generateRsaKey(): Promise<KeyPairKeyObjectResult> {
  return generate('rsa', { modulusLength: 1024, publicExponent: 65_537 });
}

/** The public key in the form that Tor hashes: DER of PKCS#1. */
export function rsaPublicDer(key: KeyObject): Buffer {
  return key.export({ type: 'pkcs1', format: 'der' });
}

/** SHA-1 of the public key: Tor's fingerprint of an RSA key, 20 bytes. */
export function rsaFingerprint(key: KeyObject): Buffer {
  return createHash('sha1').update(rsaPublicDer(key)).digest();
}

/** The raw 32 bytes of a member of a JSON Web Key; `d` is the secret, `x` the public key. */
function rawMember(key: KeyObject, member: 'd' | 'x'): Buffer {
  const text = key.export({ format: 'jwk' })[member];
  const bytes = Buffer.from(typeof text === 'string' ? text : '', 'base64url');
  if (bytes.length !== 32) throw new Error(`the platform gave a key of ${bytes.length} bytes`);
  return bytes;
}

/** Expands an ed25519 seed as RFC 8032 does: SHA-512, then clamped. */
function expandedSecret(seed: Buffer): Buffer {
  const hash = createHash('sha512').update(seed).digest();
  hash.writeUInt8(hash.readUInt8(0) & 248, 0);
  hash.writeUInt8((hash.readUInt8(31) & 63) | 64, 31);
  return hash;
}

export async function generateRelayKeys(): Promise<RelayKeys> {
  const [identity, ed25519, ntor] = await Promise.all([
    generateRsaKey(),
    generate('ed25519'),
    generate('x25519'),
  ]);
  return {
    identityPem: identity.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
    fingerprint: rsaFingerprint(identity.publicKey),
    ed25519Public: rawMember(ed25519.publicKey, 'x'),
    ed25519Expanded: expandedSecret(rawMember(ed25519.privateKey, 'd')),
    ntorSecret: rawMember(ntor.privateKey, 'd'),
    ntorPublic: rawMember(ntor.publicKey, 'x'),
  };
}

function tagged(tag: string, ...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(tag.padEnd(TAG_BYTES, '\0'), 'latin1'), ...parts]);
}

/**
 * Writes `keys/` into a relay's DataDirectory. `onionKeyPem` is the obsolete TAP key: Tor requires the
 * file but does not use it, so all relays share one.
 */
export async function writeRelayKeys(
  dataDir: string,
  keys: RelayKeys,
  onionKeyPem: string,
): Promise<void> {
  const folder = join(dataDir, 'keys');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files: readonly (readonly [string, string | Buffer])[] = [
    ['secret_id_key', keys.identityPem],
    ['secret_onion_key', onionKeyPem],
    ['ed25519_master_id_secret_key', tagged('== ed25519v1-secret: type0 ==', keys.ed25519Expanded)],
    ['ed25519_master_id_public_key', tagged('== ed25519v1-public: type0 ==', keys.ed25519Public)],
    ['secret_onion_key_ntor', tagged('== c25519v1: onion ==', keys.ntorSecret, keys.ntorPublic)],
  ];
  await Promise.all(
    files.map(([name, content]) => writeFile(join(folder, name), content, { mode: 0o600 })),
  );
}
