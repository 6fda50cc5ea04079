import { bytesToHex } from '@noble/hashes/utils.js';
import t, { type Test } from 'tap';
import { openNode, type OpenNodeOptions } from '../../src/chain/node/open-node.js';
import type { NodeChain } from '../../src/chain/node/node-chain.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startBitcoinNode, type BitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { CoinSource } from '../helpers/coin-source.js';
import { chainCompliance, type ChainWorld } from './compliance.js';

/** The chain of a node of the tests, closed at the end of the test. */
export async function openTestNode(
  t: Test,
  node: BitcoinNode,
  more: Partial<OpenNodeOptions> = {},
): Promise<NodeChain> {
  const chain = await openNode({
    settings: {
      network: 'regtest',
      host: '127.0.0.1',
      port: node.rpcPort,
      user: 'bitcoin',
      password: 'password',
      cookieFile: node.cookieFile,
    },
    clock: systemClock,
    pollMs: 20,
    ...more,
  });
  t.teardown(() => chain.close());
  return chain;
}

const hex = (transactions: readonly Uint8Array[]): string[] => transactions.map(bytesToHex);

async function worldOf(t: Test, node: BitcoinNode): Promise<ChainWorld> {
  const chain = await openTestNode(t, node);
  const source = new CoinSource(node);
  await source.fill(20);
  return {
    chain,
    async mine(count = 1, transactions) {
      if (transactions !== undefined) await node.mineExactly(hex(transactions));
      else await node.mine(count);
      return chain.tip();
    },
    async pay(outputs) {
      return source.pay(outputs);
    },
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

realNodeTest(t, 'with a filter index', async (t) => {
  const node = await startBitcoinNode(t);
  chainCompliance(t, 'compliance', (t) => worldOf(t, node));
});
realNodeTest(t, 'without a filter index', async (t) => {
  const node = await startBitcoinNode(t, { filterIndex: false });
  chainCompliance(t, 'compliance', (t) => worldOf(t, node));
});
