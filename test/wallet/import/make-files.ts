/** Wallet files of other programs, made by their description with code of its own. */
import { createCipheriv, createHash, createHmac, pbkdf2Sync, type BinaryLike } from 'node:crypto';
import type { DeriveKey } from '../../../src/wallet/import/argon2.js';
import { WalletImportError } from '../../../src/wallet/import/foreign-wallet.js';

/** A value of bencode. */
export type Value = number | string | Uint8Array | readonly Value[] | Dict;
export interface Dict {
  readonly [key: string]: Value;
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Keys of dictionaries are bytes, given as latin1. */
export function bencode(value: Value): Buffer {
  if (typeof value === 'number') return latin1(`i${value}e`);
  if (typeof value === 'string') return bencode(Buffer.from(value));
  if (value instanceof Uint8Array) return Buffer.concat([latin1(`${value.length}:`), value]);
  if (Array.isArray(value)) {
    return Buffer.concat([latin1('l'), ...value.map((item: Value) => bencode(item)), latin1('e')]);
  }
  const entries = Object.entries(value)
    .map(([key, item]) => [latin1(key), item] as const)
    .toSorted(([a], [b]) => Buffer.compare(a, b));
  const parts = entries.flatMap(([key, item]) => [bencode(key), bencode(item)]);
  return Buffer.concat([latin1('d'), ...parts, latin1('e')]);
}

/** A cheap stand-in for Argon2 in files of the tests. */
export const cheapKey: DeriveKey = async (kind, password, salt, { m, t, p }) =>
  createHash('sha256').update(`${kind} ${m} ${t} ${p} ${password}`).update(salt).digest();

const IV = Buffer.alloc(16, 0x22);
const SALT = Buffer.alloc(16, 0x11);

/** A wallet of the original; `padding` is that of its older or newer versions. */
export async function jmdat(
  payload: Dict,
  password: string | undefined,
  padding: 'always' | 'when needed' = 'when needed',
): Promise<Buffer> {
  const plain = Buffer.concat([latin1('JMWALLET'), bencode(payload)]);
  if (password === undefined) return plain;
  const key = await cheapKey('argon2i', password, SALT, { m: 1_000, t: 500, p: 4 });
  const isPadded = padding === 'always' || plain.length % 16 !== 0;
  const cipher = createCipheriv('aes-256-cbc', key, IV).setAutoPadding(isPadded);
  const data = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([latin1('JMENCWLT'), bencode({ data, enc: { iv: IV, salt: SALT } })]);
}

/** A Fernet token under a key of 32 bytes. */
export function fernet(text: BinaryLike, key: Buffer): Buffer {
  const cipher = createCipheriv('aes-128-cbc', key.subarray(16), IV);
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(1_700_000_000n);
  const body = Buffer.concat([Buffer.from([0x80]), time, IV, cipher.update(text), cipher.final()]);
  const digest = createHmac('sha256', key.subarray(0, 16)).update(body).digest();
  const base64 = Buffer.concat([body, digest]).toString('base64');
  return latin1(base64.replaceAll('+', '-').replaceAll('/', '_'));
}

/** An encrypted `.mnemonic` of joinmarket-ng. */
export function ngMnemonic(text: string, password: string): Buffer {
  return Buffer.concat([SALT, fernet(text, pbkdf2Sync(password, SALT, 600_000, 32, 'sha256'))]);
}

/** A file of the daemon of joinmarket-ng. */
export async function ngDaemon(
  record: unknown,
  password: string,
  cost = { m: 19_456, t: 2, p: 1 },
  derive: DeriveKey = cheapKey,
): Promise<Buffer> {
  const header = Buffer.alloc(15);
  header.write('JMNG', 'latin1');
  header.set([1, 1], 4);
  header.writeUInt32BE(cost.m, 6);
  header.writeUInt32BE(cost.t, 10);
  header.writeUInt8(cost.p, 14);
  const key = Buffer.from(await derive('argon2id', password, SALT, cost));
  return Buffer.concat([header, SALT, fernet(JSON.stringify(record), key)]);
}

/** Why a file was refused; undefined when it was not. Another error is thrown again. */
export async function faultOf(call: Promise<unknown>) {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof WalletImportError) return error.fault;
    throw error;
  }
}
