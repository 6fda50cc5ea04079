/** Coinjoins of a taker that do not end well: full disks, dear mempools, conflicts, and what a restart finds. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { serializeTransaction } from '../../src/bitcoin/transaction.js';
import { CoinjoinFollower } from '../../src/wallet/coinjoins/follower.js';
import { Payments } from '../../src/wallet/payment/send.js';
import { resumeCoinjoins } from '../../src/taker/resume.js';
import type { HeldMessage } from '../helpers/message-exchange.js';
import { createTakerWorld, type TakerWorld } from '../helpers/taker-world.js';

const OTHERS = `0014${'77'.repeat(20)}`;

/** Every push is lost. */
const noPush = (mail: HeldMessage): readonly HeldMessage[] | undefined =>
  mail.command === 'push' ? [] : undefined;

/** A complete coinjoin that no side has sent. */
async function unsent(t: Parameters<typeof createTakerWorld>[0]): Promise<TakerWorld> {
  const world = await createTakerWorld(t, { intercept: noPush });
  const { outcome } = await world.run({ broadcast: 'not-self' });
  if (outcome.ok || outcome.fault !== 'not-broadcast') throw new Error('it was sent');
  return world;
}

const heldBy = ({ taker }: TakerWorld): number =>
  taker.wallet.coins().filter(({ hold }) => hold !== undefined).length;

t.test('a full disk: nothing leaves that is not on it', async (t) => {
  for (const [phase, word] of [
    // The proof cannot be reserved.
    ['plan', 'fill'],
    // It cannot be stored as used.
    ['gathering', 'auth'],
    // The coins cannot be leased.
    ['funding', 'tx'],
    // The signature cannot be stored.
    ['collecting', 'push'],
  ] as const) {
    const world = await createTakerWorld(t);
    const { store, wallet } = world.taker;
    const plan = await world.plan({ broadcast: 'not-self' });
    if (phase === 'plan') store.isFull = true;
    const outcome = await world.carryOut(plan, {
      onEvent: (event) => {
        if (event.kind === 'phase' && event.phase === phase && event.makers.size > 0) {
          store.isFull = true;
        }
      },
    });
    t.match(outcome, { ok: false, fault: 'port', detail: /the disk is full/ }, phase);
    const sent = world.office.history.filter(
      ({ from, command }) => from === 'J5taker' && command === word,
    );
    t.strictSame(sent, [], `no ${word}`);
    store.isFull = false;
    const next = await world.taker.reopen();
    await next.sync();
    t.equal((await resumeCoinjoins(next.wallet, world.chain)).length, 0);
    t.ok(
      next.wallet.coins().every(({ hold }) => hold === undefined),
      'every coin is free',
    );
    await wallet.close();
  }
});

t.test('the mempool becomes dearer between fill and tx', async (t) => {
  for (const [least, isOk] of [
    // Within the worst case of the plan.
    [2_900, true],
    // Above it: nothing is paid that was not agreed on.
    [20_000, false],
  ] as const) {
    const world = await createTakerWorld(t);
    const { plan, outcome } = await world.run(
      {},
      {
        onEvent: (event) => {
          if (event.kind === 'phase' && event.phase === 'gathering') {
            world.chain.setMinimumFee(least);
          }
        },
      },
    );
    if (!outcome.ok) {
      t.match(outcome, { fault: 'port', detail: /wallet: .* plan again/ });
      t.notOk(outcome.revealed.transaction);
      t.equal(heldBy(world), 0);
    } else {
      t.ok(outcome.feeRate >= least, `${outcome.feeRate} sat/kvB`);
      t.ok(outcome.minerFee + outcome.makerFees <= plan.worst.minerFee + plan.worst.makerFees);
    }
    t.equal(outcome.ok, isOk);
  }
});

t.test('a restart sends a complete coinjoin that the network does not have', async (t) => {
  const world = await createTakerWorld(t);
  const { outcome } = await world.run({ broadcast: 'self' });
  if (!outcome.ok) throw new Error(outcome.detail);
  world.chain.evict(outcome.txid);
  const next = await world.taker.reopen();
  await next.sync();
  t.match(await resumeCoinjoins(next.wallet, world.chain), [{ txid: outcome.txid, state: 'sent' }]);
  t.ok(world.chain.inMempool(outcome.txid));
  world.chain.mine();
  await next.sync();
  t.match(next.wallet.signedTransactions(), [{ state: 'confirmed' }]);
  t.same(await resumeCoinjoins(next.wallet, world.chain), []);
});

t.test(
  'a coinjoin that waits for a block for 72 hours: said, and its coins stay held',
  async (t) => {
    const world = await createTakerWorld(t);
    const { outcome } = await world.run({ broadcast: 'self' });
    if (!outcome.ok) throw new Error(outcome.detail);
    const { wallet } = world.taker;
    const signedAt = wallet.signedTransactions().at(-1)?.signedAt ?? 0;
    for (const [hours, text] of [
      [71, /^It is in the mempool and waits for a block\.$/],
      [73, /^It has waited in the mempool for more than 72 hours; .* "onionmc wallet reclaim"/],
    ] as const) {
      world.chain.mine(1, { time: signedAt + hours * 3_600, withoutMempool: true });
      await world.taker.sync();
      const [found] = await resumeCoinjoins(wallet, world.chain);
      t.match(found, { txid: outcome.txid, state: 'mempool', text }, `${hours} hours`);
      t.equal(wallet.coins().filter(({ hold }) => hold === 'signed').length, 1, 'its coin is held');
    }
  },
);

t.test('a maker spends its coin in a block instead: our coins are free again', async (t) => {
  const world = await unsent(t);
  const { wallet } = world.taker;
  const [signed] = wallet.signedTransactions();
  const theirs = world.makers[0]?.coins[0];
  if (signed === undefined || theirs === undefined) throw new Error('a coinjoin');
  t.equal(heldBy(world), 1);
  const spending = serializeTransaction({
    version: 2,
    lockTime: 0,
    inputs: [{ txid: theirs.txid, vout: theirs.vout, sequence: 0xffff_ffff }],
    outputs: [{ script: OTHERS, value: theirs.value - 2_000 }],
  });
  await world.chain.broadcast(spending);
  t.match(await resumeCoinjoins(wallet, world.chain), [{ state: 'contested' }]);
  t.equal(heldBy(world), 1, 'until a block decides');
  await world.mine();
  await new CoinjoinFollower(wallet, world.chain).look();
  t.match(wallet.signedTransactions(), [{ state: 'lost' }]);
  t.equal(heldBy(world), 0);
});

t.test(
  'coins of a coinjoin that the network does not have are paid back to the wallet',
  async (t) => {
    const world = await unsent(t);
    const { wallet } = world.taker;
    const [signed] = wallet.signedTransactions();
    if (signed === undefined) throw new Error('a coinjoin');
    const payments = new Payments({ wallet, chain: world.chain, randomBytes });
    const plan = await payments.planReclaim(signed.unsignedTxid, 3_000);
    t.equal(plan.replaces, signed.unsignedTxid);
    t.equal(plan.change, undefined);
    const before = wallet.summary().total;
    const payment = await payments.sign(plan);
    t.match(await payments.send(payment), { kind: 'sent' });
    await world.mine();
    t.equal(wallet.summary().total, before - plan.fee);
    t.match(wallet.signedTransactions(), [{ state: 'replaced' }, { state: 'confirmed' }]);
    t.equal(heldBy(world), 0);
    await t.rejects(payments.planReclaim(signed.unsignedTxid, 3_000), /is no coinjoin that may/);
  },
);

t.test('why a plan cannot begin', async (t) => {
  const world = await createTakerWorld(t);
  for (const [request, words] of [
    [{ amount: 20_000 }, /20000 sat cannot be joined: the least is 27 300 sat/],
    [{ amount: 2_500_000 }, /more than what can be spent: mixdepth 0 has 2 400 000 sat/],
    [{ mixdepth: 1 }, /more than what can be spent/],
    [{ mixdepth: 1, amount: 'sweep' }, /nothing can be spent/],
    [{ mixdepth: 7 }, /there is no mixdepth 7/],
    [{ makers: 6, minimumMakers: 5 }, /the offers of 4 makers fit, and 5 are needed/],
    [{ makers: 1, minimumMakers: 2 }, /fewer than the 2 needed/],
    [{ maxFeeAbs: 10, maxFeeRel: undefined }, /the offers of 0 makers fit/],
    [{ maxFeeAbs: undefined, maxFeeRel: undefined }, /no limit for fees/],
    [{ fee: { kind: 'rate', feePerKb: 500 } }, /relays nothing below 1 sat/],
    [{ fee: { kind: 'rate', feePerKb: 400_000 } }, /absurdFeePerKb/],
    [
      { destination: { kind: 'address', address: 'nowhere', script: OTHERS } },
      /no address of signet/,
    ],
  ] as const) {
    const plan = await world.plan(request);
    t.match(plan.obstacle, words, JSON.stringify(request));
    const outcome = await world.carryOut(plan);
    t.match(outcome, { ok: false, fault: 'wallet', detail: plan.obstacle ?? '' });
  }
  t.equal(world.office.history.length, 0, 'no maker was contacted');
});
