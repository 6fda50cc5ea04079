/** Wallets on a real node: signatures of every kind, a coinjoin of two wallets, replaced deposits, lost blocks. */
import { bytesToHex } from '@noble/hashes/utils.js';
import t, { type Test } from 'tap';
import { parseTransaction, serializeTransaction } from '../../src/bitcoin/transaction.js';
import type { Chain } from '../../src/chain/ports.js';
import { assemble, parseUnsigned } from '../../src/negotiation/transaction.js';
import type { WalletCoin } from '../../src/wallet/api.js';
import type { WalletSecret } from '../../src/wallet/store/api.js';
import { Wallet } from '../../src/wallet/wallet.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { startBitcoinNode, type BitcoinNode } from '../helpers/bitcoin-node.js';
import { CoinSource } from '../helpers/coin-source.js';
import { openTestNode } from '../helpers/node-chain.js';
import { signedTransaction, testScript } from '../helpers/test-keys.js';
import { MemoryStore, testSecret, walletOptions } from '../helpers/wallet-world.js';

const FOREIGN = `0014${'77'.repeat(20)}`;
const COIN = 10_000_000;
const NOW = 1_700_000_000;
const FEE = 2_000;
/** What `CoinSource` pays to the miners. */
const SOURCE_FEE = 5_000;

class NodeWorld {
  readonly node: BitcoinNode;
  readonly source: CoinSource;
  readonly chain: Chain;

  constructor(node: BitcoinNode, source: CoinSource, chain: Chain) {
    this.node = node;
    this.source = source;
    this.chain = chain;
  }

  async open(terms: Partial<WalletSecret>, store?: MemoryStore): Promise<Wallet> {
    const from = store ?? new MemoryStore(await testSecret({ mixdepths: 1, ...terms }));
    const wallet = await Wallet.open(walletOptions(from, this.chain, () => NOW));
    await this.read(wallet);
    return wallet;
  }

  async read(...wallets: readonly Wallet[]): Promise<void> {
    for (const wallet of wallets) {
      // oxlint-disable-next-line no-await-in-loop -- they share one node
      await wallet.sync({ signal: new AbortController().signal });
    }
  }

  async deposit(wallet: Wallet): Promise<WalletCoin> {
    const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
    const [paid] = await this.source.pay([{ script, value: COIN }]);
    await this.node.mine();
    await this.read(wallet);
    return wallet.coin({ txid: paid?.txid ?? '', vout: 0 });
  }
}

/** A payment is signed by the wallet, taken by the node, and found in a block. */
async function payment(t: Test, world: NodeWorld, wallet: Wallet): Promise<void> {
  const coin = await world.deposit(wallet);
  const change = await wallet.handOut({ mixdepth: 0, purpose: 'change' });
  const signed = await wallet.sign({
    transaction: serializeTransaction({
      version: 2,
      lockTime: 0,
      inputs: [{ txid: coin.txid, vout: coin.vout, sequence: 0xffff_fffd }],
      outputs: [
        { script: FOREIGN, value: 1_000_000 },
        { script: change.script, value: COIN - 1_000_000 - FEE },
      ],
    }),
    kind: 'send',
    coins: [coin],
    mostSpent: 1_000_000 + FEE,
  });
  await world.chain.broadcast(signed.complete?.bytes ?? new Uint8Array());
  await world.node.mine();
  await world.read(wallet);
  t.match(wallet.history().at(-1), {
    txid: signed.complete?.txid,
    kind: 'send',
    change: -1_000_000 - FEE,
    fee: FEE,
    state: 'confirmed',
  });
  t.match(wallet.signedTransactions().at(-1), { state: 'confirmed' });
}

/** Two wallets, one of them nested, sign one transaction; its id changes with the nested input. */
async function coinjoin(t: Test, world: NodeWorld, maker: Wallet, taker: Wallet): Promise<void> {
  const [one, two] = [await world.deposit(maker), await world.deposit(taker)];
  const amount = 4_000_000;
  const outputs = await Promise.all(
    [maker, taker].map(async (wallet) => {
      const joined = await wallet.handOut({ mixdepth: 0, purpose: 'coinjoin' });
      const change = await wallet.handOut({ mixdepth: 0, purpose: 'change' });
      return { joined: joined.script, change: change.script };
    }),
  );
  const [own, other] = outputs;
  if (own === undefined || other === undefined) throw new Error('two owners');
  const earned = 500;
  const transaction = serializeTransaction({
    version: 2,
    lockTime: 0,
    inputs: [one, two].map(({ txid, vout }) => ({ txid, vout, sequence: 0xffff_fffe })),
    outputs: [
      { script: own.joined, value: amount },
      { script: other.joined, value: amount },
      { script: own.change, value: COIN - amount + earned },
      { script: other.change, value: COIN - amount - earned - FEE },
    ],
  });
  const { lease } = await maker.lease({ owner: 'maker', coins: [one], seconds: 60 });
  const first = await maker.sign({
    transaction,
    kind: 'coinjoin-maker',
    coins: [one],
    lease: lease.id,
    mostSpent: -earned,
    coinjoin: { amount, earned, script: own.joined },
  });
  const second = await taker.sign({
    transaction,
    kind: 'coinjoin-taker',
    coins: [two],
    mostSpent: earned + FEE,
    coinjoin: { amount, earned: -earned, script: other.joined },
  });
  t.equal(first.complete, undefined, 'it has foreign inputs');
  const unsigned = parseUnsigned(transaction);
  const [a, b] = [first.signatures[0], second.signatures[0]];
  if (!unsigned.ok || a === undefined || b === undefined) throw new Error('two signatures');
  const whole = assemble(unsigned.value, [
    { spent: one, signature: a },
    { spent: two, signature: b },
  ]);
  t.not(whole.txid, first.unsignedTxid);
  await world.chain.broadcast(whole.bytes);
  await world.node.mine();
  await world.read(maker, taker);
  const origins = (wallet: Wallet): readonly string[] =>
    wallet
      .coins()
      .filter(({ txid }) => txid === whole.txid)
      .map(({ origin, value, mergeable }) => `${origin} ${value} ${mergeable}`);
  t.same(origins(maker).toSorted(), [
    `cj-change ${COIN - amount + earned} false`,
    `coinjoin ${amount} true`,
  ]);
  t.match(maker.history().at(-1), { kind: 'coinjoin-maker', change: earned, coinjoinFee: earned });
  t.match(taker.history().at(-1), {
    kind: 'coinjoin-taker',
    change: -earned - FEE,
    coinjoinFee: -earned,
  });
  t.match(maker.signedTransactions().at(-1), { state: 'confirmed' });
  t.same(maker.leases(), []);
}

const names = (wallet: Wallet): readonly string[] =>
  wallet.coins().map(({ txid, vout, path }) => `${txid}:${vout} ${path}`);

realNodeTest(t, 'wallets on a real node', async (t) => {
  const node = await startBitcoinNode(t);
  const source = new CoinSource(node);
  await source.fill(6);
  const world = new NodeWorld(node, source, await openTestNode(t, node));
  const store = new MemoryStore(await testSecret({ mixdepths: 1 }));
  const native = await world.open({}, store);
  const nested = await world.open({ kind: 'nested' });

  await t.test('a native wallet pays', (t) => payment(t, world, native));
  await t.test('a nested wallet pays', (t) => payment(t, world, nested));
  await t.test('a coinjoin of both', (t) => coinjoin(t, world, nested, native));

  await t.test('K20: a deposit that was replaced is never shown', async (t) => {
    const { script } = await native.handOut({ mixdepth: 0, purpose: 'deposit' });
    const before = native.coins().length;
    const bytes = source.build([{ script, value: COIN }]);
    const deposit = parseTransaction(bytes);
    if (!deposit.ok) throw new Error(deposit.reason);
    await node.rpc('sendrawtransaction', bytesToHex(bytes));
    await world.read(native);
    t.equal(native.coins().length, before, 'it is in the mempool only');
    const { inputs, outputs } = deposit.value;
    const paid = outputs.reduce((sum, output) => sum + output.value, 0);
    const spent = inputs.map(({ txid, vout }) => ({
      txid,
      vout,
      script: testScript(0),
      value: paid + SOURCE_FEE,
    }));
    const rival = signedTransaction(spent, [{ script: FOREIGN, value: paid - 50_000 }]);
    await node.rpc('sendrawtransaction', bytesToHex(rival));
    await node.mine();
    await source.refresh();
    await world.read(native);
    t.equal(native.coins().length, before);
    t.ok(native.history().every(({ txid }) => txid !== deposit.value.txid));
  });

  await t.test(
    'a deep reorganisation: the deposits of lost blocks vanish and return',
    async (t) => {
      const coin = await world.deposit(native);
      await node.mine(8);
      await world.read(native);
      t.equal(native.coin(coin).confirmations, 9);
      const total = native.summary().total;
      await node.reorganize(9);
      await world.read(native);
      t.equal(native.summary().total, total - COIN, 'it waits in the mempool again');
      t.throws(() => native.coin(coin));
      await node.mine();
      await world.read(native);
      t.equal(native.summary().total, total);
      t.equal(native.coin(coin).confirmations, 1);
    },
  );

  await t.test('the journal, and the words alone, give the same coins', async (t) => {
    const again = await world.open({}, new MemoryStore(store.secret, store.records));
    t.same(names(again), names(native));
    const restored = await world.open({});
    t.same(names(restored), names(native));
    t.same(restored.summary().total, native.summary().total);
    const fresh = await restored.handOut({ mixdepth: 0, purpose: 'deposit' });
    t.ok(names(native).every((name) => !name.endsWith(` ${fresh.path}`)));
    t.equal(bytesToHex(restored.publicKeyOf(fresh)).length, 66);
  });
});
