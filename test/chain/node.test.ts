import t from 'tap';
import { startBitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { nodeWorld } from '../helpers/node-chain.js';
import { chainCompliance } from './compliance.js';

realNodeTest(t, 'a node with a filter index, without wallets', async (t) => {
  const node = await startBitcoinNode(t);
  chainCompliance(t, 'compliance', (t) => nodeWorld(t, node));
});

realNodeTest(t, 'a node without a filter index', async (t) => {
  const node = await startBitcoinNode(t, { filterIndex: false });
  chainCompliance(t, 'compliance', async (t) => {
    const world = await nodeWorld(t, node);
    t.notOk(world.chain.abilities.quickHistory);
    return world;
  });
});
