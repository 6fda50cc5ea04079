import t from 'tap';
import { startBitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { CoinSource } from '../helpers/coin-source.js';
import { testScript } from '../helpers/test-keys.js';
realNodeTest(t, 'a node', async (t) => {
  const node = await startBitcoinNode(t);
  t.match(await node.rpc('getblockchaininfo'), { chain: 'regtest', blocks: 0 });
  const source = new CoinSource(node);
  await source.fill();
  const [paid] = await source.pay([{ script: testScript(5), value: 10_000 }]);
  t.ok(paid);
  await node.mine(3);
  await node.reorganize(2);
  await node.restart();
  await node.restart([], 'SIGKILL');
  t.equal(await node.rpc('getblockcount'), 114);
});
