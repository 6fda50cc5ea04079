/** Serialized transactions, as far as a view of the chain must understand them. Pure. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { RawTx } from '@scure/btc-signer/script.js';
import type { Outpoint } from '../protocol/outpoint.js';

/** An input: the coin that it spends, with the proofs of its owner. */
export interface ReadInput extends Outpoint {
  readonly sequence: number;
  readonly scriptSig: Uint8Array;
  readonly witness: readonly Uint8Array[];
}

export interface ReadOutput {
  /** The scriptPubKey, lower-case hex. */
  readonly script: string;
  /** Satoshi. */
  readonly value: number;
}

/** What a transaction says. */
export interface ReadTransaction {
  readonly txid: string;
  /** The whole serialization, with witnesses. */
  readonly bytes: Uint8Array;
  readonly lockTime: number;
  readonly inputs: readonly ReadInput[];
  readonly outputs: readonly ReadOutput[];
  /** Virtual bytes. */
  readonly vsize: number;
}

const displayed = (hash: Uint8Array): string => bytesToHex(hash.toReversed());

/** Writes a transaction without proofs: for tests, and for coinbase transactions of a chain in memory. */
export function writeTransaction(parts: {
  readonly inputs: readonly (Outpoint & {
    readonly scriptSig?: Uint8Array;
    readonly sequence?: number;
  })[];
  readonly outputs: readonly ReadOutput[];
  readonly lockTime?: number;
}): Uint8Array {
  return RawTx.encode({
    version: 2,
    segwitFlag: false,
    inputs: parts.inputs.map(({ txid, vout, scriptSig, sequence }) => ({
      txid: hexToBytes(txid),
      index: vout,
      finalScriptSig: scriptSig ?? new Uint8Array(),
      sequence: sequence ?? 0xffff_fffd,
    })),
    outputs: parts.outputs.map(({ script, value }) => ({
      script: hexToBytes(script),
      amount: BigInt(value),
    })),
    lockTime: parts.lockTime ?? 0,
  });
}

/** Reads a serialization, with or without witnesses; undefined for anything else. */
export function readTransaction(bytes: Uint8Array): ReadTransaction | undefined {
  try {
    const raw = RawTx.decode(bytes);
    const base = RawTx.encode({ ...raw, segwitFlag: false });
    return {
      txid: displayed(sha256(sha256(base))),
      bytes,
      lockTime: raw.lockTime,
      inputs: raw.inputs.map(({ txid, index, sequence, finalScriptSig }, i) => ({
        txid: bytesToHex(txid),
        vout: index,
        sequence,
        scriptSig: finalScriptSig,
        witness: raw.witnesses?.[i] ?? [],
      })),
      outputs: raw.outputs.map(({ script, amount }) => ({
        script: bytesToHex(script),
        value: Number(amount),
      })),
      vsize: Math.ceil((3 * base.length + bytes.length) / 4),
    };
  } catch {
    return undefined;
  }
}
