/** Whole negotiations with a maker whose wallet is the real one, on a chain in memory. */
import t from 'tap';
import type { MakerWallet } from '../../src/negotiation/ports.js';
import { createMemoryCommitments } from '../helpers/coinjoin-world.js';
import { DirectTaker, type ScriptCoin } from '../helpers/direct-taker.js';
import { openMakerSessions } from '../helpers/maker-sessions.js';
import { EARNED, makerWorld, OFFER, type MakerWorld } from '../helpers/maker-wallet-world.js';
import { createMessageExchange } from '../helpers/message-exchange.js';
import { createTestClock } from '../helpers/test-clock.js';

const AMOUNT = 100_000;
const MAKER = 'J5maker';

function openMarket(world: MakerWorld, wallet: MakerWallet = world.maker) {
  const office = createMessageExchange();
  const clock = createTestClock();
  const commitments = createMemoryCommitments();
  const { chain } = world;
  const open = () =>
    openMakerSessions({ office, nick: MAKER, wallet, chain, commitments, offer: OFFER, clock });
  return { office, clock, commitments, ...open(), open };
}

/** A taker with a coin of six confirmations. */
function takerOf(
  world: MakerWorld,
  office: ReturnType<typeof createMessageExchange>,
  nick: string,
  { value = 1_000_000, blocks = 6 } = {},
): { readonly taker: DirectTaker; readonly coin: ScriptCoin } {
  const taker = new DirectTaker({ office, maker: MAKER, nick });
  const { script } = taker;
  const { txid, vout } = world.chain.pay(script, value);
  if (blocks > 0) world.chain.mine(blocks);
  return { taker, coin: { txid, vout, script, value } };
}

const coinsOf = (world: MakerWorld, names: readonly { txid: string; vout: number }[]) =>
  names.map((name) => world.wallet.coin(name));

/** One honest round to its end. Resolves to the txid. */
async function round(
  world: MakerWorld,
  { taker, coin }: ReturnType<typeof takerOf>,
  isPushed: boolean,
): Promise<string> {
  const named = await taker.approach(AMOUNT, coin);
  if (!named.ok) throw new Error(named.refusal);
  const makerCoins = coinsOf(world, named.io.coins);
  const tx = taker.transaction(named, { amount: AMOUNT, offer: OFFER, coin, makerCoins });
  const whole = await taker.ask(named, tx, coin, makerCoins);
  if (typeof whole === 'string') throw new Error(whole);
  if (isPushed) await taker.push(whole.bytes);
  return whole.txid;
}

t.test('a round: the maker broadcasts for its taker, and earns its fee', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const market = openMarket(world);
  const one = takerOf(world, market.office, 'J5one');
  await world.read();
  const txid = await round(world, one, true);
  t.match(market.outcomes, [
    { result: 'signed', pushed: true, amount: AMOUNT, earned: EARNED, txid },
  ]);
  t.equal(market.commitments.size, 1);
  t.ok(world.chain.inMempool(txid));
  await world.mine();
  t.match(world.maker.coinjoins(), [{ txid, state: 'confirmed', earned: EARNED }]);
  t.equal(world.wallet.summary().total, 200_000 + EARNED);
  t.equal(world.maker.reservations, 0);
});

t.test(
  'after a taker took its coin back, the coins are named again, behind any port',
  async (t) => {
    const world = await makerWorld([[], [200_000]]);
    const { maker } = world;
    // Another object than the wallet, as a program may put in front of it.
    const dressed: MakerWallet = {
      reserve: (...args) => maker.reserve(...args),
      sign: (...args) => maker.sign(...args),
      settle: (...args) => maker.settle(...args),
    };
    const market = openMarket(world, dressed);
    const first = takerOf(world, market.office, 'J5one');
    await world.read();
    await round(world, first, false);
    world.chain.mine(1, { transactions: [first.taker.spendElsewhere(first.coin)] });
    await world.read();
    t.match(maker.coinjoins(), [{ state: 'lost' }]);
    const second = takerOf(world, market.office, 'J5two');
    await world.read();
    const txid = await round(world, second, true);
    t.ok(world.chain.inMempool(txid));
  },
);

t.test('what the chain says about the coin of a taker decides', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const { office } = openMarket(world);
  const refusal = async (
    nick: string,
    terms: { value?: number; blocks?: number },
    spent = false,
  ) => {
    const { taker, coin } = takerOf(world, office, nick, terms);
    // Spent by a transaction of the mempool only.
    if (spent) await world.chain.broadcast(taker.spendElsewhere(coin));
    const named = await taker.approach(AMOUNT, coin);
    return named.ok ? 'named' : named.refusal;
  };
  t.match(await refusal('J5young', { blocks: 4 }), /needs 5 confirmations/);
  t.match(await refusal('J5mempool', { blocks: 0 }), /needs 5 confirmations/);
  t.match(await refusal('J5small', { value: 19_999 }), /must hold 20000 sat/);
  t.match(await refusal('J5spent', {}, true), /does not exist or is spent/);
  t.strictSame(world.wallet.leases(), [], 'no coin was touched');
  t.equal(await refusal('J5good', { value: 20_000, blocks: 5 }), 'named');
});

t.test('the commitment is on the disk before coins are named', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const office = createMessageExchange();
  let written: (() => void) | undefined;
  const stored = new Promise<void>((resolve) => (written = resolve));
  const commitments = { ...createMemoryCommitments(), has: () => false };
  let ask: (() => void) | undefined;
  const asked = new Promise<void>((resolve) => (ask = resolve));
  openMakerSessions({
    office,
    nick: MAKER,
    wallet: world.maker,
    chain: world.chain,
    offer: OFFER,
    clock: createTestClock(),
    commitments: {
      ...commitments,
      add: async () => {
        ask?.();
        await stored;
        return true;
      },
    },
  });
  const { taker, coin } = takerOf(world, office, 'J5one');
  const naming = taker.approach(AMOUNT, coin);
  await asked;
  t.notOk(office.history.some(({ command }) => command === 'ioauth'));
  t.equal(world.wallet.leases().length, 1, 'the lease was first');
  written?.();
  t.ok((await naming).ok);
});

t.test('two takers at one maker at once: both complete, with different coins', async (t) => {
  const world = await makerWorld([[], [200_000, 200_000]]);
  const market = openMarket(world);
  const takers = ['J5one', 'J5two', 'J5three'].map((nick) => takerOf(world, market.office, nick));
  await world.read();
  const results = await Promise.allSettled(takers.map((it) => round(world, it, true)));
  t.same(
    results.map(({ status }) => status).toSorted(),
    ['fulfilled', 'fulfilled', 'rejected'],
    'the third finds no coins',
  );
  await world.mine();
  t.strictSame(
    world.maker.coinjoins().map(({ state }) => state),
    ['confirmed', 'confirmed'],
  );
  t.equal(world.wallet.summary().total, 400_000 + 2 * EARNED);
});

t.test('a taker that never pushes, and comes again under another name', async (t) => {
  const world = await makerWorld([[], [200_000]]);
  const market = openMarket(world);
  const one = takerOf(world, market.office, 'J5one');
  await world.read();
  await round(world, one, false);
  market.clock.advance(300_000);
  t.match(market.outcomes, [{ result: 'signed', pushed: false }]);
  const two = takerOf(world, market.office, 'J5two');
  await t.rejects(round(world, two, true), /out of range/);
  // An hour and a minute later the same coin is spent in a conflict.
  market.clock.advance(3_660_000);
  world.pass(3_961);
  const three = takerOf(world, market.office, 'J5three');
  await world.read();
  const txid = await round(world, three, true);
  await world.mine();
  t.match(world.maker.coinjoins(), [{ state: 'replaced' }, { txid, state: 'confirmed' }]);
});

t.test('a taker that stops after it saw the coins sees the same ones again', async (t) => {
  const world = await makerWorld([[], [200_000, 300_000, 250_000]]);
  const market = openMarket(world);
  const seen: string[] = [];
  for (const nick of ['J5one', 'J5two', 'J5three']) {
    const { taker, coin } = takerOf(world, market.office, nick);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const named = await taker.approach(AMOUNT, coin);
    if (!named.ok) throw new Error(named.refusal);
    seen.push(...named.io.coins.map(({ txid }) => txid));
    market.clock.advance(300_000);
  }
  t.equal(new Set(seen).size, 1, 'one coin for three probes');
  t.match(
    market.outcomes.map((it) => it.result === 'failed' && it.fault),
    ['silent', 'silent', 'silent'],
  );
});

t.test('a maker that stops and starts again keeps what it signed', async (t) => {
  const world = await makerWorld([[], [200_000, 300_000]]);
  const market = openMarket(world);
  const one = takerOf(world, market.office, 'J5one');
  await world.read();
  await round(world, one, false);
  market.sessions.close();
  market.open();
  const two = takerOf(world, market.office, 'J5two');
  const named = await two.taker.approach(AMOUNT, two.coin);
  t.ok(named.ok && coinsOf(world, named.io.coins).every(({ value }) => value === 300_000));
});
