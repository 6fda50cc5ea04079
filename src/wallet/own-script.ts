/** The scripts of the wallet's own keys, made by the library. Pure. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { p2sh, p2wpkh, p2wsh } from '@scure/btc-signer/payment.js';
import { bondWitnessScript } from '../bitcoin/bond.js';
import { keyHashScript } from '../bitcoin/script.js';

/** The scriptPubKey of a key of the wallet, hex. With a lock time it is that of a bond. */
export function ownScript(
  kind: 'native' | 'nested',
  publicKey: Uint8Array,
  lockTime: number | undefined,
): string {
  if (lockTime !== undefined) {
    // The library knows no name for the script of a bond, and only hashes it here.
    const script = bondWitnessScript(lockTime, publicKey);
    return bytesToHex(p2wsh({ type: 'unknown', script }).script);
  }
  const native = p2wpkh(publicKey);
  return bytesToHex(kind === 'native' ? native.script : p2sh(native).script);
}

/** What a signature of a coin signs as its script (BIP143). */
export function scriptCodeOf(publicKey: Uint8Array, lockTime: number | undefined): Uint8Array {
  return lockTime === undefined ? keyHashScript(publicKey) : bondWitnessScript(lockTime, publicKey);
}
