/** The scripts of the wallet's own keys, made by the library. Pure. */
import { concatBytes } from '@noble/hashes/utils.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { p2sh, p2wpkh, p2wsh } from '@scure/btc-signer/payment.js';
import { keyHashScript, pushBytes, pushNumber } from '../bitcoin/script.js';

const OP_CHECKLOCKTIMEVERIFY = 0xb1;
const OP_DROP = 0x75;
const OP_CHECKSIG = 0xac;

/** The witness script of a bond: `<lock time> OP_CHECKLOCKTIMEVERIFY OP_DROP <key> OP_CHECKSIG`. */
export function bondWitnessScript(publicKey: Uint8Array, lockTime: number): Uint8Array {
  return concatBytes(
    pushNumber(lockTime),
    Uint8Array.of(OP_CHECKLOCKTIMEVERIFY, OP_DROP),
    pushBytes(publicKey),
    Uint8Array.of(OP_CHECKSIG),
  );
}

/** The scriptPubKey of a key of the wallet, hex. With a lock time it is that of a bond. */
export function ownScript(
  kind: 'native' | 'nested',
  publicKey: Uint8Array,
  lockTime: number | undefined,
): string {
  if (lockTime !== undefined) {
    // The library knows no name for the script of a bond, and only hashes it here.
    const script = bondWitnessScript(publicKey, lockTime);
    return bytesToHex(p2wsh({ type: 'unknown', script }).script);
  }
  const native = p2wpkh(publicKey);
  return bytesToHex(kind === 'native' ? native.script : p2sh(native).script);
}

/** What a signature of a coin signs as its script (BIP143). */
export function scriptCodeOf(publicKey: Uint8Array, lockTime: number | undefined): Uint8Array {
  return lockTime === undefined ? keyHashScript(publicKey) : bondWitnessScript(publicKey, lockTime);
}
