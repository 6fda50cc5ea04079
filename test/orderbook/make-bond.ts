/** Bonds of makers, made from small numbers. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import {
  formatFidelityBond,
  proveFidelityBond,
  signBondCertificate,
  type OwnBond,
} from '../../src/protocol/fidelity-bond.js';

const LOCK_TIME = 1_893_456_000;

const secret = (kind: number, n: number): Uint8Array => {
  const key = new Uint8Array(32).fill(kind);
  new DataView(key.buffer).setUint32(28, n + 1);
  return key;
};

/** The bond of coin `n`; its transaction id ends in `n`. The certificate ends with that period. */
export function ownBond(n: number, certExpiry = 425): OwnBond {
  const utxoKey = secret(44, n);
  const certPrivateKey = secret(55, n);
  const certKey = bytesToHex(secp256k1.getPublicKey(certPrivateKey, true));
  return {
    certPrivateKey,
    certExpiry,
    certSignature: signBondCertificate(certKey, certExpiry, utxoKey),
    utxoPublicKeyHex: bytesToHex(secp256k1.getPublicKey(utxoKey, true)),
    utxo: { txid: n.toString(16).padStart(64, '0'), vout: 1 },
    lockTime: LOCK_TIME,
  };
}

/** The argument of `tbond` of this maker to this taker. */
export function bondProof(bond: OwnBond, maker: string, taker: string): string {
  return formatFidelityBond(proveFidelityBond(bond, maker, taker));
}
