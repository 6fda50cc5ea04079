/** The CURVE key of the auth server: an X25519 key in a file of mode 0600. */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readStateFile, writeStateFile } from '../../ops/state-file.js';

export interface CurveKey {
  /** 64 hex digits, the form that an exit's `auth-lmq` takes. */
  readonly publicHex: string;
  /** 40 characters of Z85, the form that ZeroMQ takes. */
  readonly secretZ85: string;
}

/** The key file is not valid. */
export class CurveKeyError extends Error {
  override readonly name = 'CurveKeyError';
  /** Wrong usage or configuration. */
  readonly exitCode = 2;
}

const Z85 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';
/** The ASN.1 in front of the 32 bytes of a private key of X25519 (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');
const KEY_BYTES = 32;

/** Z85 (ZeroMQ RFC 32) of bytes whose number is a multiple of four. */
export function z85(bytes: Uint8Array): string {
  const view = Buffer.from(bytes);
  let text = '';
  for (let at = 0; at < view.length; at += 4) {
    let value = view.readUInt32BE(at);
    let group = '';
    for (let digit = 0; digit < 5; digit++) {
      group = Z85.charAt(value % 85) + group;
      value = Math.floor(value / 85);
    }
    text += group;
  }
  return text;
}

function publicOf(secret: Uint8Array): Buffer {
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_HEAD, secret]),
    format: 'der',
    type: 'pkcs8',
  });
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES);
}

function keyFrom(secret: Uint8Array): CurveKey {
  return { publicHex: publicOf(secret).toString('hex'), secretZ85: z85(secret) };
}

/** Reads the key, or makes it. Rejects with a CurveKeyError or the error of the file system. */
export async function loadOrCreateCurveKey(path: string): Promise<CurveKey> {
  const bytes = await readStateFile(path, 200);
  if (bytes) {
    const text = Buffer.from(bytes).toString('latin1').trim();
    if (!/^[0-9a-f]{64}$/.test(text)) {
      throw new CurveKeyError(
        `${path}: not a key of 64 hex digits; restore it, or remove it to get a new one`,
      );
    }
    return keyFrom(Buffer.from(text, 'hex'));
  }
  const { privateKey } = generateKeyPairSync('x25519');
  const secret = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-KEY_BYTES);
  await writeStateFile(path, `${secret.toString('hex')}\n`);
  return keyFrom(secret);
}
