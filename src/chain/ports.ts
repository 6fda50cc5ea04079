/**
 * The interface of a view of the block chain. The implementations are `memory` (tests, demo) and `node`
 * (Bitcoin Core and Knots). A later one reads compact filters without a node, so the wallet must not
 * assume a mempool, fee rates, or look-ups of coins that are not its own: it asks `abilities`.
 *
 * Scripts and txids are lower-case hex; txids and block hashes are in display order. Amounts are whole
 * satoshi, fee rates whole satoshi per 1,000 virtual bytes. Every call may reject with a `ChainError`, or
 * with the reason of the signal after an abort.
 */
import type { Network } from '../protocol/constants.js';
import type { NamedOutpoint, Outpoint } from '../protocol/outpoint.js';

/** A block by its place and its name. */
export interface BlockId {
  readonly height: number;
  readonly hash: string;
}

export interface BlockInfo extends BlockId {
  /** Time of the header, in Unix seconds. */
  readonly time: number;
  /** Median time of this block and the ten before it (BIP113), in Unix seconds. */
  readonly medianTime: number;
}

/** What a view can do. Answers of `false` are reasons to tell the user what is missing. */
export interface ChainAbilities {
  /** Sees transactions before they are in a block. */
  readonly mempool: boolean;
  /** Knows fee rates. */
  readonly feeRates: boolean;
  /** `coins` finds coins that the wallet does not watch. */
  readonly foreignCoins: boolean;
  /** `unspent` works. */
  readonly unspentSet: boolean;
  /** `scan` skips blocks that do not concern the wallet, without reading them (a filter index). */
  readonly quickHistory: boolean;
  /** `testAccept` works. */
  readonly testAccept: boolean;
}

/** An unspent output, confirmed or not. */
export interface ChainCoin {
  readonly script: string;
  readonly value: number;
  /** 0 while it is only in the mempool. */
  readonly confirmations: number;
  /** Height of its block; undefined in the mempool, and for views that do not know it. */
  readonly height?: number;
  /**
   * True for an output of a coinbase transaction, which can be spent from 100 confirmations on. Left out
   * for others, and by views that cannot tell.
   */
  readonly coinbase?: boolean;
}

/** An unspent output in a block. */
export interface UnspentOutput extends Outpoint {
  readonly script: string;
  readonly value: number;
  readonly height: number;
  readonly coinbase: boolean;
}

/** Scripts and coins of the wallet. It may grow while a scan runs, because a used address extends the range. */
export interface Watch {
  /** Every script, for views that must name them. A new array after it grew, the same array otherwise. */
  scripts(): readonly string[];
  hasScript(script: string): boolean;
  hasCoin(outpoint: Outpoint): boolean;
}

/** A transaction that pays a watched script or spends a watched coin. */
export interface FoundTransaction {
  readonly txid: string;
  /** The whole serialization, with witnesses. */
  readonly bytes: Uint8Array;
  /** Place in its block, from 0. Place 0 is the coinbase transaction. */
  readonly index: number;
}

/** A step of a scan, in order. */
export type ScanStep =
  /** The blocks above this one are no longer in the best chain. */
  | { readonly kind: 'rewind'; readonly to: BlockId }
  /**
   * This block was read, with what concerns the wallet. Blocks without anything may be left out. When the
   * watch grows because of a block, and more of its transactions then concern the wallet, the block is sent
   * again as a whole. New scripts are searched from that block on, not in earlier ones.
   */
  | {
      readonly kind: 'block';
      readonly block: BlockInfo;
      readonly transactions: readonly FoundTransaction[];
    }
  /** Everything up to this block was read. Always the last step; also sent at intervals before. */
  | { readonly kind: 'reached'; readonly block: BlockInfo };

export interface ScanRequest {
  /**
   * Blocks that the wallet has read, the newest first, with older ones at growing distances. The scan
   * continues behind the newest one that is in the best chain, after a `rewind` if it is not the first.
   * Empty: the scan begins with `from`.
   */
  readonly known: readonly BlockId[];
  /** Height of the first block to read, when none of `known` is in the best chain. */
  readonly from: number;
  readonly watch: Watch;
  readonly signal: AbortSignal;
  /** Share of the work that is done, 0 to 1, for a progress line. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** Where a transaction of ours is. */
export type TransactionState =
  | { readonly state: 'mempool' }
  | { readonly state: 'confirmed'; readonly confirmations: number; readonly height: number }
  /**
   * One of its coins is spent by another transaction, in a block (`height`) or in the mempool.
   */
  | { readonly state: 'conflict'; readonly outpoint: Outpoint; readonly height: number | undefined }
  /**
   * Not seen, and its coins are unspent as far as the view can tell. Also when a coin does not exist (any
   * more), because the transaction that creates it is not in the chain or the mempool.
   */
  | { readonly state: 'unknown' };

/** The block chain, and the mempool where `abilities.mempool` is true, as one source shows them. */
export interface Chain {
  readonly network: Network;
  readonly abilities: ChainAbilities;

  /** The best block. */
  tip(signal?: AbortSignal): Promise<BlockInfo>;
  /**
   * Resolves when the best block is another one than `known`. Waits while the source cannot be reached.
   */
  nextTip(known: BlockId, signal: AbortSignal): Promise<BlockInfo>;
  /** The block of the best chain at this height; undefined above the tip. */
  blockAt(height: number, signal?: AbortSignal): Promise<BlockInfo | undefined>;
  /** Height of the first block that `scan` can read: above 0 on a pruned node. */
  firstReadable(signal?: AbortSignal): Promise<number>;

  /** Reads blocks and yields what concerns the watch. Ends after the tip was reached. */
  scan(request: ScanRequest): AsyncIterable<ScanStep>;
  /**
   * Every confirmed unspent output of these scripts, without the mempool, at one block. A coin that the
   * mempool spends is still among them. Rejects where `abilities.unspentSet` is false.
   */
  unspent(
    scripts: readonly string[],
    signal: AbortSignal,
    onProgress?: (done: number) => void,
  ): Promise<{ readonly block: BlockInfo; readonly outputs: readonly UnspentOutput[] }>;

  /**
   * One answer for each name, in order; undefined for a coin that does not exist, that is spent (in the
   * mempool too, where there is one), or that the view cannot find. Metadata of a name is not proven.
   */
  coins(
    outpoints: readonly NamedOutpoint[],
    signal?: AbortSignal,
  ): Promise<readonly (ChainCoin | undefined)[]>;
  /**
   * Where a signed transaction of ours is. `bytes` is its serialization, `height` a height from which it
   * may be confirmed. Finds it by its coins and its outputs, not by an index of transactions.
   */
  transactionState(
    bytes: Uint8Array,
    height: number,
    signal?: AbortSignal,
  ): Promise<TransactionState>;
  /**
   * Sends a complete transaction to the network; resolves also when it is already in the mempool or in a
   * block. Rejects with a `BroadcastError` when the source refuses it.
   */
  broadcast(transaction: Uint8Array): Promise<void>;
  /** Whether the source would take it now; the reason when not. Sends nothing. */
  testAccept(
    transaction: Uint8Array,
    signal?: AbortSignal,
  ): Promise<{ readonly accepted: true } | { readonly accepted: false; readonly reason: string }>;
  /** Resolves when the transaction is in the mempool or a block; rejects only on failure or abort. */
  seen(txid: string, signal: AbortSignal): Promise<void>;
  /**
   * The fee rate for a confirmation within this many blocks, at least `minimumFeePerKb`; undefined when
   * there is no estimate.
   */
  feePerKb(blocks: number, signal?: AbortSignal): Promise<number | undefined>;
  /** The least fee rate that the source relays now; undefined when it does not know. */
  minimumFeePerKb(signal?: AbortSignal): Promise<number | undefined>;

  /** Ends open requests and timers. */
  close(): Promise<void>;
}
