/**
 * Fidelity bond proofs, the argument of `tbond` (docs/protocol.md, sections 8.5 and 11). The key of a
 * time-locked coin certifies another key, which signs the two nicks. Directories do not verify them.
 * The caller asks the chain whether the coin exists.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import type { Outpoint } from './outpoint.js';
import { fail, ok, type Parsed } from './result.js';
import { isMessageSignature, signedMessageHash } from './signature.js';

const PROOF_BYTES = 252;
const PROOF_CHARS = 336;
const SIGNATURE_FIELD = 72;
const DER_HEADER = 0x30;
const BLOCKS_PER_PERIOD = 2016;
/**
 * Margin in blocks, so that a certificate made just before the end of a period does not expire with it.
 */
const TIP_MARGIN = 2;
/** Seconds of a year in the value formula. */
const YEAR_SECONDS = 60 * 60 * 24 * 365.2425;

/** Certificate expiry, difficulty period and lock time are u16 and u32. */
const MAX_U16 = 0xffff;
const MAX_U32 = 0xffff_ffff;

/** A parsed proof. Nothing in it is verified yet. Hex is lower case. */
export interface FidelityBondProof {
  /** DER without padding: the certified key over the two nicks. */
  readonly nickSignature: Uint8Array;
  /** DER without padding: the coin's key over the certified key and its expiry. */
  readonly certSignature: Uint8Array;
  /** The certified key, compressed; 66 digits. */
  readonly certPublicKeyHex: string;
  /**
   * Number of the last difficulty period (2,016 blocks) in which the certificate is valid; see
   * `certExpired`.
   */
  readonly certExpiry: number;
  /** The coin's key, compressed; 66 digits. */
  readonly utxoPublicKeyHex: string;
  /** The coin. */
  readonly utxo: Outpoint;
  /** When the coin can be spent, in Unix seconds. */
  readonly lockTime: number;
}

/** Why a text is not a proof. */
export type BondFormFault = 'bond-base64' | 'bond-length' | 'bond-signature-header' | 'bond-key';

/** Finds the DER header as the original does: at the first 0x30 of the field (section 11.1). */
function unpadSignature(field: Uint8Array): Uint8Array | undefined {
  const start = field.indexOf(DER_HEADER);
  return start === -1 ? undefined : field.slice(start);
}

/**
 * Reads the argument of `tbond`: exactly 336 characters of standard base64, 252 bytes, with compressed
 * keys. Takes microseconds; the verification takes milliseconds.
 */
export function parseFidelityBond(text: string): Parsed<FidelityBondProof, BondFormFault> {
  if (text.length !== PROOF_CHARS) return fail('bond-length');
  if (!/^[A-Za-z0-9+/]+$/.test(text)) return fail('bond-base64');
  const bytes = base64.decode(text); // 336 digits are 252 whole bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, PROOF_BYTES);
  const nickSignature = unpadSignature(bytes.subarray(0, 72));
  const certSignature = unpadSignature(bytes.subarray(72, 144));
  if (nickSignature === undefined || certSignature === undefined) {
    return fail('bond-signature-header');
  }
  const certPublicKeyHex = bytesToHex(bytes.subarray(144, 177));
  const utxoPublicKeyHex = bytesToHex(bytes.subarray(179, 212));
  if (![certPublicKeyHex, utxoPublicKeyHex].every((key) => /^0[23]/.test(key))) {
    return fail('bond-key');
  }
  return ok({
    nickSignature,
    certSignature,
    certPublicKeyHex,
    certExpiry: view.getUint16(177, true),
    utxoPublicKeyHex,
    utxo: { txid: bytesToHex(bytes.subarray(212, 244)), vout: view.getUint32(244, true) },
    lockTime: view.getUint32(248, true),
  });
}

function verifies(signature: Uint8Array, message: Uint8Array, publicKeyHex: string): boolean {
  return isMessageSignature(signature, message, hexToBytes(publicKeyHex), 'any');
}

const nickMessage = (takerNick: string, makerNick: string): Uint8Array =>
  utf8ToBytes(`${takerNick}|${makerNick}`);

function certMessage(certKey: Uint8Array, expiry: number): Uint8Array {
  return concatBytes(utf8ToBytes('fidelity-bond-cert|'), certKey, utf8ToBytes(`|${expiry}`));
}

/**
 * Whether the certified key signed for this maker and this taker (section 11.2). A proof for one taker
 * is not valid for another. One signature check.
 */
export function verifyBondNicks(
  proof: FidelityBondProof,
  makerNick: string,
  takerNick: string,
): boolean {
  const message = nickMessage(takerNick, makerNick);
  return verifies(proof.nickSignature, message, proof.certPublicKeyHex);
}

/**
 * Whether the coin's key certified the key, over its 33 bytes or over its hex text, which wallets sign
 * that can only sign text (section 11.2). Does not depend on nicks, so the caller may cache the answer
 * by `bondCertificateId`. One or two signature checks.
 */
export function verifyBondCertificate(proof: FidelityBondProof): boolean {
  const { certSignature, certPublicKeyHex, certExpiry, utxoPublicKeyHex } = proof;
  return [hexToBytes(certPublicKeyHex), utf8ToBytes(certPublicKeyHex)].some((key) =>
    verifies(certSignature, certMessage(key, certExpiry), utxoPublicKeyHex),
  );
}

/** Identifies everything that `verifyBondCertificate` depends on: equal ids have equal answers. */
export function bondCertificateId(proof: FidelityBondProof): string {
  const { certPublicKeyHex, certExpiry, utxoPublicKeyHex, certSignature } = proof;
  return `${certPublicKeyHex}:${certExpiry}:${utxoPublicKeyHex}:${bytesToHex(certSignature)}`;
}

/** Which signature of a proof is not valid. */
export type BondFault = 'bond-nick-signature' | 'bond-certificate';

/**
 * Verifies both signatures of a proof. `takerNick` is the nick the offer was sent to. Two signature
 * checks, three where the certificate is over text.
 */
export function verifyFidelityBond(
  proof: FidelityBondProof,
  makerNick: string,
  takerNick: string,
): Parsed<FidelityBondProof, BondFault> {
  if (!verifyBondNicks(proof, makerNick, takerNick)) return fail('bond-nick-signature');
  return verifyBondCertificate(proof) ? ok(proof) : fail('bond-certificate');
}

/** The expiry for a certificate made at a chain height: the end of the next period (section 11.3). */
export function certExpiryAt(tipHeight: number): number {
  return Math.floor((tipHeight + TIP_MARGIN) / BLOCKS_PER_PERIOD) + 1;
}

/** Whether a certificate has expired at a chain height (section 11.3). */
export function certExpired(certExpiry: number, tipHeight: number): boolean {
  return tipHeight > certExpiry * BLOCKS_PER_PERIOD;
}

function checkInteger(what: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${what} is an integer from 0 to ${max}, not ${value}`);
  }
}

/** The data with which a maker proves its bond. Keys have 32 bytes. */
export interface OwnBond {
  /** The certified private key; it signs the two nicks. */
  readonly certPrivateKey: Uint8Array;
  /** The difficulty period (2,016 blocks each) until which the certificate is valid. */
  readonly certExpiry: number;
  /** The signature of the coin's key, from `signBondCertificate` or a wallet; DER. */
  readonly certSignature: Uint8Array;
  /** The coin's key, compressed; 66 lower-case hex digits. */
  readonly utxoPublicKeyHex: string;
  /** The coin. */
  readonly utxo: Outpoint;
  /** When the coin can be spent, in Unix seconds. */
  readonly lockTime: number;
}

function sign(message: Uint8Array, privateKey: Uint8Array): Uint8Array {
  return secp256k1.sign(signedMessageHash(message), privateKey, {
    prehash: false,
    lowS: true,
    format: 'der',
  });
}

/** The coin's signature over a certified key (33 bytes as hex) and its expiry; DER. */
export function signBondCertificate(
  certPublicKeyHex: string,
  certExpiry: number,
  utxoPrivateKey: Uint8Array,
): Uint8Array {
  checkInteger('a certificate expiry', certExpiry, MAX_U16);
  return sign(certMessage(hexToBytes(certPublicKeyHex), certExpiry), utxoPrivateKey);
}

/** Proves a bond to one taker. Each taker needs its own proof. */
export function proveFidelityBond(
  bond: OwnBond,
  makerNick: string,
  takerNick: string,
): FidelityBondProof {
  return {
    nickSignature: sign(nickMessage(takerNick, makerNick), bond.certPrivateKey),
    certSignature: bond.certSignature,
    certPublicKeyHex: bytesToHex(secp256k1.getPublicKey(bond.certPrivateKey, true)),
    certExpiry: bond.certExpiry,
    utxoPublicKeyHex: bond.utxoPublicKeyHex,
    utxo: bond.utxo,
    lockTime: bond.lockTime,
  };
}

function padSignature(signature: Uint8Array): Uint8Array {
  if (signature.length > SIGNATURE_FIELD || signature[0] !== DER_HEADER) {
    throw new RangeError(`a bond's signatures are DER of at most ${SIGNATURE_FIELD} bytes`);
  }
  const field = new Uint8Array(SIGNATURE_FIELD).fill(0xff);
  field.set(signature, SIGNATURE_FIELD - signature.length);
  return field;
}

function fixedHex(what: string, hex: string, bytes: number): Uint8Array {
  const read = hexToBytes(hex);
  if (read.length !== bytes) throw new RangeError(`${what} has ${bytes} bytes`);
  return read;
}

/** The argument of `tbond`, 336 characters. Throws a RangeError when a field does not fit its place. */
export function formatFidelityBond(proof: FidelityBondProof): string {
  checkInteger('a certificate expiry', proof.certExpiry, MAX_U16);
  checkInteger('an output number', proof.utxo.vout, MAX_U32);
  checkInteger('a lock time', proof.lockTime, MAX_U32);
  const bytes = new Uint8Array(PROOF_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(padSignature(proof.nickSignature), 0);
  bytes.set(padSignature(proof.certSignature), 72);
  bytes.set(fixedHex('a certified key', proof.certPublicKeyHex, 33), 144);
  view.setUint16(177, proof.certExpiry, true);
  bytes.set(fixedHex("a coin's key", proof.utxoPublicKeyHex, 33), 179);
  bytes.set(fixedHex('a transaction id', proof.utxo.txid, 32), 212);
  view.setUint32(244, proof.utxo.vout, true);
  view.setUint32(248, proof.lockTime, true);
  return base64.encode(bytes);
}

/** How bonds are valued (docs/protocol.md, section 13.1). */
export interface BondPolicy {
  /** Yearly interest as a fraction; default 0.015 (`interest_rate`). */
  readonly interestRate?: number;
  /** Default 1.3 (`bond_value_exponent`). */
  readonly exponent?: number;
}

/** The inputs of the value formula. All times are Unix seconds. */
export interface BondValueTerms extends BondPolicy {
  /** The coin's amount. */
  readonly satoshi: number;
  /** Time of the block that confirmed it. */
  readonly confirmationTime: number;
  /** When the coin can be spent, in Unix seconds. */
  readonly lockTime: number;
  /** Median time of the best block. */
  readonly now: number;
}

/**
 * The value of a bond, in satoshi to the power of the exponent (section 11.4): the interest lost during
 * the lock, minus what could have been earned since its end, at most the whole amount. 0 when the lock
 * ended long enough ago. A finite number for every finite input.
 */
export function bondValue(terms: BondValueTerms): number {
  const { satoshi, confirmationTime, lockTime, now, interestRate = 0.015, exponent = 1.3 } = terms;
  const grown = (years: number): number => Math.min(1, Math.exp(interestRate * years) - 1);
  const locked = (lockTime - confirmationTime) / YEAR_SECONDS;
  const since = Math.max(0, now / YEAR_SECONDS - lockTime / YEAR_SECONDS);
  const share = Math.max(0, grown(locked) - grown(since));
  return (satoshi * share) ** exponent;
}
