/** The chain of a real node of the tests, and a world for the compliance suite. */
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Test } from 'tap';
import type { NodeChain } from '../../src/chain/node/node-chain.js';
import {
  openNode,
  type NodeSettings,
  type OpenNodeOptions,
} from '../../src/chain/node/open-node.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import type { BitcoinNode } from './bitcoin-node.js';
import { CoinSource } from './coin-source.js';
import type { ChainWorld } from '../chain/compliance.js';

/** What `[BLOCKCHAIN]` would say of a node. */
export function settingsOf(node: BitcoinNode, more: Partial<NodeSettings> = {}): NodeSettings {
  return {
    network: 'regtest',
    host: '127.0.0.1',
    port: node.rpcPort,
    user: 'bitcoin',
    password: 'password',
    cookieFile: node.cookieFile,
    ...more,
  };
}

/** The chain of a node, closed at the end of the test. */
export async function openTestNode(
  t: Test,
  node: BitcoinNode,
  more: Partial<OpenNodeOptions> = {},
): Promise<NodeChain> {
  const settings = settingsOf(node);
  const chain = await openNode({ settings, clock: systemClock, pollMs: 20, ...more });
  t.teardown(() => chain.close());
  return chain;
}

const hex = (transactions: readonly Uint8Array[]): string[] => transactions.map(bytesToHex);

/** A node with coins to pay from, and its chain. */
export async function nodeWorld(
  t: Test,
  node: BitcoinNode,
): Promise<ChainWorld & { readonly source: CoinSource; readonly chain: NodeChain }> {
  const chain = await openTestNode(t, node);
  const source = new CoinSource(node);
  await source.fill(20);
  return {
    chain,
    source,
    async mine(count = 1, transactions) {
      if (transactions !== undefined) await node.mineExactly(hex(transactions));
      else await node.mine(count);
      return chain.tip();
    },
    pay: (outputs) => source.pay(outputs),
    async send(transaction) {
      await node.rpc('sendrawtransaction', bytesToHex(transaction));
    },
    async reorganize(depth, transactions = []) {
      await node.reorganize(depth, hex(transactions));
      await source.refresh();
      return chain.tip();
    },
  };
}
