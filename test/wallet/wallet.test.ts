/** Scenes of a wallet on a chain in memory: deposits, spending, restarts, reorganisations, old backups. */
import t, { type Test } from 'tap';
import { MemoryChain } from '../../src/chain/memory.js';
import { parseTransaction, serializeTransaction } from '../../src/bitcoin/transaction.js';
import type { Outpoint } from '../../src/protocol/outpoint.js';
import { BRANCH, WalletError, type WalletCoin } from '../../src/wallet/api.js';
import type { SignRequest } from '../../src/wallet/requests.js';
import { createWalletWorld, MemoryStore, type WalletWorld } from '../helpers/wallet-world.js';

const COIN = 100_000_000;
const FOREIGN = `0014${'77'.repeat(20)}`;

/** Coins of mixdepth 0, each at an address of its own, in a block. */
async function funded(values: readonly number[], chain?: MemoryChain): Promise<WalletWorld> {
  const world = await createWalletWorld({}, chain);
  for (const value of values) {
    const { script } = await world.wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
    world.chain.pay(script, value);
  }
  world.chain.mine();
  await world.sync();
  return world;
}

/** An unsigned payment to another party, with change to the wallet. */
async function payment(
  { wallet }: WalletWorld,
  coins: readonly WalletCoin[],
  value: number,
  fee = 500,
): Promise<SignRequest> {
  const sum = coins.reduce((all, coin) => all + coin.value, 0);
  const change = await wallet.handOut({ mixdepth: coins[0]?.mixdepth ?? 0, purpose: 'change' });
  return {
    transaction: serializeTransaction({
      version: 2,
      lockTime: 0,
      inputs: coins.map(({ txid, vout }) => ({ txid, vout, sequence: 0xffff_fffd })),
      outputs: [
        { script: FOREIGN, value },
        { script: change.script, value: sum - value - fee },
      ],
    }),
    kind: 'send',
    coins: coins.map(({ txid, vout }) => ({ txid, vout })),
    mostSpent: value + fee,
  };
}

const name = ({ txid, vout }: Outpoint): string => `${txid}:${vout}`;
const totals = ({ wallet }: WalletWorld): readonly number[] => {
  const { total, available } = wallet.summary();
  return [total, available];
};

async function refused(t: Test, promise: Promise<unknown>, fault: string): Promise<void> {
  await t.rejects(promise, WalletError);
  await promise.catch((error: unknown) => {
    t.equal(error instanceof WalletError ? error.fault : error, fault);
  });
}

t.test('a deposit counts from its first confirmation on', async (t) => {
  const world = await createWalletWorld();
  const handed = await world.wallet.handOut({ mixdepth: 1, purpose: 'deposit', label: 'rent' });
  t.match(handed, { path: "m/84'/1'/1'/0/0", mixdepth: 1, branch: BRANCH.external, index: 0 });
  world.chain.pay(handed.script, COIN);
  await world.sync();
  t.same(totals(world), [0, 0], 'a replaced deposit would be shown for ever');
  const { height } = world.chain.mine(3);
  await world.sync();
  t.equal(world.wallet.height, height);
  const [coin] = world.wallet.coins();
  t.match(coin, {
    value: COIN,
    address: handed.address,
    confirmations: 3,
    height: height - 2,
    origin: 'deposit',
    mergeable: false,
    label: 'rent',
  });
  t.equal(coin?.hold, undefined);
  const { mixdepths } = world.wallet.summary();
  t.same(mixdepths[1], { mixdepth: 1, balance: COIN, available: COIN, frozen: 0, pending: 0 });
  t.equal((await world.wallet.handOut({ mixdepth: 1, purpose: 'deposit' })).index, 1);
});

t.test('the first addresses are those of the vectors', async (t) => {
  const { wallet } = await createWalletWorld();
  const { address } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  t.equal(address, 'bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9');
  const bond = await wallet.handOutBond(959);
  t.equal(bond.address, 'bcrt1qghkue3nm355nwttkfqr6vk040e60rwk8gj90rurheqpqrrjs9tysfgvc2c');
  t.equal(wallet.bondPlaces().length, 960);
  t.same(
    wallet
      .bondPlaces()
      .filter(({ handedOut }) => handedOut)
      .map(({ index }) => index),
    [959],
  );
});

t.test('a payment is signed, found in the mempool and in a block', async (t) => {
  const world = await funded([COIN, 2 * COIN]);
  const { wallet, chain } = world;
  const [coin] = wallet.coins();
  if (coin === undefined) throw new Error('a coin');
  const request = await payment(world, [coin], 30_000_000);
  const before = world.store.writes.length;
  const signed = await wallet.sign({ ...request, label: 'car' });
  t.equal(world.store.writes.length, before + 1, 'it is on the disk before it is returned');
  if (signed.complete === undefined) throw new Error('all inputs are the wallet’s');
  const read = parseTransaction(signed.complete.bytes);
  t.ok(read.ok && read.value.inputs[0]?.witness.length === 2);
  t.equal(wallet.coin(coin).hold, 'signed');
  t.equal(wallet.coin(coin).signedFor, signed.complete.txid);
  t.same(totals(world), [3 * COIN, 2 * COIN], 'it was not sent yet');
  await refused(t, wallet.sign(await payment(world, [coin], 1_000_000)), 'held');

  await chain.broadcast(signed.complete.bytes);
  await wallet.markSeen(signed.unsignedTxid, true);
  t.same(totals(world), [270_000_000 - 500, 2 * COIN]);
  t.equal(wallet.summary().mixdepths[0]?.pending, 70_000_000 - 500);
  t.match(wallet.history().at(-1), {
    state: 'pending',
    kind: 'send',
    change: -30_000_500,
    label: 'car',
  });

  chain.mine();
  await world.sync();
  t.same(totals(world), [270_000_000 - 500, 270_000_000 - 500]);
  t.match(wallet.history().at(-1), {
    txid: signed.complete.txid,
    state: 'confirmed',
    change: -30_000_500,
    balance: 270_000_000 - 500,
    fee: 500,
    mixdepthFrom: 0,
    label: 'car',
  });
  t.match(wallet.signedTransactions(), [{ state: 'confirmed', seen: true }]);
  t.same(
    wallet
      .coins()
      .map(({ origin }) => origin)
      .toSorted(),
    ['change', 'deposit'],
  );
});

t.test('a restart between any two steps: the coins are held as before', async (t) => {
  const world = await funded([COIN]);
  const [coin] = world.wallet.coins();
  if (coin === undefined) throw new Error('a coin');
  const { lease } = await world.wallet.lease({ owner: 'maker a', coins: [coin], seconds: 300 });
  const again = await world.reopen();
  t.same(again.wallet.leases(), [lease]);
  t.equal(again.wallet.coin(coin).hold, 'leased');
  await refused(t, again.wallet.lease({ owner: 'b', coins: [coin], seconds: 1 }), 'chain');
  await again.sync();
  await refused(t, again.wallet.lease({ owner: 'b', coins: [coin], seconds: 1 }), 'held');
  t.notOk(await again.wallet.release({ id: lease.id, owner: 'maker b' }), 'of another owner');
  const request = await payment(again, [coin], 1_000_000);
  await refused(t, again.wallet.sign(request), 'held');
  const { unsignedTxid } = await again.wallet.sign({ ...request, lease: lease.id });
  const third = await again.reopen();
  t.same(third.wallet.leases(), []);
  t.equal(third.wallet.coin(coin).hold, 'signed');
  t.match(third.wallet.signedTransactions(), [{ unsignedTxid, state: 'pending', seen: false }]);
  await third.sync();
  await third.wallet.abandon(unsignedTxid);
  t.equal(third.wallet.coin(coin).hold, undefined);
  t.equal(third.wallet.coin(coin).signedFor, third.wallet.signedTransactions()[0]?.txid, 'listed');
  third.now += 10;
  const { lease: next } = await third.wallet.lease({ owner: 'c', coins: [coin], seconds: 5 });
  third.now += 5;
  t.equal(third.wallet.coin(coin).hold, undefined, 'a lease ends by itself');
  t.same(third.wallet.leases(), []);
  t.ok(next.id !== lease.id);
});

t.test('a full disk: nothing leaves, and nothing changes', async (t) => {
  const world = await funded([COIN]);
  const { wallet, store } = world;
  const [coin] = wallet.coins();
  if (coin === undefined) throw new Error('a coin');
  const request = await payment(world, [coin], 1_000_000);
  const next = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  store.isFull = true;
  await t.rejects(wallet.sign(request), { message: 'the disk is full: make room' });
  await t.rejects(wallet.handOut({ mixdepth: 0, purpose: 'deposit' }), { message: /disk/ });
  t.equal(wallet.coin(coin).hold, undefined);
  store.isFull = false;
  t.equal((await wallet.handOut({ mixdepth: 0, purpose: 'deposit' })).index, next.index + 1);
  t.ok(await wallet.sign(request));
});

t.test('reorganisations: lost deposits vanish, others stay', async (t) => {
  const chain = new MemoryChain();
  chain.mine(20);
  const world = await funded([COIN, 2 * COIN], chain);
  const { wallet } = world;
  chain.mine(5);
  await world.sync();
  t.same(totals(world), [3 * COIN, 3 * COIN]);
  chain.reorganize(3);
  await world.sync();
  t.same(totals(world), [3 * COIN, 3 * COIN], 'their block is deeper');
  // The block of the deposits is lost; the coins of a third one are paid to another address.
  const { script } = await wallet.handOut({ mixdepth: 1, purpose: 'deposit' });
  const third = chain.pay(script, 3 * COIN);
  chain.mine();
  await world.sync();
  t.same(totals(world), [6 * COIN, 6 * COIN]);
  const other = await wallet.handOut({ mixdepth: 1, purpose: 'deposit' });
  const rival = chain.rival(third.bytes, [{ script: other.script, value: 5 * COIN }]);
  chain.reorganize(1, { blocks: 2, transactions: [rival] });
  await world.sync();
  t.same(totals(world), [8 * COIN, 8 * COIN]);
  const left = wallet.coins().map(({ value, confirmations }) => [value, confirmations]);
  t.ok(left.every(([, confirmations]) => (confirmations ?? 0) > 0));
  t.ok(left.some(([value]) => value === 5 * COIN));
  const again = await world.reopen();
  t.same(again.wallet.coins().map(name), wallet.coins().map(name));
  await again.sync();
  t.same(again.wallet.coins().map(name), wallet.coins().map(name));
  chain.reorganize(chain.mine().height - 1, { blocks: 60 });
  await again.sync();
  t.same(totals(again), [0, 0], 'the whole chain is another one');
});

t.test('an old backup: no used address is handed out, and no spent coin is signed', async (t) => {
  const world = await funded([COIN]);
  const { wallet, chain, store } = world;
  const backup = new MemoryStore(store.secret, store.records);
  const [coin] = wallet.coins();
  if (coin === undefined) throw new Error('a coin');
  for (let i = 0; i < 3; i++) {
    const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
    chain.pay(script, 1_000_000);
  }
  const { complete } = await wallet.sign(await payment(world, [coin], 1_000_000));
  await chain.broadcast(complete?.bytes ?? new Uint8Array());

  const old = await world.reopen(backup);
  await refused(t, old.wallet.handOut({ mixdepth: 0, purpose: 'deposit' }), 'chain');
  await old.sync();
  const request = await payment(old, [coin], 2_000_000);
  await refused(t, old.wallet.sign(request), 'coin');
  chain.mine();
  await old.sync();
  t.equal((await old.wallet.handOut({ mixdepth: 0, purpose: 'deposit' })).index, 4);
  t.equal((await old.wallet.handOut({ mixdepth: 0, purpose: 'change' })).index, 1);
  t.same(
    totals(old),
    totals({
      ...old,
      wallet: (await world.reopen(new MemoryStore(store.secret, old.store.records))).wallet,
    }),
  );
});

t.test('a wallet restored from its words finds everything, beyond a range too', async (t) => {
  const world = await createWalletWorld();
  const { chain, wallet } = world;
  const indices = [0, 3, 950, 951];
  const used: string[] = [];
  for (let index = 0; index <= 951; index++) {
    const { script, address } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
    if (!indices.includes(index)) continue;
    used.push(address);
    chain.pay(script, 10_000 + index);
    chain.mine();
  }
  await world.sync();
  for (let index = 952; index < 1_900; index++) {
    await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  }
  const far = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  chain.pay(far.script, 7_777);
  const bond = await wallet.handOutBond(100);
  chain.pay(bond.script, COIN);
  chain.mine();
  const restored = await createWalletWorld({}, chain);
  t.same(
    restored.wallet.coins().map(({ address }) => address),
    [...used, far.address, bond.address],
  );
  t.match(restored.wallet.summary().bonds, [
    { lockTime: bond.lockTime, hold: 'locked', origin: 'bond' },
  ]);
  t.equal((await restored.wallet.handOut({ mixdepth: 0, purpose: 'deposit' })).index, 1_901);
});

t.test('reused addresses', async (t) => {
  const world = await createWalletWorld();
  const { wallet, chain } = world;
  const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  const pay = async (...values: number[]): Promise<void> => {
    chain.payAll(values.map((value) => ({ script, value })));
    chain.mine();
    await world.sync();
  };
  const frozen = (): readonly (string | undefined)[] =>
    wallet
      .coins()
      .toSorted((a, b) => a.value - b.value)
      .map((coin) => coin.frozen);
  await pay(1_000_000);
  await pay(2_000_000);
  t.same(frozen(), [undefined, undefined], 'a coin that joins others stays spendable');
  const spend = async (): Promise<void> => {
    const coins = wallet.coins().filter((coin) => coin.script === script);
    const sum = coins.reduce((all, { value }) => all + value, 0);
    const { complete } = await wallet.sign(await payment(world, coins, sum - 10_000));
    await chain.broadcast(complete?.bytes ?? new Uint8Array());
    chain.mine();
    await world.sync();
  };
  await spend();
  await pay(3_000_000, 3_500_000);
  t.same(frozen().slice(1), ['reuse', 'reuse'], 'the address was emptied before');
  t.equal(wallet.summary().mixdepths[0]?.frozen, 6_500_000);
  await pay(4_000_000);
  t.same(frozen().slice(1), ['reuse', 'reuse', 'reuse'], 'frozen coins do not free a later one');
  const coins = wallet.coins().filter((coin) => coin.frozen === 'reuse');
  await refused(t, wallet.sign(await payment(world, coins, 1_000_000)), 'frozen');
  await wallet.unfreeze(coins);
  const again = await world.reopen();
  await again.sync();
  t.same(
    again.wallet.coins().map((coin) => coin.frozen),
    [undefined, undefined, undefined, undefined],
  );
  await pay(5_000_000);
  t.equal(frozen().at(-1), undefined, 'it joins coins that were unfrozen');
  await wallet.freeze(coins.slice(0, 1));
  t.equal(wallet.coin(coins[0] ?? { txid: '', vout: 0 }).frozen, 'user');
  await refused(t, wallet.freeze([{ txid: '00'.repeat(32), vout: 0 }]), 'coin');
});

t.test('a lease that was taken while the clock was ahead does not hold its coins', async (t) => {
  const world = await funded([COIN]);
  const { wallet } = world;
  world.now += 400 * 86_400;
  const { lease } = await wallet.lease({ owner: 'maker', coins: wallet.coins(), seconds: 3_600 });
  world.now -= 3_600;
  t.same(totals(world), [COIN, 0], 'a small step back keeps it');
  world.now -= 399 * 86_400;
  t.same(totals(world), [COIN, COIN]);
  t.same(wallet.leases(), []);
  const request = await payment(world, wallet.coins(), 1_000_000);
  await refused(t, wallet.sign({ ...request, lease: lease.id }), 'held');
});

t.test('signing takes several turns, and no other decision comes between', async (t) => {
  const world = await funded([COIN, COIN, COIN]);
  const { wallet, store } = world;
  const coins = wallet.coins();
  const request = await payment(world, coins, COIN);
  const rival = await payment(world, coins.slice(0, 1), COIN / 2);
  let turns = 0;
  let isWatching = true;
  const count = (): void => {
    turns += 1;
    if (isWatching) setImmediate(count);
  };
  setImmediate(count);
  const signing = wallet.sign(request);
  const second = refused(t, wallet.sign(rival), 'held');
  // The chain of this test answers in the same turn, so the decision has begun in the next one.
  await new Promise((resolve) => setImmediate(resolve));
  const coinsAgain = request.coins.slice(1);
  const lease = wallet.lease({ owner: 'maker', coins: coinsAgain, seconds: 300 });
  await Promise.all([signing, second, refused(t, lease, 'held')]);
  isWatching = false;
  t.ok(turns >= coins.length, `${turns} turns for ${coins.length} inputs`);
  const kinds = store.records.flatMap((record) =>
    typeof record === 'object' && record !== null && 'kind' in record ? [record['kind']] : [],
  );
  t.equal(kinds.filter((kind) => kind === 'signed').length, 1);
});

t.test('what is not signed', async (t) => {
  const world = await funded([COIN, 2 * COIN]);
  const { wallet } = world;
  const [one, two] = wallet.coins();
  if (one === undefined || two === undefined) throw new Error('two coins');
  const fit = await payment(world, [one], 1_000_000);
  const inputs = [{ txid: one.txid, vout: one.vout, sequence: 0 }];
  const to = (script: string, value: number): Uint8Array =>
    serializeTransaction({ version: 2, lockTime: 0, inputs, outputs: [{ script, value }] });
  const unused = world.wallet.publicKeyOf({ mixdepth: 0, branch: 1, index: 9 });
  t.equal(unused.length, 33);
  const rows: readonly (readonly [string, Partial<SignRequest>, string])[] = [
    ['more than agreed', { mostSpent: 1_000_499 }, 'request'],
    ['another coin of the wallet', { coins: [two] }, 'request'],
    ['a coin that does not exist', { coins: [{ txid: '11'.repeat(32), vout: 0 }] }, 'coin'],
    ['no coin', { coins: [] }, 'request'],
    ['no transaction', { transaction: new Uint8Array(10) }, 'request'],
    ['more than its coins', { transaction: to(FOREIGN, COIN + 1), mostSpent: COIN }, 'request'],
    ['a lease that does not exist', { lease: 'x' }, 'held'],
    ['a replacement of nothing', { replaces: '22'.repeat(32) }, 'request'],
    [
      'a coinjoin without its output',
      { coinjoin: { amount: 5, earned: 0, script: FOREIGN }, kind: 'coinjoin-maker' },
      'request',
    ],
  ];
  const writes = world.store.writes.length;
  for (const [what, part, fault] of rows) {
    await t.test(what, (t) => refused(t, wallet.sign({ ...fit, ...part }), fault));
  }
  t.equal(world.store.writes.length, writes, 'nothing was written');
  t.ok(await wallet.sign(fit));
});

t.test('a bump spends the coins of the transaction that it replaces', async (t) => {
  const world = await funded([COIN, COIN]);
  const { wallet, chain } = world;
  const [one, two] = wallet.coins();
  if (one === undefined || two === undefined) throw new Error('two coins');
  const first = await wallet.sign(await payment(world, [one], 1_000_000));
  await chain.broadcast(first.complete?.bytes ?? new Uint8Array());
  await wallet.markSeen(first.unsignedTxid, true);
  const apart = await payment(world, [two], 1_000_000, 5_000);
  await refused(t, wallet.sign({ ...apart, replaces: first.unsignedTxid }), 'request');
  const request = await payment(world, [one], 1_000_000, 5_000);
  const bump = await wallet.sign({ ...request, replaces: first.unsignedTxid });
  await chain.broadcast(bump.complete?.bytes ?? new Uint8Array());
  await wallet.markSeen(bump.unsignedTxid, true);
  t.same(totals(world), [199_000_000 - 5_000, COIN]);
  chain.mine();
  await world.sync();
  t.same(
    wallet.signedTransactions().map(({ state }) => state),
    ['replaced', 'confirmed'],
  );
  t.same(totals(world), [199_000_000 - 5_000, 199_000_000 - 5_000]);
  t.same(
    wallet
      .history()
      .slice(-2)
      .map(({ state }) => state)
      .toSorted(),
    ['confirmed', 'replaced'],
  );
});

t.test(
  'bonds: locked until the median time is beyond their lock time, then redeemed',
  async (t) => {
    const world = await createWalletWorld();
    const { wallet, chain } = world;
    const bond = await wallet.handOutBond(12 * 3, 'my bond');
    chain.pay(bond.script, COIN);
    chain.mine();
    await world.sync();
    const [coin] = wallet.summary().bonds;
    if (coin === undefined) throw new Error('a bond');
    t.match(coin, { hold: 'locked', label: 'my bond', path: `m/84'/1'/0'/2/36:${bond.lockTime}` });
    t.same(totals(world), [0, 0], 'bonds are in no sum');
    const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'change' });
    const redeem = (lockTime: number, sequence = 0xffff_fffe): SignRequest => ({
      transaction: serializeTransaction({
        version: 2,
        lockTime,
        inputs: [{ txid: coin.txid, vout: coin.vout, sequence }],
        outputs: [{ script, value: COIN - 1_000 }],
      }),
      kind: 'redeem',
      coins: [coin],
      mostSpent: 1_000,
    });
    await refused(t, wallet.sign(redeem(bond.lockTime)), 'held');
    chain.mine(10);
    for (let block = 0; block < 6; block++) chain.mine(1, { time: bond.lockTime + block });
    await world.sync();
    t.equal(wallet.coin(coin).hold, 'locked', 'the median time is the lock time');
    chain.mine(6, { time: bond.lockTime + 600 });
    await world.sync();
    t.equal(wallet.coin(coin).hold, undefined);
    await refused(t, wallet.sign(redeem(bond.lockTime - 1)), 'request');
    await refused(t, wallet.sign(redeem(bond.lockTime, 0xffff_ffff)), 'request');
    const signed = await wallet.sign(redeem(bond.lockTime));
    const read = parseTransaction(signed.complete?.bytes ?? new Uint8Array());
    t.equal(read.ok ? read.value.vsize : 0, 112);
    t.same(signed.signatures, []);
    const rehearsal = wallet.rehearseBond(40);
    t.equal(rehearsal.spent.script, wallet.bondPlaces()[40]?.script);
  },
);

t.test('a key outside the wallet: its bond is shown, and not signed for', async (t) => {
  const world = await createWalletWorld();
  const { wallet, chain } = world;
  const publicKey = '0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c';
  const place = await wallet.watchOutsideBond(publicKey, 73);
  t.equal(place.lockTime, 1_769_904_000);
  t.same(await wallet.watchOutsideBond(publicKey, 73), place);
  const noPoint = `02${'00'.repeat(31)}05`;
  await refused(t, wallet.watchOutsideBond(noPoint, 73), 'request');
  t.equal(wallet.outsideBonds().length, 1);
  chain.pay(place.script, COIN);
  chain.mine();
  await world.sync();
  t.match(wallet.summary().bonds, [{ outsideKey: publicKey, value: COIN, index: 73 }]);
  const [bond] = wallet.summary().bonds;
  t.throws(() => wallet.certify(bond ?? { txid: '', vout: 0 }, publicKey, 400), {
    message: /outside/,
  });
  t.equal(wallet.history().at(-1)?.change, 0);
  t.same((await world.reopen()).wallet.summary().bonds.map(name), [
    name(bond ?? { txid: '', vout: 0 }),
  ]);
});

t.test('a passphrase: without it the wallet shows and follows, and signs nothing', async (t) => {
  const world = await createWalletWorld();
  t.equal(world.wallet.canSign, true);
  const store = new MemoryStore(
    { ...world.store.secret, hasPassphrase: true },
    world.store.records,
  );
  const shown = await world.reopen(store, { passphrase: undefined });
  t.equal(shown.wallet.canSign, false);
  await shown.sync();
  await refused(t, shown.wallet.handOut({ mixdepth: 0, purpose: 'deposit' }), 'passphrase');
  await refused(t, world.reopen(store, { passphrase: 'wrong' }), 'passphrase');
  const empty = new MemoryStore(store.secret);
  await refused(t, world.reopen(empty, { passphrase: undefined }), 'passphrase');
});

t.test('mainnet: nothing is signed without the word', async (t) => {
  const world = await createWalletWorld(
    { network: 'mainnet' },
    new MemoryChain({ network: 'mainnet' }),
  );
  const { script } = await world.wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  world.chain.pay(script, COIN);
  world.chain.mine();
  await world.sync();
  const request = await payment(world, world.wallet.coins(), 1_000);
  await refused(t, world.wallet.sign(request), 'mainnet');
  const accepted = await world.reopen(undefined, { acceptMainnetRisk: true });
  await accepted.sync();
  t.ok(await accepted.wallet.sign(request));
});

t.test('pruned past the birth height: refused, and a rescan from a later height', async (t) => {
  const chain = new MemoryChain();
  chain.mine(30);
  const world = await funded([COIN, 2 * COIN], chain);
  chain.mine(150);
  chain.prune(100);
  const store = new MemoryStore(world.store.secret);
  await t.rejects(
    world.reopen(store).then((it) => it.sync()),
    { message: /pruned the blocks below 100/ },
  );
  const restored = await world.reopen(new MemoryStore(world.store.secret));
  const report = await restored.wallet.rescan({ signal: new AbortController().signal, from: 100 });
  t.match(report.notes, [/100 addresses of each branch were skipped/]);
  t.same(totals(restored), [3 * COIN, 3 * COIN]);
  t.same(
    restored.wallet.coins().map(({ origin }) => origin),
    ['unknown', 'unknown'],
  );
  t.equal((await restored.wallet.handOut({ mixdepth: 0, purpose: 'deposit' })).index, 102);
  chain.mine();
  const again = await restored.reopen();
  await again.sync();
  t.same(totals(again), [3 * COIN, 3 * COIN]);
});

t.test('a rescan from the birth height reads everything again, and skips nothing', async (t) => {
  const chain = new MemoryChain();
  chain.mine(200);
  const world = await createWalletWorld({ birthHeight: 200 }, chain);
  const { wallet } = world;
  const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  chain.pay(script, COIN);
  chain.mine(3);
  chain.prune(150);
  await world.sync();
  const signal = new AbortController().signal;
  t.same((await wallet.rescan({ signal })).notes, []);
  t.same(totals(world), [COIN, COIN]);
  t.equal((await wallet.handOut({ mixdepth: 0, purpose: 'deposit' })).index, 1);
  chain.prune(202);
  await t.rejects(wallet.rescan({ signal }), { message: /rescan NAME --from 202/ });
  t.same(totals(world), [COIN, COIN], 'nothing was forgotten');
  await t.rejects(wallet.rescan({ signal, from: 201 }), { message: /pruned the blocks below 202/ });
});

t.test('reading beside a writer', async (t) => {
  const world = await funded([COIN]);
  const { store } = world;
  const reader = await world.reopen(store, { mode: 'read', chain: undefined });
  t.same(totals(reader), [COIN, COIN]);
  await refused(t, reader.wallet.freeze(reader.wallet.coins()), 'request');
  await world.wallet.freeze(world.wallet.coins());
  await reader.wallet.sync({ signal: new AbortController().signal });
  t.same(totals(reader), [COIN, 0]);
});

t.test('commitments are used once, lowest index first', async (t) => {
  const world = await funded([COIN]);
  const [coin] = world.wallet.coins();
  if (coin === undefined) throw new Error('a coin');
  const { commitments } = world.wallet;
  t.equal(commitments.left(coin, 3), 3);
  const first = await commitments.reserve(coin, 3);
  t.equal(first?.index, 0);
  await commitments.use(first?.commitment ?? '');
  const again = (await world.reopen()).wallet.commitments;
  for (const index of [1, 2]) {
    const podle = await again.reserve(coin, 3);
    t.equal(podle?.index, index);
    await again.use(podle?.commitment ?? '');
  }
  t.equal(await again.reserve(coin, 3), undefined);
  t.equal(again.left(coin, 4), 1);
});

t.test(
  'a commitment that was only reserved is free again, at once or after a restart',
  async (t) => {
    const world = await funded([COIN]);
    const [coin] = world.wallet.coins();
    if (coin === undefined) throw new Error('a coin');
    const { commitments } = world.wallet;
    const first = await commitments.reserve(coin, 3);
    t.equal((await commitments.reserve(coin, 3))?.index, 1, 'two rounds get two proofs');
    t.equal(commitments.left(coin, 3), 1);
    await commitments.free(first?.commitment ?? '');
    const again = await commitments.reserve(coin, 3);
    t.same(again, first, 'freed');
    await commitments.use(again?.commitment ?? '');
    await commitments.free(again?.commitment ?? '');
    t.ok(commitments.isTaken(again?.commitment ?? ''), 'a used one stays used');
    t.equal(await commitments.reserveOther('ab'.repeat(32)), true);
    t.equal(await commitments.reserveOther('ab'.repeat(32)), false);
    const later = (await world.reopen()).wallet.commitments;
    t.equal(later.left(coin, 3), 2, 'the second one was only reserved');
    t.notOk(later.isTaken('ab'.repeat(32)));
    t.ok(later.isTaken(again?.commitment ?? ''));
  },
);

t.test(
  'following the chain: a notice for each new block, and another try after a fault',
  async (t) => {
    const world = await createWalletWorld();
    const stop = new AbortController();
    const heights: number[] = [];
    let changed: () => void = Boolean;
    const next = (): Promise<void> =>
      new Promise((resolve) => {
        changed = resolve;
      });
    const timers: (() => void)[] = [];
    const faults: unknown[] = [];
    const first = next();
    const following = world.wallet.follow({
      signal: stop.signal,
      clock: {
        now: () => 0,
        after: (_, fn) => {
          timers.push(fn);
          changed();
          return () => undefined;
        },
      },
      onChange: () => {
        heights.push(world.wallet.height);
        changed();
      },
      onFault: (error) => faults.push(error),
    });
    await first;
    const second = next();
    const { height } = world.chain.mine(2);
    await second;
    t.same(heights, [height - 2, height]);
    const failed = next();
    world.chain.fail(undefined, 1);
    world.chain.mine();
    await failed;
    t.equal(faults.length, 1);
    const third = next();
    timers.splice(0).forEach((run) => run());
    await third;
    t.equal(heights.at(-1), height + 1);
    stop.abort();
    await following;
  },
);
