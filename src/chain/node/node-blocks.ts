/** The blocks of a node: by height, by hash, raw, and by the filter index. */
import { parseBlock } from '../../bitcoin/block.js';
import type { Transaction } from '../../bitcoin/transaction.js';
import { BlockExaminer } from '../concerning.js';
import { ChainError } from '../chain-error.js';
import type { BlockId, BlockInfo, FoundTransaction, Watch } from '../ports.js';
import {
  bytesIn,
  hashIn,
  readHeader,
  readMatches,
  unexpected,
  type HeaderAnswer,
} from './answers.js';
import type { RpcCallOptions, RpcClient, RpcOutcome } from './rpc-client.js';
import { hasCode, RPC_CODE } from './rpc-error.js';

/** A scan of a node takes minutes on a slow machine. */
const SCAN_TIMEOUT_MS = 3_600_000;
/** Between two attempts while the node runs the scan of another program. */
const BUSY_MS = 1_000;
/** Transactions in one turn of the event loop. */
const PER_TURN = 200;

const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

function resultOf(outcome: RpcOutcome | undefined): unknown {
  if (outcome === undefined) throw new ChainError('answer', 'the node left out an answer');
  if (!outcome.ok) throw outcome.error;
  return outcome.result;
}

/** With `patient` options, the node may be restarted between two calls. */
export class NodeBlocks {
  readonly #rpc: RpcClient;
  readonly #options: RpcCallOptions;

  constructor(rpc: RpcClient, options: RpcCallOptions) {
    this.#rpc = rpc;
    this.#options = options;
  }

  async tip(): Promise<BlockInfo> {
    const hash = await this.#rpc.call('getbestblockhash', [], this.#options);
    return (await this.header(hashIn('getbestblockhash', hash))).info;
  }

  /** The hash in the best chain; undefined above the tip. */
  async hashAt(height: number): Promise<string | undefined> {
    try {
      const hash = await this.#rpc.call('getblockhash', [height], this.#options);
      return hashIn('getblockhash', hash);
    } catch (error) {
      if (hasCode(error, RPC_CODE.parameter)) return undefined;
      throw error;
    }
  }

  /** The hashes from `from` to `to`; fewer when the best chain became shorter meanwhile. */
  async hashesBetween(from: number, to: number): Promise<readonly string[]> {
    const params = Array.from({ length: to - from + 1 }, (_, i) => [from + i]);
    const calls = params.map((place) => ({ method: 'getblockhash', params: place }));
    const outcomes = await this.#rpc.batch(calls, this.#options);
    const end = outcomes.findIndex(
      (outcome) => !outcome.ok && hasCode(outcome.error, RPC_CODE.parameter),
    );
    const present = end < 0 ? outcomes : outcomes.slice(0, end);
    return present.map((outcome) => hashIn('getblockhash', resultOf(outcome)));
  }

  async isBest({ height, hash }: BlockId): Promise<boolean> {
    return (await this.hashAt(height)) === hash;
  }

  async header(hash: string): Promise<HeaderAnswer> {
    const header = readHeader(await this.#rpc.call('getblockheader', [hash, true], this.#options));
    if (header.info.hash !== hash) throw unexpected('getblockheader', 'hash');
    return header;
  }

  async headers(hashes: readonly string[]): Promise<readonly HeaderAnswer[]> {
    const calls = hashes.map((hash) => ({ method: 'getblockheader', params: [hash, true] }));
    const outcomes = await this.#rpc.batch(calls, this.#options);
    return outcomes.map((outcome, i) => {
      const header = readHeader(resultOf(outcome));
      if (header.info.hash !== hashes[i]) throw unexpected('getblockheader', 'hash');
      return header;
    });
  }

  /** The bytes of a block. Rejects with `unable` when it is pruned. */
  async raw({ height, hash }: BlockId): Promise<Uint8Array> {
    try {
      const bytes = bytesIn('getblock', await this.#rpc.call('getblock', [hash, 0], this.#options));
      const block = parseBlock(bytes);
      if (!block.ok || block.value.header.hash !== hash) throw unexpected('getblock', 'block');
      return bytes;
    } catch (error) {
      if (hasCode(error, RPC_CODE.misc) && /pruned/i.test(error.reason)) throw this.pruned(height);
      throw error;
    }
  }

  /** One line about a block that the node no longer has. */
  pruned(height: number): ChainError {
    const text = `the bitcoin node at ${this.#rpc.where} is pruned and no longer has block ${height}`;
    return new ChainError(
      'unable',
      `${text}: rescan from a later height, or use a node that has it`,
    );
  }

  /** What a raw block has for a watch, read in slices. */
  async examine(bytes: Uint8Array, watch: Watch): Promise<readonly FoundTransaction[]> {
    const examiner = new BlockExaminer(watch);
    for await (const transaction of this.transactions(bytes)) examiner.examine(transaction);
    return examiner.found;
  }

  /** The transactions of a raw block, with pauses for the event loop. */
  async *transactions(bytes: Uint8Array): AsyncGenerator<Transaction, void, void> {
    const block = parseBlock(bytes);
    if (!block.ok) throw unexpected('getblock', 'block');
    let count = 0;
    for (const transaction of block.value.transactions()) {
      if (!transaction.ok) throw unexpected('getblock', 'transaction');
      yield transaction.value;
      count += 1;
      if (count % PER_TURN === 0) await nextTurn();
    }
  }

  /**
   * Hashes of the blocks between two heights that may concern the scripts, in any order. Undefined when
   * the node cannot tell, because the filters up to `end` are not built.
   */
  async matching(
    scripts: readonly string[],
    from: number,
    end: BlockId,
  ): Promise<readonly string[] | undefined> {
    if (scripts.length === 0) return [];
    // The scan leaves out blocks without a filter, with their neighbours, and does not say so (Knots 29.4,
    // findings/knots-scanblocks-behind-the-index.sh). Each filter is built on the one before, so that of the
    // last block shows that all are there.
    if (!(await this.#hasFilter(end.hash))) return undefined;
    const descriptors = scripts.map((script) => `raw(${script})`);
    const params = ['start', descriptors, from, end.height, 'basic'];
    const answer = readMatches(await this.#whenFree('scanblocks', params));
    if (!answer.complete)
      throw new ChainError('unable', 'another program stopped the scan of the node: try again');
    return answer.hashes;
  }

  async #hasFilter(hash: string): Promise<boolean> {
    try {
      await this.#rpc.call('getblockfilter', [hash, 'basic'], this.#options);
      return true;
    } catch (error) {
      // The index is off, or it is being built.
      if (hasCode(error, RPC_CODE.misc) || hasCode(error, RPC_CODE.internal)) return false;
      if (hasCode(error, RPC_CODE.notFound)) return false;
      throw error;
    }
  }

  /** A node runs one scan at a time; that of another program is awaited. */
  async #whenFree(method: string, params: readonly unknown[]): Promise<unknown> {
    const options = { ...this.#options, timeoutMs: SCAN_TIMEOUT_MS };
    for (;;) {
      try {
        // oxlint-disable-next-line no-await-in-loop
        return await this.#rpc.call(method, params, options);
      } catch (error) {
        if (!hasCode(error, RPC_CODE.parameter) || !/already in progress/i.test(error.reason))
          throw error;
      }
      // oxlint-disable-next-line no-await-in-loop
      await this.#rpc.waits.pause(BUSY_MS, this.#options.signal);
    }
  }
}
