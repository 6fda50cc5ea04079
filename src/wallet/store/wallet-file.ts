/**
 * The wallet file: the secret of a wallet, encrypted with a password (scrypt, RFC 7914; AES-256-GCM).
 * A header of 64 bytes, the ciphertext with its tag, and a SHA-256 of both, so that a damaged file is
 * told from a wrong password. The header is authenticated too.
 *
 * | bytes | field                                  |
 * | ----- | -------------------------------------- |
 * | 0-7   | `OMCWALLT`                             |
 * | 8     | version, 1                             |
 * | 9     | key derivation, 1: scrypt              |
 * | 10-12 | log2 of N, r, p                        |
 * | 13-15 | 0                                      |
 * | 16-47 | salt                                   |
 * | 48-59 | nonce                                  |
 * | 60-63 | length of the ciphertext, big-endian   |
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes, scrypt } from 'node:crypto';
import { WalletStoreError } from './api.js';
import { parseContent, writeContent, type WalletContent } from './wallet-content.js';

const MAGIC = Buffer.from('OMCWALLT', 'latin1');
const VERSION = 1;
const KDF_SCRYPT = 1;
const HEADER_BYTES = 64;
const SALT = { at: 16, bytes: 32 } as const;
const NONCE = { at: 48, bytes: 12 } as const;
const LENGTH_AT = 60;
const TAG_BYTES = 16;
const DIGEST_BYTES = 32;
/** The content is padded to a multiple of it, so that the length of the file tells nothing. */
const PAD_STEP = 4_096;

/** A wallet file has about 4,200 bytes. */
export const MAX_WALLET_FILE_BYTES = 65_536;

/** The cost of scrypt: N is 2 to the power of `log2N`; it needs 128 * N * r bytes. */
export interface ScryptCost {
  readonly log2N: number;
  readonly r: number;
  readonly p: number;
}

/** 128 MiB, and about half a second on a common machine. */
export const DEFAULT_COST: ScryptCost = { log2N: 17, r: 8, p: 1 };

/** The most that a file may ask for: 1 GiB, and 16 times the usual time. */
const MAX_COST: ScryptCost = { log2N: 20, r: 16, p: 4 };
const MAX_MEMORY = 2 ** 30;
/** Longer ones are a mistake, such as a wrong file. */
const MAX_PASSWORD_CHARACTERS = 1_024;

function memoryOf({ log2N, r }: ScryptCost): number {
  return 128 * 2 ** log2N * r;
}

function isAllowed(cost: ScryptCost): boolean {
  return (
    cost.log2N >= 1 &&
    cost.log2N <= MAX_COST.log2N &&
    cost.r >= 1 &&
    cost.r <= MAX_COST.r &&
    cost.p >= 1 &&
    cost.p <= MAX_COST.p &&
    memoryOf(cost) <= MAX_MEMORY
  );
}

/** Throws a `WalletStoreError` (`password`) for a password that cannot be used. */
export function checkPassword(password: string): void {
  if (password === '') throw new WalletStoreError('password', 'the password is empty: choose one');
  if (password.length > MAX_PASSWORD_CHARACTERS) {
    throw new WalletStoreError(
      'password',
      `the password has more than ${MAX_PASSWORD_CHARACTERS} characters: choose a shorter one`,
    );
  }
}

/** Runs in a thread of libuv. The same password typed in another Unicode form gives the same key. */
function deriveKey(password: string, salt: Uint8Array, cost: ScryptCost): Promise<Buffer> {
  const { log2N, r, p } = cost;
  const options = { N: 2 ** log2N, r, p, maxmem: memoryOf(cost) + 128 * r * (p + 2) + 1_048_576 };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, 32, options, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/**
 * Encrypts the content. Rejects with a `WalletStoreError` (`password`) for a password that cannot be
 * used.
 */
export async function sealWalletFile(
  content: WalletContent,
  password: string,
  cost: ScryptCost = DEFAULT_COST,
): Promise<Uint8Array> {
  checkPassword(password);
  const plain = writeContent(content, PAD_STEP);
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.set([VERSION, KDF_SCRYPT, cost.log2N, cost.r, cost.p], MAGIC.length);
  randomBytes(SALT.bytes).copy(header, SALT.at);
  randomBytes(NONCE.bytes).copy(header, NONCE.at);
  header.writeUInt32BE(plain.length, LENGTH_AT);
  const key = await deriveKey(password, part(header, SALT), cost);
  const cipher = createCipheriv('aes-256-gcm', key, part(header, NONCE));
  cipher.setAAD(header);
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  plain.fill(0);
  const file = Buffer.concat([header, sealed]);
  return Buffer.concat([file, digestOf(file)]);
}

function part(bytes: Buffer, field: { readonly at: number; readonly bytes: number }): Buffer {
  return bytes.subarray(field.at, field.at + field.bytes);
}

/** The parts of a wallet file that is not damaged. */
interface Sealed {
  readonly header: Buffer;
  readonly cost: ScryptCost;
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
}

function damaged(path: string, what: string): WalletStoreError {
  return new WalletStoreError(
    'damaged',
    `${path}: ${what}; put a backup back, or recover the wallet from its seed words`,
  );
}

/** The fields of a wallet file. Throws a `WalletStoreError` (`damaged`, `version`); `path` is its name. */
function parseWalletFile(bytes: Uint8Array, path: string): Sealed {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (file.length < MAGIC.length || !file.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw damaged(path, 'no wallet of this program, or damaged');
  }
  if (file.length < HEADER_BYTES + TAG_BYTES + DIGEST_BYTES) throw damaged(path, 'cut off');
  const body = file.subarray(0, -DIGEST_BYTES);
  const [version = 0, kdf = 0, log2N = 0, r = 0, p = 0] = file.subarray(MAGIC.length);
  const isWhole = digestOf(body).equals(file.subarray(-DIGEST_BYTES));
  if (version > VERSION && isWhole) {
    throw new WalletStoreError(
      'version',
      `${path}: written by a later version of this program (format ${version}): use that version`,
    );
  }
  if (!isWhole) throw damaged(path, 'damaged (its checksum is wrong)');
  const cost = { log2N, r, p };
  const header = body.subarray(0, HEADER_BYTES);
  const ciphertext = body.subarray(HEADER_BYTES, -TAG_BYTES);
  if (
    version !== VERSION ||
    kdf !== KDF_SCRYPT ||
    !isAllowed(cost) ||
    header.readUInt32BE(LENGTH_AT) !== ciphertext.length
  ) {
    throw damaged(path, 'its header is not one that this program writes');
  }
  return { header, cost, ciphertext, tag: body.subarray(-TAG_BYTES) };
}

/**
 * Decrypts a wallet file. `path` is its name in errors. Rejects with a `WalletStoreError`: `damaged`,
 * `version` or `password`.
 */
export async function openWalletFile(
  bytes: Uint8Array,
  password: string,
  path: string,
): Promise<WalletContent> {
  const { header, cost, ciphertext, tag } = parseWalletFile(bytes, path);
  checkPassword(password);
  const key = await deriveKey(password, part(header, SALT), cost);
  const decipher = createDecipheriv('aes-256-gcm', key, part(header, NONCE));
  decipher.setAAD(header);
  decipher.setAuthTag(tag);
  key.fill(0);
  let plain: Buffer;
  try {
    plain = Buffer.concat([decipher.update(ciphertext), decipher.final()]);
  } catch {
    throw new WalletStoreError('password', `${path}: the password is wrong`);
  }
  const content = parseContent(plain);
  plain.fill(0);
  if (content === undefined) throw damaged(path, 'its content is not one that this program writes');
  return content;
}

/** Throws a `WalletStoreError` (`damaged`, `version`) unless the bytes are a whole wallet file. */
export function checkWalletFile(bytes: Uint8Array, path: string): void {
  parseWalletFile(bytes, path);
}
