/**
 * Transactions as they lie in blocks and on the wire, with or without witnesses (BIP141, BIP144). The
 * parser believes no count before the bytes are there, and builds inputs and outputs only when they are
 * asked for, so that a whole block can be read in slices.
 */
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import { MAX_SATOSHI } from '../protocol/offer.js';
import type { Outpoint } from '../protocol/outpoint.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { compactSize, fromDisplay, sha256d, toDisplay, u32, u64 } from './bytes.js';
import { FormError, Reader } from './reader.js';

/** The heaviest transaction that a block can hold, in weight units and so in bytes. */
export const MAX_TRANSACTION_BYTES = 4_000_000;
/** Confirmations that a coinbase output needs before it can be spent in the next block. */
export const COINBASE_MATURITY = 100;

/** An input: the coin that it spends, and its sequence. */
export interface TransactionInput extends Outpoint {
  /** The sequence number, unsigned 32 bits. */
  readonly sequence: number;
}

/** An input with what unlocks its coin. */
export interface SignedInput extends TransactionInput {
  /** Empty for native segwit coins. */
  readonly scriptSig: Uint8Array;
  /** Empty for coins without segwit. */
  readonly witness: readonly Uint8Array[];
}

/** An output of a transaction. */
export interface TransactionOutput {
  /** The scriptPubKey, lower-case hex. */
  readonly script: string;
  /** Satoshi. */
  readonly value: number;
}

/** What a transaction is made of. */
export interface TransactionParts {
  /** Unsigned 32 bits. */
  readonly version: number;
  readonly lockTime: number;
  readonly inputs: readonly (TransactionInput & Partial<SignedInput>)[];
  readonly outputs: readonly TransactionOutput[];
}

/** Why bytes are not a transaction. */
export type TransactionFormFault =
  /** Longer than a block allows. */
  | 'tx-size'
  /** Cut off, with bytes behind it, or not in the one valid encoding. */
  | 'tx-form'
  /** No inputs or no outputs. */
  | 'tx-empty'
  /** More satoshi than can exist. */
  | 'tx-value';

/** Bytes of the outpoint, an empty script and the sequence; of the value and an empty script. */
const LEAST_INPUT = 41;
const LEAST_OUTPUT = 9;

/** Places of the parts of a transaction in its bytes. */
interface Layout {
  readonly segwit: boolean;
  readonly inputs: number;
  readonly inputCount: number;
  readonly outputs: number;
  readonly outputCount: number;
  /** Behind the outputs: the witnesses, or the lock time. */
  readonly outputsEnd: number;
  /** Of the lock time. */
  readonly witnessEnd: number;
}

/** A transaction that was parsed. Its bytes are valid in form; signatures are not verified. */
export class Transaction {
  readonly bytes: Uint8Array;
  readonly #layout: Layout;
  #txid: string | undefined;

  /** @internal Only the parsers of this folder make one. */
  constructor(bytes: Uint8Array, layout: Layout) {
    this.bytes = bytes;
    this.#layout = layout;
  }

  get version(): number {
    return new Reader(this.bytes).u32();
  }

  get lockTime(): number {
    return new Reader(this.bytes, this.#layout.witnessEnd).u32();
  }

  /** Whether any input has a witness. */
  get segwit(): boolean {
    return this.#layout.segwit;
  }

  get inputCount(): number {
    return this.#layout.inputCount;
  }

  get outputCount(): number {
    return this.#layout.outputCount;
  }

  /** The serialization without witnesses, which the txid is the hash of. */
  get stripped(): Uint8Array {
    const { segwit, outputsEnd, witnessEnd } = this.#layout;
    if (!segwit) return this.bytes;
    return concatBytes(
      this.bytes.subarray(0, 4),
      this.bytes.subarray(6, outputsEnd),
      this.bytes.subarray(witnessEnd),
    );
  }

  /** Display order, lower-case hex. */
  get txid(): string {
    this.#txid ??= toDisplay(sha256d(this.stripped));
    return this.#txid;
  }

  /** The hash of all bytes, display order. The same as the txid without witnesses. */
  get wtxid(): string {
    return this.segwit ? toDisplay(sha256d(this.bytes)) : this.txid;
  }

  /** Weight units (BIP141). */
  get weight(): number {
    const { segwit, outputsEnd, witnessEnd } = this.#layout;
    const witnesses = segwit ? 2 + witnessEnd - outputsEnd : 0;
    return (this.bytes.length - witnesses) * 4 + witnesses;
  }

  /** Virtual bytes: a quarter of the weight, rounded up. */
  get vsize(): number {
    return Math.ceil(this.weight / 4);
  }

  /** Whether it creates new coins: its one input names no coin. */
  get coinbase(): boolean {
    if (this.#layout.inputCount !== 1) return false;
    const { inputs } = this.#layout;
    const outpoint = this.bytes.subarray(inputs, inputs + 36);
    return outpoint.every((byte, i) => byte === (i < 32 ? 0 : 0xff));
  }

  /** The coins that it spends, in order, without building more than asked for. */
  *spends(): Generator<Outpoint, void, undefined> {
    const reader = new Reader(this.bytes, this.#layout.inputs);
    for (let n = 0; n < this.#layout.inputCount; n++) {
      const txid = toDisplay(reader.take(32));
      yield { txid, vout: reader.u32() };
      reader.skip(reader.length());
      reader.skip(4);
    }
  }

  /** Its outputs in order, without building more than asked for. */
  *pays(): Generator<TransactionOutput, void, undefined> {
    const reader = new Reader(this.bytes, this.#layout.outputs);
    for (let n = 0; n < this.#layout.outputCount; n++) {
      const value = reader.u64();
      yield { value, script: bytesToHex(reader.take(reader.length())) };
    }
  }

  /** The inputs in order. Built anew at each call. */
  get inputs(): readonly SignedInput[] {
    const reader = new Reader(this.bytes, this.#layout.inputs);
    const inputs = Array.from({ length: this.#layout.inputCount }, () => {
      const txid = toDisplay(reader.take(32));
      const vout = reader.u32();
      const scriptSig = reader.take(reader.length());
      return { txid, vout, scriptSig, sequence: reader.u32() };
    });
    if (!this.segwit) return inputs.map((input) => ({ ...input, witness: [] }));
    const witnesses = new Reader(this.bytes, this.#layout.outputsEnd);
    return inputs.map((input) => {
      const items = Array.from({ length: witnesses.length() }, () =>
        witnesses.take(witnesses.length()),
      );
      return { ...input, witness: items };
    });
  }

  /** The outputs in order. Built anew at each call. */
  get outputs(): readonly TransactionOutput[] {
    return [...this.pays()];
  }
}

/** Moves over the inputs; how many there are. */
function skipInputs(reader: Reader): number {
  const count = reader.length();
  if (count * LEAST_INPUT > reader.left) throw new FormError('the end is missing');
  for (let n = 0; n < count; n++) {
    reader.skip(36);
    reader.skip(reader.length());
    reader.skip(4);
  }
  return count;
}

/** Moves over the outputs; how many there are, and the satoshi in them. */
function skipOutputs(reader: Reader): { readonly count: number; readonly total: number } {
  const count = reader.length();
  if (count * LEAST_OUTPUT > reader.left) throw new FormError('the end is missing');
  let total = 0;
  for (let n = 0; n < count; n++) {
    // Above the greatest sum it no longer has to be exact.
    total = Math.min(total + reader.u64(), Number.MAX_SAFE_INTEGER);
    reader.skip(reader.length());
  }
  return { count, total };
}

/** Moves over one witness for each input. At least one has an item (BIP144). */
function skipWitnesses(reader: Reader, inputs: number): void {
  let items = 0;
  for (let n = 0; n < inputs; n++) {
    const count = reader.length();
    items += count;
    for (let item = 0; item < count; item++) reader.skip(reader.length());
  }
  if (items === 0) throw new FormError('witnesses are announced and missing');
}

/**
 * Moves over the transaction at the reader's place. Throws a `FormError`, or answers the fault of bytes that
 * have the form of a transaction and are none.
 */
export function readTransaction(reader: Reader): Parsed<Transaction, TransactionFormFault> {
  const from = reader.at;
  reader.skip(4);
  // A count of 0 inputs announces witnesses: no transaction is without inputs.
  const segwit = reader.bytes[reader.at] === 0 && reader.bytes[reader.at + 1] === 1;
  if (segwit) reader.skip(2);
  const inputs = reader.at;
  const inputCount = skipInputs(reader);
  const outputs = reader.at;
  const { count: outputCount, total } = skipOutputs(reader);
  const outputsEnd = reader.at;
  if (inputCount === 0 || outputCount === 0) return fail('tx-empty');
  if (segwit) skipWitnesses(reader, inputCount);
  const witnessEnd = reader.at;
  reader.skip(4);
  if (total > MAX_SATOSHI) return fail('tx-value');
  const behindCount = (place: number, count: number): number =>
    place - from + compactSize(count).length;
  return ok(
    new Transaction(reader.bytes.subarray(from, reader.at), {
      segwit,
      inputs: behindCount(inputs, inputCount),
      inputCount,
      outputs: behindCount(outputs, outputCount),
      outputCount,
      outputsEnd: outputsEnd - from,
      witnessEnd: witnessEnd - from,
    }),
  );
}

/**
 * Reads exactly one transaction: its one valid encoding, nothing behind it. The bytes are kept, not
 * copied, and must not change afterwards.
 */
export function parseTransaction(bytes: Uint8Array): Parsed<Transaction, TransactionFormFault> {
  if (bytes.length > MAX_TRANSACTION_BYTES) return fail('tx-size');
  try {
    const reader = new Reader(bytes);
    const parsed = readTransaction(reader);
    if (parsed.ok && (reader.left > 0 || parsed.value.weight > MAX_TRANSACTION_BYTES)) {
      return fail(reader.left > 0 ? 'tx-form' : 'tx-size');
    }
    return parsed;
  } catch (error) {
    if (error instanceof FormError) return fail('tx-form');
    throw error;
  }
}

/** An outpoint as transactions and signatures hold it, 36 bytes. */
export const outpointBytes = ({ txid, vout }: Outpoint): Uint8Array =>
  concatBytes(fromDisplay(txid), u32(vout));

/** An output as transactions and signatures hold it. */
export function outputBytes({ script, value }: TransactionOutput): Uint8Array {
  const bytes = hexToBytes(script);
  return concatBytes(u64(value), compactSize(bytes.length), bytes);
}

function checkU32(what: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new RangeError(`${what} is an integer of 32 bits, not ${value}`);
  }
}

/**
 * The serialization, with witnesses when an input has one. Throws a RangeError for a number outside its
 * range and for a name of a coin that is not 64 hex digits. What it returns, `parseTransaction` reads,
 * unless the transaction has no inputs, no outputs, or more satoshi than exist.
 */
export function serializeTransaction(parts: TransactionParts): Uint8Array {
  const { version, lockTime, inputs, outputs } = parts;
  checkU32('a version', version);
  checkU32('a lock time', lockTime);
  for (const { txid, vout, sequence } of inputs) {
    if (!/^[0-9a-f]{64}$/.test(txid)) throw new RangeError('a txid has 64 lower-case hex digits');
    checkU32('an output number', vout);
    checkU32('a sequence', sequence);
  }
  for (const { value, script } of outputs) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`an amount is a whole number of satoshi, not ${value}`);
    }
    if (!/^(?:[0-9a-f]{2})*$/.test(script)) throw new RangeError('a script is lower-case hex');
  }
  const segwit = inputs.some(({ witness = [] }) => witness.length > 0);
  const empty = new Uint8Array();
  return concatBytes(
    u32(version),
    segwit ? Uint8Array.of(0, 1) : empty,
    compactSize(inputs.length),
    ...inputs.flatMap(({ scriptSig = empty, sequence, ...outpoint }) => [
      outpointBytes(outpoint),
      compactSize(scriptSig.length),
      scriptSig,
      u32(sequence),
    ]),
    compactSize(outputs.length),
    ...outputs.map(outputBytes),
    ...(segwit ? inputs.map(({ witness = [] }) => witnessBytes(witness)) : []),
    u32(lockTime),
  );
}

function witnessBytes(items: readonly Uint8Array[]): Uint8Array {
  return concatBytes(
    compactSize(items.length),
    ...items.flatMap((item) => [compactSize(item.length), item]),
  );
}
