/**
 * The outside of wallet files of the original (`.jmdat`): `JMWALLET` and bencode; or `JMENCWLT` and the
 * bencode of `{data, enc: {iv, salt}}`, where `data` is the first form encrypted with AES-256-CBC, and the
 * key is Argon2i of the password.
 */
import { createDecipheriv } from 'node:crypto';
import { BencodeDict, parseBencode, type Bencode } from '../../bitcoin/bencode.js';
import type { Argon2Cost, DeriveKey } from './argon2.js';
import { damagedFile, passwordNeeded, wrongPassword } from './foreign-wallet.js';

const PLAIN = Buffer.from('JMWALLET', 'latin1');
const ENCRYPTED = Buffer.from('JMENCWLT', 'latin1');
/** The same in all versions of the original, so the file does not name it. */
const COST: Argon2Cost = { m: 1_000, t: 500, p: 4 };
const BLOCK_BYTES = 16;

/** Whether it is such a file, and an encrypted one. */
export function jmFormOf(bytes: Uint8Array): 'plain' | 'encrypted' | undefined {
  const head = Buffer.from(bytes.subarray(0, PLAIN.length));
  if (head.equals(PLAIN)) return 'plain';
  return head.equals(ENCRYPTED) ? 'encrypted' : undefined;
}

function dictOf(bytes: Uint8Array): BencodeDict {
  const parsed = parseBencode(bytes);
  if (!parsed.ok) throw damagedFile(parsed.reason);
  if (!(parsed.value instanceof BencodeDict)) throw damagedFile('it holds no dictionary');
  return parsed.value;
}

function bytesOf(value: Bencode | undefined, what: string, length?: number): Uint8Array {
  if (!(value instanceof Uint8Array) || (length !== undefined && value.length !== length)) {
    throw damagedFile(`it has no ${what}`);
  }
  return value;
}

/**
 * Without the padding of PKCS#7. Newer versions do not pad a text that fills its blocks. A text ends with
 * an `e` (0x65), which is no padding.
 */
function withoutPadding(text: Buffer): Buffer {
  const count = text.at(-1) ?? 0;
  const isPadding =
    count >= 1 && count <= BLOCK_BYTES && text.subarray(-count).every((byte) => byte === count);
  return isPadding ? text.subarray(0, -count) : text;
}

async function decrypt(
  bytes: Uint8Array,
  password: string,
  derive: DeriveKey,
): Promise<Uint8Array> {
  const container = dictOf(bytes);
  const enc = container.get('enc');
  if (!(enc instanceof BencodeDict)) throw damagedFile('it has no parameters');
  const iv = bytesOf(enc.get('iv'), 'iv', BLOCK_BYTES);
  const salt = bytesOf(enc.get('salt'), 'salt', 16);
  const data = bytesOf(container.get('data'), 'data');
  if (data.length === 0 || data.length % BLOCK_BYTES !== 0) throw damagedFile('cut off');
  const key = await derive('argon2i', password, salt, COST);
  const decipher = createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false);
  const text = Buffer.concat([decipher.update(data), decipher.final()]);
  if (!text.subarray(0, PLAIN.length).equals(PLAIN)) throw wrongPassword();
  return withoutPadding(text).subarray(PLAIN.length);
}

/** The dictionary in a file that is not encrypted. Throws a `WalletImportError` (`damaged`). */
export function readPlainJm(bytes: Uint8Array): BencodeDict {
  return dictOf(bytes.subarray(PLAIN.length));
}

/** The dictionary in a file. Rejects with a `WalletImportError`. */
export async function readJmContainer(
  bytes: Uint8Array,
  form: 'plain' | 'encrypted',
  password: string | undefined,
  derive: DeriveKey,
): Promise<BencodeDict> {
  if (form === 'plain') return readPlainJm(bytes);
  if (password === undefined) throw passwordNeeded();
  return dictOf(await decrypt(bytes.subarray(ENCRYPTED.length), password, derive));
}
