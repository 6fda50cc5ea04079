/**
 * A block chain in memory, for tests and the demo: real serialized transactions, the rules of consensus
 * that a wallet meets, a mempool with replacement. Scripts and signatures are not verified.
 */
import { parseTransaction, type TransactionOutput } from '../bitcoin/transaction.js';
import { formatOutpoint, type NamedOutpoint, type Outpoint } from '../protocol/outpoint.js';
import type { Network } from '../protocol/constants.js';
import { BroadcastError, ChainError } from './chain-error.js';
import { MemoryCalls } from './memory-calls.js';
import { known, MemoryLedger, unproven } from './memory-ledger.js';
import { MemoryMempool } from './memory-mempool.js';
import { memoryScan } from './memory-scan.js';
import type {
  BlockId,
  BlockInfo,
  Chain,
  ChainAbilities,
  ChainCoin,
  ScanRequest,
  ScanStep,
  TransactionState,
  UnspentOutput,
} from './ports.js';

/** OP_TRUE: of the coins that `pay` spends. */
const ANYONE = '51';
/** Satoshi that the genesis block gives to `pay`. */
const TREASURY = 2_000_000_000_000_000;
/** Fee of the transactions that `pay` makes, in satoshi. */
const PAY_FEE = 2_000;
const BLOCK_SECONDS = 600;

export interface MemoryChainOptions {
  /** Default: regtest. */
  readonly network?: Network;
  /** Time of the genesis block, in Unix seconds. */
  readonly time?: number;
  /** Abilities that the view lacks: the calls behave accordingly. */
  readonly without?: readonly (keyof ChainAbilities)[];
}

/** What is mined, and when. */
export interface MineOptions {
  /** Receives the block rewards; default OP_TRUE. */
  readonly script?: string;
  /** Time of the first block; each further one is 10 minutes later. Default: 10 minutes after the tip. */
  readonly time?: number;
  /** Transactions of the first block that need not be in the mempool. They remove what conflicts. */
  readonly transactions?: readonly Uint8Array[];
  /** Leaves the mempool as it is. */
  readonly withoutMempool?: boolean;
}

const unable = (what: string): ChainError =>
  new ChainError('unable', `this view of the chain cannot ${what}`);

/** A transaction of `pay`: the outpoint is that of the first output. */
export interface Paid extends Outpoint {
  readonly bytes: Uint8Array;
}

export class MemoryChain implements Chain {
  readonly network: Network;
  readonly abilities: ChainAbilities;
  readonly #ledger: MemoryLedger;
  readonly #mempool: MemoryMempool;
  readonly #calls = new MemoryCalls();
  #firstReadable = 0;
  /** The change of the last transaction that `pay` made. */
  #change: Outpoint | undefined;
  /** The answer of `feePerKb`, in satoshi per 1,000 virtual bytes. */
  estimate: number | undefined = 5_000;

  constructor({
    network = 'regtest',
    time = 1_600_000_000,
    without = [],
  }: MemoryChainOptions = {}) {
    this.network = network;
    this.abilities = {
      mempool: !without.includes('mempool'),
      feeRates: !without.includes('feeRates'),
      foreignCoins: !without.includes('foreignCoins'),
      unspentSet: !without.includes('unspentSet'),
      quickHistory: !without.includes('quickHistory'),
      testAccept: !without.includes('testAccept'),
    };
    this.#ledger = new MemoryLedger(time, ANYONE, TREASURY);
    this.#mempool = new MemoryMempool(this.#ledger);
  }

  // What a test does to the chain.

  /** Mines blocks: the first one has the mempool. Returns the new tip. */
  mine(count = 1, options: MineOptions = {}): BlockInfo {
    const { script = ANYONE, withoutMempool = false } = options;
    const extra = (options.transactions ?? []).map(known);
    for (const tx of extra) for (const coin of tx.inputs) this.#evictOther(coin, tx.txid);
    const names = new Set(extra.map(({ txid }) => txid));
    const pending = withoutMempool ? [] : this.#mempool.transactions();
    const rest = pending.filter(({ txid }) => !names.has(txid));
    const start = options.time ?? this.#ledger.tip.time + BLOCK_SECONDS;
    for (let mined = 0; mined < count; mined += 1) {
      const transactions = mined === 0 ? [...extra, ...rest] : [];
      this.#ledger.append(transactions, start + mined * BLOCK_SECONDS, script);
    }
    this.#mempool.renew([]);
    this.#calls.changed();
    return this.#ledger.tip;
  }

  /** Pays a script from outside, into the mempool. */
  pay(script: string, value: number): Paid {
    return this.payAll([{ script, value }]);
  }

  /** Pays several scripts in one transaction, which has its change behind them. */
  payAll(outputs: readonly TransactionOutput[]): Paid {
    const coin = this.#treasury();
    const change = coin.value - PAY_FEE - outputs.reduce((sum, { value }) => sum + value, 0);
    const tx = unproven([coin], [...outputs, { script: ANYONE, value: change }]);
    this.#mempool.add(tx);
    this.#change = { txid: tx.txid, vout: outputs.length };
    this.#calls.changed();
    return { txid: tx.txid, vout: 0, bytes: tx.bytes };
  }

  /**
   * A transaction that spends the same coins as another, to other scripts. It is not sent: mine it with
   * `mine({ transactions })`, or broadcast it.
   */
  rival(transaction: Uint8Array, outputs: readonly TransactionOutput[]): Uint8Array {
    return unproven(known(transaction).inputs, outputs).bytes;
  }

  /**
   * Replaces the newest `depth` blocks by `blocks` others, which have `transactions` in the first one and
   * nothing else. What the old blocks had returns to the mempool where it is still valid.
   */
  reorganize(
    depth: number,
    {
      blocks = depth + 1,
      transactions = [],
    }: { blocks?: number; transactions?: readonly Uint8Array[] } = {},
  ): BlockInfo {
    const lost = Array.from({ length: depth }, () => this.#ledger.remove()).toReversed();
    const { time } = this.#ledger.tip;
    const extra = transactions.map(known);
    for (let mined = 0; mined < blocks; mined += 1) {
      // One second later than usual, so that the branches differ in time too.
      this.#ledger.append(mined === 0 ? extra : [], time + 1 + (mined + 1) * BLOCK_SECONDS, ANYONE);
    }
    this.#mempool.renew(lost.flatMap((block) => block.transactions.slice(1)));
    this.#calls.changed();
    return this.#ledger.tip;
  }

  /** Removes a transaction from the mempool, as a node does after two weeks or when it is full. */
  evict(txid: string): void {
    this.#mempool.evict(txid);
    this.#calls.changed();
  }

  /** Whether the mempool has it. */
  inMempool(txid: string): boolean {
    return this.#mempool.has(txid);
  }

  /** Blocks below this height can no longer be read. */
  prune(height: number): void {
    this.#firstReadable = height;
  }

  /** The least fee rate that is relayed, in satoshi per 1,000 virtual bytes; 1,000 at first. */
  setMinimumFee(feePerKb: number): void {
    this.#mempool.minimumFeePerKb = feePerKb;
  }

  /** The next `calls` calls reject with this error, all of them by default. */
  fail(error: Error = new ChainError('unreachable', 'nothing answers'), calls = Infinity): void {
    this.#calls.fail(error, calls);
  }

  /** Calls have no answer until `recover`: only an abort ends them. */
  hang(): void {
    this.#calls.hang();
  }

  /** Ends `fail` and `hang`. */
  recover(): void {
    this.#calls.recover();
  }

  // The port.

  async tip(signal?: AbortSignal): Promise<BlockInfo> {
    await this.#calls.turn(signal);
    return this.#ledger.tip;
  }

  async nextTip(from: BlockId, signal: AbortSignal): Promise<BlockInfo> {
    await this.#calls.turn(signal);
    await this.#calls.until(() => this.#ledger.tip.hash !== from.hash, signal);
    return this.#ledger.tip;
  }

  async blockAt(height: number, signal?: AbortSignal): Promise<BlockInfo | undefined> {
    await this.#calls.turn(signal);
    return this.#ledger.block(height)?.info;
  }

  async firstReadable(signal?: AbortSignal): Promise<number> {
    await this.#calls.turn(signal);
    return this.#firstReadable;
  }

  scan(request: ScanRequest): AsyncIterable<ScanStep> {
    const source = {
      ledger: this.#ledger,
      pruned: () => this.#firstReadable,
      turn: (signal: AbortSignal) => this.#calls.turn(signal),
    };
    return memoryScan(source, request);
  }

  async unspent(
    scripts: readonly string[],
    signal: AbortSignal,
    onProgress?: (done: number) => void,
  ): Promise<{ readonly block: BlockInfo; readonly outputs: readonly UnspentOutput[] }> {
    await this.#calls.turn(signal);
    if (!this.abilities.unspentSet) throw unable('list unspent outputs');
    const wanted = new Set(scripts);
    const outputs = [...this.#ledger.unspent()].filter(({ script }) => wanted.has(script));
    onProgress?.(1);
    return { block: this.#ledger.tip, outputs };
  }

  async coins(
    outpoints: readonly NamedOutpoint[],
    signal?: AbortSignal,
  ): Promise<readonly (ChainCoin | undefined)[]> {
    await this.#calls.turn(signal);
    if (!this.abilities.foreignCoins) return outpoints.map(() => undefined);
    const source = this.abilities.mempool ? this.#mempool : this.#ledger;
    return outpoints.map((outpoint) => {
      const coin = source.coin(outpoint);
      if (coin === undefined) return undefined;
      const { script, value, height } = coin;
      if (height < 0) return { script, value, confirmations: 0 };
      const confirmations = this.#ledger.tip.height - height + 1;
      // The genesis block holds the coins of `pay`.
      const coinbase = coin.coinbase && height > 0;
      return { script, value, confirmations, height, ...(coinbase && { coinbase }) };
    });
  }

  async transactionState(
    bytes: Uint8Array,
    height: number,
    signal?: AbortSignal,
  ): Promise<TransactionState> {
    await this.#calls.turn(signal);
    const tx = known(bytes);
    if (this.abilities.mempool && this.#mempool.has(tx.txid)) return { state: 'mempool' };
    const own = new Map(
      tx.inputs.map(({ txid, vout }) => [formatOutpoint({ txid, vout }), { txid, vout }]),
    );
    for (const { info, transactions } of this.#ledger.newest(height)) {
      if (transactions.some(({ txid }) => txid === tx.txid)) {
        const confirmations = this.#ledger.tip.height - info.height + 1;
        return { state: 'confirmed', confirmations, height: info.height };
      }
      const spent = transactions.flatMap(({ inputs }) => inputs).map(formatOutpoint);
      const outpoint = spent.map((name) => own.get(name)).find((coin) => coin !== undefined);
      if (outpoint !== undefined) return { state: 'conflict', outpoint, height: info.height };
    }
    const rival = [...own.values()].find((coin) => this.#mempool.spender(coin) !== undefined);
    if (!this.abilities.mempool || rival === undefined) return { state: 'unknown' };
    return { state: 'conflict', outpoint: rival, height: undefined };
  }

  async broadcast(transaction: Uint8Array): Promise<void> {
    await this.#calls.turn();
    const parsed = parseTransaction(transaction);
    if (!parsed.ok) throw new BroadcastError('refused', 'TX decode failed');
    const tx = parsed.value;
    // As a node does: only an output that is unspent shows that the transaction is confirmed.
    if (tx.outputs.some((_, vout) => this.#ledger.coin({ txid: tx.txid, vout }))) return;
    this.#mempool.add(tx);
    this.#calls.changed();
  }

  async testAccept(
    transaction: Uint8Array,
    signal?: AbortSignal,
  ): Promise<{ readonly accepted: true } | { readonly accepted: false; readonly reason: string }> {
    await this.#calls.turn(signal);
    if (!this.abilities.testAccept) throw unable('test a transaction');
    const parsed = parseTransaction(transaction);
    if (!parsed.ok) return { accepted: false, reason: 'TX decode failed' };
    const tx = parsed.value;
    try {
      if (!this.#mempool.has(tx.txid)) this.#mempool.check(tx);
      return { accepted: true };
    } catch (error) {
      if (error instanceof BroadcastError) return { accepted: false, reason: error.reason };
      throw error;
    }
  }

  async seen(txid: string, signal: AbortSignal): Promise<void> {
    await this.#calls.turn(signal);
    await this.#calls.until(() => this.#knows(txid), signal);
  }

  async feePerKb(_blocks: number, signal?: AbortSignal): Promise<number | undefined> {
    await this.#calls.turn(signal);
    if (!this.abilities.feeRates || this.estimate === undefined) return undefined;
    return Math.max(this.estimate, this.#mempool.minimumFeePerKb);
  }

  async minimumFeePerKb(signal?: AbortSignal): Promise<number | undefined> {
    await this.#calls.turn(signal);
    return this.abilities.feeRates ? this.#mempool.minimumFeePerKb : undefined;
  }

  async close(): Promise<void> {
    this.fail(new ChainError('unreachable', 'the chain was closed'));
  }

  #knows(txid: string): boolean {
    if (this.abilities.mempool && this.#mempool.has(txid)) return true;
    for (const { transactions } of this.#ledger.newest(0)) {
      if (transactions.some((tx) => tx.txid === txid)) return true;
    }
    return false;
  }

  /** The change of the last payment; the largest coin that anyone may spend, if that one is gone. */
  #treasury(): UnspentOutput {
    const last = this.#change && this.#mempool.coin(this.#change);
    if (last !== undefined) return last;
    let best: UnspentOutput | undefined;
    const consider = (coin: UnspentOutput | undefined): void => {
      if (coin?.script === ANYONE && coin.value > (best?.value ?? 0)) best = coin;
    };
    for (const coin of this.#ledger.unspent()) consider(this.#mempool.coin(coin));
    for (const { txid, outputs } of this.#mempool.transactions()) {
      consider(this.#mempool.coin({ txid, vout: outputs.length - 1 }));
    }
    if (best === undefined) throw new Error('all coins of the genesis block are spent');
    return best;
  }

  #evictOther(coin: Outpoint, txid: string): void {
    const spender = this.#mempool.spender(coin);
    if (spender !== undefined && spender !== txid) this.#mempool.evict(spender);
  }
}
