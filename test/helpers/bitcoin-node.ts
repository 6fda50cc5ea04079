/** A real bitcoind on regtest, in a temporary folder, for the duration of a test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { BitcoinNode, freePort, type BitcoinNodeOptions } from '../../src/lab/bitcoin-node/node.js';

export { BitcoinNode, freePort, NodeRpcError } from '../../src/lab/bitcoin-node/node.js';
export type { BitcoinNodeOptions } from '../../src/lab/bitcoin-node/node.js';

/** A running node until the end of the test. One per test file is enough: a start takes 0.3 s. */
export async function startBitcoinNode(
  t: Test,
  options: BitcoinNodeOptions = {},
): Promise<BitcoinNode> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-bitcoin-'));
  const node = new BitcoinNode(datadir, await freePort(), await freePort(), options);
  t.teardown(async () => {
    await node.stop('SIGKILL');
    await rm(datadir, { recursive: true, force: true, maxRetries: 5 });
  });
  await node.start();
  return node;
}
