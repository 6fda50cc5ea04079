/** Scripts of fidelity bonds (docs/protocol.md, section 11.3). */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';

const MAX_U32 = 0xffff_ffff;
/** OP_CHECKLOCKTIMEVERIFY, OP_DROP, and a push of 33 bytes. */
const BEFORE_KEY = [0xb1, 0x75, 33];
const CHECKSIG = 0xac;

/** A number as scripts push it: little-endian, in the fewest bytes that leave the sign bit clear. */
export function pushNumber(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`a number in a script is a whole number from 0, not ${value}`);
  }
  if (value === 0) return Uint8Array.of(0);
  if (value <= 16) return Uint8Array.of(0x50 + value);
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.push(rest % 256);
  if ((bytes.at(-1) ?? 0) >= 0x80) bytes.push(0);
  return Uint8Array.of(bytes.length, ...bytes);
}

/**
 * `<lockTime> OP_CHECKLOCKTIMEVERIFY OP_DROP <key> OP_CHECKSIG`: the last item of the witness of a spend, and
 * what its signature signs. Throws a RangeError for a lock time outside u32 and for a key that is not
 * compressed.
 */
export function bondWitnessScript(lockTime: number, publicKey: Uint8Array): Uint8Array {
  if (!Number.isInteger(lockTime) || lockTime < 0 || lockTime > MAX_U32) {
    throw new RangeError(`a lock time is an integer from 0 to ${MAX_U32}, not ${lockTime}`);
  }
  if (publicKey.length !== 33) throw new RangeError('the key of a bond has 33 bytes');
  return concatBytes(
    pushNumber(lockTime),
    Uint8Array.from(BEFORE_KEY),
    publicKey,
    Uint8Array.of(CHECKSIG),
  );
}

/**
 * The scriptPubKey that a bond's coin must pay to: P2WSH of `<lockTime> OP_CHECKLOCKTIMEVERIFY OP_DROP
 * <key> OP_CHECKSIG` (section 11.3); 68 hex digits. Throws a RangeError for a lock time outside u32.
 */
export function bondScriptPubKey(lockTime: number, utxoPublicKeyHex: string): string {
  const script = bondWitnessScript(lockTime, hexToBytes(utxoPublicKeyHex));
  return `0020${bytesToHex(sha256(script))}`;
}
