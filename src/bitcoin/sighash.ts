/** What a signature of a segwit coin signs, with SIGHASH_ALL (BIP143), and whether one is valid. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { concatBytes } from '@noble/hashes/utils.js';
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
    const input = this.#parts.inputs[index];
    if (input === undefined) return undefined;
    return sha256d(
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

/**
 * Whether `signature` (DER and the byte of SIGHASH_ALL) is one of this key over the hash: strict DER, low S.
 * Never throws on a signature or a key.
 */
export function isSignatureOf(
  publicKey: Uint8Array,
  hash: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signature.at(-1) !== SIGHASH_ALL) return false;
  try {
    return secp256k1.verify(signature.subarray(0, -1), hash, publicKey, {
      prehash: false,
      lowS: true,
      format: 'der',
    });
  } catch {
    return false;
  }
}
