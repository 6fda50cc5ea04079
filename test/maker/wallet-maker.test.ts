/** Reservations of a maker's wallet: what is on the disk when, what is free when, what is shown again. */
import t, { type Test } from 'tap';
import { addressScript } from '../../src/bitcoin/address.js';
import { verifyText } from '../../src/protocol/signature.js';
import {
  coinjoinOf,
  EARNED,
  faultOf,
  makerWorld,
  namesOf,
  never,
  requestOf,
  spendingOf,
  type MakerWorld,
} from '../helpers/maker-wallet-world.js';

const AMOUNT = 100_000;
const scriptOf = (address: string): string => addressScript('regtest', address) ?? '';

const kinds = (records: readonly unknown[] | undefined): readonly unknown[] | undefined =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- records of a journal
  records?.map((record) => (record as { readonly kind: unknown }).kind);

t.test('coins and addresses are leased in one write, before they are named', async (t) => {
  const world = await makerWorld([[], [400_000, 150_000]]);
  const request = requestOf(AMOUNT);
  const reservation = await world.maker.reserve(request, never);
  if (reservation === undefined) throw new Error('a reservation');
  t.strictSame(kinds(world.store.writes.at(-1)), ['lease', 'address', 'address']);
  t.equal(reservation.coins[0]?.value, 150_000, 'the smallest that suffices');
  const places = [reservation.coinjoinAddress, reservation.changeAddress].map((address) =>
    world.wallet.placeOf(scriptOf(address)),
  );
  t.match(places, [
    { mixdepth: 0, branch: 1 },
    { mixdepth: 1, branch: 1 },
  ]);
  t.ok(verifyText(request.boxPublicKey, reservation.authPublicKey, reservation.authSignature));
  t.match(world.wallet.leases(), [{ owner: 'maker', until: world.now + 600 }]);

  world.maker.settle(reservation, 'unsigned');
  await world.maker.idle();
  t.strictSame(world.wallet.leases(), []);
  const again = await world.reserved(AMOUNT);
  t.strictSame(namesOf(again), namesOf(reservation), 'a taker that comes again sees the same');
  t.not(again.coinjoinAddress, reservation.coinjoinAddress, 'at fresh addresses');
  t.not(again.changeAddress, reservation.changeAddress);
});

t.test('what is available and what is not', async (t) => {
  const world = await makerWorld([[60_000, 90_000], [200_000, 300_000], []]);
  t.strictSame(
    world.maker.funds(),
    [
      { mixdepth: 0, available: 90_000, held: 0 },
      { mixdepth: 1, available: 500_000, held: 0 },
      { mixdepth: 2, available: 0, held: 0 },
    ],
    'deposits in mixdepth 0 are not merged',
  );
  const most = await world.maker.reserve({ ...requestOf(1), least: 500_000 }, never);
  t.equal(most?.coins.length, 2);
  t.strictSame(world.maker.funds()[1], { mixdepth: 1, available: 0, held: 500_000 });
  t.equal(world.maker.funds({ withLeased: true })[1]?.available, 500_000, 'for offers');
  t.equal(await world.maker.reserve({ ...requestOf(1), least: 90_001 }, never), undefined);
  const alone = await world.maker.reserve({ ...requestOf(1), least: 90_000 }, never);
  t.equal(alone?.coins.length, 1);
});

t.test('a frozen coin, a bond and a coin without a block are never shown', async (t) => {
  const world = await makerWorld([[], [200_000, 300_000]]);
  const [first] = world.wallet.coins();
  if (first === undefined) throw new Error('a coin');
  await world.wallet.freeze([first]);
  const { script } = await world.wallet.handOutBond(900);
  world.chain.pay(script, 9_000_000);
  await world.mine();
  const pending = await world.wallet.handOut({ mixdepth: 1, purpose: 'deposit' });
  world.chain.pay(pending.script, 8_000_000);
  t.strictSame(
    world.maker.funds().map(({ available }) => available),
    [0, 500_000 - first.value],
  );
  t.equal(await world.reserve(1_000_000), undefined);
});

t.test('two takers at once get different coins and addresses; the third gets none', async (t) => {
  const world = await makerWorld([[], [200_000, 200_000]]);
  const found = await Promise.all([AMOUNT, AMOUNT, AMOUNT].map((it) => world.reserve(it)));
  const [a, b, c] = found;
  if (a === undefined || b === undefined) throw new Error('two reservations');
  t.equal(c, undefined);
  t.not(namesOf(a)[0], namesOf(b)[0]);
  const addresses = [a, b].flatMap((it) => [it.coinjoinAddress, it.changeAddress]);
  t.equal(new Set(addresses).size, 4);
});

t.test('signed coins stay reserved until the transaction is in a block', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const reservation = await world.reserved(AMOUNT);
  const { transaction, txid } = await world.sign(reservation, AMOUNT);
  t.strictSame(world.holds(), ['signed']);
  t.equal(await world.reserve(AMOUNT), undefined);
  t.match(world.maker.coinjoins(), [
    { txid: undefined, unsignedTxid: txid, state: 'pending', amount: AMOUNT, earned: EARNED },
  ]);
  await world.chain.broadcast(transaction);
  await world.read();
  t.match(world.maker.coinjoins(), [{ txid, confirmedAt: undefined }], 'seen in the mempool');
  await world.mine();
  t.match(world.maker.coinjoins(), [
    {
      txid,
      state: 'confirmed',
      signedAt: world.now,
      amount: AMOUNT,
      inputs: 1,
      inputValue: 200_000,
      fee: EARNED + 100,
      earned: EARNED,
    },
  ]);
  t.equal(world.wallet.summary().total, 200_000 + EARNED);
  t.match(
    world.wallet.coins().map(({ mixdepth, value, origin }) => [mixdepth, value, origin]),
    [
      [0, AMOUNT, 'coinjoin'],
      [1, AMOUNT + EARNED, 'cj-change'],
    ],
  );
});

t.test('a transaction that pays less, or spends other coins, is not signed', async (t) => {
  const world = await makerWorld([[], [200_000, 500_000]]);
  const reservation = await world.reserved(AMOUNT);
  const taker = world.takerCoin();
  const less = coinjoinOf(reservation, AMOUNT - 1, taker);
  t.equal(await faultOf(world.maker.sign(less, never)), 'request');
  const poor = {
    ...reservation,
    coins: reservation.coins.map((it) => ({ ...it, value: 199_999 })),
  };
  const short = coinjoinOf(poor, AMOUNT, taker);
  t.equal(await faultOf(world.maker.sign(short, never)), 'request', 'a satoshi is missing');
  const second = await world.reserved(AMOUNT);
  world.maker.settle(second, 'unsigned');
  const foreign = coinjoinOf({ ...reservation, coins: second.coins }, AMOUNT, taker);
  t.equal(await faultOf(world.maker.sign(foreign, never)), 'held');
  t.strictSame(world.wallet.signedTransactions(), []);
  world.maker.settle(reservation, 'unsigned');
  const late = coinjoinOf(reservation, AMOUNT, taker);
  t.equal(await faultOf(world.maker.sign(late, never)), 'held', 'after the end');
});

t.test('signatures that never left the program hold nothing', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const reservation = await world.reserved(AMOUNT);
  // The session ends while the wallet still signs.
  const signing = world.maker.sign(coinjoinOf(reservation, AMOUNT, world.takerCoin()), never);
  world.maker.settle(reservation, 'unsigned');
  await signing;
  await world.maker.idle();
  t.match(world.wallet.signedTransactions(), [{ state: 'abandoned' }]);
  t.strictSame(world.holds(), [undefined]);
  t.ok(await world.reserve(AMOUNT));
});

t.test(
  'a full disk when a session ends: the coins stay reserved, and are freed later',
  async (t) => {
    const world = await makerWorld([[], [200_000]]);
    const reservation = await world.reserved(AMOUNT);
    world.store.isFull = true;
    t.doesNotThrow(() => world.maker.settle(reservation, 'unsigned'));
    await world.maker.idle();
    t.strictSame(world.holds(), ['leased']);
    t.equal(await world.reserve(20_000), undefined);
    world.store.isFull = false;
    t.ok(await world.reserve(AMOUNT), 'the next reservation writes it');
  },
);

t.test('a full disk when a session begins: nothing is named', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  world.store.isFull = true;
  t.equal(await faultOf(world.reserve(AMOUNT)), 'disk');
  world.store.isFull = false;
  t.strictSame(world.holds(), [undefined]);
  t.ok(await world.reserve(AMOUNT), 'and nothing stays taken');
});

t.test('a coin that a transaction of the mempool spends is passed over', async (t) => {
  const world = await makerWorld([[], [200_000, 300_000]]);
  const [coin] = world.wallet.coins().filter(({ value }) => value === 200_000);
  if (coin === undefined) throw new Error('a coin');
  // Another copy of the wallet spends it.
  await world.chain.broadcast(spendingOf([coin], 190_000));
  const reservation = await world.reserved(AMOUNT);
  t.equal(reservation.coins[0]?.value, 300_000);
});

t.test('a chain that does not answer: the session fails, and nothing stays taken', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  world.chain.fail();
  t.equal(await faultOf(world.reserve(AMOUNT)), 'unreachable');
  world.chain.recover();
  t.ok(await world.reserve(AMOUNT));
});

t.test('before the chain was read, nothing is reserved', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const unread = await world.restart({ isRead: false });
  t.equal(await faultOf(unread.reserve(AMOUNT)), 'chain');
});

t.test(
  'a restart: leases of the process before are freed, its coins are shown again',
  async (t) => {
    const world = await makerWorld([[], [200_000, 150_000, 300_000]]);
    // The largest one was shown, because the others were in use.
    const small = [await world.reserved(AMOUNT), await world.reserved(AMOUNT)];
    const large = await world.reserved(AMOUNT);
    for (const reservation of small) world.maker.settle(reservation, 'unsigned');
    await world.maker.idle();

    const again = await world.restart();
    await again.maker.idle();
    t.strictSame(again.wallet.leases(), []);
    again.pass(3_601);
    await again.mine();
    const later = await again.restart();
    const shown = await later.reserved(AMOUNT);
    t.equal(shown.coins[0]?.value, 150_000, 'after an hour, by the rule');
    later.maker.settle(shown, 'unsigned');
    const soon = await later.reserved(120_000);
    t.strictSame(namesOf(soon), namesOf(shown), 'the coin that was shown suffices for more');
    t.notSame(namesOf(soon), namesOf(large));
  },
);

t.test('coins that were shown within the hour are shown again after a restart', async (t) => {
  const world = await makerWorld([[], [300_000]]);
  const first = await world.reserved(AMOUNT);
  // A smaller coin arrives, which the rule alone would choose.
  await world.fund(1, [150_000]);
  const again = await world.restart();
  t.strictSame(namesOf(await again.reserved(AMOUNT)), namesOf(first));
  again.pass(3_601);
  const later = await again.restart();
  t.equal((await later.reserved(AMOUNT)).coins[0]?.value, 150_000);
});

async function overdue(t: Test): Promise<{ world: MakerWorld; old: string }> {
  const world = await makerWorld([[], [200_000, 40_000]]);
  const reservation = await world.reserved(AMOUNT);
  const { txid } = await world.sign(reservation, AMOUNT);
  t.equal(await world.reserve(AMOUNT), undefined, 'not at once');
  world.pass(3_659);
  t.equal(await world.reserve(AMOUNT), undefined, 'not before an hour and a minute');
  world.pass(1);
  return { world, old: txid };
}

t.test(
  'an unseen transaction is overdue: its coins are spent again, in a conflict with it',
  async (t) => {
    const { world, old } = await overdue(t);
    t.equal(world.maker.funds()[1]?.available, 240_000);
    const small = await world.reserved(10_000);
    t.equal(small.coins[0]?.value, 40_000, 'not where free coins suffice');
    const again = await world.reserved(AMOUNT);
    t.ok(again.coins.some(({ value }) => value === 200_000));
    t.equal(await world.reserve(AMOUNT), undefined, 'and by one session only');
    await world.sign(again, AMOUNT);
    t.match(world.wallet.signedTransactions(), [
      { unsignedTxid: old, state: 'pending' },
      { replaces: old, state: 'pending' },
    ]);
    t.equal(await world.reserve(AMOUNT), undefined, 'the second one is not overdue');
  },
);

t.test('an unseen transaction is overdue after a restart, too', async (t) => {
  const { world, old } = await overdue(t);
  const again = await world.restart();
  const reservation = await again.reserved(AMOUNT);
  const { transaction, txid } = await again.sign(reservation, AMOUNT);
  await again.chain.broadcast(transaction);
  await again.mine();
  t.match(again.maker.coinjoins(), [
    { unsignedTxid: old, state: 'replaced' },
    { unsignedTxid: txid, state: 'confirmed' },
  ]);
});

t.test('a transaction that the mempool has is never overdue', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const { transaction } = await world.sign(await world.reserved(AMOUNT), AMOUNT);
  await world.chain.broadcast(transaction);
  world.pass(100_000);
  t.equal(await world.reserve(AMOUNT), undefined, 'the chain says so, before the wallet knows');
  await world.read();
  t.match(world.wallet.signedTransactions(), [{ seen: true }]);
  t.equal(await world.reserve(AMOUNT), undefined);
});

t.test('a lease is over after the longest session, also in a process that forgot it', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const reservation = await world.reserved(AMOUNT);
  world.pass(600);
  t.ok(await world.reserve(AMOUNT), 'free again');
  const late = coinjoinOf(reservation, AMOUNT, world.takerCoin());
  t.equal(await faultOf(world.maker.sign(late, never)), 'request', 'to the addresses of another');
});
