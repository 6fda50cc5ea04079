/**
 * Scenes of coinjoins with takers and makers together, on a real node and over loopback sockets: two takers at
 * the same makers, fills of strangers, fees that rise meanwhile, a coinjoin whose block is lost.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { openMessageChannel } from '../../src/channel/message-channel.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createNickKey } from '../../src/protocol/nick.js';
import type { CoinjoinEvent, CoinjoinOutcome, CoinjoinRequest } from '../../src/taker/api.js';
import { CoinjoinFollower } from '../../src/wallet/coinjoins/follower.js';
import { NETWORK } from '../../lab/soak/coinjoins/settings.js';
import type { OfferTerms } from '../../lab/soak/coinjoins/soak-maker.js';
import type { SoakTaker } from '../../lab/soak/coinjoins/soak-taker.js';
import type { SoakWallet } from '../../lab/soak/coinjoins/soak-wallet.js';
import { World } from '../../lab/soak/coinjoins/world.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';

const TERMS: OfferTerms = { isRelative: false, cjfee: '700', txfee: 50 };
const EARNED = 650;
const REQUEST: CoinjoinRequest = {
  amount: 4_000_000,
  destination: { kind: 'internal' },
  mixdepth: 0,
  makers: 3,
  minimumMakers: 3,
  maxFeeAbs: 10_000,
  maxFeeRel: 0.001,
  fee: { kind: 'rate', feePerKb: 2_000 },
  choice: 'random',
  picks: [],
  broadcast: 'self',
};

/** One attempt of a taker; the accountant knows what is agreed. */
function attempt(
  world: World,
  taker: SoakTaker,
  request: Partial<CoinjoinRequest> = {},
  onEvent?: (event: CoinjoinEvent) => void,
): Promise<CoinjoinOutcome> {
  const full = { ...REQUEST, ...request };
  return taker.attempt({
    request: full,
    nicks: world.makers.map(({ nick }) => nick),
    random: Math.random,
    onPlan: ({ worst }) =>
      world.accountant.agree({
        round: 0,
        taker: taker.wallet.keys.name,
        amount: full.amount === 'sweep' ? undefined : full.amount,
        foreign: undefined,
        offers: new Map(world.makers.map(({ name }) => [name, TERMS])),
        givers: new Set(),
        givenTo: new Set(),
        most: worst,
      }),
    ...(onEvent && { onEvent }),
  });
}

/** Satoshi of a party, by the node's set of unspent outputs. */
async function onChain({ node }: World, { keys }: SoakWallet): Promise<number> {
  const scripts = keys.scripts.map((script) => `raw(${script})`);
  const answer = await node.rpc<{ total_amount: number }>('scantxoutset', 'start', scripts);
  return Math.round(answer.total_amount * 1e8);
}

async function booksMatch(t: Test, world: World, takers: readonly SoakTaker[]): Promise<void> {
  for (const { wallet } of [...world.makers, ...takers]) {
    t.equal(wallet.open.summary().total, await onChain(world, wallet), wallet.keys.name);
  }
}

realNodeTest(t, 'takers and makers together', async (t) => {
  t.setTimeout(280_000);
  // The limits of a maker in use: the fills of strangers must not need more.
  const world = await World.open({ makers: 4, seed: 11, limits: {} });
  t.teardown(() => world.close());
  const { makers, taker, accountant, node } = world;
  const second = await world.addTaker('second');
  accountant.add(second.wallet.keys);
  await world.mine(6);
  await second.wallet.sync();
  for (const maker of makers) maker.announce(TERMS);

  await t.test(
    'two takers at the same makers at once: both are served, and share nothing',
    async (t) => {
      const [first, other] = await Promise.all([
        attempt(world, taker),
        attempt(world, second, { amount: 5_000_000 }),
      ]);
      t.match(first, { ok: true, amount: 4_000_000 });
      t.match(other, { ok: true, amount: 5_000_000 });
      await world.mine(6);
      await second.wallet.sync();
      t.equal(accountant.coinjoins.length, 2);
      const shared = makers.filter(({ name }) =>
        accountant.coinjoins.every((coinjoin) => coinjoin.makers.includes(name)),
      );
      t.ok(shared.length >= 2, `${shared.length} makers served both at once`);
      t.same(accountant.faults, []);
      await booksMatch(t, world, [taker, second]);
    },
  );

  await t.test('50 fills a second from strangers beside an honest round', async (t) => {
    for (const maker of makers) maker.announce(TERMS);
    const strangers = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const channel = openMessageChannel({
          network: NETWORK,
          directories: [world.directory],
          overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
          nickKey: createNickKey(randomBytes),
          serve: false,
          clock: systemClock,
          random: Math.random,
          log: silentLog,
        });
        t.teardown(() => channel.close());
        await new Promise<void>((resolve) => channel.once('welcome', () => resolve()));
        channel.publish('orderbook');
        return channel;
      }),
    );
    const victim = makers[0]?.nick ?? '';
    const over = new AbortController();
    let sent = 0;
    const began = performance.now();
    const flood = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const due = Math.floor(((performance.now() - began) / 1000) * 50);
        for (; sent < due; sent += 1) {
          const stranger = strangers[sent % strangers.length];
          const [key, commitment] = [randomBytes(32), randomBytes(32)].map((it) =>
            it.toString('hex'),
          );
          stranger?.send(victim, 'fill', `0 1000000 ${key} P${commitment}`);
        }
        await sleep(20);
      }
    };
    const flooding = flood();
    await sleep(1_000);
    const outcome = await attempt(world, taker, { mixdepth: 1 });
    const seconds = (performance.now() - began) / 1000;
    over.abort();
    await flooding;
    if (!outcome.ok) throw new Error(`${outcome.fault}: ${outcome.detail}`);
    const isServed = outcome.makers.some(({ nick }) => nick === victim);
    t.comment(
      `${sent} fills in ${seconds.toFixed(1)} s; the honest round took ${(seconds - 1).toFixed(1)} s; ` +
        `the flooded maker ${isServed ? 'took part' : 'did not take part'}`,
    );
    t.ok(sent / seconds > 40, `${(sent / seconds).toFixed(0)} fills a second`);
    await world.mine(6);
    t.same(accountant.faults, []);
  });

  await t.test('the fees of the network rise between fill and tx', async (t) => {
    let isGathering = false;
    let isRisen: Promise<void> | undefined;
    const { chain } = world;
    /** A call to the node waits for its restart, also one that begins in the same turn. */
    const afterRise = async <R>(call: () => Promise<R>): Promise<R> => {
      await new Promise((resolve) => setImmediate(resolve));
      await isRisen;
      return call();
    };
    const risen = new Proxy(chain, {
      get(target, name) {
        switch (name) {
          case 'minimumFeePerKb':
            return (signal?: AbortSignal) => {
              // Once makers are asked, this is the question before the transaction.
              if (isGathering) isRisen ??= node.restart(['-minrelaytxfee=0.0005']);
              return afterRise(() => chain.minimumFeePerKb(signal));
            };
          case 'tip':
            return (signal?: AbortSignal) => afterRise(() => chain.tip(signal));
          case 'coins':
            return (...args: Parameters<typeof chain.coins>) =>
              afterRise(() => chain.coins(...args));
          default: {
            const value: unknown = Reflect.get(target, name, target);
            return typeof value === 'function' ? value.bind(target) : value;
          }
        }
      },
    });
    const outcome = await attempt(world, taker.withChain(risen), { mixdepth: 2 }, (event) => {
      isGathering ||= event.kind === 'phase' && event.phase === 'gathering';
    });
    t.ok(isRisen, 'the fees rose');
    await isRisen;
    t.match(outcome, { ok: false, fault: 'port', detail: /50000 sat\/kvB.*plan again/ });
    t.match(outcome, { revealed: { transaction: false, signatures: false } });
    const { open } = taker.wallet;
    t.same(open.leases(), [], 'its coins are free again');
    t.ok(
      open.coinjoins().every(({ state }) => state === 'confirmed'),
      'nothing was signed',
    );
    await booksMatch(t, world, [taker]);
    // At a rate that the network now takes.
    const fee = { kind: 'rate', feePerKb: 60_000 } as const;
    for (const maker of makers) maker.announce(TERMS);
    t.match(await attempt(world, taker, { mixdepth: 2, fee }), { ok: true });
    await node.restart();
    await world.mine(6);
    t.same(accountant.faults, []);
  });

  await t.test('the block of a coinjoin is lost, and a conflict is mined instead', async (t) => {
    for (const maker of makers) maker.announce(TERMS);
    const before = taker.wallet.open.summary().total;
    const outcome = await attempt(world, taker, { mixdepth: 3 });
    if (!outcome.ok) throw new Error(`${outcome.fault}: ${outcome.detail}`);
    await world.mine(1);
    const stateOf = (wallet: SoakWallet): string | undefined =>
      wallet.open.coinjoins().find(({ unsignedTxid }) => unsignedTxid === outcome.txid)?.state;
    const part = makers.filter(({ nick }) => outcome.makers.some((maker) => maker.nick === nick));
    const parties = [taker.wallet, ...part.map(({ wallet }) => wallet)];
    t.same(parties.map(stateOf), Array(4).fill('confirmed'));
    t.equal(taker.wallet.open.summary().total, before - 3 * EARNED - outcome.minerFee);

    const [cheat] = part;
    const spent = cheat?.wallet.open
      .coinjoins()
      .find(({ unsignedTxid }) => unsignedTxid === outcome.txid)?.coins;
    const coins = (spent ?? []).map((name) => world.coinOf(name));
    await node.reorganize(1);
    const sync = (): Promise<unknown> => Promise.all(parties.map((wallet) => wallet.sync()));
    await sync();
    t.same(parties.map(stateOf), Array(4).fill('pending'), 'it waits in the mempool again');
    const held = (): number =>
      taker.wallet.open.coins().filter(({ hold }) => hold === 'signed').length;
    t.ok(held() > 0, 'its coins are not free');

    const refuge = await cheat?.wallet.open.handOut({ mixdepth: 1, purpose: 'deposit' });
    const known = await Promise.all(coins);
    const conflict = cheat?.wallet.keys.spend(known, refuge?.script ?? '', 3_000);
    await node.mineExactly([Buffer.from(conflict ?? []).toString('hex')]);
    await node.mine(6);
    await sync();
    const followers = parties.map((wallet) => new CoinjoinFollower(wallet.open, world.chain));
    for (const follower of followers) await follower.look();
    t.same(parties.map(stateOf), Array(4).fill('lost'));
    t.equal(taker.wallet.open.summary().total, before, 'the taker has paid nothing');
    t.ok(
      (taker.wallet.open.summary().mixdepths[3]?.available ?? 0) > 0,
      'its coins are free again',
    );
    await booksMatch(t, world, [taker]);
  });
});
