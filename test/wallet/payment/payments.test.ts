/** Payments of a wallet on the chain in memory and on a real node. */
import t from 'tap';
import { ChainError } from '../../../src/chain/chain-error.js';
import { chooseFeePerKb } from '../../../src/wallet/payment/fee-rate.js';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import { memoryControl, nodeControl } from './controls.js';
import { paymentScenes } from './scenes.js';
import { PAYEE, PaymentWorld } from './world.js';

t.test('in memory', (t) => paymentScenes(t, memoryControl(t)));

realNodeTest(t, 'on a real node', async (t) => paymentScenes(t, await nodeControl(t)));

t.test('a payment is on the disk before it leaves the program', async (t) => {
  const control = memoryControl(t);
  const world = await PaymentWorld.open(t, control, 'a source that fails');
  await world.deposit(500_000);
  const { chain } = control;
  const before: (string | undefined)[] = [];
  const broadcast = chain.broadcast.bind(chain);
  chain.broadcast = async (bytes) => {
    // What another process reads from the folder at this moment.
    before.push(...(await world.onDisk()));
    await broadcast(bytes);
  };
  const signed = await world.send();
  t.strictSame(before, [signed.txid]);
});

t.test('a view without mempool, fee rates and tests', async (t) => {
  const control = memoryControl(t, ['mempool', 'feeRates', 'testAccept']);
  const world = await PaymentWorld.open(t, control, 'a source that fails');
  await world.deposit(500_000);
  await t.rejects(chooseFeePerKb(control.chain, { blocks: 6 }), {
    fault: 'chain',
    message: 'there is no estimate of the fee for 6 blocks: give --fee-rate in sat/vB',
  });
  t.equal(await chooseFeePerKb(control.chain, { feePerKb: 1_234 }), 1_234);
  const { txid } = await world.send();
  t.match(await world.payments.resume(), [{ txid, outcome: { kind: 'sent' } }], 'sent each time');
  t.strictSame(world.free(), []);
  await world.mine();
  t.equal(world.stateOf(txid), 'confirmed');
  t.strictSame(await world.payments.resume(), []);
});

t.test('on mainnet nothing is signed and no address used up without the word', async (t) => {
  const control = memoryControl(t, [], 'mainnet');
  const world = await PaymentWorld.open(t, control, 'mainnet');
  await world.deposit(500_000);
  const plan = await world.payments.plan({ amount: 100_000, script: PAYEE, feePerKb: 2_000 });
  const written = await world.journalLength();
  await t.rejects(world.payments.sign(plan), {
    fault: 'mainnet',
    message: /--mainnet-i-accept-the-risk/,
  });
  t.equal(await world.journalLength(), written, 'nothing was written');
});

t.test('a payment to an address that was paid before', async (t) => {
  const control = memoryControl(t);
  const world = await PaymentWorld.open(t, control, 'a source that fails');
  await world.deposit(500_000, 400_000);
  const used = world.wallet.coins()[0]?.script ?? '';
  const request = { amount: 10_000, feePerKb: 1_000 };
  const warned = async (script: string): Promise<string> =>
    (await world.payments.plan({ ...request, script })).warnings.join();
  t.notMatch(await warned(PAYEE), /paid/);
  const { txid } = await world.send();
  t.match(await warned(PAYEE), new RegExp(`The payment ${txid} to the same address is not`));
  await world.mine();
  t.match(await warned(PAYEE), /This address was paid before/);
  t.match(await warned(used), /This address of your own wallet was used before/);
});

t.test('a source that does not answer when a payment is sent', async (t) => {
  const control = memoryControl(t);
  const world = await PaymentWorld.open(t, control, 'a source that fails');
  await world.deposit(500_000);
  const signed = await world.sign();
  control.chain.fail(new ChainError('unreachable', 'nothing answers'), 1);
  const outcome = await world.payments.send(signed);
  t.strictSame(outcome, {
    kind: 'waiting',
    text: 'nothing answers; the payment is in the journal and is sent when the node answers',
  });
  t.strictSame(world.free(), [], 'its coin stays held');
  t.match(await world.payments.resume(), [{ txid: signed.txid, outcome: { kind: 'sent' } }]);
});

t.test('a payment that no node took is given up, and its coins are free again', async (t) => {
  const control = memoryControl(t);
  const world = await PaymentWorld.open(t, control, 'a source that fails');
  await world.deposit(500_000);
  const signed = await world.sign({ feePerKb: 1_000 });
  control.chain.setMinimumFee(5_000);
  t.match(await world.payments.send(signed), {
    kind: 'refused',
    fault: 'fee',
    text: /its fee is below what the node relays now: give a higher --fee-rate/,
  });
  t.strictSame(
    world.free().map(({ value }) => value),
    [500_000],
  );
  t.strictSame(await world.payments.resume(), [], 'it is not sent again');
  const next = await world.send({ feePerKb: 6_000 });
  await world.mine();
  t.equal(world.stateOf(next.txid), 'confirmed');
  t.equal(world.stateOf(signed.txid), 'replaced');
});

t.test('a payment that was sent and then forgotten by the node stays', async (t) => {
  const control = memoryControl(t);
  const world = await PaymentWorld.open(t, control, 'a source that fails');
  await world.deposit(500_000);
  const signed = await world.send({ feePerKb: 1_000 });
  control.chain.evict(signed.txid);
  control.chain.setMinimumFee(5_000);
  t.match(await world.payments.resume(), [{ outcome: { kind: 'refused', fault: 'fee' } }]);
  t.strictSame(world.free(), [], 'another node may still have it');
  const plan = await world.payments.planBump(signed.txid, 6_000);
  t.strictSame(await world.payments.send(await world.payments.sign(plan)), { kind: 'sent' });
});
