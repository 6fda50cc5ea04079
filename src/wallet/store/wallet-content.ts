/** The content of the wallet file as bytes: a length, JSON, and padding. Pure. */
import { isRecord, type JsonRecord } from '../../kit/json-record.js';
import { NETWORKS } from '../../protocol/constants.js';
import type { WalletSecret } from './api.js';

const ID_BYTES = 16;
const KEY_BYTES = 32;
const LENGTH_BYTES = 4;
const MAX_MIXDEPTHS = 100;
/** Of BIP39: 12, 15, 18, 21 and 24 words. */
const ENTROPY_BYTES = [16, 20, 24, 28, 32];

/** What the wallet file holds. */
export interface WalletContent {
  readonly secret: WalletSecret;
  /** Random: 16 bytes that name the wallet. */
  readonly id: Uint8Array;
  /** Random: 32 bytes from which the keys of the journal are derived. */
  readonly journalKey: Uint8Array;
}

/** The content with padding to a multiple of `step` bytes. The owner overwrites it after use. */
export function writeContent(content: WalletContent, step: number): Buffer {
  const { network, entropy, kind, mixdepths, fingerprint, hasPassphrase, birthHeight, created } =
    content.secret;
  const json = Buffer.from(
    JSON.stringify({
      network,
      entropy,
      kind,
      mixdepths,
      fingerprint,
      hasPassphrase,
      birthHeight,
      created,
      id: Buffer.from(content.id).toString('hex'),
      journalKey: Buffer.from(content.journalKey).toString('hex'),
    }),
  );
  const padded = Buffer.alloc(Math.ceil((LENGTH_BYTES + json.length) / step) * step);
  padded.writeUInt32BE(json.length);
  json.copy(padded, LENGTH_BYTES);
  json.fill(0);
  return padded;
}

function hexOf(value: unknown, bytes: readonly number[]): string | undefined {
  return typeof value === 'string' && bytes.includes(value.length / 2) && /^[0-9a-f]*$/.test(value)
    ? value
    : undefined;
}

function countOf(value: unknown, most: number): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most
    ? value
    : undefined;
}

function secretOf(record: JsonRecord): WalletSecret | undefined {
  const network = NETWORKS.find((name) => name === record['network']);
  const kind = (['native', 'nested'] as const).find((name) => name === record['kind']);
  const entropy = hexOf(record['entropy'], ENTROPY_BYTES);
  const fingerprint = hexOf(record['fingerprint'], [4]);
  const mixdepths = countOf(record['mixdepths'], MAX_MIXDEPTHS);
  const birthHeight = countOf(record['birthHeight'], Number.MAX_SAFE_INTEGER);
  const created = countOf(record['created'], Number.MAX_SAFE_INTEGER);
  const { hasPassphrase } = record;
  if (network === undefined || kind === undefined || entropy === undefined) return undefined;
  if (fingerprint === undefined || mixdepths === undefined || mixdepths === 0) return undefined;
  if (birthHeight === undefined || created === undefined) return undefined;
  if (typeof hasPassphrase !== 'boolean') return undefined;
  return {
    network,
    entropy,
    kind,
    mixdepths,
    fingerprint,
    hasPassphrase,
    birthHeight,
    created,
  };
}

/** Whether a secret can be stored: its fields are in range. */
export function isWalletSecret(secret: WalletSecret): boolean {
  return secretOf({ ...secret }) !== undefined;
}

/** The content of decrypted bytes; undefined for other bytes. */
export function parseContent(plain: Buffer): WalletContent | undefined {
  if (plain.length < LENGTH_BYTES) return undefined;
  const length = plain.readUInt32BE();
  if (length > plain.length - LENGTH_BYTES) return undefined;
  let record: unknown;
  try {
    record = JSON.parse(plain.toString('utf8', LENGTH_BYTES, LENGTH_BYTES + length));
  } catch {
    return undefined;
  }
  if (!isRecord(record)) return undefined;
  const secret = secretOf(record);
  const id = hexOf(record['id'], [ID_BYTES]);
  const journalKey = hexOf(record['journalKey'], [KEY_BYTES]);
  if (secret === undefined || id === undefined || journalKey === undefined) return undefined;
  return { secret, id: Buffer.from(id, 'hex'), journalKey: Buffer.from(journalKey, 'hex') };
}
