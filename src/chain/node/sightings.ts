/** Whether a transaction is in the mempool or a block, by its id alone. */
import type { BlockId } from '../ports.js';
import { inMempool, unspentOutputs } from './find-transaction.js';
import type { NodeBlocks } from './node-blocks.js';
import type { RpcClient } from './rpc-client.js';

/** Outputs that are looked up: a coinjoin has at most some dozens. */
const OUTPUTS = 50;
/** Blocks before the tip that are read at the first look. */
const RECENT_BLOCKS = 3;

export class Sightings {
  readonly #rpc: RpcClient;
  readonly #blocks: (signal: AbortSignal) => NodeBlocks;

  constructor(rpc: RpcClient, blocks: (signal: AbortSignal) => NodeBlocks) {
    this.#rpc = rpc;
    this.#blocks = blocks;
  }

  /** Looks in the mempool, among the unspent outputs, and in the blocks since the last look. */
  async look(
    txid: string,
    since: BlockId | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly seen: boolean; readonly tip: BlockId }> {
    const blocks = this.#blocks(signal);
    const tip = await blocks.tip();
    if (await inMempool(this.#rpc, txid, signal)) return { seen: true, tip };
    if (since?.hash === tip.hash) return { seen: false, tip };
    const outpoints = Array.from({ length: OUTPUTS }, (_, vout) => ({ txid, vout }));
    const outputs = await unspentOutputs(this.#rpc, outpoints, { mempool: true, signal });
    if (outputs.some((output) => output !== undefined)) return { seen: true, tip };
    return { seen: await this.#inBlocks(blocks, txid, since, tip), tip };
  }

  async #inBlocks(
    blocks: NodeBlocks,
    txid: string,
    since: BlockId | undefined,
    tip: BlockId,
  ): Promise<boolean> {
    const first = Math.min(since?.height ?? tip.height, tip.height) - RECENT_BLOCKS + 1;
    for (let height = tip.height; height >= Math.max(1, first); height -= 1) {
      // oxlint-disable-next-line no-await-in-loop -- the newest is the likeliest
      const hash = await blocks.hashAt(height);
      if (hash === undefined) continue;
      // oxlint-disable-next-line no-await-in-loop
      const bytes = await blocks.raw({ height, hash });
      // oxlint-disable-next-line no-await-in-loop
      for await (const transaction of blocks.transactions(bytes)) {
        if (transaction.txid === txid) return true;
      }
    }
    return false;
  }
}
