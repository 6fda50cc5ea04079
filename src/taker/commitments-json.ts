/**
 * The text of `cmtdata/commitments.json`, in the form of the original: the commitments that were used, and
 * proofs of coins of other wallets. Pure.
 */
import { isRecord } from '../kit/json-record.js';
import { formatOutpoint, parseOutpoint, type Outpoint } from '../protocol/outpoint.js';
import { verifyPodle, type Podle } from '../protocol/podle.js';
import { fail, ok, type Parsed } from '../protocol/result.js';

/** Most coins of other wallets, and proofs of one of them. */
const MAX_EXTERNAL = 10_000;
const MAX_PROOFS = 256;
const MAX_USED = 1_000_000;

/** Proofs of a coin of another wallet, the lowest index first. */
export interface ExternalCoin extends Outpoint {
  /** The key of the coin, compressed hex. */
  readonly publicKey: string;
  readonly proofs: readonly Podle[];
}

/** What the file says. */
export interface CommitmentsJson {
  /** 64 lower-case hex digits each. */
  readonly used: readonly string[];
  readonly external: readonly ExternalCoin[];
  /** The whole value, so that members of other programs are kept. */
  readonly value: Readonly<Record<string, unknown>>;
}

/** Which part of the text is not valid. */
export type CommitmentsJsonFault = 'json' | 'used' | 'external';

const text = (value: unknown, form: RegExp): string | undefined =>
  typeof value === 'string' && form.test(value.toLowerCase()) ? value.toLowerCase() : undefined;

const HASH = /^[0-9a-f]{64}$/;
const POINT = /^0[23][0-9a-f]{64}$/;
const SCALAR = /^[0-9a-f]{1,64}$/;

/** A proof, before it is verified: `commitment` is the hash of its second point. */
function readProof(
  utxo: Outpoint,
  p: string,
  index: number,
  value: unknown,
  hash: (p2: string) => string,
): Podle | undefined {
  if (!isRecord(value)) return undefined;
  const [p2, s, e] = [text(value['P2'], POINT), text(value['s'], SCALAR), text(value['e'], SCALAR)];
  if (p2 === undefined || s === undefined || e === undefined) return undefined;
  const revelation = { utxo, p, p2, s: s.padStart(64, '0'), e: e.padStart(64, '0') };
  return { commitment: hash(p2), index, revelation };
}

function readCoin(
  name: string,
  value: unknown,
  hash: (p2: string) => string,
): ExternalCoin | undefined {
  const outpoint = parseOutpoint(name.toLowerCase());
  if (!outpoint.ok || !isRecord(value)) return undefined;
  const { txid, vout } = outpoint.value;
  const publicKey = text(value['P'], POINT);
  const reveal = value['reveal'];
  if (publicKey === undefined || !isRecord(reveal)) return undefined;
  const entries = Object.entries(reveal);
  if (entries.length > MAX_PROOFS) return undefined;
  const proofs: Podle[] = [];
  for (const [key, proof] of entries) {
    const index = /^\d{1,3}$/.test(key) ? Number(key) : MAX_PROOFS;
    const read =
      index < MAX_PROOFS ? readProof({ txid, vout }, publicKey, index, proof, hash) : undefined;
    if (read === undefined) return undefined;
    proofs.push(read);
  }
  return { txid, vout, publicKey, proofs: proofs.toSorted((a, b) => a.index - b.index) };
}

/**
 * Reads the text. Proofs are not verified: see `isProven`.
 * @param hash SHA256 of a point, both in hex
 */
export function parseCommitmentsJson(
  content: string,
  hash: (p2: string) => string,
): Parsed<CommitmentsJson, CommitmentsJsonFault> {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return fail('json');
  }
  if (!isRecord(value)) return fail('json');
  const { used = [], external = {} } = value;
  if (!Array.isArray(used) || used.length > MAX_USED) return fail('used');
  const hashes: string[] = [];
  for (const item of used) {
    const commitment = text(item, HASH);
    if (commitment === undefined) return fail('used');
    hashes.push(commitment);
  }
  if (!isRecord(external)) return fail('external');
  const entries = Object.entries(external);
  if (entries.length > MAX_EXTERNAL) return fail('external');
  const coins: ExternalCoin[] = [];
  for (const [name, entry] of entries) {
    const coin = readCoin(name, entry, hash);
    if (coin === undefined) return fail('external');
    coins.push(coin);
  }
  return ok({ used: hashes, external: coins, value });
}

/** The text with one more used commitment. Everything else in it stays. */
export function withUsed({ value, used }: CommitmentsJson, commitment: string): string {
  const external = value['external'] ?? {};
  return `${JSON.stringify({ ...value, used: [...used, commitment], external }, undefined, 4)}\n`;
}

/** Whether the proof of an entry is valid for its index. Takes several milliseconds. */
export function isProven({ commitment, index, revelation }: Podle): boolean {
  const verified = verifyPodle(revelation, commitment, index + 1);
  return verified.ok && verified.value === index;
}

/** The name of a coin in the file. */
export const externalName = ({ txid, vout }: Outpoint): string => formatOutpoint({ txid, vout });
