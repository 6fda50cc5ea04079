/** The two chains on which scenes of payments and bonds run. */
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Test } from 'tap';
import { MemoryChain, type MemoryChainOptions } from '../../../src/chain/memory.js';
import { openNode } from '../../../src/chain/node/open-node.js';
import type { Network } from '../../../src/protocol/constants.js';
import { systemClock } from '../../../src/overlay/system-clock.js';
import { startBitcoinNode } from '../../helpers/bitcoin-node.js';
import { CoinSource } from '../../helpers/coin-source.js';
import type { ChainControl } from './world.js';

/** A chain in memory, at height 120. */
export function memoryControl(
  t: Test,
  without: MemoryChainOptions['without'] = [],
  network: Network = 'regtest',
): ChainControl & { readonly chain: MemoryChain } {
  const chain = new MemoryChain({ without, network });
  t.teardown(() => chain.close());
  let now = chain.mine(120).time;
  return {
    chain,
    unixTime: () => now,
    async mine(count = 1, transactions) {
      now = chain.mine(count, transactions && { transactions, withoutMempool: true }).time;
    },
    async pay(script, value) {
      chain.pay(script, value);
    },
    async reorganize(depth, transactions) {
      now = chain.reorganize(depth, transactions && { transactions }).time;
    },
    async medianTime(time) {
      // Of eleven blocks, the first of the newest six has the median time.
      now = chain.mine(6, { time }).time;
    },
  };
}

/** A real node, at height 130; its clock is that of the test. */
export async function nodeControl(t: Test): Promise<ChainControl> {
  const node = await startBitcoinNode(t);
  let now = Math.floor(Date.now() / 1_000);
  await node.rpc('setmocktime', now);
  const source = new CoinSource(node);
  await source.fill(30);
  const chain = await openNode({
    settings: {
      network: 'regtest',
      host: '127.0.0.1',
      port: node.rpcPort,
      user: '',
      password: '',
      cookieFile: node.cookieFile,
    },
    clock: systemClock,
    pollMs: 20,
  });
  t.teardown(() => chain.close());
  return {
    chain,
    unixTime: () => now,
    async mine(count = 1, transactions) {
      if (transactions === undefined) await node.mine(count);
      else await node.mineExactly(transactions.map(bytesToHex));
    },
    async pay(script, value) {
      await source.pay([{ script, value }]);
    },
    async reorganize(depth, transactions = []) {
      await node.reorganize(depth, transactions.map(bytesToHex));
      await source.refresh();
    },
    async medianTime(time) {
      now = time;
      await node.rpc('setmocktime', time);
      await node.mine(6);
    },
  };
}
