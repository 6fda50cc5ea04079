/** Signed coinjoins of a maker on a chain in memory: conflicts, lost blocks, takers that never push. */
import { parseTransaction } from '../../src/bitcoin/transaction.js';
import t from 'tap';
import { reservedOutputsOf } from '../../src/negotiation/maker/reserved-outputs.js';
import { addressScript } from '../../src/bitcoin/address.js';
import { createTestClock } from '../helpers/test-clock.js';
import {
  coinjoinOf,
  makerWorld,
  namesOf,
  never,
  OTHERS,
  spendingOf,
  type MakerWorld,
} from '../helpers/maker-wallet-world.js';

const AMOUNT = 100_000;

const states = (world: MakerWorld) => world.maker.coinjoins().map(({ state }) => state);

t.test(
  'a coin of the taker is spent otherwise in a block: the coinjoin is lost, its coins are free',
  async (t) => {
    const world = await makerWorld([[], [200_000]]);
    const taker = world.takerCoin();
    const reservation = await world.reserved(AMOUNT);
    await world.sign(reservation, AMOUNT, taker);
    const conflict = spendingOf([taker], 1_000_000);
    await world.chain.broadcast(conflict);
    await world.read();
    t.strictSame(states(world), ['pending'], 'not for a transaction of the mempool');
    t.strictSame(world.holds(), ['signed']);
    await world.mine();
    t.strictSame(states(world), ['lost']);
    t.strictSame(world.holds(), [undefined]);
    t.strictSame(namesOf(await world.reserved(AMOUNT)), namesOf(reservation));

    // The conflict is in no block any more: the coinjoin may confirm again.
    const again = await world.restart();
    again.chain.reorganize(1, { blocks: 2, transactions: [] });
    again.chain.evict(txidOf(conflict));
    await again.read();
    t.strictSame(states(again), ['pending']);
    t.strictSame(again.holds(), ['signed']);
  },
);

t.test('a coinjoin is lost while its session waits for push: another session signs', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const taker = world.takerCoin();
  const waiting = await world.reserved(AMOUNT);
  await world.maker.sign(coinjoinOf(waiting, AMOUNT, taker), never);
  world.chain.mine(1, { transactions: [spendingOf([taker], 1_000_000)] });
  await world.read();
  const next = await world.reserved(AMOUNT);
  t.strictSame(namesOf(next), namesOf(waiting));
  const { txid } = await world.sign(next, AMOUNT);
  world.maker.settle(waiting, 'signed');
  await world.maker.idle();
  t.match(world.maker.coinjoins(), [{ state: 'lost' }, { unsignedTxid: txid, state: 'pending' }]);
});

t.test('a conflict of the wallet itself is mined instead', async (t) => {
  const world = await makerWorld([[], [200_000, 50_000]]);
  const reservation = await world.reserved(AMOUNT);
  const { transaction } = await world.sign(reservation, AMOUNT);
  await world.chain.broadcast(transaction);
  await world.read();
  // Another copy of the wallet spent the coin, and a miner took that.
  world.chain.mine(1, { transactions: [spendingOf(reservation.coins, 190_000)] });
  await world.read();
  t.strictSame(states(world), ['lost']);
  t.strictSame(world.wallet.summary().total, 50_000);
});

t.test(
  'a block with a coinjoin is lost: its coins are held again, and it confirms once more',
  async (t) => {
    const world = await makerWorld([[], [200_000]]);
    const takers = [world.takerCoin(), world.takerCoin()];
    await world.read();
    const reservation = await world.reserved(AMOUNT);
    const { transaction, txid } = await world.sign(reservation, AMOUNT, takers[0]);
    await world.chain.broadcast(transaction);
    await world.mine();
    t.strictSame(states(world), ['confirmed']);
    t.strictSame(world.holds(), [undefined, undefined]);
    // The change is shown to another taker while the block is lost.
    const next = await world.reserved(50_000);
    const child = await world.sign(next, 50_000, takers[1]);

    world.chain.reorganize(1, { blocks: 2 });
    await world.read();
    t.strictSame(states(world), ['pending', 'pending']);
    t.equal(await world.reserve(20_000), undefined, 'nothing of it may be spent now');
    t.ok(world.chain.inMempool(txid));
    await world.chain.broadcast(child.transaction);
    await world.mine();
    t.strictSame(states(world), ['confirmed', 'confirmed']);
    t.equal(world.wallet.summary().total, 200_000 + 2_000);
  },
);

t.test('a block with a coinjoin is lost, and a conflict is mined instead', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const taker = world.takerCoin();
  const reservation = await world.reserved(AMOUNT);
  const { transaction } = await world.sign(reservation, AMOUNT, taker);
  await world.chain.broadcast(transaction);
  await world.mine();
  world.chain.reorganize(1, { blocks: 2, transactions: [spendingOf([taker], 1_000_000)] });
  await world.read();
  t.strictSame(states(world), ['lost']);
  t.strictSame(world.wallet.summary().total, 200_000, 'not a satoshi less than before');
  t.ok(await world.reserve(AMOUNT));
});

t.test(
  'a taker that names a coin which never existed: the maker waits, and then conflicts',
  async (t) => {
    const world = await makerWorld([[], [200_000]]);
    const reservation = await world.reserved(AMOUNT);
    await world.sign(reservation, AMOUNT, { txid: 'ee'.repeat(32), vout: 0, value: 10_000_000 });
    for (let block = 0; block < 5; block++) {
      // oxlint-disable-next-line no-await-in-loop -- block after block
      await world.mine();
      t.strictSame(states(world), ['pending'], 'a missing coin proves nothing');
    }
    world.pass(3_660);
    const again = await world.reserved(AMOUNT);
    t.strictSame(namesOf(again), namesOf(reservation));
  },
);

t.test('a taker that never pushes: an hour later another one gets the same coins', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const first = await world.reserved(AMOUNT);
  const old = await world.sign(first, AMOUNT);
  world.pass(3_660);
  const second = await world.reserved(AMOUNT);
  const { transaction } = await world.sign(second, AMOUNT);
  // Now the first one comes, after all, and is mined.
  await world.chain.broadcast(transaction);
  world.chain.mine(1, { transactions: [old.transaction] });
  await world.read();
  t.strictSame(states(world), ['confirmed', 'replaced']);
  t.equal(world.wallet.summary().total, 201_000);
});

t.test('what the sessions hold of a lost coinjoin is released with its coins', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const reserved = reservedOutputsOf(world.maker);
  const taker = world.takerCoin();
  const reservation = await world.reserved(AMOUNT);
  const hold = reserved.hold(payoutOf(reservation), 0, 3_600_000);
  if (!hold.ok) throw new Error(hold.reason);
  reserved.sign(hold.value, 0);
  await world.sign(reservation, AMOUNT, taker);
  world.chain.mine(1, { transactions: [spendingOf([taker], 1_000_000)] });
  await world.read();
  const again = await world.reserved(AMOUNT);
  t.notOk(reserved.hold(payoutOf(again), 1, 3_600_000).ok, 'until they are told');
  reserved.forget(again.free ?? []);
  t.ok(reserved.hold(payoutOf(again), 1, 3_600_000).ok, 'the sessions agree with the wallet');
});

t.test('the sessions agree with the wallet about coins that are overdue', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const reserved = reservedOutputsOf(world.maker);
  const reservation = await world.reserved(AMOUNT);
  const first = reserved.hold(payoutOf(reservation), 0, 3_600_000);
  if (!first.ok) throw new Error(first.reason);
  await world.sign(reservation, AMOUNT);
  // The signatures leave as late as they may.
  reserved.sign(first.value, 60_000);
  world.pass(3_660);
  const again = await world.reserved(AMOUNT);
  const second = reserved.hold(payoutOf(again), 3_660_000, 3_600_000);
  if (!second.ok) throw new Error(second.reason);
  t.equal(reserved.faultAtSigning(second.value, again.coins), undefined);
});

t.test('a maker follows its coinjoins by itself', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const { transaction } = await world.sign(await world.reserved(AMOUNT), AMOUNT);
  const clock = createTestClock();
  const stop = new AbortController();
  const changes: string[] = [];
  let told: (() => void) | undefined;
  const following = world.maker.follow({
    signal: stop.signal,
    clock,
    onChange: () => {
      changes.push(
        world.maker
          .coinjoins()
          .map((it) => `${it.state} ${it.txid !== undefined}`)
          .join(),
      );
      told?.();
    },
    onFault: (error) => t.fail(String(error)),
  });
  const until = async (state: string): Promise<void> => {
    while (changes.at(-1) !== state) {
      // oxlint-disable-next-line no-await-in-loop -- change after change
      await new Promise<void>((resolve) => (told = resolve));
    }
  };
  await until('pending false');
  await world.chain.broadcast(transaction);
  const look = setInterval(() => clock.advance(60_000), 1);
  await until('pending true');
  clearInterval(look);
  world.chain.mine();
  await until('confirmed true');
  stop.abort();
  await following;
  t.equal(clock.pending, 0);
});

function txidOf(bytes: Uint8Array): string {
  const parsed = parseTransaction(bytes);
  return parsed.ok ? parsed.value.txid : '';
}

const payoutOf = (reservation: Awaited<ReturnType<MakerWorld['reserved']>>) => ({
  coins: reservation.coins,
  coinjoinScript: addressScript('regtest', reservation.coinjoinAddress) ?? OTHERS,
  changeScript: addressScript('regtest', reservation.changeAddress),
});
