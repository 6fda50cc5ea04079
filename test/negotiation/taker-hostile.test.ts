/** A taker against makers and relays that say anything, at any time. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import type { Route } from '../../src/channel/channel-api.js';
import { silentLog } from '../../src/channel/log.js';
import type { TakerChain } from '../../src/negotiation/ports.js';
import { runCoinjoin, type CoinjoinOptions } from '../../src/negotiation/taker/coinjoin.js';
import { MAX_SIGNED_BYTES, MAX_UNSIGNED_BYTES } from '../../src/negotiation/transaction.js';
import { createBoxKeyPair } from '../../src/protocol/encryption.js';
import { parseLocation } from '../../src/protocol/location.js';
import type { Offer } from '../../src/protocol/offer.js';
import {
  createMemoryChain,
  createMemoryCommitments,
  createTakerWallet,
  mintFor,
  secretOf,
  type MemoryChain,
  type TestCoin,
} from '../helpers/coinjoin-world.js';
import { createMessageExchange, type HeldMessage } from '../helpers/message-exchange.js';
import { PaperMaker } from '../helpers/paper-maker.js';
import { createTestClock } from '../helpers/test-clock.js';

const AMOUNT = 1_000_000;
const TAKER = 'J5taker';
const OFFER: Offer = {
  type: 'sw0absoffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 100,
  cjfee: '1100',
};

/** Through one of many directories. */
function routeOf(port: number): Route {
  const location = parseLocation(`127.0.0.1:${port}`);
  if (!location.ok) throw new Error(location.reason);
  return { kind: 'directory', location: location.value };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface WorldOptions {
  /** Coins of the taker. */
  readonly own?: readonly number[];
  /** Coins of each of two makers. */
  readonly makers?: (chain: MemoryChain, nick: string) => readonly TestCoin[];
  /** The messages that arrive in place of one of a maker. */
  readonly onTheWay?: (mail: HeldMessage, maker: PaperMaker) => Promise<readonly HeldMessage[]>;
  readonly dress?: (chain: MemoryChain) => TakerChain;
}

/** A taker and two makers whose messages are carried one after the other. */
function createWorld(options: WorldOptions = {}) {
  const { own = [1_500_000, 900_000], onTheWay } = options;
  const clock = createTestClock();
  const chain = createMemoryChain();
  const office = createMessageExchange();
  const wallet = createTakerWallet('taker', mintFor(chain, 'taker', own));
  const coinsOf = options.makers ?? ((its, nick) => mintFor(its, nick, [700_000, 800_000]));
  const makers = ['J5one', 'J5two'].map(
    (nick) => new PaperMaker(nick, TAKER, coinsOf(chain, nick)),
  );
  /** What makers received, in order. */
  const heard: string[] = [];

  async function bring(): Promise<void> {
    for (let idle = 0; idle < 6;) {
      const mails = office.pending.splice(0);
      idle = mails.length === 0 ? idle + 1 : 0;
      for (const mail of mails) {
        const maker = makers.find(({ nick }) => nick === mail.to);
        if (maker === undefined) throw new Error('only makers are written to');
        heard.push(`${maker.nick} ${mail.command}`);
        // oxlint-disable-next-line no-await-in-loop -- in the order of the messages
        for (const said of await maker.answer(mail)) {
          // oxlint-disable-next-line no-await-in-loop
          for (const kept of (await onTheWay?.(said, maker)) ?? [said]) office.deliver(kept);
        }
      }
      // oxlint-disable-next-line no-await-in-loop
      await nextTurn();
    }
  }

  const start = (more: Partial<CoinjoinOptions> = {}) =>
    runCoinjoin({
      channel: office.open(TAKER),
      network: 'signet',
      wallet,
      chain: options.dress?.(chain) ?? chain,
      commitments: createMemoryCommitments(),
      amount: AMOUNT,
      makers: 2,
      candidates: makers.map(({ nick }) => ({ nick, offer: OFFER })),
      clock,
      randomBytes,
      log: silentLog,
      ...more,
      policy: {
        minimumMakers: 2,
        broadcast: 'self',
        maxCjFeeAbs: 1_000,
        rounds: 1,
        ...more.policy,
      },
    });
  /** The result; a round that still waits is given up. */
  async function end<T>(running: Promise<T>): Promise<T> {
    clock.advance(2_000_000);
    await bring();
    return running;
  }
  return { clock, chain, office, wallet, makers, heard, bring, start, end };
}

t.test('the makers of these tests are honest where nothing else is said', async (t) => {
  const world = createWorld();
  const running = world.start();
  await world.bring();
  t.match(await world.end(running), { ok: true });
  t.equal(world.chain.accepted.length, 1);
});

t.test('a maker that has answered does not get its auth again', async (t) => {
  const held: HeldMessage[] = [];
  const world = createWorld({
    // The other maker is slow.
    onTheWay: async (mail) => {
      if (mail.from !== 'J5two' || mail.command !== 'ioauth') return [mail];
      held.push(mail);
      return [];
    },
  });
  const running = world.start();
  await world.bring();
  for (const nick of ['J5one', 'J5two']) world.office.away.add(nick);
  for (const nick of ['J5one', 'J5two']) world.office.tellGone(nick);
  world.office.away.clear();
  world.clock.advance(2_000);
  await world.bring();
  const auths = world.heard.filter((text) => text.endsWith(' auth'));
  // A deployed maker would name other coins and addresses, and then refuse our transaction.
  t.same(
    auths.toSorted(),
    ['J5one auth', 'J5two auth', 'J5two auth'],
    'the silent one gets it again',
  );
  for (const mail of held.slice(0, 1)) world.office.deliver(mail);
  await world.bring();
  t.match(await world.end(running), { ok: true });
});

t.test('another ioauth, sent as sig by a relay, is no signature', async (t) => {
  const world = createWorld({
    onTheWay: async (mail, maker) =>
      mail.command === 'sig' ? [{ ...(await maker.ioauth()), command: 'sig' }, mail] : [mail],
  });
  const running = world.start();
  await world.bring();
  t.match(await world.end(running), {
    ok: true,
    makers: [{ failure: undefined }, { failure: undefined }],
  });
});

/** A point of small order: with it, a box has no secret. Any peer can have a maker sign it as a commitment. */
const WEAK_KEY = '00'.repeat(32);

t.test('a hash that a maker signed, sent as its key by a relay, does not drop it', async (t) => {
  for (const isLate of [false, true]) {
    const world = createWorld({
      onTheWay: async (mail, maker) => {
        if (mail.from !== 'J5one' || mail.command !== 'pubkey') return [mail];
        const relabelled = maker.say('pubkey', WEAK_KEY);
        return isLate ? [mail, relabelled] : [relabelled, mail];
      },
    });
    const running = world.start();
    await world.bring();
    t.match(await world.end(running), {
      ok: true,
      makers: [{ failure: undefined }, { failure: undefined }],
    });
  }
});

t.test('the seat of a maker with a weak key is offered to another one at once', async (t) => {
  const world = createWorld({
    onTheWay: async (mail, maker) =>
      mail.from === 'J5one' && mail.command === 'pubkey' ? [maker.say('pubkey', WEAK_KEY)] : [mail],
  });
  const running = world.start({ makers: 1, policy: { minimumMakers: 1 } });
  await world.bring();
  t.equal(world.chain.accepted.length, 1, 'no time passes');
  t.match(await world.end(running), {
    ok: true,
    makers: [
      { nick: 'J5one', failure: { step: 'pubkey', fault: 'bad-key' } },
      { nick: 'J5two', failure: undefined },
    ],
  });
});

t.test('a weak key alone counts when the maker must have answered', async (t) => {
  const world = createWorld({
    onTheWay: async (mail, maker) =>
      mail.from === 'J5one' && mail.command === 'pubkey' ? [maker.say('pubkey', WEAK_KEY)] : [mail],
  });
  const running = world.start();
  await world.bring();
  world.clock.advance(60_000);
  await world.bring();
  t.match(await running, {
    ok: false,
    fault: 'too-few-makers',
    makers: [{ nick: 'J5one', failure: { fault: 'bad-key' } }, { nick: 'J5two' }],
  });
});

t.test('a sweep too dear for its coins, with a wallet that does not look', async (t) => {
  for (const [few, end] of [
    [1, { ok: true, makers: [{ failure: { fault: 'many-coins' } }, { failure: undefined }] }],
    [2, { ok: false, fault: 'sweep-fee', revealed: { transaction: false } }],
  ] as const) {
    const many = Array.from({ length: 15 }, () => 100_000);
    const world = createWorld({
      // At 2,000 sat/kvB enough for a maker with two coins, and not for one with fifteen.
      own: [AMOUNT + 2 * 1_000 + 1_000],
      makers: (chain, nick) => mintFor(chain, nick, nick === 'J5one' ? many : [700_000, 800_000]),
    });
    const running = world.start({ sweep: true, policy: { minimumMakers: few } });
    await world.bring();
    t.match(await world.end(running), end);
  }
});

t.test('old keys from one directory do not keep out the key from another', async (t) => {
  const [evil, honest] = [routeOf(1), routeOf(2)];
  const oldKeys = Array.from({ length: 40 }, () => createBoxKeyPair(randomBytes).publicKeyHex);
  const auths = new Map<string, number>();
  const world = createWorld({
    onTheWay: async (mail, maker) => {
      if (mail.command !== 'pubkey') return [{ ...mail, route: honest }];
      const replayed = oldKeys.map((key) => ({ ...maker.say('pubkey', key), route: evil }));
      return [...replayed, { ...mail, route: honest }];
    },
  });
  const running = world.start();
  await world.bring();
  t.match(await world.end(running), { ok: true });
  for (const text of world.heard) auths.set(text, (auths.get(text) ?? 0) + 1);
  t.equal(auths.get('J5one auth'), 4, 'three old keys of one route are tried, and the right one');
});

t.test('the keys of all routes are few', async (t) => {
  const world = createWorld({
    onTheWay: async (mail, maker) => {
      if (mail.command !== 'pubkey') return [mail];
      return Array.from({ length: 100 }, (_, n): HeldMessage => {
        const { publicKeyHex } = createBoxKeyPair(randomBytes);
        return { ...maker.say('pubkey', publicKeyHex), route: routeOf(1 + (n % 26)) };
      });
    },
  });
  const running = world.start();
  await world.bring();
  t.equal(world.heard.filter((text) => text === 'J5one auth').length, 12);
  t.match(await world.end(running), { ok: false, fault: 'too-few-makers' });
});

t.test('a coin of a young coinbase transaction could not be spent in time', async (t) => {
  const young = createWorld({
    makers: (chain, nick) => {
      const secret = secretOf(`${nick} mined`);
      const confirmations = nick === 'J5one' ? 99 : 100;
      return [{ ...chain.mint(secret, 1_500_000, { coinbase: true, confirmations }), secret }];
    },
  });
  const running = young.start();
  await young.bring();
  const result = await young.end(running);
  t.match(result, { ok: false, fault: 'too-few-makers' });
  const [one, two] = result.makers;
  t.match(one, { failure: { fault: 'coin-unconfirmed', detail: /needs 100 confirmations/ } });
  t.match(two, { failure: undefined }, 'with 100 it is as good as any other');
});

t.test('not-self: a transaction that no maker can send is not made', async (t) => {
  // Too large for the line of a push, and small enough for that of a tx.
  const own = Array.from({ length: 100 }, () => 20_000);
  const options: WorldOptions = {
    own,
    makers: (chain, nick) =>
      mintFor(
        chain,
        nick,
        Array.from({ length: 50 }, () => 40_000),
      ),
  };
  const size = 200 * 41;
  t.ok(size < MAX_UNSIGNED_BYTES && size + 200 * 107 > MAX_SIGNED_BYTES, 'as the title says');
  const world = createWorld(options);
  const running = world.start({ policy: { broadcast: 'not-self', makerCoins: 50 } });
  await world.bring();
  t.match(await world.end(running), {
    ok: false,
    fault: 'too-large',
    revealed: { transaction: false },
  });
  t.equal(world.chain.accepted.length, 0, 'our own node does not send it');
  t.same(world.wallet.record.settlements, ['unsigned']);

  const other = createWorld(options);
  const sent = other.start({ policy: { broadcast: 'random-peer', makerCoins: 50 } });
  await other.bring();
  t.match(await other.end(sent), { ok: true, broadcastBy: undefined }, 'otherwise we send it');
});

t.test('an old question to the chain does not end our own broadcast', async (t) => {
  const late: (() => void)[] = [];
  const sending: (() => void)[] = [];
  const world = createWorld({
    dress: (chain) => ({
      ...chain,
      async coins(outpoints, signal) {
        // Only the look-up of the third maker, whose seat another one gets.
        if (outpoints.length !== 3) return chain.coins(outpoints, signal);
        return new Promise((_, reject) => late.push(() => reject(new Error('the node is down'))));
      },
      async broadcast(transaction) {
        await new Promise<void>((resolve) => sending.push(resolve));
        return chain.broadcast(transaction);
      },
    }),
    makers: (chain, nick) =>
      mintFor(chain, nick, nick === 'J5one' ? [500_000, 500_000, 500_000] : [700_000, 800_000]),
    onTheWay: async (mail, maker) =>
      mail.from === 'J5one' && mail.command === 'pubkey'
        ? [maker.say('error', 'try later'), mail]
        : [mail],
  });
  const running = world.start({ makers: 1, policy: { minimumMakers: 1 } });
  await world.bring();
  t.equal(late.length, 1, 'the first maker is looked up');
  t.equal(sending.length, 1, 'the second one had its seat, and signed');
  for (const fail of late) fail();
  await nextTurn();
  for (const send of sending) send();
  t.match(await running, { ok: true });
});
