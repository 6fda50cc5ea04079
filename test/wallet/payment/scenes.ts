/** Payments as they happen: the same scenes on the chain in memory and on a real node. */
import type { Test } from 'tap';
import { holdReason, holdWords } from '../../../src/cli/wallet/format.js';
import { BRANCH } from '../../../src/wallet/api.js';
import { signedTransaction } from '../../helpers/test-keys.js';
import { faultOf, PAYEE, PaymentWorld, transactionOf, type ChainControl } from './world.js';

const sum = (items: readonly { readonly value: number }[]): number =>
  items.reduce((total, { value }) => total + value, 0);

async function sendScene(t: Test, world: PaymentWorld): Promise<void> {
  await world.deposit(300_000, 400_000);
  const plan = await world.payments.plan({ amount: 100_000, script: PAYEE, feePerKb: 2_000 });
  t.strictSame(
    [plan.inputs.length, plan.inputs[0]?.value, plan.change?.value],
    [1, 300_000, 300_000 - 100_000 - plan.fee],
  );
  t.equal(world.wallet.signedTransactions().length, 0, 'a plan writes nothing');
  const signed = await world.payments.sign(plan);
  t.same(await world.chain.transactionState(signed.bytes, 0), { state: 'unknown' }, 'not sent');
  t.strictSame(await world.payments.send(signed), { kind: 'sent' });
  t.same(await world.chain.transactionState(signed.bytes, 0), { state: 'mempool' });
  t.strictSame(await world.payments.send(signed), { kind: 'sent' }, 'again: the same answer');
  await world.sync();
  t.equal(world.stateOf(signed.txid), 'pending');
  t.strictSame(
    world.free().map(({ value }) => value),
    [400_000],
  );
  await world.mine();
  t.equal(world.stateOf(signed.txid), 'confirmed');
  const change = world.wallet.coins().find(({ txid }) => txid === signed.txid);
  t.strictSame(
    [change?.value, change?.branch, change?.mixdepth, change?.origin],
    [plan.change?.value, BRANCH.internal, 0, 'change'],
  );
  t.strictSame(await world.payments.resume(), [], 'nothing is open');
}

async function sweepScene(t: Test, world: PaymentWorld): Promise<void> {
  await world.deposit(50_000, 60_000, 70_000);
  const plan = await world.payments.plan({ amount: 'all', script: PAYEE, feePerKb: 1_000 });
  t.strictSame([plan.inputs.length, plan.payment.value], [3, 180_000 - plan.fee]);
  const signed = await world.payments.sign(plan);
  await world.payments.send(signed);
  await world.mine();
  t.strictSame(world.wallet.coins(), []);
  t.equal(world.wallet.summary().total, 0);
  t.equal(await faultOf(world.sign({ amount: 'all' })), 'funds');
}

async function bumpScene(t: Test, world: PaymentWorld): Promise<void> {
  await world.deposit(500_000);
  const first = await world.send({ feePerKb: 2_000 });
  await world.sync();
  const change = transactionOf(first.bytes).outputs.find(({ script }) => script !== PAYEE);
  t.equal(await faultOf(world.payments.planBump(first.txid, 2_001)), 'fee');
  const plan = await world.payments.planBump(first.txid, 9_000);
  t.equal(plan.replaces, first.txid);
  const second = await world.payments.sign(plan);
  t.strictSame(await world.payments.send(second), { kind: 'sent' });
  const outputs = transactionOf(second.bytes).outputs;
  t.equal(
    outputs.find(({ script }) => script === PAYEE)?.value,
    100_000,
    'the payee gets the same',
  );
  t.ok(
    outputs.some(({ script }) => script === change?.script),
    'the change has the same address',
  );
  await world.sync();
  t.strictSame(world.free(), [], 'its coin is held by both');
  t.equal(world.stateOf(first.txid), 'replaced', 'K20: the first one is no longer pending');
  t.equal(world.stateOf(second.txid), 'pending');
  t.equal(world.wallet.summary().total, 500_000 - 100_000 - plan.fee, 'K20: nothing counts twice');
  const open = await world.payments.resume();
  t.strictSame(
    open.map(({ txid }) => txid),
    [second.txid],
    'only the newest is sent again',
  );
  await world.mine();
  t.strictSame([world.stateOf(first.txid), world.stateOf(second.txid)], ['replaced', 'confirmed']);
  t.equal(await faultOf(world.payments.planBump(first.txid, 20_000)), 'request');
  t.equal(await faultOf(world.payments.planBump(second.txid, 20_000)), 'request');
}

async function lostBumpScene(t: Test, world: PaymentWorld): Promise<void> {
  await world.deposit(500_000);
  const first = await world.send();
  const second = await world.payments.sign(await world.payments.planBump(first.txid, 9_000));
  await world.payments.send(second);
  await world.mine(1, [first.bytes]);
  t.strictSame(
    [world.stateOf(first.txid), world.stateOf(second.txid)],
    ['confirmed', 'replaced'],
    'a block may have the first one after all',
  );
  t.strictSame(
    world.free().map(({ txid }) => txid),
    [first.txid],
    'its change is there',
  );
}

async function sweepBumpScene(t: Test, world: PaymentWorld): Promise<void> {
  await world.deposit(500_000, 600_000);
  const [coin] = world.wallet.coins();
  if (coin === undefined) throw new Error('a coin');
  const sweep = await world.send({ amount: 'all', coins: [coin] });
  t.equal(await faultOf(world.payments.planBump(sweep.txid, 9_000)), 'request', 'no change');
  const { script } = await world.wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  const own = await world.send({ amount: 'all', script });
  const plan = await world.payments.planBump(own.txid, 9_000);
  t.equal(plan.payment.value + plan.fee, 600_000, 'to an own address, it pays the fee');
  t.strictSame(await world.payments.send(await world.payments.sign(plan)), { kind: 'sent' });
  await world.mine();
  t.strictSame(
    world.free().map(({ value }) => value),
    [plan.payment.value],
  );
}

/** A copy of the wallet, as an old backup or another program with the same words is. */
async function conflictScene(t: Test, world: PaymentWorld, rival: PaymentWorld): Promise<void> {
  await world.deposit(300_000, 400_000);
  await rival.sync();
  const [small, large] = world.wallet.coins().toSorted((a, b) => a.value - b.value);
  if (small === undefined || large === undefined) throw new Error('two coins');
  const theirs = await rival.sign({ coins: [small], amount: 'all', feePerKb: 20_000 });
  const mine = await world.send({ coins: [small, large] });
  await world.mine(1, [theirs.bytes]);
  t.equal(world.stateOf(mine.txid), 'lost');
  t.strictSame(
    world.free().map(({ value }) => value),
    [400_000],
    'the other coin is free again',
  );
  t.strictSame(await world.payments.resume(), [], 'it is not sent again');
  await world.control.reorganize(1);
  await world.sync();
  t.equal(world.stateOf(mine.txid), 'pending', 'after a reorganisation it may confirm again');
  t.strictSame(world.free(), [], 'and holds its coins again');
}

async function displacedScene(t: Test, world: PaymentWorld, rival: PaymentWorld): Promise<void> {
  await world.deposit(300_000);
  await rival.sync();
  const theirs = await rival.sign({ amount: 'all', feePerKb: 20_000 });
  const mine = await world.send();
  await world.chain.broadcast(theirs.bytes);
  t.match(await world.payments.resume(), [
    { txid: mine.txid, outcome: { kind: 'conflict', height: undefined } },
  ]);
  t.strictSame(world.free(), [], 'its coin is still held');
  t.equal(
    world.wallet.coins().find(({ txid }) => txid === mine.txid),
    undefined,
    'its change is not there any more',
  );
  t.equal(world.stateOf(mine.txid), 'pending');
  await world.mine();
  t.equal(world.stateOf(mine.txid), 'lost');
}

/** Another program with the same words was faster, so that the node never takes the payment. */
async function givenUpScene(t: Test, world: PaymentWorld, rival: PaymentWorld): Promise<void> {
  await world.deposit(300_000);
  await rival.sync();
  const { txid, bytes } = await world.sign();
  const theirs = await rival.send({ amount: 'all', feePerKb: 20_000 });
  const [held] = world.wallet.coins();
  t.equal(held?.hold, 'signed');
  t.match(await world.payments.send({ txid, bytes }), { kind: 'refused', fault: 'conflict' });
  const shown = async (): Promise<void> => {
    const [coin] = world.wallet.coins();
    if (coin === undefined) throw new Error('the coin is there');
    t.match(coin, { value: 300_000, hold: undefined, signedFor: txid });
    t.equal(holdReason(coin), 'abandoned');
    t.equal(holdWords(coin), `free; ${txid.slice(0, 16)}... may still spend it`);
  };
  await shown();
  t.strictSame(await world.payments.resume(), [], 'it is not sent again');
  await world.restart();
  await world.sync();
  await shown();
  t.match(world.wallet.signedTransactions(), [{ txid, state: 'abandoned' }]);
  await world.mine(1, [bytes]);
  t.equal(world.stateOf(txid), 'confirmed', 'it may confirm after all');
  t.notOk(world.wallet.coins().some((coin) => coin.signedFor === txid));
  await rival.sync();
  t.equal(rival.stateOf(theirs.txid), 'lost');
}

async function reorganizationScene(t: Test, world: PaymentWorld): Promise<void> {
  await world.deposit(500_000);
  const { txid, bytes } = await world.send();
  await world.mine(2);
  t.equal(world.stateOf(txid), 'confirmed');
  await world.control.reorganize(2);
  await world.sync();
  t.equal(world.stateOf(txid), 'pending');
  t.strictSame(world.free(), []);
  t.match(await world.payments.resume(), [{ txid, outcome: { kind: 'sent' } }]);
  t.same(await world.chain.transactionState(bytes, 0), { state: 'mempool' });
  await world.mine();
  t.equal(world.stateOf(txid), 'confirmed');
}

async function restartScene(t: Test, world: PaymentWorld): Promise<void> {
  await world.deposit(500_000);
  const { txid, bytes } = await world.sign();
  await world.restart();
  await world.sync();
  t.strictSame(world.free(), [], 'its coin is held after the restart');
  t.equal(world.stateOf(txid), 'pending');
  t.equal(await faultOf(world.sign({ amount: 1_000 })), 'funds', 'no second payment from it');
  t.match(await world.payments.resume(), [{ txid, outcome: { kind: 'sent' } }]);
  t.same(await world.chain.transactionState(bytes, 0), { state: 'mempool' });
}

async function missingScene(t: Test, world: PaymentWorld, rival: PaymentWorld): Promise<void> {
  await world.deposit(500_000);
  const signed = await world.send();
  await world.control.mine();
  await rival.sync();
  // Another program with the same words spends the change, and the payee spends the payment.
  await rival.send({ amount: 'all' });
  const vout = transactionOf(signed.bytes).outputs.findIndex(({ script }) => script === PAYEE);
  const paid = { txid: signed.txid, vout, script: PAYEE, value: 100_000 };
  await world.chain.broadcast(signedTransaction([paid], [{ script: PAYEE, value: 90_000 }]));
  await world.control.mine();
  t.equal(
    await faultOf(world.chain.broadcast(signed.bytes)),
    'missing-coins',
    'as if it were lost',
  );
  t.match(await world.payments.send(signed), { kind: 'confirmed' }, 'it was looked for');
  t.strictSame(world.free(), [], 'no coin was released');
  await world.sync();
  t.equal(world.stateOf(signed.txid), 'confirmed');
}

async function psbtScene(t: Test, world: PaymentWorld): Promise<void> {
  await world.deposit(500_000);
  const plan = await world.payments.plan({ amount: 100_000, script: PAYEE, feePerKb: 2_000 });
  const psbt = await world.payments.psbt(plan);
  t.equal(Buffer.from(psbt.subarray(0, 5)).toString('latin1'), 'psbt\xff');
  t.equal(world.wallet.signedTransactions().length, 0, 'nothing is signed');
  t.strictSame(sum(world.free()), 500_000, 'no coin is held');
}

/** All scenes, each with a wallet of its own. */
export async function paymentScenes(t: Test, control: ChainControl): Promise<void> {
  const scene = (
    name: string,
    body: (t: Test, world: PaymentWorld, rival: PaymentWorld) => Promise<void>,
    { kind = 'native', withRival = false } = {},
  ): Promise<unknown> =>
    t.test(name, async (t) => {
      const account = `${kind} ${name}`;
      const world = await PaymentWorld.open(t, control, account);
      const rival = withRival ? await PaymentWorld.open(t, control, account) : world;
      await body(t, world, rival);
    });
  await scene('a payment is planned, signed, sent and confirmed', sendScene);
  await scene('a payment from nested coins', sendScene, { kind: 'nested' });
  await scene('a whole mixdepth', sweepScene);
  await scene('K20: a bump replaces a payment', bumpScene);
  await scene('a bump of nested coins', bumpScene, { kind: 'nested' });
  await scene('the replaced payment confirms', lostBumpScene);
  await scene('without change, only a payment to an own address is bumped', sweepBumpScene);
  await scene('a block spends a coin otherwise', conflictScene, { withRival: true });
  await scene('another transaction displaces it in the mempool', displacedScene, {
    withRival: true,
  });
  await scene('a payment that was given up is named beside its coin', givenUpScene, {
    withRival: true,
  });
  await scene('a reorganisation', reorganizationScene);
  await scene('a restart between signing and sending', restartScene);
  await scene('K2: "missing coins" for a confirmed payment releases nothing', missingScene, {
    withRival: true,
  });
  await scene('a PSBT holds and signs nothing', psbtScene);
}
