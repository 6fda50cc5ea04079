/**
 * A running maker with a wallet, over loopback sockets, with the chain in memory: its offers, a whole coinjoin
 * with the taker of the negotiation, and its next appearance. The test moves the time of the role; that of the
 * connections is real.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { OnionMessageChannel } from '../../src/channel/message-channel.js';
import { silentLog } from '../../src/channel/log.js';
import { MemoryChain } from '../../src/chain/memory.js';
import { deferred } from '../../src/kit/deferred.js';
import { largestFillable, type OfferTerms } from '../../src/maker/offers.js';
import { WalletMaker } from '../../src/maker/wallet-maker.js';
import { runCoinjoin } from '../../src/negotiation/taker/coinjoin.js';
import type { RoundResult } from '../../src/negotiation/taker/api.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createNickKey } from '../../src/protocol/nick.js';
import {
  parseFidelityBond,
  verifyBondCertificate,
  verifyBondNicks,
  type FidelityBondProof,
} from '../../src/protocol/fidelity-bond.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import { formatOffer, type Offer } from '../../src/protocol/offer.js';
import {
  MOST_DELAY_MS,
  startWalletMaker,
  type WalletMakerRole,
} from '../../src/roles/wallet-maker.js';
import { YieldStatement } from '../../src/roles/yield-statement-file.js';
import type { TakerWallet } from '../../src/negotiation/ports.js';
import { createMemoryCommitments } from '../helpers/coinjoin-world.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { paidTaker } from '../helpers/paid-taker.js';
import { anyPort, openLiveTestChannel, type LiveTestChannel } from '../helpers/test-channel.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { createWalletWorld, type WalletWorld } from '../helpers/wallet-world.js';
import { openMessageChannel } from '../../src/channel/message-channel.js';

const TERMS: OfferTerms = {
  ordertype: 'reloffer',
  family: 'sw0',
  cjfeeAbsolute: 500,
  cjfeeRelative: 0.001,
  cjfeeFactor: 0,
  txfee: 0,
  txfeeFactor: 0,
  minsize: 100_000,
  sizeFactor: 0,
};
const FEE = { type: 'sw0reloffer', txfee: 0, cjfee: '0.001000' } as const;

/** Number of the month of a bond: January 2030. */
const MONTH = 120;

interface World {
  readonly role: WalletMakerRole;
  readonly world: WalletWorld;
  readonly clock: TestClock;
  /** A peer that reads what makers announce. */
  readonly watcher: LiveTestChannel;
  /** Path of the statement. */
  readonly statement: string;
  /** The channels of the maker, in their order. */
  readonly channels: readonly OnionMessageChannel[];
  /** Mines a block, and resolves when the maker has read it. */
  mine(): Promise<void>;
  /** Resolves when the maker changes to a state with this property. */
  until(is: () => boolean): Promise<void>;
}

interface WorldOptions {
  readonly funds: readonly number[];
  /** Satoshi of a bond. */
  readonly bond?: number;
  readonly terms?: Partial<OfferTerms>;
  readonly keepsLocation?: boolean;
  /** The random numbers; default 0.5 each. */
  readonly random?: () => number;
}

/** Pays fresh addresses of mixdepth 0, in one block. */
async function fund(world: WalletWorld, values: readonly number[]): Promise<void> {
  const { wallet, chain } = world;
  for (const value of values) {
    // oxlint-disable-next-line no-await-in-loop -- one address after the other
    const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
    chain.pay(script, value);
  }
  chain.mine();
  await world.sync();
}

async function createWorld(t: Test, options: WorldOptions): Promise<World> {
  const { funds, random = () => 0.5 } = options;
  const clock = createTestClock();
  const directory = await serveDirectory(t, anyPort(), systemClock, 'J5directoryOOOOO');
  const world = await createWalletWorld(
    { network: 'signet' },
    new MemoryChain({ network: 'signet' }),
  );
  const { wallet, chain } = world;
  if (options.bond !== undefined) {
    const { script } = await wallet.handOutBond(MONTH);
    chain.pay(script, options.bond);
  }
  await fund(world, funds);
  const watcher = openLiveTestChannel([directory.location]);
  t.teardown(() => watcher.close());
  await watcher.next('welcome');
  const statement = join(t.testdir({}), 'yigen-statement.csv');
  const file = await YieldStatement.open(statement, silentLog);
  const channels: OnionMessageChannel[] = [];
  const unixTime = (): number => world.now;
  const role = await startWalletMaker({
    wallet,
    chain,
    maker: new WalletMaker({ wallet, chain, log: silentLog, unixTime }),
    terms: { ...TERMS, ...options.terms },
    openChannel() {
      const channel = openMessageChannel({
        network: 'signet',
        directories: [directory.location],
        overlay: anyPort(),
        nickKey: createNickKey(randomBytes),
        serve: true,
        clock: systemClock,
        random: () => 0,
        log: silentLog,
      });
      channels.push(channel);
      return channel;
    },
    keepsLocation: options.keepsLocation ?? false,
    blacklist: { store: createMemoryCommitments() },
    statement: file,
    clock,
    random,
    log: silentLog,
    unixTime,
  });
  t.teardown(async () => {
    await role.stop();
    await file.close();
  });
  const until = (is: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      if (is()) return resolve();
      const stop = role.onChange(() => {
        if (!is()) return;
        stop();
        resolve();
      });
    });
  return {
    role,
    world,
    clock,
    watcher,
    statement,
    channels,
    until,
    async mine() {
      const { height } = chain.mine();
      await until(() => wallet.height >= height);
    },
  };
}

/** The next public message of a maker. */
async function announced(watcher: LiveTestChannel): Promise<readonly [string, string]> {
  const { from, text } = await watcher.next('pubmsg');
  return [from, text];
}

/** Resolves to the next announcement of a nick other than these. */
async function nextNick(
  watcher: LiveTestChannel,
  known: readonly string[],
): Promise<readonly [string, string]> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one message after the other
    const [from, text] = await announced(watcher);
    if (!known.includes(from)) return [from, text];
  }
}

/** Resolves when the directory says that the nick left. */
async function gone(watcher: LiveTestChannel, nick: string): Promise<void> {
  // oxlint-disable-next-line no-await-in-loop -- one notice after the other
  for (let left = ''; left !== nick; left = await watcher.next('peer-gone'));
}

async function coinjoin(
  { watcher, world, clock }: World,
  offer: Offer,
  nick: string,
  amount: number,
  wallet: TakerWallet = paidTaker(world.chain, 'taker', [amount + 50_000]),
): Promise<RoundResult> {
  return runCoinjoin({
    channel: watcher,
    network: 'signet',
    wallet,
    chain: world.chain,
    commitments: createMemoryCommitments(),
    amount,
    makers: 1,
    candidates: [{ nick, offer }],
    policy: { minimumMakers: 1, maxCjFeeAbs: 1_000_000, broadcast: 'self' },
    feePerKb: 2_000,
    clock,
    randomBytes,
    log: silentLog,
  });
}

const nickOf = ({ role }: World): string => role.status().nick ?? '';

/** The only offer that is announced. */
function onlyOffer({ role }: World): Offer {
  const [offer, ...more] = role.status().offers;
  if (offer === undefined || more.length > 0) throw new Error('not one offer');
  return offer;
}

t.test('a maker offers what its wallet can give, and completes a coinjoin', async (t) => {
  const it = await createWorld(t, { funds: [40_000_000, 7_000_000] });
  const maxsize = largestFillable(FEE, 40_000_000);
  const offer = onlyOffer(it);
  t.same(offer, {
    type: 'sw0reloffer',
    oid: 0,
    minsize: 100_000,
    maxsize,
    txfee: 0,
    cjfee: '0.001000',
  });
  const nick = nickOf(it);
  t.same(await announced(it.watcher), [nick, formatOffer(offer)]);

  const result = await coinjoin(it, offer, nick, 10_000_000);
  if (!result.ok) throw new Error(`${result.fault}: ${result.detail}`);
  it.world.now += 90;
  it.world.chain.mine(1, { time: it.world.now });
  await it.until(() => it.role.status().coinjoins[0]?.state === 'confirmed');
  t.match(it.role.status().coinjoins, [
    {
      state: 'confirmed',
      txid: result.txid,
      amount: 10_000_000,
      inputs: 1,
      inputValue: 40_000_000,
      fee: 10_000,
      earned: 10_000,
    },
  ]);
  t.same(it.world.wallet.summary().total, 47_010_000, 'it earned its fee');
  t.equal(it.world.wallet.summary().mixdepths[1]?.balance, 10_000_000, 'in the next mixdepth');

  t.same(await announced(it.watcher), [nick, 'cancel 0'], 'it cannot fill its offer any more');
  t.match(it.role.status(), { nick: undefined, offers: [] });
  t.equal(it.role.status().nextIdentityAt, it.world.now + MOST_DELAY_MS / 2_000);
  it.clock.advance(MOST_DELAY_MS / 2 - 1);
  t.equal(it.channels.length, 1, 'nothing before the delay is over');
  it.clock.advance(1);
  const [next, text] = await nextNick(it.watcher, [nick]);
  t.equal(next, nickOf(it));
  // The taker did not ask it to broadcast within the time for that.
  await gone(it.watcher, nick);
  t.equal(text, formatOffer({ ...offer, maxsize: largestFillable(FEE, 30_010_000) }));
  const [before, after] = it.channels.map(({ locations }) => locations[0]);
  t.notSame(before, after, 'at a new location');
  await it.role.stop();
  t.match(
    (await readFile(it.statement, 'utf8')).split('\n'),
    [/^timestamp,/, /,Connected$/, /^[^,]+,10000000,1,40000000,10000,10000,1\.50,$/, ''],
    'the statement has one line for it',
  );
});

t.test('more coins: the old nick stops offering before the new one appears', async (t) => {
  // Half of the longest delay, and the withdrawal after half of that.
  const it = await createWorld(t, { funds: [5_000_000] });
  const old = nickOf(it);
  await announced(it.watcher);
  await fund(it.world, [60_000_000]);
  await it.until(() => it.role.status().nextIdentityAt !== undefined);
  t.match(it.role.status(), { nick: old, offers: [{ maxsize: largestFillable(FEE, 5_000_000) }] });
  it.clock.advance(MOST_DELAY_MS / 4);
  t.same(await announced(it.watcher), [old, 'cancel 0']);
  await gone(it.watcher, old);
  t.match(it.role.status(), { nick: undefined, noOffer: /new offers follow under a new nick/ });
  it.clock.advance(MOST_DELAY_MS / 4);
  const [next, text] = await nextNick(it.watcher, [old]);
  t.not(next, old);
  t.match(text, String(largestFillable(FEE, 60_000_000)));
});

t.test('coins that change nothing of the offers leave the nick as it is', async (t) => {
  const it = await createWorld(t, { funds: [5_000_000] });
  const nick = nickOf(it);
  await fund(it.world, [1_000_000]);
  await it.mine();
  it.clock.advance(MOST_DELAY_MS);
  t.match(it.role.status(), { nick, nextIdentityAt: undefined });
  t.equal(it.channels.length, 1);
});

t.test('a negotiation of the old nick finishes before it leaves', async (t) => {
  // A delay of 0.6 s, so that no negotiation is late.
  const it = await createWorld(t, { funds: [40_000_000], random: () => 0.001 });
  const old = nickOf(it);
  await announced(it.watcher);
  const taker = paidTaker(it.world.chain, 'taker', [1_050_000]);
  const asked = deferred<void>();
  const mayGo = deferred<void>();
  const done = coinjoin(it, onlyOffer(it), old, 1_000_000, {
    ...taker,
    async fund(request, signal) {
      asked.resolve();
      await mayGo.promise;
      return taker.fund(request, signal);
    },
  });
  await asked.promise;
  await fund(it.world, [90_000_000]);
  await it.until(() => it.role.status().nextIdentityAt !== undefined);
  it.clock.advance(1_000);
  const [next] = await nextNick(it.watcher, [old]);
  t.equal(next, nickOf(it));
  t.match(it.role.status().sessions, [{ amount: 1_000_000 }], 'the old one still negotiates');
  t.equal(it.watcher.waiting('peer-gone'), 0);
  mayGo.resolve();
  const result = await done;
  if (!result.ok) throw new Error(`${result.fault}: ${result.detail}`);
  t.match(result.makers, [{ nick: old, step: 'signed' }]);
  // It waits for a request to broadcast, and then leaves.
  it.clock.advance(300_000);
  await gone(it.watcher, old);
  t.match(it.role.status(), { nick: next, sessions: [] });
});

t.test('an old nick leaves when its coinjoin is in a block, at a random moment', async (t) => {
  const it = await createWorld(t, { funds: [40_000_000], random: () => 0.25 });
  const old = nickOf(it);
  await announced(it.watcher);
  const result = await coinjoin(it, onlyOffer(it), old, 1_000_000);
  if (!result.ok) throw new Error(`${result.fault}: ${result.detail}`);
  it.clock.advance(1_000);
  t.match(it.role.status().sessions, [{ step: 'push' }], 'it waits for a request to broadcast');
  await it.mine();
  await it.until(() => it.role.status().coinjoins[0]?.state === 'confirmed');
  t.match(it.role.status().sessions, [{ step: 'push' }], 'not with the block');
  it.clock.advance(74_999);
  t.match(it.role.status().sessions, [{ step: 'push' }], 'before a quarter of the five minutes');
  it.clock.advance(1);
  t.same(it.role.status().sessions, [], 'after it');
  it.clock.advance(75_000);
  await gone(it.watcher, old);
});

t.test(
  'without coins all offers are withdrawn, and the maker returns with new coins',
  async (t) => {
    const it = await createWorld(t, { funds: [5_000_000] });
    const old = nickOf(it);
    await announced(it.watcher);
    const [coin] = it.world.wallet.coins();
    if (coin === undefined) throw new Error('no coin');
    await it.world.wallet.freeze([coin]);
    await it.mine();
    t.same(await announced(it.watcher), [old, 'cancel 0']);
    await gone(it.watcher, old);
    t.match(it.role.status(), { nick: undefined, offers: [], nextIdentityAt: undefined });
    t.match(it.role.status().noOffer, /no confirmed coin that a coinjoin may spend/);
    it.clock.advance(MOST_DELAY_MS);
    t.equal(it.channels.length, 1);
    await fund(it.world, [3_000_000]);
    await it.until(() => it.role.status().nextIdentityAt !== undefined);
    it.clock.advance(MOST_DELAY_MS);
    await nextNick(it.watcher, [old]);
    t.match(it.role.status(), {
      offers: [{ maxsize: largestFillable(FEE, 3_000_000) }],
      noOffer: undefined,
    });
  },
);

t.test('a maker without coins waits for a deposit, under no nick', async (t) => {
  const it = await createWorld(t, { funds: [] });
  await it.role.ready;
  t.equal(it.channels.length, 0);
  t.match(it.role.status(), { nick: undefined, noOffer: /deposit to it/ });
  await fund(it.world, [3_000_000]);
  await it.until(() => it.role.status().nextIdentityAt !== undefined);
  it.clock.advance(MOST_DELAY_MS);
  await announced(it.watcher);
  t.equal(it.role.status().offers.length, 1);
});

t.test('dual offers: the one that cannot be filled is withdrawn alone', async (t) => {
  const terms = { dual: true, cjfeeAbsolute: 1_000, minsize: 27_300 };
  const it = await createWorld(t, { funds: [5_000_000, 2_000_000], terms });
  await announced(it.watcher);
  await announced(it.watcher);
  t.match(it.role.status().offers, [
    { oid: 0, maxsize: 1_000_000 },
    { oid: 1, minsize: 1_000_000 },
  ]);
  const [coin] = it.world.wallet.coins().filter(({ value }) => value === 5_000_000);
  if (coin === undefined) throw new Error('no coin');
  await it.world.wallet.freeze([coin]);
  await it.mine();
  t.same(await announced(it.watcher), [nickOf(it), 'cancel 1']);
  t.match(it.role.status().offers, [{ oid: 0 }]);
  t.type(it.role.status().nextIdentityAt, 'number');
  await it.world.wallet.unfreeze([coin]);
  await it.mine();
  t.type(
    it.role.status().nextIdentityAt,
    'number',
    'what was withdrawn comes back with a new nick',
  );
});

t.test('at a location that stays, the old nick leaves before the new one comes', async (t) => {
  const it = await createWorld(t, {
    funds: [40_000_000],
    keepsLocation: true,
    random: () => 0.001,
  });
  const old = nickOf(it);
  await announced(it.watcher);
  const taker = paidTaker(it.world.chain, 'taker', [1_050_000]);
  const asked = deferred<void>();
  const done = coinjoin(it, onlyOffer(it), old, 1_000_000, {
    ...taker,
    // It never pays, and leaves.
    fund() {
      asked.resolve();
      return Promise.resolve(undefined);
    },
  });
  await asked.promise;
  await done;
  await fund(it.world, [90_000_000]);
  await it.until(() => it.role.status().nextIdentityAt !== undefined);
  it.clock.advance(1_000);
  t.match(it.role.status().sessions, [{ step: 'tx' }], 'the old one waits for the taker');
  t.equal(it.channels.length, 1);
  it.clock.advance(300_000);
  await gone(it.watcher, old);
  await nextNick(it.watcher, [old]);
  t.equal(it.channels.length, 2);
});

/** The proof of a bond in the answer to `!orderbook`. */
async function bondShown({ watcher }: World, maker: string): Promise<FidelityBondProof> {
  watcher.publish('orderbook');
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one message after the other
    const { from, commands } = await watcher.next('privmsg');
    const [proof = ''] = commands.find(({ name }) => name === 'tbond')?.args ?? [];
    const parsed = parseFidelityBond(proof);
    if (from === maker && parsed.ok) return parsed.value;
  }
}

t.test('each nick proves the bond of the wallet with a certificate of its own', async (t) => {
  const it = await createWorld(t, { funds: [5_000_000], bond: 20_000_000 });
  const old = nickOf(it);
  await announced(it.watcher);
  const { nick } = it.watcher;
  const first = await bondShown(it, old);
  t.ok(verifyBondCertificate(first));
  t.ok(verifyBondNicks(first, old, nick));
  t.match(it.role.status().bond, {
    outpoint: formatOutpoint(first.utxo),
    lockTime: first.lockTime,
  });
  t.ok((it.role.status().bond?.value ?? 0) > 0);

  await fund(it.world, [60_000_000]);
  await it.until(() => it.role.status().nextIdentityAt !== undefined);
  it.clock.advance(MOST_DELAY_MS / 2);
  const [next] = await nextNick(it.watcher, [old]);
  await gone(it.watcher, old);
  const second = await bondShown(it, next);
  t.ok(verifyBondNicks(second, next, nick));
  t.same(second.utxo, first.utxo);
  t.not(second.certPublicKeyHex, first.certPublicKeyHex);
});
