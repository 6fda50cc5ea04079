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
/** Between two looks while the node runs the scan of another program. */
const BUSY_MS = 250;
/** Scans of one stretch that another program may spoil. */
const MOST_SPOILED = 20;
/** Transactions in one turn of the event loop. */
const PER_TURN = 200;

const SCAN = 'scanblocks';
/** Outputs that begin with it are in no filter (BIP158). */
const OP_RETURN = '6a';

/** The last scan of each client, which the next one awaits. */
const scans = new WeakMap<RpcClient, Promise<unknown>>();

const isSame = (a: readonly string[] | undefined, b: readonly string[]): boolean =>
  a !== undefined && a.toSorted().join() === b.toSorted().join();

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

  /** The bytes of a block. Rejects with `unable` when it is pruned, or not downloaded behind a snapshot. */
  async raw({ height, hash }: BlockId): Promise<Uint8Array> {
    try {
      const bytes = bytesIn('getblock', await this.#rpc.call('getblock', [hash, 0], this.#options));
      const block = parseBlock(bytes);
      if (!block.ok || block.value.header.hash !== hash) throw unexpected('getblock', 'block');
      return bytes;
    } catch (error) {
      // The second one after a snapshot (findings/knots-snapshot-blocks.sh).
      const isAbsent =
        hasCode(error, RPC_CODE.misc) && /pruned|not fully downloaded/i.test(error.reason);
      throw isAbsent ? this.absent(height) : error;
    }
  }

  /** One line about a block that the node does not have: pruned, or older than the snapshot it began with. */
  absent(height: number): ChainError {
    const text = `the bitcoin node at ${this.#rpc.where} does not have block ${height} (pruned, or not downloaded yet)`;
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
    return this.#searched(scripts, from, end);
  }

  /**
   * A second `start` is refused, but the running scan then forgets the blocks that it has found, and does not say
   * so (Knots 29.4, findings/knots-scanblocks-refused-start.sh). What was found first is lost first, so a script
   * of the first block shows whether anything is lost. Where the node has pruned that block, two scans in a
   * row must find the same. Undefined when the first block is replaced meanwhile.
   */
  async #searched(
    scripts: readonly string[],
    from: number,
    end: BlockId,
  ): Promise<readonly string[] | undefined> {
    const hash = await this.hashAt(from);
    if (hash === undefined) return undefined;
    const mark = await this.#scriptIn({ height: from, hash });
    const marked = mark === undefined ? scripts : [mark, ...scripts];
    const descriptors = marked.map((script) => `raw(${script})`);
    const params = ['start', descriptors, from, end.height, 'basic'];
    let before: readonly string[] | undefined;
    for (let spoiled = 0; spoiled < MOST_SPOILED; spoiled += 1) {
      // oxlint-disable-next-line no-await-in-loop -- the whole scan again
      const { complete, hashes } = readMatches(await this.#scanWhenFree(params));
      if (!complete)
        throw new ChainError('unable', 'another program stopped the scan of the node: try again');
      const isWhole = mark === undefined ? isSame(before, hashes) : hashes.includes(hash);
      if (isWhole) return hashes;
      // oxlint-disable-next-line no-await-in-loop
      if ((await this.hashAt(from)) !== hash) return undefined;
      before = hashes;
    }
    throw new ChainError('unable', 'another program disturbs the scans of the node: try again');
  }

  /** A script of a block that is in its filter. Undefined where the block is pruned, or pays no such script. */
  async #scriptIn(block: BlockId): Promise<string | undefined> {
    try {
      for await (const { outputs } of this.transactions(await this.raw(block))) {
        const output = outputs.find(({ script }) => script !== '' && !script.startsWith(OP_RETURN));
        if (output !== undefined) return output.script;
      }
    } catch (error) {
      if (!(error instanceof ChainError) || error.fault !== 'unable') throw error;
    }
    return undefined;
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

  /** A node runs one scan at a time; that of another program is awaited, and those of this one queue. */
  #scanWhenFree(params: readonly unknown[]): Promise<unknown> {
    const before = scans.get(this.#rpc) ?? Promise.resolve();
    const scan = before.then(() => this.#scan(params));
    scans.set(
      this.#rpc,
      scan.catch(() => {}),
    );
    return scan;
  }

  async #scan(params: readonly unknown[]): Promise<unknown> {
    const options = { ...this.#options, timeoutMs: SCAN_TIMEOUT_MS };
    for (;;) {
      this.#options.signal?.throwIfAborted();
      // Not by trying: a refused start spoils the scan that runs.
      // oxlint-disable-next-line no-await-in-loop
      if ((await this.#rpc.call(SCAN, ['status'], this.#options)) === null) {
        try {
          // oxlint-disable-next-line no-await-in-loop
          return await this.#rpc.call(SCAN, params, options);
        } catch (error) {
          if (!hasCode(error, RPC_CODE.parameter) || !/already in progress/i.test(error.reason))
            throw error;
        }
      }
      // oxlint-disable-next-line no-await-in-loop
      await this.#rpc.waits.pause(BUSY_MS, this.#options.signal);
    }
  }
}
