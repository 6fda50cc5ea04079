/** The block chain of the demo: a bitcoind on regtest where there is one, the chain in memory otherwise. */
import { join } from 'node:path';
import { bytesToHex } from '@noble/hashes/utils.js';
import {
  parseTransaction,
  serializeTransaction,
  type TransactionOutput,
} from '../../bitcoin/transaction.js';
import { MemoryChain } from '../../chain/memory.js';
import { openNode } from '../../chain/node/open-node.js';
import type { Chain } from '../../chain/ports.js';
import { mkdir } from 'node:fs/promises';
import { systemClock } from '../../overlay/system-clock.js';
import { BitcoinNode, freePort } from '../bitcoin-node/node.js';
import { bitcoinCommand } from '../bitcoin-node/program.js';
import type { Progress } from './overlays.js';

export const NETWORK = 'regtest';

export interface DemoChain {
  readonly kind: 'node' | 'memory';
  readonly chain: Chain;
  /** Pays these outputs in a block; call it once. */
  fund(outputs: readonly TransactionOutput[]): Promise<void>;
  /** Mines what waits in the mempool, and further empty blocks. */
  mine(blocks: number): Promise<void>;
  close(): Promise<void>;
}

/** Anybody can spend it: the coins of the demo begin with it. */
const OP_TRUE = '51';
/** Blocks until the reward of the first one can be spent. */
const MATURITY = 100;
/** Satoshi. */
const REWARD = 5_000_000_000;
const POLL_MS = 200;
/** Blocks of the chain in memory are ten minutes apart; the last one is of now. */
const AGE_SECONDS = 86_400;

/**
 * @param folder for the files of a node; exists
 * @param signal ends the start of the node
 */
export async function startDemoChain(
  folder: string,
  signal: AbortSignal,
  progress: Progress,
): Promise<DemoChain> {
  if (bitcoinCommand('bitcoind') === undefined) {
    return memoryDemoChain(progress);
  }
  return nodeDemoChain(folder, signal, progress);
}

/** Says that it is in memory. */
export function memoryDemoChain(progress: Progress): DemoChain {
  progress('chain', 'no bitcoind here: the chain is in memory, and signatures are not checked');
  const chain = new MemoryChain({
    network: NETWORK,
    time: Math.floor(Date.now() / 1000) - AGE_SECONDS,
  });
  return {
    kind: 'memory',
    chain,
    async fund(outputs) {
      chain.payAll(outputs);
      chain.mine();
    },
    async mine(blocks) {
      chain.mine(blocks);
    },
    close: () => chain.close(),
  };
}

async function nodeDemoChain(
  folder: string,
  signal: AbortSignal,
  progress: Progress,
): Promise<DemoChain> {
  const datadir = join(folder, 'bitcoin');
  await mkdir(datadir, { mode: 0o700 });
  const node = new BitcoinNode(datadir, await freePort(), await freePort(), { filterIndex: false });
  const kill = (): void => void node.stop('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    signal.throwIfAborted();
    await node.start();
    const { subversion } = await node.rpc<{ subversion: string }>('getnetworkinfo');
    progress('chain', `bitcoind ${subversion} on regtest, of this demo alone`);
    const hash = await node.mine(1, OP_TRUE);
    await node.mine(MATURITY);
    const chain = await openNode({
      settings: {
        network: NETWORK,
        host: '127.0.0.1',
        port: node.rpcPort,
        user: '',
        password: '',
        cookieFile: node.cookieFile,
      },
      clock: systemClock,
      pollMs: POLL_MS,
      signal,
    });
    return {
      kind: 'node',
      chain,
      async fund(outputs) {
        const { tx } = await node.rpc<{ tx: readonly string[] }>('getblock', hash, 1);
        await node.mineExactly([bytesToHex(rewardTo(outputs, tx[0] ?? ''))]);
      },
      async mine(blocks) {
        await node.mine(blocks);
      },
      async close() {
        await chain.close();
        await node.stop('SIGKILL');
      },
    };
  } catch (error) {
    await node.stop('SIGKILL');
    throw error;
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

/** A transaction that spends the reward of the first block: it needs no signature. */
function rewardTo(outputs: readonly TransactionOutput[], txid: string): Uint8Array {
  const paid = outputs.reduce((sum, { value }) => sum + value, 0);
  const inputs = [{ txid, vout: 0, sequence: 0xffff_ffff }];
  const rest = { script: OP_TRUE, value: REWARD - paid };
  const bytes = serializeTransaction({
    version: 2,
    lockTime: 0,
    inputs,
    outputs: [...outputs, rest],
  });
  const parsed = parseTransaction(bytes);
  if (!parsed.ok) throw new Error(`the first payment of the demo is malformed: ${parsed.reason}`);
  return bytes;
}
