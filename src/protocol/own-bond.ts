/**
 * A maker's own fidelity bond: its checks, and the file that holds it (docs/protocol.md, section 11).
 * The file does not contain the key of the coin: a maker proves its bond with a certified key, which
 * cannot spend.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import { decodeBase64 } from './base64-text.js';
import { NETWORKS, type Network } from './constants.js';
import {
  certExpired,
  formatFidelityBond,
  parseFidelityBond,
  proveFidelityBond,
  verifyBondCertificate,
  type OwnBond,
} from './fidelity-bond.js';
import { formatOutpoint, parseOutpoint } from './outpoint.js';
import { fail, ok, type Parsed } from './result.js';

/** Why a bond must not be used. */
export type OwnBondFault =
  /** A member is missing, unknown, or has a wrong value. */
  | 'bond-form'
  /** The key is the one that can spend the coin. */
  | 'bond-coin-key'
  /** The coin's key did not certify the key for this period. */
  | 'bond-certificate'
  /** The certificate has expired. */
  | 'bond-expired';

/**
 * Why a bond must not be used, undefined when it may be. Costs two to four operations on the curve.
 * @param tipHeight height of the chain; without it the expiry is not checked
 */
export function ownBondFault(bond: OwnBond, tipHeight?: number): OwnBondFault | undefined {
  if (!secp256k1.utils.isValidSecretKey(bond.certPrivateKey)) return 'bond-form';
  if (!/^0[23][0-9a-f]{64}$/.test(bond.utxoPublicKeyHex)) return 'bond-form';
  const certKey = bytesToHex(secp256k1.getPublicKey(bond.certPrivateKey, true));
  // The other point with the same x has the negated key, which can spend as well.
  if (certKey.slice(2) === bond.utxoPublicKeyHex.slice(2)) return 'bond-coin-key';
  try {
    const proof = parseFidelityBond(formatFidelityBond(proveFidelityBond(bond, 'maker', 'taker')));
    if (!proof.ok) return 'bond-form';
    if (!verifyBondCertificate(proof.value)) return 'bond-certificate';
  } catch {
    // A number out of range, or a signature that does not fit its field.
    return 'bond-form';
  }
  const isOver = tipHeight !== undefined && certExpired(bond.certExpiry, tipHeight);
  return isOver ? 'bond-expired' : undefined;
}

/** The content of a bond file. */
export interface BondFile {
  /** The network of the coin. */
  readonly network: Network;
  /** The bond. */
  readonly bond: OwnBond;
}

const FORM = 'onionmc-bond-1';
const MEMBERS = [
  'form',
  'network',
  'cert_private_key',
  'cert_expiry',
  'cert_signature',
  'utxo',
  'utxo_public_key',
  'lock_time',
];
const MAX_DER_CHARS = 96;
const MAX_U16 = 0xffff;
const MAX_U32 = 0xffff_ffff;

function membersOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const members = Object.entries(value);
    // An unknown member may be a key that must not be in this file.
    const isExact =
      members.length === MEMBERS.length && MEMBERS.every((m) => Object.hasOwn(value, m));
    return isExact ? Object.fromEntries(members) : undefined;
  } catch {
    return undefined;
  }
}

const isWhole = (value: unknown, max: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;

/**
 * Reads a bond file: a JSON object with exactly the members `form` (`onionmc-bond-1`), `network`,
 * `cert_private_key` (64 hex digits), `cert_expiry` (difficulty period), `cert_signature` (base64 DER),
 * `utxo` (`txid:vout`), `utxo_public_key` (66 hex digits) and `lock_time` (Unix seconds). Hex in either
 * case. `ownBondFault` checks the bond itself. A fault contains no text of the file.
 */
export function parseBondFile(text: string): Parsed<BondFile, 'bond-form'> {
  const members = membersOf(text);
  if (members === undefined || members['form'] !== FORM) return fail('bond-form');
  const network = NETWORKS.find((name) => name === members['network']);
  const { cert_private_key: key, cert_signature: signature, utxo, utxo_public_key } = members;
  const { cert_expiry: certExpiry, lock_time: lockTime } = members;
  if (network === undefined || typeof utxo !== 'string') return fail('bond-form');
  if (typeof key !== 'string' || !/^[0-9a-fA-F]{64}$/.test(key)) return fail('bond-form');
  if (typeof utxo_public_key !== 'string' || !/^0[23][0-9a-fA-F]{64}$/.test(utxo_public_key)) {
    return fail('bond-form');
  }
  if (!isWhole(certExpiry, MAX_U16) || !isWhole(lockTime, MAX_U32)) return fail('bond-form');
  const outpoint = parseOutpoint(utxo);
  if (!outpoint.ok || outpoint.value.metadata !== undefined) return fail('bond-form');
  if (typeof signature !== 'string') return fail('bond-form');
  const certSignature = decodeBase64(signature, MAX_DER_CHARS);
  if (certSignature === undefined) return fail('bond-form');
  const bond = {
    certPrivateKey: hexToBytes(key),
    certExpiry,
    certSignature,
    utxoPublicKeyHex: utxo_public_key.toLowerCase(),
    utxo: outpoint.value,
    lockTime,
  };
  return ok({ network, bond });
}

/** The text of a bond file. It contains the certified key: write it with mode 0600. */
export function formatBondFile({ network, bond }: BondFile): string {
  const members = {
    form: FORM,
    network,
    cert_private_key: bytesToHex(bond.certPrivateKey),
    cert_expiry: bond.certExpiry,
    cert_signature: base64.encode(bond.certSignature),
    utxo: formatOutpoint(bond.utxo),
    utxo_public_key: bond.utxoPublicKeyHex,
    lock_time: bond.lockTime,
  };
  return `${JSON.stringify(members, undefined, 2)}\n`;
}
