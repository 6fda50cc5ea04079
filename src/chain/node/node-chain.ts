/** The block chain as Bitcoin Core or Knots shows it, without a wallet in the node. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { parseTransaction } from '../../bitcoin/transaction.js';
import type { Clock } from '../../kit/clock.js';
import type { Network } from '../../protocol/constants.js';
import type { NamedOutpoint } from '../../protocol/outpoint.js';
import { BroadcastError, ChainError } from '../chain-error.js';
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
} from '../ports.js';
import { readFeeEstimate, readMinimumFee, readTestAccept } from './answers.js';
import { findTransaction, unspentOutputs } from './find-transaction.js';
import { NodeBlocks } from './node-blocks.js';
import { canMatch, checkFacts, readFacts, type NodeFacts } from './node-facts.js';
import { NodeScan } from './node-scan.js';
import { isKnownAlready, refusalOf } from './refusals.js';
import type { RpcClient } from './rpc-client.js';
import { hasCode, RpcError, RPC_CODE } from './rpc-error.js';
import { Sightings } from './sightings.js';
import { scanUnspent } from './unspent-scan.js';

/** Targets that `estimatesmartfee` takes. */
const MOST_BLOCKS = 1_008;

export interface NodeChainOptions {
  readonly rpc: RpcClient;
  readonly network: Network;
  readonly clock: Clock;
  /** Between two questions for the best block. Default: 5 s. */
  readonly pollMs?: number;
}

const POLL_MS = 5_000;

export class NodeChain implements Chain {
  readonly network: Network;
  readonly #rpc: RpcClient;
  readonly #clock: Clock;
  readonly #pollMs: number;
  readonly #sightings: Sightings;
  #facts: NodeFacts;

  private constructor(options: NodeChainOptions, facts: NodeFacts) {
    const { rpc, network, clock, pollMs = POLL_MS } = options;
    this.network = network;
    this.#rpc = rpc;
    this.#clock = clock;
    this.#pollMs = pollMs;
    this.#facts = facts;
    this.#sightings = new Sightings(rpc, (signal) => new NodeBlocks(rpc, { signal }));
  }

  /**
   * Asks the node about itself. Rejects with a `ChainError` when it cannot be reached, refuses access, is
   * of another network or too old.
   */
  static async open(options: NodeChainOptions, signal?: AbortSignal): Promise<NodeChain> {
    const facts = await readFacts(options.rpc, signal);
    checkFacts(facts, options.network, options.rpc.where);
    return new NodeChain(options, facts);
  }

  get abilities(): ChainAbilities {
    return {
      mempool: this.#facts.relays,
      feeRates: true,
      foreignCoins: true,
      unspentSet: true,
      quickHistory: canMatch(this.#facts),
      testAccept: true,
    };
  }

  /** What the node says about itself now; `abilities` follow. */
  async facts(signal?: AbortSignal): Promise<NodeFacts> {
    const facts = await readFacts(this.#rpc, signal);
    checkFacts(facts, this.network, this.#rpc.where);
    this.#facts = facts;
    return facts;
  }

  tip(signal?: AbortSignal): Promise<BlockInfo> {
    return this.#blocks(signal).tip();
  }

  /** A node that is gone is asked again until it answers. */
  async nextTip(known: BlockId, signal: AbortSignal): Promise<BlockInfo> {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop
      const tip = await this.#unlessGone(() => this.tip(signal));
      if (tip !== undefined && tip.hash !== known.hash) return tip;
      // oxlint-disable-next-line no-await-in-loop
      await this.#wait(signal);
    }
  }

  async blockAt(height: number, signal?: AbortSignal): Promise<BlockInfo | undefined> {
    const blocks = this.#blocks(signal);
    const hash = await blocks.hashAt(height);
    return hash === undefined ? undefined : (await blocks.header(hash)).info;
  }

  async firstReadable(signal?: AbortSignal): Promise<number> {
    return (await this.facts(signal)).firstBlock;
  }

  async *scan(request: ScanRequest): AsyncIterable<ScanStep> {
    const { firstBlock } = await this.facts(request.signal);
    const source = {
      blocks: new NodeBlocks(this.#rpc, { signal: request.signal, patient: true }),
      clock: this.#clock,
      quick: this.abilities.quickHistory,
      firstReadable: firstBlock,
    };
    yield* new NodeScan(source, request).steps();
  }

  async unspent(
    scripts: readonly string[],
    signal: AbortSignal,
    onProgress?: (done: number) => void,
  ): Promise<{ readonly block: BlockInfo; readonly outputs: readonly UnspentOutput[] }> {
    const { bestBlock, outputs } = await scanUnspent(this.#rpc, scripts, signal, onProgress);
    // The node may be restarted between the two calls too.
    const blocks = new NodeBlocks(this.#rpc, { signal, patient: true });
    return { block: (await blocks.header(bestBlock)).info, outputs };
  }

  async coins(
    outpoints: readonly NamedOutpoint[],
    signal?: AbortSignal,
  ): Promise<readonly (ChainCoin | undefined)[]> {
    const outputs = await unspentOutputs(this.#rpc, outpoints, { mempool: true, signal });
    const heights = new Map<string, number>();
    const blocks = this.#blocks(signal);
    for (const output of outputs) {
      if (output === undefined || output.confirmations === 0 || heights.has(output.bestBlock))
        continue;
      // oxlint-disable-next-line no-await-in-loop -- almost always the same block for all
      heights.set(output.bestBlock, (await blocks.header(output.bestBlock)).info.height);
    }
    return outputs.map((output) => {
      if (output === undefined) return undefined;
      const { script, value, confirmations, coinbase, bestBlock } = output;
      const best = heights.get(bestBlock);
      if (confirmations === 0 || best === undefined) return { script, value, confirmations: 0 };
      const height = best - confirmations + 1;
      return { script, value, confirmations, height, ...(coinbase && { coinbase }) };
    });
  }

  async transactionState(
    bytes: Uint8Array,
    height: number,
    signal?: AbortSignal,
  ): Promise<TransactionState> {
    const tx = parseTransaction(bytes);
    if (!tx.ok) throw new ChainError('unable', `the bytes are not a transaction (${tx.reason})`);
    const finder = {
      rpc: this.#rpc,
      blocks: this.#blocks(signal),
      signal,
      firstReadable: this.#facts.firstBlock,
    };
    return findTransaction(finder, tx.value, height);
  }

  async broadcast(transaction: Uint8Array): Promise<void> {
    try {
      await this.#rpc.call('sendrawtransaction', [bytesToHex(transaction)]);
    } catch (error) {
      if (hasCode(error, RPC_CODE.alreadyInChain)) return;
      throw error instanceof RpcError ? (refusalOf(error) ?? error) : error;
    }
  }

  async testAccept(
    transaction: Uint8Array,
    signal?: AbortSignal,
  ): Promise<{ readonly accepted: true } | { readonly accepted: false; readonly reason: string }> {
    try {
      const hex = bytesToHex(transaction);
      const reason = readTestAccept(await this.#rpc.call('testmempoolaccept', [[hex]], { signal }));
      if (reason === undefined || isKnownAlready(reason)) return { accepted: true };
      return { accepted: false, reason };
    } catch (error) {
      const refusal = error instanceof RpcError ? refusalOf(error) : undefined;
      if (refusal instanceof BroadcastError) return { accepted: false, reason: refusal.reason };
      throw error;
    }
  }

  async seen(txid: string, signal: AbortSignal): Promise<void> {
    let known: BlockId | undefined;
    for (;;) {
      const before = known;
      // oxlint-disable-next-line no-await-in-loop
      const look = await this.#unlessGone(() => this.#sightings.look(txid, before, signal));
      if (look?.seen === true) return;
      known = look?.tip ?? known;
      // oxlint-disable-next-line no-await-in-loop
      await this.#wait(signal);
    }
  }

  async feePerKb(blocks: number, signal?: AbortSignal): Promise<number | undefined> {
    const target = Math.min(MOST_BLOCKS, Math.max(1, Math.ceil(blocks)));
    const answer = await this.#rpc.call('estimatesmartfee', [target], { signal });
    const estimate = readFeeEstimate(answer);
    if (estimate === undefined) return undefined;
    return Math.max(estimate, (await this.minimumFeePerKb(signal)) ?? 0);
  }

  async minimumFeePerKb(signal?: AbortSignal): Promise<number | undefined> {
    return readMinimumFee(await this.#rpc.call('getmempoolinfo', [], { signal }));
  }

  async close(): Promise<void> {
    this.#rpc.close();
  }

  #blocks(signal: AbortSignal | undefined): NodeBlocks {
    return new NodeBlocks(this.#rpc, { signal });
  }

  #wait(signal: AbortSignal): Promise<void> {
    return this.#rpc.waits.pause(this.#pollMs, signal);
  }

  /** Undefined while the node cannot be reached or does not answer in time. */
  async #unlessGone<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ChainError)) throw error;
      if (error.fault === 'unreachable' || error.fault === 'timeout' || error.fault === 'starting')
        return undefined;
      throw error;
    }
  }
}
