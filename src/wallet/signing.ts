/**
 * What is checked before and after a signature. A `SigningOrder` exists only for a transaction that fits its
 * request and the journal: `WalletKeys` signs nothing else. Pure.
 */
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { sha256d } from '../bitcoin/bytes.js';
import { pushBytes, redeemScript } from '../bitcoin/script.js';
import { SegwitHashes, SIGHASH_ALL } from '../bitcoin/sighash.js';
import {
  parseTransaction,
  serializeTransaction,
  type Transaction,
} from '../bitcoin/transaction.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import { WalletError, type CoinHold, type KeyPlace, type WalletCoin } from './api.js';
import { bondWitnessScript } from '../bitcoin/bond.js';
import { scriptCodeOf } from './own-script.js';
import type { SignRequest } from './requests.js';

export { SIGHASH_ALL };

/** Lock times from here on are Unix seconds, below are heights. */
const FIRST_TIME = 500_000_000;
const FINAL = 0xffff_ffff;
/** A signature with low R and low S in DER has at most 70 bytes. */
const MAX_LOW_R = 70;

/** What the journal knows that a signature depends on. */
export interface SigningView {
  coin(outpoint: Outpoint): WalletCoin | undefined;
  /** Every reason not to spend a coin. */
  holdsOf(coin: WalletCoin): readonly CoinHold[];
  /** Where the key of a script is. */
  placeOf(script: string): KeyPlace | undefined;
  /** Whether the address of a script was handed out. */
  isHandedOut(script: string): boolean;
  /** Coins of a lease that is not over. */
  leaseCoins(id: string): readonly Outpoint[] | undefined;
  /** Coins of a signed transaction that is not settled. */
  signedCoins(unsignedTxid: string): readonly Outpoint[] | undefined;
}

/** An input to sign. */
export interface OrderedInput {
  readonly index: number;
  readonly coin: WalletCoin;
  readonly place: KeyPlace;
  /** Of a bond. */
  readonly lockTime: number | undefined;
}

export interface OrderedSignature extends OrderedInput {
  /** DER and the byte of SIGHASH_ALL. */
  readonly signature: Uint8Array;
  /** Compressed. */
  readonly publicKey: Uint8Array;
}

const refuse = (what: string): never => {
  throw new WalletError('request', `the transaction is not signed: ${what}`);
};

/** A transaction that was checked, and the inputs to sign. */
export class SigningOrder {
  readonly transaction: Transaction;
  readonly hashes: SegwitHashes;
  /** In the order of the request. */
  readonly inputs: readonly OrderedInput[];
  /** Whether every input is the wallet's. */
  readonly isWhole: boolean;
  /** Makes the class nominal: no other value has this type. */
  readonly #checked = true;

  private constructor(transaction: Transaction, inputs: readonly OrderedInput[]) {
    this.transaction = transaction;
    this.hashes = new SegwitHashes(transaction);
    this.inputs = inputs;
    this.isWhole = this.#checked && transaction.inputCount === inputs.length;
  }

  /**
   * Checks a request against the journal.
   * @throws WalletError `request`, `coin`, `held` or `frozen`, with the reason.
   */
  static check(request: SignRequest, view: SigningView): SigningOrder {
    const transaction = parsed(request.transaction);
    const inputs = request.coins.map((outpoint) => {
      const coin = view.coin(outpoint);
      if (coin === undefined) {
        throw new WalletError('coin', `${formatOutpoint(outpoint)}: the wallet has no such coin`);
      }
      const index = transaction.inputs.findIndex((input) => isSame(input, outpoint));
      if (index < 0) return refuse(`${formatOutpoint(outpoint)} is not among its inputs`);
      const { mixdepth, branch } = coin;
      const place = { mixdepth, branch, index: coin.index };
      return { index, coin, place, lockTime: coin.lockTime };
    });
    checkInputs(transaction, inputs, view);
    checkHolds(request, inputs, view);
    checkAmounts(request, transaction, inputs, view);
    return new SigningOrder(transaction, inputs);
  }

  /** An order that spends a coin of a bond's address which does not exist, to the same address. */
  static rehearsal(bond: WalletCoin & { readonly lockTime: number }): SigningOrder {
    const coin = { ...bond, txid: NO_COIN, vout: 0, value: REHEARSED_VALUE };
    const bytes = serializeTransaction({
      version: 2,
      lockTime: bond.lockTime,
      inputs: [{ txid: coin.txid, vout: coin.vout, sequence: NOT_FINAL }],
      outputs: [{ script: coin.script, value: REHEARSED_VALUE - REHEARSED_FEE }],
    });
    const { mixdepth, branch, index } = coin;
    const place = { mixdepth, branch, index };
    return new SigningOrder(parsed(bytes), [{ index: 0, coin, place, lockTime: bond.lockTime }]);
  }
}

/** The coin of a rehearsal: a text has no transaction behind its hash. */
const NO_COIN = bytesToHex(sha256d(utf8ToBytes('a bond is rehearsed before it is funded')));
const REHEARSED_VALUE = 100_000;
const REHEARSED_FEE = 1_000;
const NOT_FINAL = 0xffff_fffe;

const isSame = (a: Outpoint, b: Outpoint): boolean => a.txid === b.txid && a.vout === b.vout;

function parsed(bytes: Uint8Array): Transaction {
  // A copy: the caller keeps its buffer and could change it.
  const read = parseTransaction(bytes.slice());
  if (!read.ok) return refuse(`it has no valid form (${read.reason})`);
  const transaction = read.value;
  if (transaction.version !== 1 && transaction.version !== 2) refuse('its version is not 1 or 2');
  const { inputs } = transaction;
  if (transaction.segwit || inputs.some(({ scriptSig }) => scriptSig.length > 0)) {
    refuse('it has signatures already');
  }
  if (new Set(inputs.map(formatOutpoint)).size < inputs.length) refuse('it spends a coin twice');
  return transaction;
}

function checkInputs(
  transaction: Transaction,
  inputs: readonly OrderedInput[],
  view: SigningView,
): void {
  if (inputs.length === 0) refuse('it spends no coin of this wallet');
  if (new Set(inputs.map(({ index }) => index)).size < inputs.length) {
    refuse('the request names a coin twice');
  }
  const ordered = new Set(inputs.map(({ index }) => index));
  for (const [index, input] of transaction.inputs.entries()) {
    if (!ordered.has(index) && view.coin(input) !== undefined) {
      refuse(`it also spends ${formatOutpoint(input)} of this wallet`);
    }
  }
  if (new Set(inputs.map(({ coin }) => coin.mixdepth)).size > 1) {
    refuse('it spends coins of several mixdepths');
  }
  for (const { index, coin, lockTime } of inputs) {
    if (coin.outsideKey !== undefined) refuse('the key of a bond is outside the wallet');
    if (lockTime === undefined) continue;
    if (transaction.inputs[index]?.sequence === FINAL)
      refuse('a bond needs a sequence below the last');
    if (transaction.lockTime < Math.max(lockTime, FIRST_TIME)) {
      refuse('its lock time is before that of the bond');
    }
  }
}

function checkHolds(
  request: SignRequest,
  inputs: readonly OrderedInput[],
  view: SigningView,
): void {
  const { lease, replaces } = request;
  const leased = lease === undefined ? [] : view.leaseCoins(lease);
  const signed = replaces === undefined ? [] : view.signedCoins(replaces);
  if (leased === undefined) throw new WalletError('held', 'the lease of the coins is over');
  if (signed === undefined) refuse('the transaction that it replaces is settled, or not known');
  for (const { coin } of inputs) {
    const name = formatOutpoint(coin);
    for (const hold of view.holdsOf(coin)) {
      if (hold === 'leased' && leased.some((it) => isSame(it, coin))) continue;
      if (hold === 'signed' && signed?.some((it) => isSame(it, coin)) === true) continue;
      if (hold === 'frozen') throw new WalletError('frozen', `${name} is frozen`);
      throw new WalletError('held', `${name} is held: ${hold}`);
    }
    if (lease !== undefined && !leased.some((it) => isSame(it, coin))) {
      throw new WalletError('held', `${name} is not in the lease`);
    }
  }
  if (
    replaces !== undefined &&
    !inputs.some(({ coin }) => signed?.some((it) => isSame(it, coin)))
  ) {
    refuse('it spends no coin of the transaction that it replaces');
  }
}

function checkAmounts(
  request: SignRequest,
  transaction: Transaction,
  inputs: readonly OrderedInput[],
  view: SigningView,
): void {
  const spent = inputs.reduce((sum, { coin }) => sum + coin.value, 0);
  let back = 0;
  for (const { script, value } of transaction.outputs) {
    if (view.placeOf(script) === undefined) continue;
    if (!view.isHandedOut(script)) refuse('it pays an address that the wallet did not hand out');
    back += value;
  }
  if (!Number.isSafeInteger(request.mostSpent) || spent - back > request.mostSpent) {
    refuse(
      `it takes ${spent - back} sat from the wallet, more than the ${request.mostSpent} sat agreed`,
    );
  }
  const total = transaction.outputs.reduce((sum, { value }) => sum + value, 0);
  if (inputs.length === transaction.inputCount && total > spent) {
    refuse('it pays more than its coins hold');
  }
  const { coinjoin } = request;
  if (coinjoin === undefined) return;
  const own = transaction.outputs.filter(({ script }) => script === coinjoin.script);
  if (own.length !== 1 || own[0]?.value !== coinjoin.amount) {
    refuse('the output of the coinjoin is missing, or has another amount');
  }
  // A taker may pay another wallet; a maker's equal output is its own.
  if (request.kind === 'coinjoin-maker' && view.placeOf(coinjoin.script) === undefined) {
    refuse('the output of the coinjoin is not of this wallet');
  }
}

/**
 * Checks a signature that the library made: the hash is computed by other code.
 * @throws Error, after which nothing may leave the program.
 */
export function checkSignature(
  order: SigningOrder,
  input: OrderedInput,
  publicKey: Uint8Array,
  signature: Uint8Array,
): void {
  const isValid = order.hashes.isSignedBy(publicKey, signature, {
    index: input.index,
    scriptCode: scriptCodeOf(publicKey, input.lockTime),
    value: input.coin.value,
  });
  if (!isValid || signature.length - 1 > MAX_LOW_R) {
    throw new Error(`the signature of input ${input.index} is not valid, nothing was sent`);
  }
}

/** The witness of an input, and the script that a nested coin needs. */
function unlocking(signed: OrderedSignature): {
  readonly scriptSig: Uint8Array;
  readonly witness: readonly Uint8Array[];
} {
  const { signature, publicKey, lockTime, coin } = signed;
  if (lockTime !== undefined) {
    const witness = [signature, bondWitnessScript(lockTime, publicKey)];
    return { scriptSig: new Uint8Array(), witness };
  }
  const redeem = redeemScript(publicKey);
  const isNative = coin.script === bytesToHex(redeem);
  const scriptSig = isNative ? new Uint8Array() : pushBytes(redeem);
  return { scriptSig, witness: [signature, publicKey] };
}

/** The whole transaction of an order whose inputs are all the wallet's; undefined for others. */
export function completed(
  order: SigningOrder,
  signatures: readonly OrderedSignature[],
): { readonly txid: string; readonly bytes: Uint8Array } | undefined {
  if (!order.isWhole) return undefined;
  const { version, lockTime, inputs, outputs } = order.transaction;
  const whole = inputs.map(({ txid, vout, sequence }, index) => {
    const signed = signatures.find((it) => it.index === index);
    if (signed === undefined) throw new Error(`input ${index} has no signature`);
    return { txid, vout, sequence, ...unlocking(signed) };
  });
  const bytes = serializeTransaction({ version, lockTime, inputs: whole, outputs });
  const read = parseTransaction(bytes);
  if (!read.ok) throw new Error(`the signed transaction has no valid form (${read.reason})`);
  return { txid: read.value.txid, bytes };
}
