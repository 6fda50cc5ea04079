/** What a wallet knows after it read the chain again, from the beginning or from a later height. */
import t from 'tap';
import { MemoryChain } from '../../src/chain/memory.js';
import { serializeTransaction } from '../../src/bitcoin/transaction.js';
import type { WalletCoin } from '../../src/wallet/api.js';
import { createWalletWorld, MemoryStore, type WalletWorld } from '../helpers/wallet-world.js';

const COIN = 100_000_000;
const FOREIGN = `0014${'77'.repeat(20)}`;
const { signal } = new AbortController();

/** A wallet with one coin of its mixdepth 0 in a block, on a chain of 300 blocks. */
async function funded(): Promise<WalletWorld & { readonly script: string }> {
  const chain = new MemoryChain();
  chain.mine(300 - (await chain.tip()).height);
  const world = await createWalletWorld({}, chain);
  const { script } = await world.wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  chain.pay(script, COIN);
  chain.mine();
  await world.sync();
  return { ...world, script };
}

/** Pays most of a coin to another party, with change, and sends it. */
async function spend({ wallet, chain }: WalletWorld, coin: WalletCoin): Promise<void> {
  const change = await wallet.handOut({ mixdepth: 0, purpose: 'change' });
  const signed = await wallet.sign({
    transaction: serializeTransaction({
      version: 2,
      lockTime: 0,
      inputs: [{ txid: coin.txid, vout: coin.vout, sequence: 0xffff_fffd }],
      outputs: [
        { script: FOREIGN, value: 1_000_000 },
        { script: change.script, value: coin.value - 1_000_500 },
      ],
    }),
    kind: 'send',
    coins: [{ txid: coin.txid, vout: coin.vout }],
    mostSpent: 1_000_500,
  });
  await chain.broadcast(signed.complete?.bytes ?? new Uint8Array());
  await wallet.markSeen(signed.unsignedTxid, true);
}

function only(world: WalletWorld): WalletCoin {
  const [coin, ...more] = world.wallet.coins();
  if (coin === undefined || more.length > 0) throw new Error('one coin is expected');
  return coin;
}

t.test('change of a payment below the first block that is read counts once', async (t) => {
  const world = await funded();
  const { wallet, chain } = world;
  await spend(world, only(world));
  chain.mine();
  await world.sync();
  const left = COIN - 1_000_500;
  t.equal(wallet.summary().total, left);
  chain.mine(200);
  await wallet.rescan({ signal, from: 400 });
  t.equal(wallet.summary().total, left);
  t.same(
    wallet.coins().map(({ value, origin }) => [value, origin]),
    [[left, 'change']],
  );
  t.same(
    wallet.signedTransactions().map(({ state }) => state),
    ['confirmed'],
    'it is not sent again',
  );
  t.same(wallet.history(), [], 'the history before is not known');
  const copy = await world.reopen();
  await copy.sync();
  t.equal(copy.wallet.summary().total, left);
  await copy.wallet.rescan({ signal, from: 0 });
  t.equal(copy.wallet.summary().total, left);
  t.same(
    copy.wallet.history().map(({ state }) => state),
    ['confirmed', 'confirmed'],
  );
});

t.test('a payment whose confirmation was never read, and its change', async (t) => {
  const world = await funded();
  const { wallet, chain } = world;
  await spend(world, only(world));
  chain.mine(200);
  // An old backup: the journal ends with the payment in the mempool.
  await wallet.rescan({ signal, from: 400 });
  t.equal(wallet.summary().total, COIN - 1_000_500);
  t.equal(wallet.coins().length, 1);
  t.same(
    wallet.history().map(({ change, balance }) => [change, balance]),
    [[0, 0]],
  );
});

t.test('a rescan from the birth height needs no set of unspent coins', async (t) => {
  const chain = new MemoryChain();
  chain.mine(300 - (await chain.tip()).height);
  const world = await createWalletWorld({ birthHeight: 300 }, chain);
  const { script } = await world.wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  chain.pay(script, COIN);
  chain.mine(3);
  await world.sync();
  const report = await world.wallet.rescan({ signal });
  t.same(report.notes, []);
  t.equal(world.wallet.history().length, 1);
  t.equal((await world.wallet.handOut({ mixdepth: 0, purpose: 'deposit' })).index, 1);
});

t.test('a reorganisation below the first block of a rescan', async (t) => {
  const world = await funded();
  const { wallet, chain, script } = world;
  chain.mine(10);
  const { bytes } = chain.pay(script, 7_000);
  const { height } = chain.mine();
  await world.sync();
  const writes = world.store.writes.length;
  await t.rejects(wallet.rescan({ signal, from: height + 1 }), {
    message: `there is no block ${height + 1} yet: the best block is ${height}`,
  });
  t.equal(world.store.writes.length, writes);
  await wallet.rescan({ signal, from: height });
  t.equal(wallet.summary().total, COIN + 7_000);
  chain.reorganize(5, { transactions: [chain.rival(bytes, [{ script, value: 9_000 }])] });
  await world.sync();
  t.same(
    wallet.coins().map(({ value }) => value),
    [COIN, 9_000],
  );
});

t.test('a reused address stays one after a rescan from a later height', async (t) => {
  const world = await funded();
  const { wallet, chain, script } = world;
  await spend(world, only(world));
  chain.mine();
  chain.pay(script, 5_000);
  chain.mine(200);
  await world.sync();
  const frozen = (): readonly (readonly [number, string | undefined])[] =>
    wallet
      .coins()
      .filter((coin) => coin.script === script)
      .map((coin) => [coin.value, coin.frozen]);
  t.same(frozen(), [[5_000, 'reuse']]);
  await wallet.rescan({ signal, from: 400 });
  t.same(frozen(), [[5_000, 'reuse']]);
  chain.pay(script, 6_000);
  chain.mine();
  await world.sync();
  t.same(frozen(), [
    [5_000, 'reuse'],
    [6_000, 'reuse'],
  ]);
});

t.test('addresses are skipped before the chain is forgotten', async (t) => {
  const world = await funded();
  world.chain.mine(200);
  const restored = await world.reopen(new MemoryStore(world.store.secret));
  await restored.wallet.rescan({ signal, from: 400 });
  const kinds = restored.store.records.map((record) => JSON.stringify(record));
  const skip = kinds.findLastIndex((text) => text.includes('"kind":"skip"'));
  const rescan = kinds.findIndex((text) => text.includes('"kind":"rescan"'));
  t.ok(skip >= 0 && skip < rescan, 'a crash between them would hand out used addresses');
});

t.test('a node that names a coin twice, or more coins than a record holds', async (t) => {
  const world = await funded();
  const { wallet, chain, script } = world;
  chain.mine(200);
  const block = await chain.tip();
  const output = { txid: 'ab'.repeat(32), vout: 0, script, value: 7, height: 9, coinbase: false };
  chain.unspent = () => Promise.resolve({ block, outputs: [output, output] });
  await wallet.rescan({ signal, from: 400 });
  t.equal(wallet.summary().total, 7);
  const outputs = Array.from({ length: 100_001 }, (_, vout) => ({ ...output, vout }));
  chain.unspent = () => Promise.resolve({ block, outputs });
  await t.rejects(wallet.rescan({ signal, from: 400 }), {
    message: 'the node names more than 100000 coins of the wallet',
  });
  t.equal((await world.reopen()).wallet.summary().total, 7, 'the wallet still opens');
});
