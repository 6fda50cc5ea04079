/**
 * PoDLE: a taker proves that it owns a coin, with a limited number of proofs for each coin
 * (docs/protocol.md, section 10). P = xG and P2 = xJ have the same logarithm, and SHA256(P2) was sent
 * before.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { createHmacDrbg } from '@noble/curves/utils.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import {
  formatNamedOutpoint,
  formatOutpoint,
  parseOutpoint,
  type NamedOutpoint,
} from './outpoint.js';
import { ownText } from './own-text.js';
import { platformCurves } from './platform-curves.js';
import { fail, ok, type Parsed } from './result.js';

const { Point } = secp256k1;
type CurvePoint = InstanceType<typeof Point>;

const G = Point.BASE;
const N = Point.CURVE().n;
const NONCE_DOMAIN = utf8ToBytes('JoinMarket/PoDLE/nonce/v1');
const MAX_NUMS_INDEX = 255;

/**
 * How many points J a maker accepts by default: indices 0, 1 and 2. A coin gives as many commitments.
 */
export const PODLE_RETRIES = 3;

/** The content of `auth`. Hex is lower case. */
export interface PodleRevelation {
  /** The coin. */
  readonly utxo: NamedOutpoint;
  /** The coin's public key, compressed; 66 digits. */
  readonly p: string;
  /** The same private key times J, compressed; 66 digits. */
  readonly p2: string;
  /** Response and challenge; 64 digits each. */
  readonly s: string;
  /** The challenge; 64 digits. */
  readonly e: string;
}

/** A commitment with the proof behind it. */
export interface Podle {
  /** SHA256(P2), 64 lower-case hex digits. A maker adds it to its blacklist after use. */
  readonly commitment: string;
  /** Index of the point J, from 0. */
  readonly index: number;
  /** The proof that `auth` shows. */
  readonly revelation: PodleRevelation;
}

function bytesToScalar(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytesToHex(bytes)}`);
}

/** A compressed point; undefined when the bytes are not a point of the curve. */
function readPoint(bytes: Uint8Array): CurvePoint | undefined {
  try {
    return Point.fromBytes(bytes);
  } catch {
    return undefined;
  }
}

function deriveNums(index: number): CurvePoint {
  for (const seed of [G.toBytes(true), G.toBytes(false)]) {
    for (let counter = 0; counter <= 255; counter++) {
      const x = sha256(concatBytes(seed, Uint8Array.of(index, counter)));
      const point = readPoint(concatBytes(Uint8Array.of(2), x));
      if (point !== undefined) return point;
    }
  }
  throw new Error(`no NUMS point ${index}`); // section 10.1: all 256 exist
}

// At most 256 points, each computed at its first use.
const nums: (CurvePoint | undefined)[] = [];

function numsPointAt(index: number): CurvePoint {
  if (!Number.isInteger(index) || index < 0 || index > MAX_NUMS_INDEX) {
    throw new RangeError(`a NUMS index is 0 to ${MAX_NUMS_INDEX}`);
  }
  return (nums[index] ??= deriveNums(index));
}

/** Bits of a window in the table of a point J. The tables of wider ones take longer than they save. */
const WINDOW_BITS = 3;
/** Proofs of this process for each index. */
const proofs = new Map<number, number>();

/**
 * The point J for products with secrets. Its table takes as long as two products without it, and saves two
 * thirds of each. So it is made when the index is used again, as by a taker with several rounds.
 */
function numsPointForProof(index: number): CurvePoint {
  const j = numsPointAt(index);
  const before = proofs.get(index) ?? 0;
  proofs.set(index, before + 1);
  return before === 1 ? j.precompute(WINDOW_BITS) : j;
}

/**
 * The public point J of an index from 0 to 255, compressed hex. Its logarithm is unknown, since its x
 * is a hash (section 10.1). Throws a RangeError for another index.
 */
export function numsPoint(index: number): string {
  return numsPointAt(index).toHex(true);
}

function scalarToBytes(scalar: bigint): Uint8Array {
  return hexToBytes(scalar.toString(16).padStart(64, '0'));
}

interface Response {
  readonly s: bigint;
  readonly e: Uint8Array;
}

/**
 * Passes nonces to `respond` until it accepts one. RFC 6979 over the key and SHA256 of the context, so
 * the same coin and index always give the same proof (section 10.3).
 */
function withNonces(
  privateKey: Uint8Array,
  context: Uint8Array,
  respond: (k: bigint) => Response | undefined,
): Response {
  const drbg = createHmacDrbg<Response>(32, 32, (key: Uint8Array, message: Uint8Array) =>
    hmac(sha256, key, message),
  );
  const hash = scalarToBytes(bytesToScalar(sha256(context)) % N); // bits2octets
  return drbg(concatBytes(privateKey, hash), (bytes) => {
    const k = bytesToScalar(bytes);
    return k > 0n && k < N ? respond(k) : undefined;
  });
}

/**
 * The commitment and proof of a coin for the point of `index`; makers accept 0 to `PODLE_RETRIES` - 1.
 * Deterministic, so that a restart cannot use one nonce for two challenges.
 * @throws RangeError for a private key that is not a scalar, or an index outside 0 to 255.
 */
export function createPodle(privateKey: Uint8Array, utxo: NamedOutpoint, index: number): Podle {
  if (!secp256k1.utils.isValidSecretKey(privateKey)) {
    throw new RangeError('a coin key has 32 bytes and lies between 1 and N - 1');
  }
  const j = numsPointForProof(index);
  const x = bytesToScalar(privateKey);
  const p = G.multiply(x).toBytes(true);
  const p2 = j.multiply(x).toBytes(true);
  const utxoText = utf8ToBytes(formatOutpoint(utxo));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, utxoText.length);
  const context = concatBytes(NONCE_DOMAIN, length, utxoText, Uint8Array.of(index), p, p2);
  const { s, e } = withNonces(privateKey, context, (k) => {
    const kg = G.multiply(k).toBytes(true);
    const kj = j.multiply(k).toBytes(true);
    const challenge = sha256(concatBytes(kg, kj, p, p2));
    const eScalar = bytesToScalar(challenge);
    const response = (k + x * eScalar) % N;
    // A verifier would refuse these values, so the next nonce is tried (practically never).
    const usable = eScalar > 0n && eScalar < N && response > 0n;
    return usable ? { s: response, e: challenge } : undefined;
  });
  return {
    commitment: bytesToHex(sha256(p2)),
    index,
    revelation: {
      utxo: {
        txid: utxo.txid,
        vout: utxo.vout,
        ...(utxo.metadata === undefined ? {} : { metadata: utxo.metadata }),
      },
      p: bytesToHex(p),
      p2: bytesToHex(p2),
      s: bytesToHex(scalarToBytes(s)),
      e: bytesToHex(e),
    },
  };
}

/** Why a commitment is refused: another scheme, or not 64 hex digits. */
export type CommitmentFault = 'commitment-type' | 'commitment-form';

/**
 * Reads the commitment of a `fill`: `P` and 64 hex digits in either case. Returns the digits in lower
 * case. `commitment-type` for another first character, which stands for another scheme.
 */
export function parseCommitment(text: string): Parsed<string, CommitmentFault> {
  if (!text.startsWith('P')) return fail('commitment-type');
  return parseBareCommitment(text.slice(1));
}

/** Reads the commitment of an `hp2`, which has no prefix (section 8.3). */
export function parseBareCommitment(text: string): Parsed<string, 'commitment-form'> {
  return /^[0-9a-fA-F]{64}$/.test(text) ? ok(ownText(text.toLowerCase())) : fail('commitment-form');
}

/** `P` and the digits, as in `fill`. */
export function formatCommitment(commitment: string): string {
  return `P${commitment}`;
}

/**
 * Reads the plaintext of `auth`, `txid:vout|P|P2|s|e`, with the coin in either form. Does not verify
 * the proof.
 */
export function parseRevelation(text: string): Parsed<PodleRevelation, 'revelation-form'> {
  const fields = text.split('|', 6);
  const [utxoText, p, p2, s, e] = fields.map((field) => field.toLowerCase());
  if (fields.length !== 5 || utxoText === undefined) return fail('revelation-form');
  const utxo = parseOutpoint(utxoText);
  if (!utxo.ok || p === undefined || p2 === undefined || s === undefined || e === undefined) {
    return fail('revelation-form');
  }
  if (![p, p2].every((point) => /^0[23][0-9a-f]{64}$/.test(point))) return fail('revelation-form');
  if (![s, e].every((scalar) => /^[0-9a-f]{64}$/.test(scalar))) return fail('revelation-form');
  return ok({ utxo: utxo.value, p, p2, s, e });
}

/**
 * `txid:vout|P|P2|s|e`, the plaintext of `auth`.
 * @param form `extended` includes the coin's metadata, for a maker that offered `neutrino_compat`.
 */
export function formatRevelation(
  { utxo, p, p2, s, e }: PodleRevelation,
  form: 'plain' | 'extended' = 'plain',
): string {
  const name = form === 'extended' ? formatNamedOutpoint(utxo) : formatOutpoint(utxo);
  return [name, p, p2, s, e].join('|');
}

/** Which part of a revelation does not fit the commitment. */
export type PodleFault = 'podle-commitment' | 'podle-scalar' | 'podle-point' | 'podle-proof';

/** aP + bQ, compressed; undefined for the point at infinity. Not constant in time: for public values only. */
function sumOfProducts(a: bigint, p: CurvePoint, b: bigint, q: CurvePoint): Uint8Array | undefined {
  const fast = platformCurves()?.sumOfProducts?.(
    scalarToBytes(a),
    p.toBytes(true),
    scalarToBytes(b),
    q.toBytes(true),
  );
  if (fast !== undefined) return fast;
  const sum = p.mulAddUnsafe(a, q, b);
  return sum.is0() ? undefined : sum.toBytes(true);
}

/**
 * Verifies a revelation against an earlier commitment (lower-case hex), for the points 0 to `retries` -
 * 1; the value is the index. The caller checks with the chain that P owns the coin, and the coin's age
 * and value (section 9.5). Never throws on a revelation.
 */
export function verifyPodle(
  revelation: PodleRevelation,
  commitment: string,
  retries: number = PODLE_RETRIES,
): Parsed<number, PodleFault> {
  const p2Bytes = hexToBytes(revelation.p2);
  if (bytesToHex(sha256(p2Bytes)) !== commitment) return fail('podle-commitment');
  const s = BigInt(`0x${revelation.s}`);
  const e = BigInt(`0x${revelation.e}`);
  if (s === 0n || s >= N || e === 0n || e >= N) return fail('podle-scalar');
  const pBytes = hexToBytes(revelation.p);
  const p = readPoint(pBytes);
  const p2 = readPoint(p2Bytes);
  if (p === undefined || p2 === undefined) return fail('podle-point');
  const kg = sumOfProducts(s, G, N - e, p);
  if (kg === undefined) return fail('podle-proof');
  for (let index = 0; index < retries; index++) {
    const kj = sumOfProducts(s, numsPointAt(index), N - e, p2);
    if (kj === undefined) continue;
    const challenge = sha256(concatBytes(kg, kj, pBytes, p2Bytes));
    if (bytesToHex(challenge) === revelation.e) return ok(index);
  }
  return fail('podle-proof');
}

/** Verifications after which the engine has compiled their code. */
const PREPARING = 4;
let isPrepared = false;

/**
 * Does now what the first verifications of a process do once: the points J, the tables of the curve, the
 * compilation of the code. Tens of milliseconds; a program calls it before there is other work. The second
 * call does nothing.
 */
export function prepareVerification(): void {
  if (isPrepared) return;
  isPrepared = true;
  // Holds for no index, so that every point is tried.
  const p = G.toHex(true);
  const utxo = { txid: '00'.repeat(32), vout: 0 };
  const revelation = { utxo, p, p2: p, s: '11'.repeat(32), e: '22'.repeat(32) };
  const commitment = bytesToHex(sha256(hexToBytes(p)));
  for (let n = 0; n < PREPARING; n++) verifyPodle(revelation, commitment);
}
