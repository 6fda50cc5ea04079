/** Payments of a wallet on the chain in memory and on a real node. */
import t from 'tap';
import { ChainError } from '../../../src/chain/chain-error.js';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import { memoryControl, nodeControl } from './controls.js';
import { paymentScenes } from './scenes.js';
import { PaymentWorld } from './world.js';

t.test('in memory', (t) => paymentScenes(t, memoryControl(t)));

realNodeTest(t, 'on a real node', async (t) => paymentScenes(t, await nodeControl(t)));

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
