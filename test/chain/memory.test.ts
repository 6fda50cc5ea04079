import t, { type Test } from 'tap';
import { BroadcastError, ChainError } from '../../src/chain/chain-error.js';
import { MemoryChain, type MemoryChainOptions } from '../../src/chain/memory.js';
import { signedTransaction, testScript } from '../helpers/test-keys.js';
import { chainCompliance, faultOf, scanAll, TestWatch, type ChainWorld } from './compliance.js';

const signal = new AbortController().signal;

async function memoryWorld(t: Test, options: MemoryChainOptions = {}): Promise<ChainWorld> {
  const chain = new MemoryChain(options);
  t.teardown(() => chain.close());
  chain.mine(20);
  return {
    chain,
    async mine(count = 1, transactions) {
      return chain.mine(count, transactions && { transactions, withoutMempool: true });
    },
    async pay(outputs) {
      const { txid } = chain.payAll(outputs);
      return outputs.map((output, vout) => ({ txid, vout, ...output }));
    },
    send: (transaction) => chain.broadcast(transaction),
    async reorganize(depth, transactions) {
      return chain.reorganize(depth, transactions && { transactions });
    },
  };
}

chainCompliance(t, 'memory', (t) => memoryWorld(t));

void t.test('what a test can make go wrong', async (t) => {
  const chain = new MemoryChain();
  chain.fail(new ChainError('timeout', 'too slow'), 1);
  t.equal(await faultOf(chain.tip()), 'timeout');
  t.equal((await chain.tip()).height, 0, 'only one call failed');
  chain.fail();
  t.equal(await faultOf(chain.coins([])), 'unreachable');
  chain.recover();
  chain.hang();
  const answer = chain.tip();
  const abort = new AbortController();
  const aborted = chain.blockAt(0, abort.signal);
  abort.abort(new Error('stopped'));
  await t.rejects(aborted, { message: 'stopped' });
  chain.recover();
  t.equal((await answer).height, 0);
  const waiting = chain.nextTip(await chain.tip(), signal);
  await chain.close();
  t.equal(await faultOf(waiting), 'unreachable', 'closing ends what waits');
});

void t.test('a pruned block is refused', async (t) => {
  const chain = new MemoryChain();
  chain.mine(10);
  chain.prune(5);
  t.equal(await chain.firstReadable(), 5);
  t.equal(await faultOf(scanAll(chain, new TestWatch([]), { from: 4 })), 'unable');
  await scanAll(chain, new TestWatch([]), { from: 5 });
});

void t.test('a view without abilities', async (t) => {
  const without = ['mempool', 'feeRates', 'foreignCoins', 'unspentSet', 'testAccept'] as const;
  const chain = new MemoryChain({ without });
  const { bytes, txid, vout } = chain.pay(testScript(0), 5_000);
  t.same(await chain.transactionState(bytes, 0), { state: 'unknown' });
  t.same(await chain.coins([{ txid, vout }]), [undefined]);
  t.equal(await chain.feePerKb(2), undefined);
  t.equal(await chain.minimumFeePerKb(), undefined);
  t.equal(await faultOf(chain.unspent([], signal)), 'unable');
  t.equal(await faultOf(chain.testAccept(bytes)), 'unable');
  chain.mine();
  await chain.seen(txid, signal);
  t.match(await chain.transactionState(bytes, 0), { state: 'confirmed', confirmations: 1 });
});

void t.test('coinbase outputs are spent after 100 blocks; K9', async (t) => {
  const chain = new MemoryChain();
  const script = testScript(1);
  chain.mine(1, { script });
  const { outputs } = await chain.unspent([script], signal);
  const [coin] = outputs;
  if (coin === undefined) return t.fail('no reward');
  t.ok(coin.coinbase);
  const tx = signedTransaction([coin], [{ script, value: coin.value - 500 }]);
  chain.mine(98);
  await t.rejects(
    chain.broadcast(tx),
    new BroadcastError('refused', 'bad-txns-premature-spend-of-coinbase'),
  );
  chain.mine(1);
  await chain.broadcast(tx);
  t.match(await chain.transactionState(tx, 0), { state: 'mempool' });
  return undefined;
});

void t.test('what leaves the mempool, and what a block removes from it', async (t) => {
  const chain = new MemoryChain();
  const paid = chain.pay(testScript(2), 90_000);
  const child = signedTransaction(
    [{ ...paid, script: testScript(2), value: 90_000 }],
    [{ script: testScript(3), value: 89_000 }],
  );
  await chain.broadcast(child);
  chain.evict(paid.txid);
  t.same(await chain.transactionState(child, 0), { state: 'unknown' }, 'descendants leave too');
  await chain.broadcast(paid.bytes);
  await chain.broadcast(child);
  const rival = chain.rival(paid.bytes, [{ script: testScript(4), value: 1_000 }]);
  chain.mine(1, { transactions: [rival] });
  t.notOk(chain.inMempool(paid.txid));
  t.match(await chain.transactionState(paid.bytes, 0), { state: 'conflict', height: 1 });
  t.throws(() => chain.mine(1, { transactions: [paid.bytes] }), /missingorspent/);
});
