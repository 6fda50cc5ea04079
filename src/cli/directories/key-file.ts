/**
 * The file with a key that signs lists: one line of JSON, mode 0600. With a password the key is encrypted:
 * scrypt (RFC 7914, N = 2^17, r = 8, p = 1) and AES-256-GCM.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { publicKeyOf } from '../../directory-lists/ed25519.js';
import { parseRecord } from '../../kit/json-record.js';
import { shownJson } from '../../kit/shown-text.js';
import { UsageError } from '../errors.js';

const FORMAT = 'joinmarket-directory-key';
const VERSION = 1;
const COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };
const HEX = /^(?:[0-9a-f]{2})+$/;

/** A key file, before its password is known. */
export interface KeyFile {
  /** 64 lower-case hex digits. */
  readonly publicKey: string;
  /** The seed of 32 bytes; or encrypted. */
  readonly secret: { readonly seed: Buffer } | { readonly sealed: Sealed };
}

interface Sealed {
  readonly salt: Buffer;
  readonly nonce: Buffer;
  /** Ciphertext and tag. */
  readonly box: Buffer;
}

function deriveKey(password: string, salt: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, 32, COST, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}

/** The text of a new key file. */
export async function formatKeyFile(
  seed: Uint8Array,
  password: string | undefined,
): Promise<string> {
  const head = { format: FORMAT, version: VERSION, public: publicKeyOf(seed) };
  if (password === undefined) {
    return `${shownJson({ ...head, seed: Buffer.from(seed).toString('hex') })}\n`;
  }
  const [salt, nonce] = [randomBytes(32), randomBytes(12)];
  const cipher = createCipheriv('aes-256-gcm', await deriveKey(password, salt), nonce);
  cipher.setAAD(Buffer.from(head.public));
  const box = Buffer.concat([cipher.update(seed), cipher.final(), cipher.getAuthTag()]);
  const sealed = { salt, nonce, box };
  const texts = Object.entries(sealed).map(([name, bytes]) => [name, bytes.toString('hex')]);
  return `${shownJson({ ...head, ...Object.fromEntries(texts) })}\n`;
}

function bytesOf(value: unknown, length: number): Buffer | undefined {
  if (typeof value !== 'string' || !HEX.test(value) || value.length !== 2 * length) {
    return undefined;
  }
  return Buffer.from(value, 'hex');
}

/** Reads a key file. Throws a UsageError that names it. */
export function parseKeyFile(text: string, path: string): KeyFile {
  const record = parseRecord(text);
  const isOne = record?.['format'] === FORMAT && record['version'] === VERSION;
  const publicKey = isOne ? bytesOf(record['public'], 32)?.toString('hex') : undefined;
  if (!record || publicKey === undefined) {
    throw new UsageError(`${path} is no key file of "onionmc directories key"`);
  }
  const seed = bytesOf(record['seed'], 32);
  if (seed !== undefined) {
    if (publicKeyOf(seed) === publicKey) return { publicKey, secret: { seed } };
    throw new UsageError(`${path} is damaged: its two keys do not belong together`);
  }
  const [salt, nonce] = [bytesOf(record['salt'], 32), bytesOf(record['nonce'], 12)];
  const box = bytesOf(record['box'], 48);
  if (!salt || !nonce || !box) throw new UsageError(`${path} is damaged: put a copy back`);
  return { publicKey, secret: { sealed: { salt, nonce, box } } };
}

/** The seed. Rejects with a UsageError when the password is wrong. */
export async function openKeyFile(
  { publicKey, secret }: KeyFile,
  password: () => Promise<string>,
  path: string,
): Promise<Uint8Array> {
  if ('seed' in secret) return secret.seed;
  const { salt, nonce, box } = secret.sealed;
  const decipher = createDecipheriv('aes-256-gcm', await deriveKey(await password(), salt), nonce);
  decipher.setAAD(Buffer.from(publicKey));
  decipher.setAuthTag(box.subarray(-16));
  try {
    return Buffer.concat([decipher.update(box.subarray(0, -16)), decipher.final()]);
  } catch (error) {
    throw new UsageError(`${path}: the password is wrong, or the file is damaged`, {
      cause: error,
    });
  }
}
