/**
 * Weights of inputs, outputs and whole transactions before they are signed, in weight units (BIP141). A
 * virtual byte is four of them, rounded up for the transaction as a whole only.
 */
import { compactSizeBytes } from './bytes.js';

/** How a coin is unlocked. */
export type InputKind =
  | 'p2wpkh'
  | 'p2sh-p2wpkh'
  /** Taproot by its key. */
  | 'p2tr'
  | 'p2pkh'
  /** A fidelity bond whose lock time needs 4 bytes, or 5 (from February 2038). */
  | 'bond'
  | 'bond-5';

/**
 * Bytes of an ECDSA signature with the byte of its sighash: `low-r` for signatures of this program, `any`
 * for the longest that is standard.
 */
export type SignatureLength = 'low-r' | 'any';
const SIGNATURE: Readonly<Record<SignatureLength, number>> = { 'low-r': 71, any: 72 };

/** Outpoint, length of an empty script, sequence. */
const INPUT_BASE = 41;
const PUBLIC_KEY = 33;
/** A push of the p2wpkh script. */
const NESTED_SCRIPT = 23;
/** `<lock time> OP_CHECKLOCKTIMEVERIFY OP_DROP <key> OP_CHECKSIG` with a lock time of 4 bytes. */
const BOND_SCRIPT = 42;

/** Base bytes beyond `INPUT_BASE`, and bytes of the witness with its count. */
function extra(kind: InputKind, signature: number): { base: number; witness: number } {
  const keyed = 1 + 1 + signature + 1 + PUBLIC_KEY;
  switch (kind) {
    case 'p2wpkh':
      return { base: 0, witness: keyed };
    case 'p2sh-p2wpkh':
      return { base: NESTED_SCRIPT, witness: keyed };
    case 'p2tr':
      return { base: 0, witness: 1 + 1 + 64 };
    case 'p2pkh':
      return { base: 1 + signature + 1 + PUBLIC_KEY, witness: 0 };
    case 'bond':
      return { base: 0, witness: 1 + 1 + signature + 1 + BOND_SCRIPT };
    case 'bond-5':
      return { base: 0, witness: 1 + 1 + signature + 1 + BOND_SCRIPT + 1 };
  }
}

/** Weight of an input, without the byte that a transaction with witnesses has for an input without one. */
export function inputWeight(kind: InputKind, signature: SignatureLength = 'any'): number {
  const { base, witness } = extra(kind, SIGNATURE[signature]);
  return (INPUT_BASE + base) * 4 + witness;
}

/** Bytes of an output with this scriptPubKey (hex). */
export function outputBytesOf(script: string): number {
  const length = script.length / 2;
  return 8 + compactSizeBytes(length) + length;
}

/** Weight of an output with this scriptPubKey (hex). */
export const outputWeight = (script: string): number => outputBytesOf(script) * 4;

/** What the size of a transaction depends on. */
export interface TransactionShape {
  readonly inputs: readonly InputKind[];
  /** scriptPubKeys, hex. */
  readonly outputs: readonly string[];
  /** Default `any`. */
  readonly signatures?: SignatureLength;
}

/** The most that the signed transaction weighs. */
export function transactionWeight({ inputs, outputs, signatures }: TransactionShape): number {
  const counts = compactSizeBytes(inputs.length) + compactSizeBytes(outputs.length);
  const bare = inputs.filter((kind) => kind === 'p2pkh').length;
  // Marker and flag, and the empty witnesses of inputs without one.
  const segwit = bare < inputs.length ? 2 + bare : 0;
  return (
    (4 + counts + 4) * 4 +
    segwit +
    inputs.reduce((sum, kind) => sum + inputWeight(kind, signatures), 0) +
    outputs.reduce((sum, script) => sum + outputWeight(script), 0)
  );
}

/** The most bytes of the signed transaction, witnesses included. */
export function transactionBytes({
  inputs,
  outputs,
  signatures = 'any',
}: TransactionShape): number {
  const bare = inputs.filter((kind) => kind === 'p2pkh').length;
  const counts = compactSizeBytes(inputs.length) + compactSizeBytes(outputs.length);
  const segwit = bare < inputs.length ? 2 + bare : 0;
  const perInput = inputs.map((kind) => {
    const { base, witness } = extra(kind, SIGNATURE[signatures]);
    return INPUT_BASE + base + witness;
  });
  return [...perInput, ...outputs.map(outputBytesOf)].reduce(
    (sum, bytes) => sum + bytes,
    4 + counts + 4 + segwit,
  );
}

/** Virtual bytes of a weight. */
export const vsizeOf = (weight: number): number => Math.ceil(weight / 4);

/** The most virtual bytes that the signed transaction has. */
export const transactionVsize = (shape: TransactionShape): number =>
  vsizeOf(transactionWeight(shape));
