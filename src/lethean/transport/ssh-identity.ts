/** Who an SSH gate is: lines of known_hosts from the provider's authority and from pinned host keys. Pure. */
import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { TransportError } from './transport-error.js';

const CURVES: Readonly<Record<string, string>> = {
  prime256v1: 'nistp256',
  secp384r1: 'nistp384',
  secp521r1: 'nistp521',
};
const HOST_KEY =
  /^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{16,16384}={0,2}$/;

/** A string of RFC 4251 section 5. */
function field(bytes: Uint8Array | string): Buffer {
  const content = Buffer.from(bytes);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

const bytesOf = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');

/** A positive number of RFC 4251 section 5, from base64url. */
function number(text: string | undefined): Buffer {
  const bytes = bytesOf(text);
  return field((bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.alloc(1), bytes]));
}

function publicKey(type: string, ...fields: readonly Buffer[]): string {
  return `${type} ${Buffer.concat([field(type), ...fields]).toString('base64')}`;
}

/** A public key in the form of OpenSSH: type and base64. Undefined for a kind that OpenSSH does not know. */
export function opensshKey(key: KeyObject): string | undefined {
  const kind = key.asymmetricKeyType;
  if (kind !== 'ed25519' && kind !== 'rsa' && kind !== 'ec') return undefined;
  const { e, n, x, y } = key.export({ format: 'jwk' });
  if (kind === 'ed25519') return publicKey('ssh-ed25519', field(bytesOf(x)));
  if (kind === 'rsa') return publicKey('ssh-rsa', number(e), number(n));
  const curve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (curve === undefined) return undefined;
  const point = Buffer.concat([Buffer.from([4]), bytesOf(x), bytesOf(y)]);
  return publicKey(`ecdsa-sha2-${curve}`, field(curve), field(point));
}

/** The key of a certificate or of a public key in PEM. */
function keyOf(pem: string): KeyObject | undefined {
  try {
    return pem.includes('BEGIN CERTIFICATE')
      ? new X509Certificate(pem).publicKey
      : createPublicKey(pem);
  } catch {
    return undefined;
  }
}

/** Whether a text is a public key as in a file `ssh_host_..._key.pub`, without its comment. */
export function isHostKey(text: string): boolean {
  return HOST_KEY.test(text);
}

/**
 * The only host keys that a gate may have: certificates of hosts signed by a key of the provider's authority
 * (section 10.1), and pinned keys. OpenSSH cannot read X.509 certificates, so their keys are taken.
 * @param ca PEM
 * @param pinned public keys, as `isHostKey` accepts them
 * @param host a name or an address, without characters of patterns
 * Throws a TransportError (`unsupported`) when nothing is left.
 */
export function knownHosts(
  ca: readonly string[],
  pinned: readonly string[],
  host: string,
  port: number,
): string {
  const place = port === 22 ? host : `[${host}]:${port}`;
  const authorities = ca.flatMap((pem) => {
    const key = keyOf(pem);
    const line = key && opensshKey(key);
    return line === undefined ? [] : [`@cert-authority ${place} ${line}`];
  });
  const lines = [...authorities, ...pinned.filter(isHostKey).map((key) => `${place} ${key}`)];
  if (lines.length === 0) {
    throw new TransportError(
      'unsupported',
      'the provider describes no authority whose key OpenSSH knows, and no host key is pinned: the gate cannot be recognised',
    );
  }
  return `${lines.join('\n')}\n`;
}
