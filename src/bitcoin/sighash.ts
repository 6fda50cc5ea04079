/** What a signature of a segwit coin signs, with SIGHASH_ALL (BIP143), and whether one is valid. */
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';
import { isEcdsaSignature } from '../protocol/ecdsa.js';
import { sha256d, u32, u64 } from './bytes.js';
import { withLength } from './script.js';
import {
  outpointBytes,
  outputBytes,
  type TransactionInput,
  type TransactionOutput,
} from './transaction.js';

/** Signs all inputs and outputs: the only kind that this program makes or accepts. */
export const SIGHASH_ALL = 1;

/** The parts of a transaction that signatures sign. */
export interface SignedParts {
  readonly version: number;
  readonly lockTime: number;
  readonly inputs: readonly TransactionInput[];
  readonly outputs: readonly TransactionOutput[];
}

/** An input with what its signature signs: see `SegwitHashes`. */
export interface SignedInput {
  readonly index: number;
  readonly scriptCode: Uint8Array;
  /** Satoshi of the coin. */
  readonly value: number;
}

/**
 * The hashes that the inputs of one transaction sign. What all inputs share is computed once.
 * `scriptCode` is `keyHashScript` of the key for p2wpkh and nested coins, and the witness script for a bond;
 * `value` is that of the coin.
 */
export class SegwitHashes {
  readonly #parts: SignedParts;
  readonly #front: Uint8Array;
  readonly #outputs: Uint8Array;

  constructor(parts: SignedParts) {
    this.#parts = parts;
    this.#front = concatBytes(
      u32(parts.version),
      sha256d(concatBytes(...parts.inputs.map(outpointBytes))),
      sha256d(concatBytes(...parts.inputs.map(({ sequence }) => u32(sequence)))),
    );
    this.#outputs = sha256d(concatBytes(...parts.outputs.map(outputBytes)));
  }

  /** 32 bytes; undefined when there is no such input. */
  ofInput(index: number, scriptCode: Uint8Array, value: number): Uint8Array | undefined {
    const once = this.#hashedOnce(index, scriptCode, value);
    return once === undefined ? undefined : sha256(once);
  }

  /**
   * Whether `signature` (strict DER with low S, and the byte of SIGHASH_ALL) is one of this key for an
   * input. Never throws on a signature or a key.
   */
  isSignedBy(
    publicKey: Uint8Array,
    signature: Uint8Array,
    { index, scriptCode, value }: SignedInput,
  ): boolean {
    if (signature.at(-1) !== SIGHASH_ALL) return false;
    const once = this.#hashedOnce(index, scriptCode, value);
    if (once === undefined) return false;
    return isEcdsaSignature(signature.subarray(0, -1), once, publicKey, 'low');
  }

  /** The first of the two SHA-256. */
  #hashedOnce(index: number, scriptCode: Uint8Array, value: number): Uint8Array | undefined {
    const input = this.#parts.inputs[index];
    if (input === undefined) return undefined;
    return sha256(
      concatBytes(
        this.#front,
        outpointBytes(input),
        withLength(scriptCode),
        u64(value),
        u32(input.sequence),
        this.#outputs,
        u32(this.#parts.lockTime),
        u32(SIGHASH_ALL),
      ),
    );
  }
}
