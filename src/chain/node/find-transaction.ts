/**
 * Where a transaction is, without an index of transactions: by its outputs, by the coins that it spends,
 * and by what spends them. The answer to a rebroadcast says nothing: a confirmed transaction whose outputs
 * are spent gets the same one as a lost double spend.
 */
import { bytesToHex } from '@noble/hashes/utils.js';
import { nestedP2wpkh, p2wpkh, p2wsh } from '../../bitcoin/script.js';
import type { SignedInput, Transaction } from '../../bitcoin/transaction.js';
import { formatOutpoint, type Outpoint } from '../../protocol/outpoint.js';
import type { BlockId, BlockInfo, TransactionState } from '../ports.js';
import { readOutput, readSpenders, type OutputAnswer } from './answers.js';
import type { NodeBlocks } from './node-blocks.js';
import type { RpcClient } from './rpc-client.js';
import { hasCode, RPC_CODE } from './rpc-error.js';

/** Blocks that one search by filters covers. */
const SEARCH_STRETCH = 5_000;
const READ_STRETCH = 100;

interface Finder {
  readonly rpc: RpcClient;
  readonly blocks: NodeBlocks;
  readonly signal: AbortSignal | undefined;
  readonly firstReadable: number;
}

/** One answer of `gettxout` for each coin. */
export async function unspentOutputs(
  rpc: RpcClient,
  coins: readonly Outpoint[],
  { mempool, signal }: { mempool: boolean; signal: AbortSignal | undefined },
): Promise<readonly (OutputAnswer | undefined)[]> {
  const calls = coins.map(({ txid, vout }) => ({
    method: 'gettxout',
    params: [txid, vout, mempool],
  }));
  return (await rpc.batch(calls, { signal })).map((outcome) => {
    if (!outcome.ok) throw outcome.error;
    return readOutput(outcome.result);
  });
}

/** Whether the mempool has a transaction. */
export async function inMempool(
  rpc: RpcClient,
  txid: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    await rpc.call('getmempoolentry', [txid], { signal });
    return true;
  } catch (error) {
    if (hasCode(error, RPC_CODE.notFound)) return false;
    throw error;
  }
}

/** The state of a transaction that may be in a block from `height` on. */
export async function findTransaction(
  finder: Finder,
  tx: Transaction,
  height: number,
): Promise<TransactionState> {
  const { rpc, blocks, signal } = finder;
  const { txid, inputs } = tx;
  if (await inMempool(rpc, txid, signal)) return { state: 'mempool' };
  const outpoints = Array.from({ length: tx.outputCount }, (_, vout) => ({ txid, vout }));
  const own = (await unspentOutputs(rpc, outpoints, { mempool: false, signal })).find(
    (output) => output !== undefined,
  );
  if (own !== undefined) {
    const best = await blocks.header(own.bestBlock);
    const { confirmations } = own;
    return { state: 'confirmed', confirmations, height: best.info.height - confirmations + 1 };
  }
  const coins = inputs.map(({ txid: from, vout }) => ({ txid: from, vout }));
  const before = await unspentOutputs(rpc, coins, { mempool: true, signal });
  const missing = coins.filter((_, i) => before[i] === undefined);
  if (missing.length === 0) return { state: 'unknown' };
  const rival = await mempoolSpender(rpc, missing, txid, signal);
  if (rival === 'own') return { state: 'mempool' };
  if (rival !== undefined) return { state: 'conflict', outpoint: rival, height: undefined };
  const place = await findInBlocks(finder, tx, Math.max(1, height));
  if (place === undefined) return { state: 'unknown' };
  if (place.spent !== undefined) {
    return { state: 'conflict', outpoint: place.spent, height: place.block.height };
  }
  const confirmations = place.tip.height - place.block.height + 1;
  return { state: 'confirmed', confirmations, height: place.block.height };
}

/** The first of the coins that a transaction of the mempool spends; `own` if that is this transaction. */
async function mempoolSpender(
  rpc: RpcClient,
  coins: readonly Outpoint[],
  txid: string,
  signal: AbortSignal | undefined,
): Promise<Outpoint | 'own' | undefined> {
  const answer = await rpc.call('gettxspendingprevout', [coins], { signal });
  const spenders = readSpenders(answer, coins.length);
  if (spenders.includes(txid)) return 'own';
  return coins.find((_, i) => spenders[i] !== undefined);
}

interface Place {
  readonly block: BlockId;
  readonly tip: BlockInfo;
  /** The coin that another transaction spends there; undefined when it is this transaction. */
  readonly spent: Outpoint | undefined;
}

/** The block that has the transaction, or another one that spends one of its coins. */
async function findInBlocks(
  { blocks, firstReadable }: Finder,
  tx: Transaction,
  from: number,
): Promise<Place | undefined> {
  const tip = await blocks.tip();
  const scripts = searchScripts(tx);
  let at = from;
  while (at <= tip.height) {
    // oxlint-disable-next-line no-await-in-loop -- one stretch after the other
    const stretch = await nextStretch(blocks, scripts, at, tip.height);
    for (const hash of stretch.hashes) {
      // oxlint-disable-next-line no-await-in-loop
      const { info, best } = await blocks.header(hash);
      if (!best) continue;
      if (info.height < firstReadable && scripts === undefined) throw blocks.absent(info.height);
      // oxlint-disable-next-line no-await-in-loop
      const found = await lookInBlock(blocks, info, tx);
      if (found !== undefined)
        return { block: info, tip, spent: found === 'own' ? undefined : found };
    }
    at = stretch.next;
  }
  return undefined;
}

/** Hashes of the blocks to read, and the height behind them. */
async function nextStretch(
  blocks: NodeBlocks,
  scripts: readonly string[] | undefined,
  from: number,
  tip: number,
): Promise<{ readonly hashes: readonly string[]; readonly next: number }> {
  const to = Math.min(tip, from + SEARCH_STRETCH - 1);
  const hash = scripts === undefined ? undefined : await blocks.hashAt(to);
  if (scripts !== undefined && hash !== undefined) {
    const hashes = await blocks.matching(scripts, from, { height: to, hash });
    if (hashes !== undefined) return { hashes, next: to + 1 };
  }
  const end = Math.min(tip, from + READ_STRETCH - 1);
  return { hashes: await blocks.hashesBetween(from, end), next: end + 1 };
}

async function lookInBlock(
  blocks: NodeBlocks,
  block: BlockId,
  tx: Transaction,
): Promise<'own' | Outpoint | undefined> {
  const coins = new Set(tx.inputs.map(({ txid, vout }) => formatOutpoint({ txid, vout })));
  const bytes = await blocks.raw(block);
  for await (const other of blocks.transactions(bytes)) {
    for (const coin of other.spends()) {
      if (coins.has(formatOutpoint(coin))) return other.txid === tx.txid ? 'own' : coin;
    }
  }
  return undefined;
}

/**
 * Scripts that are in the filter of the block which has the transaction or a conflict: those of the coins
 * that it spends, as far as the proofs show them. Undefined when one of them is not shown.
 */
function searchScripts(tx: Transaction): readonly string[] | undefined {
  const scripts = tx.inputs.map(spentScript);
  const shown = scripts.filter((script) => script !== undefined);
  return shown.length === scripts.length ? [...new Set(shown)] : undefined;
}

/** The scriptPubKey of a spent coin, by its proof: single keys with segwit, and witness scripts. */
function spentScript({ scriptSig, witness }: SignedInput): string | undefined {
  const last = witness.at(-1);
  if (last === undefined) return undefined;
  const isKey = witness.length === 2 && last.length === 33 && (last[0] === 2 || last[0] === 3);
  if (scriptSig.length > 0) {
    const nested = isKey && bytesToHex(scriptSig) === `16${p2wpkh(last)}`;
    return nested ? nestedP2wpkh(last) : undefined;
  }
  if (isKey) return p2wpkh(last);
  // A taproot proof ends with a control block, a key path has one item.
  if (witness.length === 1 || (last.length % 32 === 1 && ((last[0] ?? 0) & 0xfe) === 0xc0))
    return undefined;
  return p2wsh(last);
}
