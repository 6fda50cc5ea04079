/** The blocks of a chain in memory and the unspent outputs at its tip, with the rules of consensus. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import {
  COINBASE_MATURITY,
  parseTransaction,
  serializeTransaction,
  type Transaction,
  type TransactionOutput,
} from '../bitcoin/transaction.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import type { BlockInfo, UnspentOutput } from './ports.js';

/** A lock time below this is a height, otherwise a time (BIP65). */
const FIRST_TIME = 500_000_000;
const FINAL = 0xffff_ffff;
const MEDIAN_SPAN = 11;

export interface MemoryBlock {
  readonly info: BlockInfo;
  readonly transactions: readonly Transaction[];
  /** What the block spent, to undo it. */
  readonly spent: readonly UnspentOutput[];
}

/** Where the coins of a transaction are looked up. */
export type CoinLookup = (outpoint: Outpoint) => UnspentOutput | undefined;

/** Why a transaction cannot be in the next block. The words are those of Bitcoin Core. */
export type Violation =
  | 'bad-txns-inputs-missingorspent'
  | 'bad-txns-in-belowout'
  | 'bad-txns-premature-spend-of-coinbase'
  | 'non-final'
  | 'Locktime requirement not satisfied';

/** The place of the tip, by which lock times are judged. */
type Moment = Pick<BlockInfo, 'height' | 'medianTime'>;

const isFinal = (tx: Transaction, tip: Moment): boolean =>
  tx.lockTime === 0 ||
  tx.inputs.every(({ sequence }) => sequence === FINAL) ||
  (tx.lockTime < FIRST_TIME ? tx.lockTime <= tip.height : tx.lockTime < tip.medianTime);

/** The lock time of a bond's script: a push of 4 or 5 bytes and OP_CHECKLOCKTIMEVERIFY. */
function bondLock(script: Uint8Array | undefined): number | undefined {
  const size = script?.[0];
  if (script === undefined || (size !== 4 && size !== 5) || script[1 + size] !== 0xb1) return;
  return script.slice(1, 1 + size).reduceRight((value, byte) => value * 256 + byte, 0);
}

function locksOver(tx: Transaction): boolean {
  return tx.inputs.every(({ sequence, witness }) => {
    const lock = bondLock(witness.at(-1));
    return lock === undefined || (sequence !== FINAL && tx.lockTime >= lock);
  });
}

/** The fee of a transaction that may be in the block after `tip`, or the first rule that it breaks. */
export function judge(
  tx: Transaction,
  tip: Moment,
  coin: CoinLookup,
): { readonly ok: true; readonly fee: number } | { readonly ok: false; readonly why: Violation } {
  let fee = 0;
  for (const input of tx.inputs) {
    const spent = coin(input);
    if (spent === undefined) return { ok: false, why: 'bad-txns-inputs-missingorspent' };
    // The genesis block holds the coins of `MemoryChain.pay`.
    const young = tip.height + 1 - spent.height < COINBASE_MATURITY;
    if (spent.coinbase && spent.height > 0 && young) {
      return { ok: false, why: 'bad-txns-premature-spend-of-coinbase' };
    }
    fee += spent.value;
  }
  for (const { value } of tx.outputs) fee -= value;
  if (fee < 0) return { ok: false, why: 'bad-txns-in-belowout' };
  if (!isFinal(tx, tip)) return { ok: false, why: 'non-final' };
  if (!locksOver(tx)) return { ok: false, why: 'Locktime requirement not satisfied' };
  return { ok: true, fee };
}

/** A transaction that a test or this chain made. */
export function known(bytes: Uint8Array): Transaction {
  const tx = parseTransaction(bytes);
  if (!tx.ok) throw new Error(`the bytes are not a transaction: ${tx.reason}`);
  return tx.value;
}

/** A replaceable transaction without proofs: this chain verifies none. */
export function unproven(
  coins: readonly Outpoint[],
  outputs: readonly TransactionOutput[],
): Transaction {
  const inputs = coins.map(({ txid, vout }) => ({ txid, vout, sequence: 0xffff_fffd }));
  return known(serializeTransaction({ version: 2, lockTime: 0, inputs, outputs }));
}

function coinbase(height: number, salt: number, script: string, value: number): Transaction {
  const scriptSig = utf8ToBytes(`${height}/${salt}`);
  const input = { txid: '0'.repeat(64), vout: FINAL, scriptSig, sequence: FINAL };
  const outputs = [{ script, value }];
  return known(serializeTransaction({ version: 2, lockTime: 0, inputs: [input], outputs }));
}

const SUBSIDY = 5_000_000_000;

export class MemoryLedger {
  readonly #blocks: MemoryBlock[] = [];
  readonly #unspent = new Map<string, UnspentOutput>();
  /** Makes every block and coinbase different, also on two branches. */
  #salt = 0;

  /** @param time of the genesis block, whose one output is of `value` satoshi */
  constructor(time: number, script: string, value: number) {
    this.#connect(coinbase(0, 0, script, value), [], time);
  }

  get tip(): BlockInfo {
    const block = this.#blocks.at(-1);
    if (block === undefined) throw new Error('a ledger has a genesis block');
    return block.info;
  }

  block(height: number): MemoryBlock | undefined {
    return this.#blocks[height];
  }

  coin(outpoint: Outpoint): UnspentOutput | undefined {
    return this.#unspent.get(formatOutpoint(outpoint));
  }

  unspent(): Iterable<UnspentOutput> {
    return this.#unspent.values();
  }

  /** The newest blocks first, without those below `height`. */
  *newest(height: number): Generator<MemoryBlock> {
    for (let at = this.#blocks.length - 1; at >= Math.max(0, height); at -= 1) {
      const block = this.#blocks[at];
      if (block !== undefined) yield block;
    }
  }

  /** Adds a block. Throws when consensus forbids one of the transactions; nothing is then changed. */
  append(transactions: readonly Transaction[], time: number, script: string): BlockInfo {
    const created = new Map<string, UnspentOutput>();
    const gone = new Set<string>();
    const height = this.tip.height + 1;
    for (const tx of transactions) {
      const verdict = judge(tx, this.tip, (outpoint) => {
        const name = formatOutpoint(outpoint);
        return gone.has(name) ? undefined : (created.get(name) ?? this.#unspent.get(name));
      });
      if (!verdict.ok) throw new Error(`cannot mine ${tx.txid}: ${verdict.why}`);
      for (const input of tx.inputs) gone.add(formatOutpoint(input));
      for (const coin of outputsOf(tx, height, false)) created.set(formatOutpoint(coin), coin);
    }
    this.#salt += 1;
    return this.#connect(coinbase(height, this.#salt, script, SUBSIDY), transactions, time);
  }

  /** Removes the newest block, and returns it. The genesis block stays. */
  remove(): MemoryBlock {
    const block = this.#blocks.length > 1 ? this.#blocks.pop() : undefined;
    if (block === undefined) throw new Error('the genesis block cannot be removed');
    for (const tx of block.transactions) {
      tx.outputs.forEach((_, vout) =>
        this.#unspent.delete(formatOutpoint({ txid: tx.txid, vout })),
      );
    }
    const own = new Set(block.transactions.map(({ txid }) => txid));
    for (const coin of block.spent) {
      if (!own.has(coin.txid)) this.#unspent.set(formatOutpoint(coin), coin);
    }
    return block;
  }

  #connect(first: Transaction, rest: readonly Transaction[], time: number): BlockInfo {
    const height = this.#blocks.length;
    const spent: UnspentOutput[] = [];
    for (const tx of [first, ...rest]) {
      for (const input of tx.inputs) {
        const name = formatOutpoint(input);
        const coin = this.#unspent.get(name);
        if (coin === undefined) continue;
        spent.push(coin);
        this.#unspent.delete(name);
      }
      for (const coin of outputsOf(tx, height, tx === first)) {
        this.#unspent.set(formatOutpoint(coin), coin);
      }
    }
    const transactions = [first, ...rest];
    const names = transactions.map(({ txid }) => txid).join();
    const before = this.#blocks.at(-1)?.info.hash ?? '';
    const hash = bytesToHex(sha256(utf8ToBytes(`${before}/${time}/${names}`)));
    const times = [...this.newest(height - MEDIAN_SPAN + 1)].map(({ info }) => info.time);
    const sorted = [time, ...times].toSorted((a, b) => a - b);
    const medianTime = sorted[Math.floor(sorted.length / 2)] ?? time;
    const info = { height, hash, time, medianTime };
    this.#blocks.push({ info, transactions, spent });
    return info;
  }
}

/** The outputs of a transaction that can be spent. */
export function outputsOf(
  { txid, outputs }: Transaction,
  height: number,
  ofCoinbase: boolean,
): UnspentOutput[] {
  return outputs
    .map((output, vout) => ({ ...output, txid, vout, height, coinbase: ofCoinbase }))
    .filter(({ script }) => !script.startsWith('6a'));
}
