/**
 * Scripts that the program makes and recognises. A scriptPubKey is lower-case hex, so that it can be
 * compared and looked up; keys and witness scripts are bytes.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes } from '@noble/hashes/utils.js';
import { pushNumber } from '../protocol/bond-script.js';
import { compactSize, hash160 } from './bytes.js';

export { pushNumber };

/** What a scriptPubKey pays to, as far as its form shows it. */
export type ScriptKind =
  'p2pkh' | 'p2sh' | 'p2wpkh' | 'p2wsh' | 'p2tr' | 'witness' | 'op-return' | 'other';

const FORMS: readonly (readonly [ScriptKind, RegExp])[] = [
  ['p2wpkh', /^0014[0-9a-f]{40}$/],
  ['p2tr', /^5120[0-9a-f]{64}$/],
  ['p2wsh', /^0020[0-9a-f]{64}$/],
  ['p2sh', /^a914[0-9a-f]{40}87$/],
  ['p2pkh', /^76a914[0-9a-f]{40}88ac$/],
  ['op-return', /^6a/],
];

/** A version from 0 to 16 and one push of 2 to 40 bytes (BIP141). */
function isWitnessProgram(script: string): boolean {
  if (!/^(?:00|5[1-9a-f]|60)[0-9a-f]+$/.test(script)) return false;
  const program = script.length / 2 - 2;
  return program >= 2 && program <= 40 && Number.parseInt(script.slice(2, 4), 16) === program;
}

/** The kind of a scriptPubKey. `witness` is a witness program without a meaning today. */
export function scriptKind(script: string): ScriptKind {
  const form = FORMS.find(([, pattern]) => pattern.test(script));
  if (form !== undefined) return form[0];
  return isWitnessProgram(script) ? 'witness' : 'other';
}

/** Kinds of coins that can take part in a segwit coinjoin. */
export type CoinKind = 'p2wpkh' | 'p2sh-p2wpkh';

/** By the form of the scriptPubKey alone: a script hash may stand for something else. */
export function coinKind(script: string): CoinKind | undefined {
  const kind = scriptKind(script);
  if (kind === 'p2wpkh') return kind;
  return kind === 'p2sh' ? 'p2sh-p2wpkh' : undefined;
}

/** The p2wpkh script of a compressed key, which is also the redeem script of its nested coins. */
export function redeemScript(publicKey: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(0x00, 0x14), hash160(publicKey));
}

/** Native segwit (BIP141) of a compressed key. */
export const p2wpkh = (publicKey: Uint8Array): string => bytesToHex(redeemScript(publicKey));

/** Nested segwit of a compressed key: its p2wpkh script behind a script hash. */
export const nestedP2wpkh = (publicKey: Uint8Array): string => p2sh(redeemScript(publicKey));

export const p2pkh = (publicKey: Uint8Array): string =>
  `76a914${bytesToHex(hash160(publicKey))}88ac`;

/** The hash of a redeem script. */
export const p2sh = (redeem: Uint8Array): string => `a914${bytesToHex(hash160(redeem))}87`;

/** The hash of a witness script. */
export const p2wsh = (witnessScript: Uint8Array): string =>
  `0020${bytesToHex(sha256(witnessScript))}`;

/** Taproot (BIP341) of an output key of 32 bytes, which is already tweaked. */
export const p2tr = (outputKey: Uint8Array): string => `5120${bytesToHex(outputKey)}`;

/** Whether a compressed public key alone can spend this scriptPubKey. */
export function keyOwnsScript(publicKey: Uint8Array, script: string): boolean {
  if (publicKey.length !== 33) return false;
  return [p2wpkh, nestedP2wpkh, p2pkh].some((make) => make(publicKey) === script);
}

/**
 * The number that a push at this place stands for, and the place behind it; undefined unless it is what
 * `pushNumber` writes. Numbers of more than 5 bytes, and negative ones, are not read: a lock time has neither.
 */
export function readPushedNumber(
  script: Uint8Array,
  at: number,
): { readonly value: number; readonly end: number } | undefined {
  const first = script[at];
  if (first === undefined) return undefined;
  if (first === 0) return { value: 0, end: at + 1 };
  if (first >= 0x51 && first <= 0x60) return { value: first - 0x50, end: at + 1 };
  const end = at + 1 + first;
  if (first > 5 || end > script.length) return undefined;
  const bytes = script.subarray(at + 1, end);
  const value = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
  const canonical = pushNumber(value);
  if (canonical.length !== first + 1 || !bytes.every((byte, i) => byte === canonical[i + 1])) {
    return undefined;
  }
  return { value, end };
}

/** Bytes of up to 75 as a script pushes them, also a redeem script in an input. */
export function pushBytes(data: Uint8Array): Uint8Array {
  if (data.length === 0 || data.length > 75) {
    throw new RangeError(`a push of 1 to 75 bytes, not ${data.length}`);
  }
  return concatBytes(Uint8Array.of(data.length), data);
}

/** A script with its length in front, as BIP143 hashes it. */
export const withLength = (script: Uint8Array): Uint8Array =>
  concatBytes(compactSize(script.length), script);

/** The script that a signature of a p2wpkh coin signs: that of p2pkh (BIP143). */
export function keyHashScript(publicKey: Uint8Array): Uint8Array {
  return concatBytes(
    Uint8Array.of(0x76, 0xa9, 0x14),
    hash160(publicKey),
    Uint8Array.of(0x88, 0xac),
  );
}
