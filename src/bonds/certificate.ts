/** Certificates of bonds: which key, until when, and what is signed. Pure, but for the fresh key. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { certExpiryAt, type OwnBond } from '../protocol/fidelity-bond.js';
import type { Outpoint } from '../protocol/outpoint.js';
import { ownBondFault } from '../protocol/own-bond.js';

/** Blocks of a difficulty period. */
const PERIOD_BLOCKS = 2016;
/** The expiry of a certificate has 16 bits. */
const MAX_EXPIRY = 0xffff;
/** The longest validity that is offered: about ten years. */
export const MAX_PERIODS = 260;
/** Validity of a certificate that is signed elsewhere, about two years: signing it again is work. */
export const COLD_PERIODS = 52;

/** A coin that can prove a bond. */
export interface BondCoin extends Outpoint {
  /** The key of the coin, compressed; 66 lower-case hex digits. */
  readonly publicKey: string;
  /** Unix seconds. */
  readonly lockTime: number;
}

/** A key that is to be certified for a coin. */
export interface CertificateRequest {
  readonly coin: BondCoin;
  /** 32 bytes. It proves the bond, and can spend nothing. */
  readonly privateKey: Uint8Array;
  /** The last difficulty period in which the certificate is valid. */
  readonly expiry: number;
}

/**
 * The last difficulty period of a certificate that is made now and valid for this many periods (two weeks
 * each), the current one included. Throws a RangeError unless 1 to `MAX_PERIODS`.
 */
export function expiryAfter(tipHeight: number, periods: number): number {
  if (!Number.isInteger(periods) || periods < 1 || periods > MAX_PERIODS) {
    throw new RangeError(`a certificate is valid for 1 to ${MAX_PERIODS} periods, not ${periods}`);
  }
  return Math.min(MAX_EXPIRY, certExpiryAt(tipHeight) + periods - 1);
}

/** Height of the last block in which a certificate is valid. */
export const lastValidHeight = (expiry: number): number => expiry * PERIOD_BLOCKS;

/** A request with a fresh key. */
export function newRequest(coin: BondCoin, expiry: number): CertificateRequest {
  return { coin, privateKey: secp256k1.utils.randomSecretKey(), expiry };
}

/** The key that is certified, compressed; 66 lower-case hex digits. */
export const certifiedKey = ({ privateKey }: CertificateRequest): string =>
  bytesToHex(secp256k1.getPublicKey(privateKey, true));

/**
 * The text that the coin's key signs as a Bitcoin message, with the certified key in hex: the form for
 * wallets that sign only text (docs/protocol.md, section 11.2).
 */
export const coldMessage = (request: CertificateRequest): string =>
  `fidelity-bond-cert|${certifiedKey(request)}|${request.expiry}`;

/** The bytes of `coldMessage`, for a file. No line end follows, since it would be signed too. */
export const coldMessageBytes = (request: CertificateRequest): Uint8Array =>
  utf8ToBytes(coldMessage(request));

/**
 * The bond that a maker proves, from a request and the signature of the coin's key (DER). Undefined when
 * the signature is not by this key, or over another message.
 */
export function certifiedBond(
  { coin, privateKey, expiry }: CertificateRequest,
  signature: Uint8Array,
): OwnBond | undefined {
  const bond: OwnBond = {
    certPrivateKey: privateKey,
    certExpiry: expiry,
    certSignature: signature,
    utxoPublicKeyHex: coin.publicKey,
    utxo: { txid: coin.txid, vout: coin.vout },
    lockTime: coin.lockTime,
  };
  return ownBondFault(bond) === undefined ? bond : undefined;
}
