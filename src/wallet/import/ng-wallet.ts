/**
 * Wallet files of joinmarket-ng, which hold seed words:
 * - `NAME.mnemonic`: the words as text.
 * - the same encrypted: a salt of 16 bytes and a Fernet token; the key by PBKDF2 with SHA-256 and 600,000
 *   rounds. The token holds the words, or JSON in files of its daemon.
 * - files of its daemon, named `NAME.jmdat` though they are not those of the original: `JMNG`, the version
 *   1, the key derivation 1 (Argon2id), memory in KiB and passes (32 bits each, big-endian), lanes (8 bits),
 *   a salt of 16 bytes, and a Fernet token that holds JSON.
 *
 * Beside a `.mnemonic` file may be a `.mnemonic.meta`: JSON with the height at which it was made, and the
 * fingerprint of the master key.
 */
import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { parseRecord, type JsonRecord } from '../../kit/json-record.js';
import { NETWORKS } from '../../protocol/constants.js';
import { readSeedWords, seedFaultText } from '../seed.js';
import { checkArgon2Cost, type Argon2Cost, type DeriveKey } from './argon2.js';
import { isFernetToken, openFernetToken } from './fernet.js';
import {
  damagedFile,
  passwordNeeded,
  USUAL_MIXDEPTHS,
  WalletImportError,
  type ForeignWallet,
} from './foreign-wallet.js';

const MAGIC = Buffer.from('JMNG', 'latin1');
const VERSION = 1;
const KDF_ARGON2ID = 1;
const AT = { version: 4, kdf: 5, memory: 6, passes: 10, lanes: 14, salt: 15, token: 31 } as const;
const SALT_BYTES = 16;
const PBKDF2_ROUNDS = 600_000;
const KEY_BYTES = 32;
/** Longest text of seed words. */
const MAX_TEXT_BYTES = 2_000;
const MAX_HEIGHT = 100_000_000;

/** Which of the files it is; undefined for another one. */
export type NgForm = 'words' | 'pbkdf2' | 'argon2id';

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The form of a file, by its first bytes. Seed words are any short text of letters and blanks. */
export function ngFormOf(bytes: Uint8Array): NgForm | undefined {
  if (Buffer.from(bytes.subarray(0, MAGIC.length)).equals(MAGIC)) return 'argon2id';
  if (isFernetToken(bytes.subarray(SALT_BYTES))) return 'pbkdf2';
  if (bytes.length > MAX_TEXT_BYTES) return undefined;
  const text = textOf(bytes);
  return text !== undefined && /^[\p{L}\p{M}\s]*\p{L}[\p{L}\p{M}\s]*$/u.test(text)
    ? 'words'
    : undefined;
}

/** The words, and what the file says beside them. */
interface Content {
  readonly words: string;
  readonly record: JsonRecord;
}

function contentOf(plain: Uint8Array): Content {
  const text = textOf(plain) ?? '';
  const record = parseRecord(text);
  if (record === undefined) return { words: text, record: {} };
  const { mnemonic } = record;
  if (typeof mnemonic !== 'string') throw damagedFile('it has no seed words');
  return { words: mnemonic, record };
}

async function decrypt(
  bytes: Uint8Array,
  form: 'pbkdf2' | 'argon2id',
  password: string,
  derive: DeriveKey,
): Promise<Buffer> {
  if (form === 'pbkdf2') {
    const salt = bytes.subarray(0, SALT_BYTES);
    const key = await promisify(pbkdf2)(password, salt, PBKDF2_ROUNDS, KEY_BYTES, 'sha256');
    return openFernetToken(bytes.subarray(SALT_BYTES), key);
  }
  const file = Buffer.from(bytes);
  if (file.length < AT.token) throw damagedFile('cut off');
  if (file[AT.version] !== VERSION || file[AT.kdf] !== KDF_ARGON2ID) {
    throw new WalletImportError(
      'unsupported',
      'a later version of joinmarket-ng wrote the file: show its seed words there, and use "recover"',
    );
  }
  const cost: Argon2Cost = {
    m: file.readUInt32BE(AT.memory),
    t: file.readUInt32BE(AT.passes),
    p: file.readUInt8(AT.lanes),
  };
  const salt = file.subarray(AT.salt, AT.token);
  checkArgon2Cost(cost);
  const key = await derive('argon2id', password, salt, cost);
  return openFernetToken(file.subarray(AT.token), key);
}

function heightOf(record: JsonRecord): number | undefined {
  const height = record['creation_height'];
  return typeof height === 'number' &&
    Number.isSafeInteger(height) &&
    height >= 0 &&
    height <= MAX_HEIGHT
    ? height
    : undefined;
}

function fingerprintOf(record: JsonRecord): string | undefined {
  const { fingerprint } = record;
  return typeof fingerprint === 'string' && /^[0-9a-fA-F]{8}$/.test(fingerprint)
    ? fingerprint.toLowerCase()
    : undefined;
}

/** The records of the file and of the file beside it, the first one first. */
function walletOf({ words, record }: Content, meta: JsonRecord): ForeignWallet {
  const seed = readSeedWords(words);
  if (!seed.ok) throw damagedFile(seedFaultText(seed.reason));
  const isNested = record['wallet_type'] === 'sw-legacy';
  return {
    program: 'joinmarket-ng',
    entropy: seed.value.entropy,
    passphrase: undefined,
    networks: NETWORKS,
    // That program uses native addresses for each type that its files name.
    kind: 'native',
    mixdepths: USUAL_MIXDEPTHS,
    indices: [],
    labels: [],
    frozen: [],
    birthHeight: heightOf(record) ?? heightOf(meta),
    created: undefined,
    fingerprint: fingerprintOf(meta),
    notes: [
      'joinmarket-ng keeps the passphrase, labels, frozen coins and the history elsewhere: they are not taken over',
      ...(isNested
        ? [
            'the file names the type sw-legacy; joinmarket-ng gives such a wallet native addresses too',
          ]
        : []),
    ],
  };
}

const metaOf = (bytes: Uint8Array | undefined): JsonRecord =>
  parseRecord(textOf(bytes ?? new Uint8Array(0)) ?? '') ?? {};

/** Reads what a file held after it was decrypted: words, or JSON. Throws a `WalletImportError`. */
export function readNgContent(plain: Uint8Array, meta?: Uint8Array): ForeignWallet {
  return walletOf(contentOf(plain), metaOf(meta));
}

/** Reads a file of that form. `meta` is the content of the `.meta` file beside it. */
export async function readNgWallet(
  bytes: Uint8Array,
  form: NgForm,
  password: string | undefined,
  meta: Uint8Array | undefined,
  derive: DeriveKey,
): Promise<ForeignWallet> {
  if (form === 'words') return readNgContent(bytes, meta);
  if (password === undefined) throw passwordNeeded();
  return readNgContent(await decrypt(bytes, form, password, derive), meta);
}
