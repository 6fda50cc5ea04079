/** Signed coinjoins, as a maker and as a taker, until they or a conflict are in a block. */
import t from 'tap';
import { parseTransaction, serializeTransaction } from '../../../src/bitcoin/transaction.js';
import type { MemoryChain } from '../../../src/chain/memory.js';
import { CoinjoinFollower } from '../../../src/wallet/coinjoins/follower.js';
import type { WalletCoin } from '../../../src/wallet/api.js';
import { createWalletWorld, type WalletWorld } from '../../helpers/wallet-world.js';

const OTHERS = `0014${'77'.repeat(20)}`;
const VALUE = 1_000_000;
const AMOUNT = 300_000;

interface Scene extends WalletWorld {
  readonly coin: WalletCoin;
  readonly foreign: { readonly txid: string; readonly vout: number };
  readonly unsigned: string;
  /** The transaction with proofs, as it is broadcast. */
  readonly whole: Uint8Array;
  readonly follower: CoinjoinFollower;
  look(): Promise<readonly string[]>;
}

/** A wallet that signed one coinjoin. */
async function scene(
  kind: 'coinjoin-maker' | 'coinjoin-taker',
  { scriptSig = new Uint8Array() }: { readonly scriptSig?: Uint8Array } = {},
): Promise<Scene> {
  const world = await createWalletWorld();
  const { wallet, chain } = world;
  const { script } = await wallet.handOut({ mixdepth: 1, purpose: 'deposit' });
  const own = chain.pay(script, VALUE);
  const { txid, vout } = chain.pay(OTHERS, VALUE);
  chain.mine();
  await world.sync();
  const coin = wallet.coin(own);
  const equal = await wallet.handOut({ mixdepth: 0, purpose: 'coinjoin' });
  const change = await wallet.handOut({ mixdepth: 1, purpose: 'change' });
  const earned = kind === 'coinjoin-maker' ? 1_000 : -4_000;
  const outputs = [
    { script: equal.script, value: AMOUNT },
    { script: OTHERS, value: AMOUNT },
    { script: change.script, value: VALUE - AMOUNT + earned },
    { script: OTHERS, value: VALUE - AMOUNT - 10_000 },
  ];
  const foreign = { txid, vout };
  const inputs = [coin, foreign].map((it) => ({
    txid: it.txid,
    vout: it.vout,
    sequence: 0xffff_fffe,
  }));
  const parts = { version: 2, lockTime: 0, outputs };
  const { unsignedTxid } = await wallet.sign({
    transaction: serializeTransaction({ ...parts, inputs }),
    kind,
    coins: [coin],
    mostSpent: -earned,
    coinjoin: { amount: AMOUNT, earned, script: equal.script },
  });
  const proof = [new Uint8Array(71), new Uint8Array(33)];
  const whole = serializeTransaction({
    ...parts,
    inputs: inputs.map((input, n) => ({
      ...input,
      witness: proof,
      ...(n === 1 ? { scriptSig } : {}),
    })),
  });
  const follower = new CoinjoinFollower(wallet, chain);
  return {
    ...world,
    coin,
    foreign,
    unsigned: unsignedTxid,
    whole,
    follower,
    look: async () => (await follower.look()).map(({ sighting }) => sighting),
  };
}

const stateOf = ({ wallet }: Scene) => {
  const [signed] = wallet.signedTransactions();
  return [signed?.state, signed?.seen];
};

const txidOf = (bytes: Uint8Array): string => {
  const parsed = parseTransaction(bytes);
  return parsed.ok ? parsed.value.txid : parsed.reason;
};

/** A block with a transaction that spends a coin for something else. */
function spend(chain: MemoryChain, coin: { txid: string; vout: number }): Uint8Array {
  const bytes = serializeTransaction({
    version: 2,
    lockTime: 0,
    inputs: [{ txid: coin.txid, vout: coin.vout, sequence: 1 }],
    outputs: [{ script: OTHERS, value: 500_000 }],
  });
  chain.mine(1, { transactions: [bytes] });
  return bytes;
}

t.test('a maker does not have the whole transaction: it waits', async (t) => {
  const it = await scene('coinjoin-maker');
  t.strictSame(await it.look(), ['missing']);
  t.strictSame(stateOf(it), ['pending', false]);
  await it.chain.broadcast(it.whole);
  t.strictSame(await it.look(), ['mempool']);
  t.strictSame(stateOf(it), ['pending', true]);
  it.chain.evict(txidOf(it.whole));
  t.strictSame(await it.look(), ['missing']);
  t.strictSame(stateOf(it), ['pending', false]);
  it.chain.mine(1, { transactions: [it.whole] });
  t.strictSame(await it.look(), ['confirmed'], 'the node is ahead of the wallet');
  await it.sync();
  t.strictSame(stateOf(it), ['confirmed', false]);
  t.strictSame(await it.look(), [], 'and it is not looked at any more');
});

t.test('blocks are searched once, and the last ones again after a new block', async (t) => {
  const it = await scene('coinjoin-maker');
  const from: number[] = [];
  const ask = it.chain.transactionState.bind(it.chain);
  it.chain.transactionState = (bytes, height, signal) => {
    from.push(height);
    return ask(bytes, height, signal);
  };
  const signedAt = it.wallet.height;
  it.chain.mine(5);
  await it.sync();
  await it.look();
  await it.look();
  it.chain.mine();
  await it.sync();
  await it.look();
  t.strictSame(
    from.map((height) => height - signedAt),
    [1, 6, 3],
  );
});

t.test('a conflict in a block far below the tip, after a deep reorganisation', async (t) => {
  for (const depth of [4, 9, 30]) {
    // oxlint-disable-next-line no-await-in-loop -- one chain after the other
    const it = await scene('coinjoin-maker');
    it.chain.mine(6);
    // oxlint-disable-next-line no-await-in-loop
    await it.sync();
    // oxlint-disable-next-line no-await-in-loop
    t.strictSame(await it.look(), ['missing']);
    // The conflict is in the lowest of the new blocks, at times below the height of the signature.
    it.chain.reorganize(Math.min(depth, 6), { blocks: 0 });
    spend(it.chain, it.foreign);
    it.chain.mine(depth + 1);
    // oxlint-disable-next-line no-await-in-loop
    await it.sync();
    // oxlint-disable-next-line no-await-in-loop
    t.strictSame(await it.look(), ['lost'], `${depth} blocks`);
    t.strictSame(stateOf(it), ['lost', false]);
  }
});

t.test('a taker has it: it is sent again whenever it is missing', async (t) => {
  const it = await scene('coinjoin-taker');
  await it.wallet.keepWhole(it.unsigned, it.whole);
  t.strictSame(await it.look(), ['sent']);
  t.ok(it.chain.inMempool(txidOf(it.whole)));
  it.chain.evict(txidOf(it.whole));
  t.strictSame(await it.look(), ['sent']);
  it.chain.mine();
  await it.sync();
  t.strictSame(stateOf(it), ['confirmed', true]);
});

t.test('a taker that lets makers broadcast never sends it by its own node', async (t) => {
  const it = await scene('coinjoin-taker');
  await it.wallet.keepWhole(it.unsigned, it.whole, true);
  t.strictSame(await it.look(), ['missing']);
  t.notOk(it.chain.inMempool(txidOf(it.whole)));
});

t.test('a node that refuses it frees nothing', async (t) => {
  const it = await scene('coinjoin-taker');
  await it.wallet.keepWhole(it.unsigned, it.whole);
  it.chain.setMinimumFee(10_000_000);
  t.strictSame(await it.look(), ['missing']);
  t.strictSame(stateOf(it), ['pending', false]);
  t.equal(it.wallet.coin(it.coin).hold, 'signed');
});

for (const kind of ['coinjoin-maker', 'coinjoin-taker'] as const) {
  t.test(`${kind}: a coin of another owner is spent otherwise`, async (t) => {
    const it = await scene(kind);
    const rival = spend(it.chain, it.foreign);
    t.strictSame(await it.look(), ['contested'], 'not before the wallet has read the block');
    t.strictSame(stateOf(it), ['pending', false]);
    await it.sync();
    t.strictSame(await it.look(), ['lost']);
    t.strictSame(stateOf(it), ['lost', false]);
    t.equal(it.wallet.coin(it.coin).hold, undefined);
    // The block is lost.
    it.chain.reorganize(1, { blocks: 2 });
    it.chain.evict(txidOf(rival));
    await it.sync();
    t.strictSame(stateOf(it), ['pending', false]);
    t.equal(it.wallet.coin(it.coin).hold, 'signed');
  });
}

t.test('a coin of the wallet is spent otherwise: the block settles it', async (t) => {
  const it = await scene('coinjoin-maker');
  spend(it.chain, it.coin);
  t.strictSame(await it.look(), ['contested']);
  await it.sync();
  t.strictSame(stateOf(it), ['lost', false]);
});

t.test(
  'another input has a script, which changes the id: it is no conflict of itself',
  async (t) => {
    const it = await scene('coinjoin-maker', { scriptSig: new Uint8Array(23).fill(22) });
    t.not(txidOf(it.whole), it.unsigned);
    await it.chain.broadcast(it.whole);
    t.strictSame(await it.look(), ['contested']);
    it.chain.mine();
    t.strictSame(await it.look(), ['contested']);
    await it.sync();
    t.strictSame(stateOf(it), ['confirmed', false]);
    t.match(it.wallet.coinjoins(), [{ txid: txidOf(it.whole), state: 'confirmed', height: 2 }]);
  },
);

t.test('more coinjoins than one look takes: the next look continues behind them', async (t) => {
  const it = await scene('coinjoin-maker');
  const { wallet } = it;
  for (let n = 0; n < 25; n++) {
    /* oxlint-disable no-await-in-loop -- one after the other */
    const { script } = await wallet.handOut({ mixdepth: 1, purpose: 'change' });
    await wallet.sign({
      transaction: serializeTransaction({
        version: 2,
        lockTime: n + 1,
        inputs: [{ txid: it.coin.txid, vout: it.coin.vout, sequence: 1 }],
        outputs: [{ script, value: VALUE - 1_000 }],
      }),
      kind: 'coinjoin-maker',
      coins: [it.coin],
      mostSpent: 1_000,
      replaces: it.unsigned,
    });
    /* oxlint-enable no-await-in-loop */
  }
  const first = await it.follower.look();
  const second = await it.follower.look();
  t.equal(first.length, 20);
  t.equal(new Set([...first, ...second].map(({ unsignedTxid }) => unsignedTxid)).size, 26);
});
