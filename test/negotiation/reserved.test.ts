/** No coin and no address serves two signatures: several sessions of one maker. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import {
  createRequestLimiter,
  DEFAULT_REQUEST_LIMITS,
} from '../../src/negotiation/maker/request-limits.js';
import { DEFAULT_MAKER_POLICY, type MakerOutcome } from '../../src/negotiation/maker/api.js';
import { MakerSessions } from '../../src/negotiation/maker/sessions.js';
import { startMaker } from '../../src/roles/maker.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { nickKey } from '../../src/protocol/nick.js';
import { anyPort, openLiveTestChannel, type LiveTestChannel } from '../helpers/test-channel.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { ReservedOutputs, type HeldParts } from '../../src/negotiation/maker/reserved-outputs.js';
import type { Offer } from '../../src/protocol/offer.js';
import type { Outpoint } from '../../src/protocol/outpoint.js';
import {
  createCollidingWallet,
  lossOf,
  type CollidingWallet,
  type Handout,
} from '../helpers/colliding-wallet.js';
import {
  createMemoryChain,
  createMemoryCommitments,
  createTakerWallet,
  mintFor,
  secretOf,
} from '../helpers/coinjoin-world.js';
import {
  approach,
  channelVoice,
  isNamed,
  postVoice,
  transactionOf,
  type Named,
  type Said,
} from '../helpers/evil-taker.js';
import { createMessageExchange } from '../helpers/message-exchange.js';
import { createTestClock } from '../helpers/test-clock.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const AMOUNT = 1_000_000;
const OFFER: Offer = {
  type: 'sw0absoffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 100,
  cjfee: '1100',
};
const EARNED = 1_000;
const VALUES = [1_500_000, 1_700_000, 1_900_000, 2_100_000];

const coin = (n: number): Outpoint => ({ txid: n.toString(16).padStart(64, '0'), vout: 0 });

/** Coins and scripts by number. */
function parts(coins: readonly number[], coinjoin: string, change: string): HeldParts {
  return {
    coins: coins.map((n) => ({ ...coin(n), script: '', value: 1 })),
    coinjoinScript: coinjoin,
    changeScript: change,
  };
}

t.test('coins and addresses of a running session', async (t) => {
  const first = parts([1, 2], 'aa', 'bb');
  const cases: readonly (readonly [string, HeldParts, boolean])[] = [
    ['a coin of it', parts([2, 3], 'cc', 'dd'), false],
    ['its coinjoin address', parts([3], 'aa', 'dd'), false],
    ['its change address', parts([3], 'cc', 'bb'), false],
    ['its coinjoin address as change', parts([3], 'cc', 'aa'), false],
    ['its change address for the coinjoin', parts([3], 'bb', 'dd'), false],
    ['no part of it', parts([3], 'cc', 'dd'), true],
  ];
  for (const [name, other, free] of cases) {
    const set = new ReservedOutputs();
    const held = set.hold(first, 0, HOUR);
    if (!held.ok) throw new Error(held.reason);
    const second = set.hold(other, 5 * HOUR, HOUR);
    t.match(second, free ? { ok: true } : { reason: 'shared-running' }, name);
    set.release(held.value);
    t.match(set.hold(other, 0, HOUR), { ok: !free }, `${name}, after it is released`);
  }
});

t.test('coins and addresses of a signed transaction', async (t) => {
  const set = new ReservedOutputs();
  const old = set.hold(parts([1, 2], 'aa', 'bb'), 0, HOUR);
  if (!old.ok) throw new Error(old.reason);
  set.sign(old.value, 1_000);
  set.release(old.value);
  t.equal(set.signed, 1, 'is not released');
  t.match(set.hold(parts([1], 'cc', 'dd'), HOUR, HOUR), { reason: 'shared-signed' });
  set.sign(old.value, HOUR);
  const late = HOUR + 1_000;
  t.match(set.hold(parts([3], 'aa', 'dd'), late, HOUR), { reason: 'shared-without-coin' });
  t.match(set.hold(parts([3], 'cc', 'bb'), late, HOUR), { reason: 'shared-without-coin' });

  const again = set.hold(parts([1, 3], 'aa', 'dd'), late, HOUR);
  if (!again.ok) throw new Error(again.reason);
  t.equal(set.faultAtSigning(again.value, [coin(1), coin(3), coin(9)]), undefined);
  t.equal(
    set.faultAtSigning(again.value, [coin(1), coin(2), coin(3)]),
    'foreign-coin',
    'the old transaction itself pays more than this session must get',
  );
  t.equal(set.faultAtSigning(again.value, [coin(3), coin(9)]), 'shared-without-coin');
  set.sign(again.value, late);
  t.equal(set.faultAtSigning(again.value, [coin(1), coin(3)]), 'not-held', 'signs once');

  // Both old ones count: each must lose a coin to the new transaction.
  const later = late + HOUR;
  t.match(set.hold(parts([2], 'aa', 'ee'), later, HOUR), { reason: 'shared-without-coin' });
  t.match(set.hold(parts([1], 'aa', 'ee'), later - 1, HOUR), { reason: 'shared-signed' });
  t.match(set.hold(parts([1], 'aa', 'ee'), later, HOUR), { ok: true });

  t.strictSame(
    new Set(set.coinsToLookUp(10).map(({ txid }) => Number(`0x${txid}`))),
    new Set([1, 2, 3]),
  );
  set.see(coin(2), false);
  t.equal(set.signed, 2, 'a coin that was never on the chain shows nothing when it is missing');
  set.see(coin(2), true);
  set.see(coin(3), true);
  t.equal(set.signed, 2);
  set.see(coin(2), false);
  t.equal(set.signed, 1, 'one coin that is spent frees the transaction that spends it');
  t.match(set.hold(parts([2], 'bb', 'ff'), later, HOUR), { ok: true });
});

t.test('the record is bounded, and never forgets a signed transaction', async (t) => {
  const set = new ReservedOutputs(8);
  for (const n of [1, 2]) {
    const held = set.hold(parts([n, n + 10], `${n}a`, `${n}b`), 0, HOUR);
    if (!held.ok) throw new Error(held.reason);
    set.sign(held.value, 0);
  }
  t.equal(set.size, 8);
  t.match(set.hold(parts([5], 'cc', 'dd'), 99 * HOUR, HOUR), { reason: 'too-many' });
  t.match(set.hold(parts([5], '1a', 'dd'), 99 * HOUR, HOUR), { reason: 'shared-without-coin' });
  t.equal(set.size, 8);
  const asked = [set.coinsToLookUp(1), set.coinsToLookUp(1)].flat();
  t.equal(new Set(asked.map(({ txid }) => txid)).size, 4, 'all coins are looked up in turn');
  for (const isShown of [true, false]) for (const n of [1, 11, 77]) set.see(coin(n), isShown);
  t.equal(set.size, 4);
  t.match(set.hold(parts([5], 'cc', 'dd'), 0, HOUR), { ok: true });
});

/** One maker whose wallet hands out the given parts, and takers with enough proofs. */
function createWorld(handouts: readonly Handout[]) {
  const clock = createTestClock();
  const chain = createMemoryChain();
  const office = createMessageExchange();
  const channel = office.open('J5maker');
  const left = [...handouts];
  const wallet = createCollidingWallet('maker', mintFor(chain, 'maker', VALUES), 4, () => {
    const next = left.shift();
    if (next === undefined) throw new Error('asked too often');
    return next;
  });
  const outcomes: MakerOutcome[] = [];
  const start = () => {
    const sessions = new MakerSessions({
      channel,
      network: 'signet',
      offers: [OFFER],
      wallet,
      chain,
      commitments: createMemoryCommitments(),
      policy: DEFAULT_MAKER_POLICY,
      limits: { unproven: 10, proven: 5 },
      limiter: createRequestLimiter(clock, { ...DEFAULT_REQUEST_LIMITS, fillsPerNick: 1_000 }),
      clock,
      randomBytes,
      log: silentLog,
      onOutcome: (_, outcome) => outcomes.push(outcome),
    });
    channel.on('privmsg', (message) => sessions.receive(message));
    return sessions;
  };
  const taker = createTakerWallet('taker', mintFor(chain, 'taker', [2e6, 2e6, 2e6, 2e6]));
  async function meet(nick: string): Promise<Named | readonly Said[]> {
    const podle = await taker.commit(AMOUNT, new AbortController().signal);
    if (podle === undefined) throw new Error('a proof');
    return approach({ say: postVoice(office, 'J5maker', nick), nick, amount: AMOUNT, podle });
  }
  async function named(nick: string): Promise<Named> {
    const result = await meet(nick);
    if (!isNamed(result)) throw new Error(result[0]?.args ?? 'silence');
    return result;
  }
  return { clock, chain, wallet, outcomes, start, meet, named };
}

const brought = (wallet: CollidingWallet, { io }: Named): number =>
  wallet.coins
    .filter(({ txid, vout }) => io.coins.some((c) => c.txid === txid && c.vout === vout))
    .reduce((sum, { value }) => sum + value, 0);

/** The cheapest transaction that satisfies each of these sessions alone. */
function shared(wallet: CollidingWallet, sessions: readonly Named[]) {
  const coins = new Map(sessions.flatMap(({ io }) => io.coins.map((c) => [c.txid, c])));
  const outputs = new Map<string, number>();
  for (const session of sessions) {
    const change = brought(wallet, session) - AMOUNT + EARNED;
    const known = outputs.get(session.changeScript) ?? 0;
    outputs.set(session.changeScript, Math.max(known, change));
  }
  for (const { coinjoinScript } of sessions) outputs.set(coinjoinScript, AMOUNT);
  return transactionOf(
    [...coins.values()],
    [...outputs].map(([script, value]) => ({ script, value })),
  );
}

const signatures = (mails: readonly Said[]): number =>
  mails.filter(({ command }) => command === 'sig').length;

const HANDOUT: Handout = { coins: [0], coinjoin: 0, change: 1 };

t.test('a wallet that hands out one part to two sessions', async (t) => {
  const cases: readonly (readonly [string, Handout])[] = [
    ['the coinjoin address', { coins: [1], coinjoin: 0, change: 2 }],
    ['the change address', { coins: [1], coinjoin: 2, change: 1 }],
    ['the change address for the coinjoin', { coins: [1], coinjoin: 1, change: 2 }],
    ['the coinjoin address for the change', { coins: [1], coinjoin: 2, change: 0 }],
    ['a coin', { coins: [0, 1], coinjoin: 2, change: 3 }],
    ['all parts', HANDOUT],
  ];
  for (const [name, second] of cases) {
    const world = createWorld([HANDOUT, second, { coins: [2], coinjoin: 2, change: 3 }]);
    const sessions = world.start();
    const first = await world.named('J5one');
    t.match(await world.meet('J5two'), [{ command: 'error', args: /^sorry/ }], name);
    t.match(world.outcomes, [{ by: 'us', step: 'reserving', fault: 'bad-reservation' }]);
    t.strictSame(world.wallet.record.settlements, ['unsigned']);
    t.equal(sessions.size, 1, 'the first session continues');
    t.equal(signatures(await first.sendTransaction(shared(world.wallet, [first]))), 1);
    t.ok(isNamed(await world.meet('J5three')), 'a session that shares no part continues as well');
    t.equal(lossOf(world.wallet, EARNED), undefined);
    sessions.close();
    t.equal(world.clock.pending, 0);
  }
});

t.test('a transaction that spends coins of two sessions is never signed in both', async (t) => {
  const world = createWorld([HANDOUT, { coins: [1], coinjoin: 2, change: 3 }, HANDOUT]);
  const sessions = world.start();
  const one = await world.named('J5one');
  const two = await world.named('J5two');
  const tx = shared(world.wallet, [one, two]);
  const first = await one.sendTransaction(tx);
  t.match(first, [{ command: 'error', args: /^the transaction does not pay/ }]);
  t.match(world.outcomes, [{ by: 'taker', step: 'signing', fault: 'payment' }]);
  t.equal(
    signatures(await two.sendTransaction(tx)),
    1,
    'the first session has ended, and its coin is free',
  );
  const again = await world.named('J5one');
  t.equal(signatures(await again.sendTransaction(tx)), 0, 'the later session is refused');
  t.strictSame(
    world.wallet.record.signed.map(({ inputs }) => inputs.length),
    [1],
  );
  sessions.close();
});

t.test('a session that ended releases its coins and addresses', async (t) => {
  const world = createWorld([HANDOUT, HANDOUT, HANDOUT]);
  const sessions = world.start();
  const first = await world.named('J5one');
  for (const _ of [1, 2, 3])
    await first.sendTransaction(
      transactionOf(first.io.coins, [{ script: first.coinjoinScript, value: 1 }]),
    );
  t.match(world.outcomes, [{ step: 'tx', fault: 'payment' }]);
  await world.named('J5two');
  world.clock.advance(DEFAULT_MAKER_POLICY.txWaitMs);
  t.match(world.outcomes[1], { step: 'tx', fault: 'silent' });
  await world.named('J5three');
  sessions.close();
  t.strictSame(world.wallet.record.signed, []);
});

t.test('a taker that collects signatures and keeps the transaction to itself', async (t) => {
  const world = createWorld([
    HANDOUT,
    { coins: [1], coinjoin: 0, change: 3 },
    { coins: [1], coinjoin: 0, change: 3 },
    { coins: [0, 1], coinjoin: 0, change: 1 },
    { coins: [0, 2], coinjoin: 0, change: 1 },
    { coins: [0, 2], coinjoin: 0, change: 1 },
  ]);
  let sessions = world.start();
  const first = await world.named('J5one');
  const old = shared(world.wallet, [first]);
  t.equal(signatures(await first.sendTransaction(old)), 1);
  world.clock.advance(59 * MINUTE);
  t.notOk(isNamed(await world.meet('J5two')), 'within the hour no part of it is used again');
  world.clock.advance(MINUTE);
  t.notOk(isNamed(await world.meet('J5two')), 'then its address only with a coin of it');
  const again = await world.named('J5three');
  t.equal(signatures(await again.sendTransaction(shared(world.wallet, [again]))), 2);
  t.equal(lossOf(world.wallet, EARNED), undefined);
  // The maker starts again; the signed transaction is not forgotten.
  sessions.close();
  sessions = world.start();
  t.notOk(isNamed(await world.meet('J5four')));
  t.equal(world.outcomes.at(-1)?.result, 'failed');
  world.clock.advance(HOUR);
  const third = await world.named('J5five');
  const coins = [...again.io.coins, ...third.io.coins.slice(1)];
  const everything = transactionOf(coins, [
    { script: third.coinjoinScript, value: AMOUNT },
    { script: third.changeScript, value: brought(world.wallet, third) },
  ]);
  t.equal(
    signatures(await third.sendTransaction(everything)),
    0,
    'its coins do not count as those of another',
  );
  t.equal(lossOf(world.wallet, EARNED), undefined);
  sessions.close();
  t.equal(world.clock.pending, 0);
});

t.test('a signed transaction that was seen on the chain releases its parts', async (t) => {
  const next: Handout = { coins: [1], coinjoin: 0, change: 1 };
  const world = createWorld([HANDOUT, next, next, next]);
  const sessions = world.start();
  const first = await world.named('J5one');
  t.equal(signatures(await first.sendTransaction(shared(world.wallet, [first]))), 1);
  t.notOk(isNamed(await world.meet('J5two')), 'not before');
  const [seen] = first.io.coins;
  if (seen === undefined) throw new Error('a coin');
  world.chain.remove(seen);
  const second = await world.named('J5two');
  t.equal(signatures(await second.sendTransaction(shared(world.wallet, [second]))), 1);
  t.equal(lossOf(world.wallet, EARNED), undefined);
  sessions.close();
});

t.test('two takers with one owner cannot rob a maker, over real sockets', async (t) => {
  const directory = await serveDirectory(t, anyPort(), systemClock, 'J5directoryOOOOO');
  const open = async (name: string): Promise<LiveTestChannel> => {
    const key = nickKey(secretOf(name));
    const channel = openLiveTestChannel([directory.location], { nickKey: key });
    t.teardown(() => channel.close());
    await channel.next('welcome');
    return channel;
  };
  const [serving, ...takers] = await Promise.all(['maker', 'one', 'two', 'three'].map(open));
  if (serving === undefined) throw new Error('a maker');
  const chain = createMemoryChain();
  const handouts: Handout[] = [HANDOUT, { coins: [1], coinjoin: 0, change: 2 }];
  const wallet = createCollidingWallet('maker', mintFor(chain, 'maker', VALUES), 4, () => {
    const next = handouts.shift();
    return next ?? { coins: [2], coinjoin: 2, change: 3 };
  });
  const outcomes: MakerOutcome[] = [];
  const maker = startMaker({
    channel: serving,
    offers: [OFFER],
    clock: systemClock,
    log: silentLog,
    blacklist: { store: createMemoryCommitments() },
    coinjoins: {
      network: 'signet',
      wallet,
      chain,
      onOutcome: (_, outcome) => outcomes.push(outcome),
    },
  });
  t.teardown(() => maker.stop());
  maker.announce();
  const proofs = createTakerWallet('taker', mintFor(chain, 'taker', [2e6]));
  const sessions: Named[] = [];
  for (const taker of takers) {
    await taker.next('pubmsg');
    const podle = await proofs.commit(AMOUNT, new AbortController().signal);
    if (podle === undefined) throw new Error('a proof');
    const say = channelVoice(taker, serving.nick);
    const result = await approach({ say, nick: taker.nick, amount: AMOUNT, podle });
    if (isNamed(result)) sessions.push(result);
    else t.match(result, [{ command: 'error', args: /^sorry/ }]);
  }
  t.strictSame(
    sessions.map(({ nick }) => nick),
    [takers[0]?.nick, takers[2]?.nick],
    'the session that got the address of another one gets no coins',
  );
  t.match(outcomes, [{ by: 'us', fault: 'bad-reservation' }]);
  const tx = shared(wallet, sessions);
  const answers = [];
  for (const session of sessions) answers.push(...(await session.sendTransaction(tx)));
  t.match(answers, [
    { command: 'error', args: /^the transaction does not pay/ },
    { command: 'sig' },
  ]);
  t.equal(lossOf(wallet, EARNED), undefined);
});
