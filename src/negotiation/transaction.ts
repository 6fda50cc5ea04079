/**
 * Transactions of a coinjoin before and after they are signed. Only the shortest encoding is accepted, so
 * the signed bytes are the received bytes.
 */
import { sha256d, toDisplay } from '../bitcoin/bytes.js';
import {
  coinKind,
  keyHashScript,
  keyOwnsScript,
  pushBytes,
  redeemScript,
} from '../bitcoin/script.js';
import { SegwitHashes } from '../bitcoin/sighash.js';
import {
  parseTransaction,
  serializeTransaction,
  type Transaction,
  type TransactionFormFault,
  type TransactionInput,
  type TransactionOutput,
  type TransactionParts,
} from '../bitcoin/transaction.js';
import { fail, ok, type Parsed } from '../protocol/result.js';

/** The largest unsigned transaction that fits one line, boxed and in base64 twice (section 1.2). */
export const MAX_UNSIGNED_BYTES = 20_000;
/** A signed one in base64 must fit one line. */
export const MAX_SIGNED_BYTES = 28_000;

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
  TransactionFormFault | 'tx-version' | 'tx-signed' | 'tx-double-spend';

/**
 * Parses a transaction that is to be signed: version 1 or 2, no signatures, every input different,
 * amounts that can exist.
 */
export function parseUnsigned(bytes: Uint8Array): Parsed<UnsignedTransaction, TransactionFault> {
  if (bytes.length > MAX_UNSIGNED_BYTES) return fail('tx-size');
  const parsed = parseTransaction(bytes);
  if (!parsed.ok) return parsed;
  const { version, lockTime, segwit, outputs, txid } = parsed.value;
  if (version !== 1 && version !== 2) return fail('tx-version');
  const signed = parsed.value.inputs;
  if (segwit || signed.some(({ scriptSig }) => scriptSig.length > 0)) return fail('tx-signed');
  const inputs = signed.map((input) => ({
    txid: input.txid,
    vout: input.vout,
    sequence: input.sequence,
  }));
  if (new Set(inputs.map((input) => `${input.txid}:${input.vout}`)).size < inputs.length) {
    return fail('tx-double-spend');
  }
  return ok({ txid, version, lockTime, inputs, outputs, bytes });
}

/** The id of a transaction without the scripts of its inputs, by which a signer recognises it. */
function unsignedTxid({ version, lockTime, inputs, outputs }: Transaction): string {
  const bare = inputs.map(({ txid, vout, sequence }) => ({ txid, vout, sequence }));
  return toDisplay(sha256d(serializeTransaction({ version, lockTime, inputs: bare, outputs })));
}

/**
 * The ids of a signed transaction: its own, and that of its unsigned form, by which a signer recognises
 * it. Undefined when it is not a valid transaction.
 */
export function signedIds(
  bytes: Uint8Array,
): { readonly txid: string; readonly unsignedTxid: string } | undefined {
  if (bytes.length > MAX_SIGNED_BYTES) return undefined;
  const parsed = parseTransaction(bytes);
  if (!parsed.ok) return undefined;
  return { txid: parsed.value.txid, unsignedTxid: unsignedTxid(parsed.value) };
}

/**
 * Version 2. `tx-form` when a value is not a whole number of satoshi, the lock time not a u32, or the name
 * of a coin malformed.
 */
export function buildUnsigned(
  inputs: readonly TransactionInput[],
  outputs: readonly TransactionOutput[],
  lockTime: number,
): Parsed<UnsignedTransaction, TransactionFault> {
  const bytes = serialized({
    version: 2,
    lockTime,
    inputs: inputs.map(({ txid, vout, sequence }) => ({ txid, vout, sequence })),
    outputs,
  });
  return bytes === undefined ? fail('tx-form') : parseUnsigned(bytes);
}

function serialized(parts: TransactionParts): Uint8Array | undefined {
  try {
    return serializeTransaction(parts);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The hashes of the transactions in use: a round checks a signature for each input of the same one. */
const knownHashes = new WeakMap<UnsignedTransaction, SegwitHashes>();

function hashesOf(tx: UnsignedTransaction): SegwitHashes {
  const known = knownHashes.get(tx) ?? new SegwitHashes(tx);
  knownHashes.set(tx, known);
  return known;
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
  if (coinKind(spent.script) === undefined || !keyOwnsScript(publicKey, spent.script)) return false;
  const scriptCode = keyHashScript(publicKey);
  return hashesOf(tx).isSignedBy(publicKey, signature, { index, scriptCode, value: spent.value });
}

/**
 * The transaction with its signatures, one for each input in order, and its final id: the scripts of
 * wrapped coins change the id.
 */
export function assemble(
  tx: UnsignedTransaction,
  parts: readonly { readonly spent: SpentOutput; readonly signature: InputSignature }[],
): { readonly bytes: Uint8Array; readonly txid: string } {
  const { version, lockTime, outputs } = tx;
  const base = tx.inputs.map((input, i) => {
    const part = parts[i];
    const nested = part !== undefined && coinKind(part.spent.script) === 'p2sh-p2wpkh';
    return nested
      ? { ...input, scriptSig: pushBytes(redeemScript(part.signature.publicKey)) }
      : input;
  });
  const inputs = base.map((input, i) => {
    const part = parts[i];
    if (part === undefined) return input;
    return { ...input, witness: [part.signature.signature, part.signature.publicKey] };
  });
  return {
    bytes: serializeTransaction({ version, lockTime, inputs, outputs }),
    txid: toDisplay(sha256d(serializeTransaction({ version, lockTime, inputs: base, outputs }))),
  };
}
