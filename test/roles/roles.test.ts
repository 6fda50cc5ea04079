import t, { type Test } from 'tap';
import { randomBytes } from 'node:crypto';
import { silentLog } from '../../src/channel/log.js';
import type { MessageChannelEvents } from '../../src/channel/message-channel.js';
import { createLoopbackOverlay, DirectoryNode, OnionMessageChannel } from '../../src/index.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import type { RequestLimits } from '../../src/negotiation/maker/request-limits.js';
import { openLiveBook } from '../../src/orderbook/live-book.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { formatOffer, type Offer } from '../../src/protocol/offer.js';
import { startMaker, NO_WALLET_ERROR } from '../../src/roles/maker.js';
import { startTaker } from '../../src/roles/taker.js';
import { openTestChannel } from '../helpers/test-channel.js';
import { startFakeDirectory, type FakeSession } from '../helpers/fake-directory.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

const network = 'signet';
const overlay = () => createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
const tools = { clock: systemClock, log: silentLog };
const OFFERS: readonly Offer[] = [
  {
    type: 'sw0reloffer',
    oid: 0,
    minsize: 27_300,
    maxsize: 500_000_000,
    txfee: 0,
    cjfee: '0.00002',
  },
  { type: 'sw0absoffer', oid: 1, minsize: 27_300, maxsize: 9_000_000, txfee: 100, cjfee: '500' },
];
const fill = (commitment: string): string => `0 100000 ${'ab'.repeat(32)} P${commitment}`;

async function directoryFor(t: Test): Promise<DirectoryNode> {
  const directory = await DirectoryNode.start({ network, overlay: overlay() });
  t.teardown(() => directory.close());
  return directory;
}

interface PeerOptions {
  readonly serve?: boolean;
  readonly key?: ReturnType<typeof createNickKey>;
}

function channelTo(t: Test, { location }: DirectoryNode, { serve, key }: PeerOptions = {}) {
  const channel = OnionMessageChannel.open({
    network,
    directories: [location],
    overlay: overlay(),
    serve: serve ?? false,
    nickKey: key ?? createNickKey(randomBytes),
  });
  t.teardown(() => channel.close());
  return channel;
}

type Events = MessageChannelEvents;
type Heard<E extends keyof Events> = Parameters<Events[E]>[0];

const welcome = (channel: OnionMessageChannel): Promise<Heard<'welcome'>> =>
  new Promise((resolve) => channel.once('welcome', resolve));
const nextPubmsg = (channel: OnionMessageChannel): Promise<Heard<'pubmsg'>> =>
  new Promise((resolve) => channel.once('pubmsg', resolve));
const nextPrivmsg = (channel: OnionMessageChannel): Promise<Heard<'privmsg'>> =>
  new Promise((resolve) => channel.once('privmsg', resolve));

t.test(
  'a maker announces its offers one by one, and answers a request with all at once',
  async (t) => {
    const directory = await directoryFor(t);
    const listener = channelTo(t, directory);
    await welcome(listener);
    const announced: string[] = [];
    const both = new Promise<void>((resolve) =>
      listener.on('pubmsg', ({ text }) => void (announced.push(text) === 2 && resolve())),
    );
    const channel = channelTo(t, directory, { serve: true });
    const maker = startMaker({ channel, offers: OFFERS, ...tools });
    await both;
    t.same(announced, [
      'sw0reloffer 0 27300 500000000 0 0.00002',
      'sw0absoffer 1 27300 9000000 100 500',
    ]);

    const answer = nextPrivmsg(listener);
    listener.publish('orderbook!orderbook');
    listener.publish('orderbook');
    t.match((await answer).commands, [
      { name: 'sw0reloffer', args: ['0', '27300', '500000000', '0', '0.00002'] },
      { name: 'sw0absoffer', args: ['1', '27300', '9000000', '100', '500'] },
    ]);
    t.equal(maker.answered, 1, 'a request with the word twice is ignored');

    const refusal = nextPrivmsg(listener);
    listener.publish('orderbook');
    listener.send(channel.nick, 'fill', fill('12'.repeat(32)));
    const { commands } = await refusal;
    t.equal(commands[0].name, 'error', 'no second book within ten seconds, but a refusal');
    const about = `(commitment P${'12'.repeat(8)}) (key ${'ab'.repeat(8)})`;
    t.equal(commands[0].args.join(' '), `${NO_WALLET_ERROR} ${about}`);
    t.equal(maker.answered, 1);

    maker.stop();
    const bystander = startTaker({ channel: listener, ...tools });
    await t.rejects(
      bystander.ask(channel.nick, 'fill', fill('56'.repeat(32)), 300),
      { code: 'timeout' },
      'a stopped maker does not answer',
    );
    bystander.stop();
  },
);

t.test('a maker announces again to a directory that comes back', async (t) => {
  const port = await freePort();
  const fixed = () => createLoopbackOverlay({ host: '127.0.0.1', port });
  const before = await DirectoryNode.start({ network, overlay: fixed() });
  const channel = channelTo(t, before, { serve: true });
  const maker = startMaker({ channel, offers: OFFERS.slice(0, 1), ...tools });
  await welcome(channel);
  await before.close();
  t.equal(before.health().reason, 'stopping');

  const after = await DirectoryNode.start({ network, overlay: fixed() });
  t.teardown(() => after.close());
  const listener = channelTo(t, after);
  t.equal((await nextPubmsg(listener)).text, 'sw0reloffer 0 27300 500000000 0 0.00002');
  maker.stop();
});

/** The lines that the directory got until now; the maker has read all earlier lines of the directory. */
const told = async (session: FakeSession): Promise<string[]> => {
  const lines: string[] = [];
  session.send(798, '');
  for (;;) {
    const { type, line } = await session.next();
    if (type === 799) return lines;
    lines.push(line);
  }
};

/** Sends a request through the directory; resolves with the lines that the directory got. */
function asks(session: FakeSession, nick: string): Promise<string[]> {
  session.pubmsg(nick, 'orderbook');
  return told(session);
}

/** A maker between two directories that the test drives. */
async function makerBetween(
  t: Test,
  options: { readonly requestLimits?: Partial<RequestLimits> } = {},
) {
  const [a, b] = [await startFakeDirectory(), await startFakeDirectory()];
  const channel = openTestChannel([a.location, b.location]);
  t.teardown(async () => {
    await channel.close();
    await Promise.all([a.close(), b.close()]);
  });
  const [first, second] = [await a.acceptHandshake(), await b.acceptHandshake()];
  await channel.next('welcome');
  const { clock } = channel;
  const maker = startMaker({ channel, offers: OFFERS, clock, log: silentLog, ...options });
  const announced = async (session: FakeSession): Promise<void> => {
    for (const offer of OFFERS) {
      t.equal((await session.next()).line, `${channel.nick}!PUBLIC!${formatOffer(offer)}`);
    }
  };
  return { a, b, first, second, channel, maker, announced };
}

t.test('an offer that peers cannot read starts no maker', async (t) => {
  const channel = openTestChannel([
    { kind: 'loopback', host: '127.0.0.1', port: await freePort() },
  ]);
  t.teardown(() => channel.close());
  const { clock } = channel;
  for (const [more, fault] of [
    [{ cjfee: '1.4' }, 'offer-cjfee'],
    [{ txfee: -1 }, 'offer-txfee'],
    [{ minsize: 2, maxsize: 1 }, 'offer-size'],
  ] as const) {
    const offers = OFFERS.map((offer) => ({ ...offer, ...more }));
    t.throws(() => startMaker({ channel, offers, clock, log: silentLog }), {
      name: 'RangeError',
      message: new RegExp(`peers cannot read this offer: ${fault}`),
    });
  }
});

t.test('a maker on a channel that is up already', async (t) => {
  const { a, channel, first, second, announced } = await makerBetween(t);
  await t.test('announces at once', async (t) => {
    await Promise.all([announced(first), announced(second)]);
    t.end();
  });
  await t.test('and only to a directory that comes back', async (t) => {
    first.cut();
    const { retryInMs = 0 } = await channel.next('directory-down');
    channel.clock.advance(retryInMs);
    await announced(await a.acceptHandshake());
    second.send(798, '');
    t.equal((await second.next()).type, 799, 'the other one gets no repetition');
  });
});

const asker = (n: number): string => `J5asker${n}`;
const isAnswerTo = (nick: string) => new RegExp(`!${nick}!sw0reloffer 0 .*!sw0absoffer 1 `);

t.test('a maker answers through every directory that lists the asker', async (t) => {
  await t.test('at once if it lists the asker, else when it brings the request', async (t) => {
    const { first, second, maker, announced } = await makerBetween(t);
    await Promise.all([announced(first), announced(second)]);
    const [answer = '', ...more] = await asks(first, asker(1));
    t.match(answer, isAnswerTo(asker(1)));
    t.strictSame([more, await told(second)], [[], []], 'the second does not know the asker');
    t.strictSame(await asks(second, asker(1)), [answer], 'the same message, sent once');
    t.strictSame(await asks(second, asker(1)), [], 'once through each');
    second.send(789, `${asker(2)};NOT-SERVING-ONION`);
    await told(second);
    const [listed = ''] = await asks(first, asker(2));
    t.match(listed, isAnswerTo(asker(2)));
    t.strictSame(await told(second), [listed], 'it lists the asker');
    t.equal(maker.answered, 2);
  });

  await t.test('a copy counts as an answer, and costs no other asker its answer', async (t) => {
    // Ten at once, in all and through one directory.
    const requestLimits = { orderbookPerLink: 1, orderbookTotal: 1 };
    const { first, second, channel, maker, announced } = await makerBetween(t, {
      requestLimits,
    });
    await Promise.all([announced(first), announced(second)]);
    const nicks = Array.from({ length: 12 }, (_, n) => asker(n + 1));
    second.send(789, nicks.map((nick) => `${nick};NOT-SERVING-ONION`).join(','));
    await told(second);
    let copies = 0;
    for (const nick of nicks) copies += (await asks(first, nick)).length;
    copies += (await told(second)).length;
    t.equal(copies, 10, 'as many as there would be without copies');
    t.equal(maker.answered, 8, 'two of them twice, until half was left; six once');
    channel.clock.advance(1_000);
    await asks(first, 'J5later');
    t.equal(maker.answered, 9);
  });
});

t.test('a maker answers over a direct link', async (t) => {
  const directory = await directoryFor(t);
  const channel = channelTo(t, directory, { serve: true });
  const maker = startMaker({ channel, offers: OFFERS, ...tools });
  await welcome(channel);
  const taker = channelTo(t, directory);
  await welcome(taker);
  while (taker.peer(channel.nick)?.location === undefined) await new Promise(setImmediate);
  const answer = nextPrivmsg(taker);
  t.equal(await taker.connectTo(channel.nick), true);
  t.match(await answer, { from: channel.nick, route: { kind: 'direct' } });
  t.equal(maker.answered, 1);
  t.equal(taker.peer(channel.nick)?.direct, true);
  maker.stop();
});

t.test('a live book asks a directory that comes later, and no other', async (t) => {
  const { a, channel, first, second, maker, announced } = await makerBetween(t);
  await Promise.all([announced(first), announced(second)]);
  maker.stop();
  const { clock } = channel;
  const book = openLiveBook({ channel, clock, random: () => 0, log: silentLog });
  t.teardown(() => book.close());
  const request = { type: 687, line: `${channel.nick}!PUBLIC!orderbook` };
  t.strictSame([await first.next(), await second.next()], [request, request]);
  first.cut();
  const { retryInMs = 0 } = await channel.next('directory-down');
  clock.advance(retryInMs);
  const again = await a.acceptHandshake();
  await channel.next('directory-up');
  await channel.next('directory-up');
  await channel.next('directory-up');
  clock.advance(60_000 - retryInMs - 1);
  t.strictSame(again.unread(), [], 'not before a minute has passed');
  t.equal(book.statistics().nextRefreshInMs, 1);
  clock.advance(1);
  t.strictSame(await again.next(), request);
  second.send(798, '');
  t.equal((await second.next()).type, 799, 'the other one is not asked again');
  clock.advance(600_000);
  t.strictSame([await again.next(), (await second.next()).line], [request, request.line]);
});

t.test('a taker asks', async (t) => {
  const directory = await directoryFor(t);
  const channel = channelTo(t, directory);
  const taker = startTaker({ channel, ...tools });
  await welcome(channel);

  t.test('a nick that appears only later, by a public message', async (t) => {
    const key = createNickKey(randomBytes);
    const asking = taker.ask(key.nick, 'fill', fill('12'.repeat(32)), 20_000);
    // It announces and never answers the request for its offers, so the public message must be enough.
    const quiet = channelTo(t, directory, { key });
    quiet.on('privmsg', ({ from }) => void quiet.send(from, 'error', 'heard you'));
    await welcome(quiet);
    quiet.publish('sw0absoffer 0 27300 90000 0 500');
    const answer = await asking;
    t.match(answer, { commands: [{ name: 'error' }], sentBy: { kind: 'directory' } });
    t.ok(answer.rttMs >= 0);
    t.match(taker.book.offers(), [{ maker: key.nick, verified: false }]);
  });

  t.test('an absent nick, and fails in time', async (t) => {
    await t.rejects(taker.ask('J5nobodynobodyno', 'fill', fill('34'.repeat(32)), 200), {
      code: 'no-route',
      message: /no route to J5nobodynobodyno was found within 0.2 s/,
    });
  });

  t.test('and stops: open requests end', async (t) => {
    const asking = taker.ask('J5nobodynobodyno', 'fill', fill('56'.repeat(32)), 60_000);
    taker.stop();
    await t.rejects(asking, { code: 'closed' });
  });
});

t.test('a maker that comes late has its offers signed at once', async (t) => {
  const directory = await directoryFor(t);
  const watching = channelTo(t, directory);
  const book = openLiveBook({ channel: watching, random: Math.random, ...tools });
  t.teardown(() => book.close());
  await welcome(watching);
  const { refreshedAt } = book.statistics();
  t.ok(refreshedAt !== undefined, 'the request was sent, and no maker was there');
  const isSigned = new Promise<void>((resolve) =>
    book.on('change', ({ upserts }) => {
      if (upserts.some(({ verified }) => verified)) resolve();
    }),
  );
  const maker = startMaker({
    channel: channelTo(t, directory, { serve: true }),
    offers: OFFERS,
    ...tools,
  });
  await isSigned;
  t.match(book.snapshot().entries, [{ verified: true }, { verified: true }]);
  t.equal(book.statistics().refreshedAt, refreshedAt, 'no other maker was asked');
  maker.stop();
});

t.test('offers of a maker that left are forgotten', async (t) => {
  const directory = await directoryFor(t);
  const channel = channelTo(t, directory);
  const taker = startTaker({ channel, ...tools });
  await welcome(channel);
  const maker = channelTo(t, directory, { serve: true });
  startMaker({ channel: maker, offers: OFFERS, ...tools });
  const changed = (wanted: boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (taker.book.offers().length > 0 !== wanted) return;
        taker.events.off('change', check);
        resolve();
      };
      taker.events.on('change', check);
      check();
    });
  await changed(true);
  await maker.close();
  await changed(false);
  t.equal(taker.book.makers, 0);
});

t.test('a malformed location is refused, with the allowed forms', async (t) => {
  t.throws(
    () => OnionMessageChannel.open({ network, directories: ['example.com:80'] }),
    /not a directory's location: example\.com:80 .*onion:5222/,
  );
});
