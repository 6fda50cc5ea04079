/** What a node cannot do: pruned blocks, no filter index, one that is built, an own signet. */
import t from 'tap';
import { startBitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { nodeWorld, openTestNode, settingsOf } from '../helpers/node-chain.js';
import { signedTransaction, testScript } from '../helpers/test-keys.js';
import { faultOf, scanAll, TestWatch } from './compliance.js';

for (const filterIndex of [true, false]) {
  const kind = filterIndex ? 'with a filter index' : 'without a filter index';
  realNodeTest(t, `a pruned node ${kind}`, async (t) => {
    const args = ['-prune=1', '-fastprune'];
    const node = await startBitcoinNode(t, { filterIndex, args });
    const world = await nodeWorld(t, node);
    const { chain } = world;
    const script = testScript(70);
    const [early] = await world.pay([{ script, value: 40_000 }]);
    const { height } = await world.mine();
    if (early === undefined) return t.fail('nothing was paid');
    const spent = signedTransaction([early], [{ script: testScript(71), value: 39_000 }]);
    await world.send(spent);
    await node.mine(1_000);
    t.equal(await chain.firstReadable(), 0, 'nothing is pruned yet');
    await node.rpc('pruneblockchain', 700);
    const first = await chain.firstReadable();
    t.ok(first > height + 1 && first <= 701, `from ${first}`);
    const message = new RegExp(
      `^the bitcoin node at 127\\.0\\.0\\.1:\\d+ does not have block \\d+ \\(pruned, or not downloaded yet\\): rescan from a later height, or use a node that has it$`,
    );
    const watch = new TestWatch([script]);
    await t.rejects(scanAll(chain, watch, { from: height }), { message });
    t.equal(await faultOf(scanAll(chain, watch, { from: height })), 'unable');
    const [late] = await world.pay([{ script, value: 41_000 }]);
    await world.mine();
    const recent = new TestWatch([script]);
    await scanAll(chain, recent, { from: first });
    t.match(recent.found(), [{ txid: late?.txid }], 'what it has is found');
    const other = new TestWatch([testScript(72)]);
    const whole = scanAll(chain, other, { from: 1 });
    t.equal(
      await faultOf(whole),
      filterIndex ? 'none' : 'unable',
      'with filters, only blocks of interest are read',
    );
    t.same(
      (await chain.unspent([script], new AbortController().signal)).outputs.map(
        ({ value }) => value,
      ),
      [41_000],
      'unspent outputs need no blocks',
    );
    t.equal(await faultOf(chain.transactionState(spent, height)), 'none');
    return undefined;
  });
}

realNodeTest(t, 'an index that is switched on later, and off again', async (t) => {
  const node = await startBitcoinNode(t, { filterIndex: false });
  const world = await nodeWorld(t, node);
  const { chain } = world;
  const script = testScript(80);
  const [paid] = await world.pay([{ script, value: 40_000 }]);
  await world.mine(500);
  t.notOk(chain.abilities.quickHistory);
  await node.restart(['-blockfilterindex=1']);
  // While the index is built, blocks are read; afterwards they are searched. Nothing is left out.
  for (;;) {
    const watch = new TestWatch([script]);
    // oxlint-disable-next-line no-await-in-loop
    await scanAll(chain, watch, { from: 1 });
    t.match(watch.found(), [{ txid: paid?.txid }]);
    if (chain.abilities.quickHistory) break;
  }
  await node.restart();
  const watch = new TestWatch([script]);
  await scanAll(chain, watch, { from: 1 });
  t.match(watch.found(), [{ txid: paid?.txid }]);
  t.notOk(chain.abilities.quickHistory);
});

realNodeTest(t, 'facts for doctor, and other networks', async (t) => {
  const node = await startBitcoinNode(t, { network: 'signet', args: ['-blocksonly=1'] });
  const settings = settingsOf(node, { network: 'signet' });
  const chain = await openTestNode(t, node, { settings });
  t.equal(chain.network, 'signet');
  const facts = await chain.facts();
  t.match(facts, {
    chain: 'signet',
    height: 0,
    pruned: false,
    initialDownload: true,
    relays: false,
  });
  t.match(facts.filterIndex, { present: true });
  t.match(facts.userAgent, /^\/Satoshi:/);
  t.ok(facts.version >= 240_000);
  t.notOk(chain.abilities.mempool, 'it relays no transactions');
  const testnet = await startBitcoinNode(t, { network: 'testnet4' });
  const view = await openTestNode(t, testnet, {
    settings: settingsOf(testnet, { network: 'testnet' }),
  });
  t.equal((await view.facts()).chain, 'testnet4');
});
