/** The directory authority of the private network: two keys and a certificate, but no process. */
import { constants, createHash, privateEncrypt, type KeyObject } from 'node:crypto';
import { generateRsaKey, rsaFingerprint, rsaPublicDer } from './relay-keys.js';

const HOUR_MS = 3_600_000;
const CERTIFICATE_LIFE_MS = 365 * 24 * HOUR_MS;

export interface Authority {
  /** Upper-case hex, the name in `DirAuthority` lines and in the consensus. */
  readonly fingerprint: string;
  readonly signingFingerprint: string;
  /** The file `cached-certs`. */
  readonly certificate: string;
  /** Signs a digest as directories do: Tor pads the bare digest, without naming its algorithm. */
  sign(digest: Buffer): string;
}

/** `2026-11-21 08:00:00`, UTC: the time format of directory documents. */
export function documentTime(time: Date): string {
  return time.toISOString().slice(0, 19).replace('T', ' ');
}

/** Upper-case hex of a fingerprint. */
export function hex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase();
}

/** Base64 between BEGIN and END lines, 64 columns, no line break at the end. */
export function signatureObject(label: 'SIGNATURE' | 'ID SIGNATURE', bytes: Buffer): string {
  const columns = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...columns, `-----END ${label}-----`].join('\n');
}

function signDigest(key: KeyObject, digest: Buffer): Buffer {
  return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, digest);
}

function publicPem(key: KeyObject): string {
  return key.export({ type: 'pkcs1', format: 'pem' }).toString();
}

/** Makes the keys and the certificate, valid for a year from an hour before `now`. */
export async function createAuthority(now: Date): Promise<Authority> {
  const [identity, signing] = await Promise.all([generateRsaKey(), generateRsaKey()]);
  const fingerprint = hex(rsaFingerprint(identity.publicKey));
  const crossDigest = createHash('sha1').update(rsaPublicDer(identity.publicKey)).digest();
  const published = now.getTime() - HOUR_MS;
  const body =
    [
      'dir-key-certificate-version 3',
      `fingerprint ${fingerprint}`,
      `dir-key-published ${documentTime(new Date(published))}`,
      `dir-key-expires ${documentTime(new Date(published + CERTIFICATE_LIFE_MS))}`,
      'dir-identity-key',
      publicPem(identity.publicKey).trimEnd(),
      'dir-signing-key',
      publicPem(signing.publicKey).trimEnd(),
      'dir-key-crosscert',
      signatureObject('ID SIGNATURE', signDigest(signing.privateKey, crossDigest)),
      'dir-key-certification',
    ].join('\n') + '\n';
  const certification = signDigest(identity.privateKey, createHash('sha1').update(body).digest());
  return {
    fingerprint,
    signingFingerprint: hex(rsaFingerprint(signing.publicKey)),
    certificate: `${body}${signatureObject('SIGNATURE', certification)}\n`,
    sign: (digest) => signatureObject('SIGNATURE', signDigest(signing.privateKey, digest)),
  };
}
