/**
 * The parts of transactions that a coinjoin needs: parsing, sighashes (BIP143), signatures, addresses.
 * The only file that uses `@scure/btc-signer`.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { ripemd160 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import { Address, OutScript } from '@scure/btc-signer/payment.js';
import { RawTx } from '@scure/btc-signer/script.js';
import type { Network } from '../protocol/constants.js';
import { MAX_SATOSHI } from '../protocol/offer.js';
import type { Outpoint } from '../protocol/outpoint.js';
import { fail, ok, type Parsed } from '../protocol/result.js';

/** The largest unsigned transaction that fits one line, boxed and in base64 twice (section 1.2). */
export const MAX_UNSIGNED_BYTES = 20_000;
/** A signed one in base64 must fit one line. */
export const MAX_SIGNED_BYTES = 28_000;
const SIGHASH_ALL = 1;

/** An input: the coin that it spends, and its sequence. */
export interface TransactionInput extends Outpoint {
  /** The sequence number, unsigned 32 bits. */
  readonly sequence: number;
}

/** An output of a transaction. */
export interface TransactionOutput {
  /** The scriptPubKey, lower-case hex. */
  readonly script: string;
  /** Satoshi. */
  readonly value: number;
}

/** A transaction without any signature. */
export interface UnsignedTransaction {
  /** Display order, lower-case hex. Signing does not change the id of a native segwit transaction. */
  readonly txid: string;
  /** 1 or 2. */
  readonly version: number;
  /** The lock time, as in the transaction. */
  readonly lockTime: number;
  /** The inputs in order. */
  readonly inputs: readonly TransactionInput[];
  /** The outputs in order. */
  readonly outputs: readonly TransactionOutput[];
  /** The serialization, without witnesses. */
  readonly bytes: Uint8Array;
}

/** A signature of one input with SIGHASH_ALL. */
export interface InputSignature {
  /** DER and the sighash byte. */
  readonly signature: Uint8Array;
  /** Compressed, 33 bytes. */
  readonly publicKey: Uint8Array;
}

/** The facts about a spent coin that BIP143 needs. */
export interface SpentOutput {
  /** The scriptPubKey, lower-case hex. */
  readonly script: string;
  /** Satoshi. */
  readonly value: number;
}

/** Why a transaction is not to be signed. */
export type TransactionFault =
  'tx-size' | 'tx-form' | 'tx-version' | 'tx-signed' | 'tx-empty' | 'tx-value' | 'tx-double-spend';

const hash160 = (bytes: Uint8Array): Uint8Array => ripemd160(sha256(bytes));
const sha256d = (bytes: Uint8Array): Uint8Array => sha256(sha256(bytes));
const reversedHex = (bytes: Uint8Array): string => bytesToHex(bytes.toReversed());

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function decode(bytes: Uint8Array): ReturnType<typeof RawTx.decode> | undefined {
  try {
    const raw = RawTx.decode(bytes);
    // Only the shortest encoding, so that the signed bytes are the received bytes.
    return equal(RawTx.encode(raw), bytes) ? raw : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Parses a transaction that is to be signed: version 1 or 2, no signatures, every input different,
 * amounts that can exist.
 */
export function parseUnsigned(bytes: Uint8Array): Parsed<UnsignedTransaction, TransactionFault> {
  if (bytes.length > MAX_UNSIGNED_BYTES) return fail('tx-size');
  const raw = decode(bytes);
  if (raw === undefined) return fail('tx-form');
  if (raw.version !== 1 && raw.version !== 2) return fail('tx-version');
  if (raw.segwitFlag) return fail('tx-signed');
  if (raw.inputs.length === 0 || raw.outputs.length === 0) return fail('tx-empty');
  if (raw.inputs.some((input) => input.finalScriptSig.length > 0)) return fail('tx-signed');
  const inputs = raw.inputs.map((input) => ({
    txid: bytesToHex(input.txid),
    vout: input.index,
    sequence: input.sequence,
  }));
  if (new Set(inputs.map(({ txid, vout }) => `${txid}:${vout}`)).size < inputs.length) {
    return fail('tx-double-spend');
  }
  let total = 0n;
  for (const { amount } of raw.outputs) total += amount;
  if (total > BigInt(MAX_SATOSHI)) return fail('tx-value');
  const outputs = raw.outputs.map(({ amount, script }) => ({
    script: bytesToHex(script),
    value: Number(amount),
  }));
  return ok({
    txid: reversedHex(sha256d(bytes)),
    version: raw.version,
    lockTime: raw.lockTime,
    inputs,
    outputs,
    bytes,
  });
}

/**
 * The ids of a signed transaction: its own, and that of its unsigned form, by which a signer recognises
 * it. Undefined when it is not a valid transaction.
 */
export function signedIds(
  bytes: Uint8Array,
): { readonly txid: string; readonly unsignedTxid: string } | undefined {
  if (bytes.length > MAX_SIGNED_BYTES) return undefined;
  const raw = decode(bytes);
  if (raw === undefined) return undefined;
  const base = { ...raw, segwitFlag: false };
  const inputs = raw.inputs.map((input) => ({ ...input, finalScriptSig: new Uint8Array() }));
  return {
    txid: reversedHex(sha256d(RawTx.encode(base))),
    unsignedTxid: reversedHex(sha256d(RawTx.encode({ ...base, inputs }))),
  };
}

/**
 * Version 2. `tx-form` when a value is not a u64, the lock time not a u32, or the name of a coin
 * malformed.
 */
export function buildUnsigned(
  inputs: readonly TransactionInput[],
  outputs: readonly TransactionOutput[],
  lockTime: number,
): Parsed<UnsignedTransaction, TransactionFault> {
  let bytes: Uint8Array;
  try {
    bytes = RawTx.encode({
      version: 2,
      segwitFlag: false,
      inputs: inputs.map(({ txid, vout, sequence }) => ({
        txid: hexToBytes(txid),
        index: vout,
        finalScriptSig: new Uint8Array(),
        sequence,
      })),
      outputs: outputs.map(({ script, value }) => ({
        script: hexToBytes(script),
        amount: BigInt(value),
      })),
      lockTime,
    });
  } catch {
    return fail('tx-form');
  }
  return parseUnsigned(bytes);
}

const NETWORKS = {
  mainnet: { bech32: 'bc', pubKeyHash: 0x00, scriptHash: 0x05, wif: 0x80 },
  testnet: { bech32: 'tb', pubKeyHash: 0x6f, scriptHash: 0xc4, wif: 0xef },
  signet: { bech32: 'tb', pubKeyHash: 0x6f, scriptHash: 0xc4, wif: 0xef },
  regtest: { bech32: 'bcrt', pubKeyHash: 0x6f, scriptHash: 0xc4, wif: 0xef },
} as const;

/** The scriptPubKey (hex) of an address of this network; undefined when it is not one. */
export function addressScript(network: Network, address: string): string | undefined {
  try {
    return bytesToHex(OutScript.encode(Address(NETWORKS[network]).decode(address)));
  } catch {
    return undefined;
  }
}

/** Kinds of coins that can take part in a segwit coinjoin. */
export type CoinKind = 'p2wpkh' | 'p2sh-p2wpkh';

/** By the form of the scriptPubKey alone: a script hash may stand for something else. */
export function coinKind(script: string): CoinKind | undefined {
  if (/^0014[0-9a-f]{40}$/.test(script)) return 'p2wpkh';
  return /^a914[0-9a-f]{40}87$/.test(script) ? 'p2sh-p2wpkh' : undefined;
}

/** The p2wpkh script of a key, which is also the redeem script of its wrapped coins. */
export function redeemScript(publicKey: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(0x00, 0x14), hash160(publicKey));
}

/** Whether a compressed public key alone can spend this scriptPubKey (hex). */
export function keyOwnsScript(publicKey: Uint8Array, script: string): boolean {
  if (publicKey.length !== 33) return false;
  const program = redeemScript(publicKey);
  return (
    script === bytesToHex(program) ||
    script === `a914${bytesToHex(hash160(program))}87` ||
    script === `76a914${bytesToHex(hash160(publicKey))}88ac`
  );
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

const outpointBytes = ({ txid, vout }: Outpoint): Uint8Array =>
  concatBytes(hexToBytes(txid).toReversed(), u32(vout));

function outputBytes({ script, value }: TransactionOutput): Uint8Array {
  const bytes = hexToBytes(script);
  const length = bytes.length;
  const size =
    length < 0xfd ? Uint8Array.of(length) : Uint8Array.of(0xfd, length & 0xff, length >> 8);
  return concatBytes(u64(value), size, bytes);
}

/**
 * The hash that a signature of an input signs, for the key hash of `publicKey` (BIP143, SIGHASH_ALL).
 */
function sighash(
  tx: UnsignedTransaction,
  input: TransactionInput,
  publicKey: Uint8Array,
  value: number,
): Uint8Array {
  const scriptCode = concatBytes(
    Uint8Array.of(0x19, 0x76, 0xa9, 0x14),
    hash160(publicKey),
    Uint8Array.of(0x88, 0xac),
  );
  return sha256d(
    concatBytes(
      u32(tx.version),
      sha256d(concatBytes(...tx.inputs.map(outpointBytes))),
      sha256d(concatBytes(...tx.inputs.map(({ sequence }) => u32(sequence)))),
      outpointBytes(input),
      scriptCode,
      u64(value),
      u32(input.sequence),
      sha256d(concatBytes(...tx.outputs.map(outputBytes))),
      u32(tx.lockTime),
      u32(SIGHASH_ALL),
    ),
  );
}

/**
 * Whether a signature spends this input: SIGHASH_ALL, low S, strict DER, by the key that owns the coin.
 * Never throws on a signature.
 */
export function signatureFits(
  tx: UnsignedTransaction,
  index: number,
  spent: SpentOutput,
  { signature, publicKey }: InputSignature,
): boolean {
  const input = tx.inputs[index];
  if (input === undefined || coinKind(spent.script) === undefined) return false;
  if (signature.at(-1) !== SIGHASH_ALL || !keyOwnsScript(publicKey, spent.script)) return false;
  try {
    return secp256k1.verify(
      signature.subarray(0, -1),
      sighash(tx, input, publicKey, spent.value),
      publicKey,
      { prehash: false, lowS: true, format: 'der' },
    );
  } catch {
    return false;
  }
}

/**
 * The transaction with its signatures, one for each input in order, and its final id: the scripts of
 * wrapped coins change the id.
 */
export function assemble(
  tx: UnsignedTransaction,
  parts: readonly { readonly spent: SpentOutput; readonly signature: InputSignature }[],
): { readonly bytes: Uint8Array; readonly txid: string } {
  const base = {
    version: tx.version,
    inputs: tx.inputs.map(({ txid, vout, sequence }, i) => {
      const part = parts[i];
      const wrapped = part !== undefined && coinKind(part.spent.script) === 'p2sh-p2wpkh';
      const finalScriptSig = wrapped
        ? concatBytes(Uint8Array.of(0x16), redeemScript(part.signature.publicKey))
        : new Uint8Array();
      return { txid: hexToBytes(txid), index: vout, finalScriptSig, sequence };
    }),
    outputs: tx.outputs.map(({ script, value }) => ({
      script: hexToBytes(script),
      amount: BigInt(value),
    })),
    lockTime: tx.lockTime,
  };
  const witnesses = parts.map(({ signature: { signature, publicKey } }) => [signature, publicKey]);
  return {
    bytes: RawTx.encode({ ...base, segwitFlag: true, witnesses }),
    txid: reversedHex(sha256d(RawTx.encode({ ...base, segwitFlag: false }))),
  };
}
