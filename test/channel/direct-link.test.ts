import t, { type Test } from 'tap';
import type { Overlay } from '../../src/channel/ports.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { formatPeerHandshake } from '../../src/protocol/handshake.js';
import {
  formatLocation,
  NOT_SERVING,
  onionHost,
  type Location,
} from '../../src/protocol/location.js';
import { formatPrivmsg } from '../../src/protocol/message.js';
import type { NickKey } from '../../src/protocol/nick.js';
import {
  anyPort,
  keyOf,
  openTestChannel,
  type TestChannel,
  type TestChannelOptions,
} from '../helpers/test-channel.js';
import {
  startFakeDirectory,
  type FakeDirectory,
  type FakeSession,
} from '../helpers/fake-directory.js';
import { dialRaw, serveRaw, type RawPeer, type RawServer } from '../helpers/raw-peer.js';

const ALICE = keyOf(2);
const BOB = keyOf(3);
const MARKER = keyOf(4).nick;

interface Scene {
  readonly directory: FakeDirectory;
  readonly session: FakeSession;
  readonly channel: TestChannel;
}

/** A channel that serves by default, connected to one fake directory. */
async function scene(t: Test, options?: TestChannelOptions): Promise<Scene> {
  const directory = await startFakeDirectory();
  const channel = openTestChannel([directory.location], { serve: true, ...options });
  t.teardown(async () => {
    await channel.close();
    await directory.close();
  });
  const session = await directory.acceptHandshake();
  await channel.next('directory-up');
  return { directory, session, channel };
}

function hello(key: NickKey, options: { features?: readonly string[]; network?: 'mainnet' } = {}) {
  const { features = [], network = 'signet' } = options;
  return formatPeerHandshake({ nick: key.nick, location: NOT_SERVING, network, features });
}

/** The location at which the channel serves. */
function served({ location }: TestChannel): Location {
  if (location.kind === 'not-serving') throw new Error('the channel does not serve');
  return location;
}

/** A hand-driven peer that connected to the channel and exchanged handshakes. */
async function inbound(
  t: Test,
  channel: TestChannel,
  key: NickKey,
  features?: readonly string[],
): Promise<RawPeer> {
  const peer = await dialRaw(served(channel));
  t.teardown(() => peer.cut());
  peer.send(793, hello(key, features ? { features } : {}));
  await peer.nextOf(793);
  return peer;
}

/** A hand-driven peer that serves, known to the channel by a peer list. */
async function listedPeer(t: Test, { session, channel }: Scene, key: NickKey): Promise<RawServer> {
  const server = await serveRaw();
  t.teardown(() => server.close());
  session.send(789, `${key.nick};${formatLocation(server.location)}`);
  await heard(channel, session);
  return server;
}

/** The number with which the text of an `!error` payload begins. */
function numberOf(payload: string): number {
  return Number(payload.split('!error ')[1]?.split(' ')[0]);
}

let marks = 0;

/** Waits until all earlier lines of the directory were read. */
async function heard(channel: TestChannel, session: FakeSession): Promise<void> {
  const text = `hp2 mark${marks++}`;
  session.pubmsg(MARKER, text);
  while ((await channel.next('pubmsg')).text !== text);
}

/** Links the channel to a hand-driven peer; resolves with the peer's end. */
async function linked(
  t: Test,
  s: Scene,
  key: NickKey,
  features?: readonly string[],
): Promise<{ server: RawServer; peer: RawPeer }> {
  const server = await listedPeer(t, s, key);
  const dialled = s.channel.connectTo(key.nick);
  const peer = await server.accept();
  await peer.nextOf(793);
  peer.send(793, hello(key, features ? { features } : {}));
  t.equal(await dialled, true);
  t.strictSame(await s.channel.next('direct-up'), { nick: key.nick });
  t.strictSame(await peer.next(), { type: 687, line: `${s.channel.nick}!PUBLIC!orderbook` });
  return { server, peer };
}

/** The hand-driven peer sends a message that only its key can sign. */
async function prove({ channel }: Scene, peer: RawPeer, key: NickKey): Promise<void> {
  peer.send(685, formatPrivmsg(key, channel.nick, 'error', `it is me ${marks++}`));
  await channel.next('privmsg');
}

t.test('connections to us', async (t) => {
  t.test('we serve before the first handshake with a directory, and answer at once', async (t) => {
    const { channel, session } = await scene(t);
    t.strictSame(await channel.next('served'), channel.location);
    t.equal(session.handshake['location-string'], formatLocation(channel.location));
    const peer = await dialRaw(served(channel));
    const { type, line } = await peer.next();
    t.equal(type, 793);
    t.match(JSON.parse(line), { nick: channel.nick, directory: false, network: 'signet' });
    peer.cut();
  });

  t.test('answers use the link only after a signed message proved the nick', async (t) => {
    const { channel, session } = await scene(t);
    session.pubmsg(ALICE.nick, 'hp2 x');
    await channel.next('pubmsg');
    const peer = await inbound(t, channel, ALICE);
    t.strictSame(await channel.next('direct-up'), { nick: ALICE.nick });
    t.match(channel.send(ALICE.nick, 'error', 'x'), { route: { kind: 'directory' } });
    t.equal(channel.peers().find(({ nick }) => nick === ALICE.nick)?.direct, false);
    peer.send(685, formatPrivmsg(ALICE, channel.nick, 'fill', '0 1 2 3'));
    t.match(await channel.next('privmsg'), { from: ALICE.nick, route: { kind: 'direct' } });
    t.match(channel.send(ALICE.nick, 'error', 'y'), { route: { kind: 'direct' } });
    t.equal((await peer.next()).line, formatPrivmsg(channel.key, ALICE.nick, 'error', 'y'));
    t.equal(channel.peers().find(({ nick }) => nick === ALICE.nick)?.direct, true);
    peer.cut();
    t.strictSame(await channel.next('direct-down'), { nick: ALICE.nick });
    t.equal(channel.waiting('peer-gone'), 0, 'the directory still lists it');
  });

  t.test('an answer given at once takes the same route', async (t) => {
    const { channel } = await scene(t);
    channel.once('privmsg', ({ from }) => {
      t.match(channel.send(from, 'error', 'at once'), { route: { kind: 'direct' } });
    });
    const peer = await inbound(t, channel, ALICE);
    peer.send(685, formatPrivmsg(ALICE, channel.nick, 'fill', '0 1 2 3'));
    t.match((await peer.next()).line, /!error at once /);
  });

  t.test('a copied message to another addressee: the answer goes over every route', async (t) => {
    const { channel, session, directory } = await scene(t);
    session.pubmsg(ALICE.nick, 'hp2 x');
    await channel.next('pubmsg');
    const impostor = await inbound(t, channel, ALICE);
    // A signature names no addressee, so another peer can send here what Alice sent to Bob.
    impostor.send(685, formatPrivmsg(ALICE, channel.nick, 'error', 'said to bob'));
    await channel.next('privmsg');
    t.match(channel.send(ALICE.nick, 'error', 'x'), { route: { kind: 'direct' } });
    t.match((await impostor.next()).line, /!error x /);
    t.match(
      channel.send(ALICE.nick, 'error', 'y', directory.location),
      { route: { kind: 'directory' } },
      'a message through a directory is answered there',
    );
    t.match(await session.nextOf(685), { line: /!error y / });
    t.throws(
      () =>
        channel.send(ALICE.nick, 'error', 'y', { kind: 'loopback', host: '127.0.0.1', port: 9 }),
      { code: 'directories' },
    );

    const alice = await inbound(t, channel, ALICE);
    alice.send(685, formatPrivmsg(ALICE, channel.nick, 'error', 'said to us'));
    await channel.next('privmsg');
    impostor.send(685, formatPrivmsg(ALICE, channel.nick, 'error', 'said to carol'));
    await channel.next('privmsg');
    t.match(channel.send(ALICE.nick, 'error', 'z'), { route: { kind: 'direct' } });
    t.match((await alice.next()).line, /!error z /, 'both links get it');
    t.match((await impostor.next()).line, /!error z /);
    session.send(789, `${ALICE.nick};${formatLocation(NOT_SERVING)};D`);
    await heard(channel, session);
    t.match(
      channel.send(ALICE.nick, 'error', 'w', directory.location),
      { route: { kind: 'direct' } },
      'another route when the directory does not list the nick',
    );
  });

  t.test('a copy of a relayed message proves nothing', async (t) => {
    const { channel, session } = await scene(t);
    const overheard = formatPrivmsg(ALICE, channel.nick, 'fill', '0 1 2 3');
    session.send(685, overheard);
    await channel.next('privmsg');
    const peer = await inbound(t, channel, ALICE);
    peer.send(685, overheard);
    peer.send(798, '');
    await peer.nextOf(799);
    t.equal(channel.waiting('privmsg'), 0);
    t.match(channel.send(ALICE.nick, 'error', 'x'), { route: { kind: 'directory' } });
    channel.clock.advance(30_000);
    peer.send(685, overheard);
    await channel.next('privmsg');
    t.match(
      channel.send(ALICE.nick, 'error', 'y'),
      { route: { kind: 'directory' } },
      'delivered again after 30 s, and still no proof',
    );
  });

  t.test('only a directory may send lists and pubmsgs', async (t) => {
    const { channel } = await scene(t);
    const peer = await inbound(t, channel, ALICE, ['ping']);
    peer.send(789, `${BOB.nick};127.0.0.1:1`);
    peer.send(687, `${ALICE.nick}!PUBLIC!orderbook`);
    for (const type of [785, 787, 791, 795, 797, 799, 801, 803, 9999]) peer.send(type, '');
    peer.send(793, hello(ALICE));
    peer.send(798, '');
    t.strictSame(await peer.next(), { type: 799, line: '' });
    t.equal(channel.waiting('pubmsg'), 0);
    t.strictSame(channel.peers(), []);
  });

  const closing: readonly [string, (peer: RawPeer, channel: TestChannel) => void][] = [
    ['another network', (peer) => peer.send(793, hello(ALICE, { network: 'mainnet' }))],
    ['our own nick', (peer, channel) => peer.send(793, hello(channel.key))],
    ['garbage in the handshake', (peer) => peer.send(793, '{}')],
    ['40,001 bytes', (peer) => peer.raw('x'.repeat(40_002))],
    [
      'a second handshake with another nick',
      (peer) => {
        peer.send(793, hello(ALICE));
        peer.send(793, hello(BOB));
      },
    ],
    [
      'eleven lines of junk',
      (peer, { nick }) => {
        peer.send(793, hello(ALICE));
        for (let n = 0; n < 11; n++) peer.send(685, formatPrivmsg(BOB, nick, 'error', `${n}`));
      },
    ],
    [
      'eleven pubmsgs that are not its own request',
      (peer) => {
        peer.send(793, hello(ALICE));
        const texts = [`${BOB.nick}!PUBLIC!orderbook`, `${ALICE.nick}!PUBLIC!orderbook!orderbook`];
        for (let n = 0; n < 11; n++) peer.send(687, texts[n] ?? `${ALICE.nick}!PUBLIC!hp2 ${n}`);
      },
    ],
  ];
  for (const [name, act] of closing) {
    t.test(`closed: ${name}`, async (t) => {
      const { channel } = await scene(t);
      const peer = await dialRaw(served(channel));
      act(peer, channel);
      await peer.over;
      t.equal(channel.waiting('privmsg') + channel.waiting('orderbook-asked'), 0);
    });
  }

  t.test('a silent connection is closed after 30 s', async (t) => {
    const { channel } = await scene(t);
    const peer = await dialRaw(served(channel));
    await peer.next();
    channel.clock.advance(30_000);
    await peer.over;
    t.equal(channel.waiting('direct-up'), 0);
  });

  t.test('silent connections are bounded: the oldest goes first', async (t) => {
    const { channel } = await scene(t, { limits: { unhandshaked: 2 } });
    const first = await dialRaw(served(channel));
    await first.next();
    const second = await dialRaw(served(channel));
    await second.next();
    const third = await dialRaw(served(channel));
    await third.next();
    await first.over;
    second.send(793, hello(ALICE));
    third.send(793, hello(BOB));
    await channel.next('direct-up');
    await channel.next('direct-up');
    for (const peer of [second, third]) peer.cut();
  });

  t.test('links are bounded; a proven one is never closed for an unproven one', async (t) => {
    const { channel } = await scene(t, { limits: { directLinks: 2, directLinksPerNick: 1 } });
    const alice = await inbound(t, channel, ALICE);
    alice.send(685, formatPrivmsg(ALICE, channel.nick, 'error', 'x'));
    await channel.next('privmsg');
    const squatter = await inbound(t, channel, ALICE);
    await squatter.over;
    const bob = await inbound(t, channel, BOB);
    bob.send(798, '');
    await bob.nextOf(799);
    const carol = await inbound(t, channel, keyOf(5));
    await bob.over;
    carol.send(798, '');
    await carol.nextOf(799);
    t.match(channel.send(ALICE.nick, 'error', 'x'), { route: { kind: 'direct' } });
  });

  t.test('a flood waits, and no message of it is lost', async (t) => {
    const { channel } = await scene(t, {
      limits: { directMessageBurst: 3, directMessagesPerSecond: 1 },
    });
    const peer = await inbound(t, channel, ALICE, ['ping']);
    const flood = Array.from({ length: 6 }, (_, n) =>
      encodeEnvelope(685, formatPrivmsg(ALICE, channel.nick, 'error', `${n}`)),
    );
    peer.raw([...flood, encodeEnvelope(798, '')].join(''));
    peer.end();
    const told: string[] = [];
    for (let n = 0; n < 6; n++) {
      // The handshake was the first of the burst.
      if (n >= 2) channel.clock.advance(1_000);
      told.push((await channel.next('privmsg')).commands[0].args.join(' '));
      if (n > 0) t.equal(channel.waiting('privmsg'), 0, `at most ${n + 1} so far`);
    }
    t.strictSame(told, ['0', '1', '2', '3', '4', '5']);
    t.strictSame(peer.unread(), [], 'no ping is answered before its turn');
    channel.clock.advance(1_000);
    t.strictSame(await peer.next(), { type: 799, line: '' });
    await channel.next('direct-down');
  });

  t.test('the rate of signature checks over all links is bounded', async (t) => {
    const { channel } = await scene(t, {
      limits: { directCheckBurst: 2, directChecksPerSecond: 1 },
    });
    const alice = await inbound(t, channel, ALICE);
    const bob = await inbound(t, channel, BOB);
    const say = (key: NickKey, text: string): string =>
      encodeEnvelope(685, formatPrivmsg(key, channel.nick, 'error', text));
    alice.raw(say(ALICE, '1') + say(ALICE, '2') + say(ALICE, '3'));
    await channel.next('privmsg');
    await channel.next('privmsg');
    t.equal(channel.waiting('privmsg'), 0);
    channel.clock.advance(1_000);
    t.match(await channel.next('privmsg'), { from: ALICE.nick });
    bob.raw(say(BOB, '1') + say(BOB, '2'));
    channel.clock.advance(1_000);
    t.match(await channel.next('privmsg'), { from: BOB.nick });
    t.equal(channel.waiting('privmsg'), 0);
    bob.cut();
    await channel.next('direct-down');
    alice.raw(say(ALICE, '4'));
    channel.clock.advance(1_000);
    t.match(await channel.next('privmsg'), { from: ALICE.nick }, 'the budget is free again');
  });
});

t.test('connections by us', async (t) => {
  t.test('the first message goes through the directory, the next ones directly', async (t) => {
    const s = await scene(t, { serve: false });
    const server = await listedPeer(t, s, ALICE);
    t.match(s.channel.send(ALICE.nick, 'fill', '0 1 2 3'), { route: { kind: 'directory' } });
    s.channel.clock.advance(0);
    const peer = await server.accept();
    t.match(JSON.parse((await peer.next()).line), { nick: s.channel.nick });
    t.match(s.channel.send(ALICE.nick, 'error', 'before its 793'), {
      route: { kind: 'directory' },
    });
    peer.send(793, hello(ALICE));
    await s.channel.next('direct-up');
    t.match(s.channel.send(ALICE.nick, 'error', 'straight'), { route: { kind: 'direct' } });
    t.match((await peer.nextOf(685)).line, /!error straight /);
    peer.send(685, formatPrivmsg(ALICE, s.channel.nick, 'pubkey', 'abc'));
    t.match(await s.channel.next('privmsg'), { route: { kind: 'direct' } });
  });

  t.test('a location in the line after the first message is used for the second', async (t) => {
    const s = await scene(t, { serve: false });
    const server = await serveRaw();
    t.teardown(() => server.close());
    s.session.send(685, formatPrivmsg(ALICE, s.channel.nick, 'error', 'hello'));
    await s.channel.next('privmsg');
    t.match(s.channel.peer(ALICE.nick), { location: undefined }, 'not known with the message');
    t.match(s.channel.send(ALICE.nick, 'error', 'first'), { route: { kind: 'directory' } });
    s.session.send(789, `${ALICE.nick};${formatLocation(server.location)}`);
    await heard(s.channel, s.session);
    t.strictSame(s.channel.peer(ALICE.nick)?.location, server.location);
    t.match(s.channel.send(ALICE.nick, 'error', 'second'), { route: { kind: 'directory' } });
    s.channel.clock.advance(0);
    const peer = await server.accept();
    await peer.next();
    peer.send(793, hello(ALICE));
    await s.channel.next('direct-up');
    t.match(s.channel.send(ALICE.nick, 'error', 'third'), { route: { kind: 'direct' } });
  });

  t.test('another peer at that location gets no message', async (t) => {
    const s = await scene(t, { serve: false });
    const server = await listedPeer(t, s, ALICE);
    const dialled = s.channel.connectTo(ALICE.nick);
    const peer = await server.accept();
    peer.send(793, hello(BOB));
    t.equal(await dialled, false);
    await peer.over;
    t.match(s.channel.send(ALICE.nick, 'error', 'x'), { route: { kind: 'directory' } });
  });

  t.test('no listener, or no handshake: no link, and no dial for a minute', async (t) => {
    const s = await scene(t, { serve: false });
    const server = await listedPeer(t, s, ALICE);
    const dialled = s.channel.connectTo(ALICE.nick);
    await (await server.accept()).next();
    s.channel.clock.advance(30_000);
    t.equal(await dialled, false);
    s.channel.send(ALICE.nick, 'error', 'a');
    s.channel.clock.advance(59_999);
    t.equal(server.accepted, 1);
    s.channel.clock.advance(1);
    s.channel.send(ALICE.nick, 'error', 'b');
    s.channel.clock.advance(0);
    await server.accept();
    await server.close();
    t.equal(await s.channel.connectTo(ALICE.nick), false);
    t.equal(await s.channel.connectTo(BOB.nick), false, 'its location is unknown');
  });

  t.test('two requests for a link share one dial', async (t) => {
    const s = await scene(t, { serve: false });
    const server = await listedPeer(t, s, ALICE);
    const both = [s.channel.connectTo(ALICE.nick), s.channel.connectTo(ALICE.nick)];
    (await server.accept()).send(793, hello(ALICE));
    t.strictSame(await Promise.all(both), [true, true]);
    t.equal(await s.channel.connectTo(ALICE.nick), true, 'linked already');
    t.equal(server.accepted, 1);
  });

  t.test('never dialled: a peer by a watcher; a directory; ourselves', async (t) => {
    const watcher = await scene(t, { serve: false, passive: true });
    const server = await listedPeer(t, watcher, ALICE);
    t.match(watcher.channel.send(ALICE.nick, 'error', 'x'), { sent: true });
    watcher.channel.clock.advance(60_000);
    t.equal(await watcher.channel.connectTo(ALICE.nick), false);
    t.equal(server.accepted, 0);

    const s = await scene(t);
    const own = formatLocation(s.channel.location);
    s.session.send(789, `${ALICE.nick};${own},${BOB.nick};${formatLocation(s.directory.location)}`);
    await heard(s.channel, s.session);
    t.equal(await s.channel.connectTo(ALICE.nick), false);
    t.equal(await s.channel.connectTo(BOB.nick), false);
    t.equal(s.directory.accepted, 1);
  });

  t.test('never dialled: another port of our own onion', async (t) => {
    const [ownHost = '', otherHost = '', directoryHost = ''] = [1, 2, 3].map((n) =>
      onionHost(new Uint8Array(32).fill(n)),
    );
    const directory = await startFakeDirectory();
    const dialled: string[] = [];
    const loopback = anyPort();
    const overlay: Overlay = {
      ...loopback,
      reachable: new Set(['onion']),
      serve: async (onConnection, options) => ({
        ...(await loopback.serve(onConnection, options)),
        locations: [{ kind: 'onion', host: ownHost, port: 5222 }],
      }),
      dial(location, options) {
        if (location.host === directoryHost) return loopback.dial(directory.location, options);
        dialled.push(formatLocation(location));
        return Promise.reject(new Error('not online'));
      },
    };
    const behindTor = { kind: 'onion', host: directoryHost, port: 5222 } as const;
    const channel = openTestChannel([behindTor], { serve: true, overlay });
    t.teardown(async () => {
      await channel.close();
      await directory.close();
    });
    await channel.next('served');
    const session = await directory.acceptHandshake();
    await channel.next('directory-up');
    session.send(789, `${ALICE.nick};${ownHost}:5223,${BOB.nick};${otherHost}:5222`);
    await heard(channel, session);
    t.equal(await channel.connectTo(ALICE.nick), false);
    t.equal(await channel.connectTo(BOB.nick), false);
    t.strictSame(dialled, [`${otherHost}:5222`]);
  });

  t.test('a location on which most directories agree is dialled', async (t) => {
    const directories = await Promise.all([1, 2, 3].map(() => startFakeDirectory()));
    const channel = openTestChannel(directories.map(({ location }) => location));
    const [liar, good] = [await serveRaw(), await serveRaw()];
    t.teardown(async () => {
      await channel.close();
      for (const each of [...directories, liar, good]) await each.close();
    });
    const sessions = await Promise.all(directories.map((directory) => directory.acceptHandshake()));
    await channel.next('welcome');
    for (const [index, session] of sessions.entries()) {
      const { location } = index === 0 ? liar : good;
      session.send(789, `${ALICE.nick};${formatLocation(location)}`);
      await heard(channel, session);
    }
    const dialled = channel.connectTo(ALICE.nick);
    (await good.accept()).send(793, hello(ALICE));
    t.equal(await dialled, true);
    t.equal(liar.accepted, 0);
  });

  t.test('at most 6 of 100 peers are dialled at once', async (t) => {
    let pending = 0;
    let most = 0;
    let dials = 0;
    const refusals: (() => void)[] = [];
    const loopback = anyPort();
    const directory = await startFakeDirectory();
    const overlay: Overlay = {
      ...loopback,
      dial(location, options) {
        if (formatLocation(location) === formatLocation(directory.location)) {
          return loopback.dial(location, options);
        }
        dials++;
        pending++;
        most = Math.max(most, pending);
        return new Promise((_resolve, reject) => {
          const refuse = (): void => {
            pending--;
            reject(new Error('refused'));
          };
          refusals.push(refuse);
          options.signal.addEventListener('abort', refuse, { once: true });
        });
      },
    };
    const channel = openTestChannel([directory.location], { overlay });
    t.teardown(async () => {
      await channel.close();
      await directory.close();
    });
    const session = await directory.acceptHandshake();
    const nicks = Array.from({ length: 100 }, (_, n) => `J5nick${n}`);
    session.send(789, nicks.map((nick) => `${nick};127.0.0.1:9`).join(','));
    await heard(channel, session);
    const attempts = nicks.map((nick) => channel.connectTo(nick));
    for (let refused = 0; refused < 100; refused++) {
      while (refusals.length === 0) await new Promise(setImmediate);
      refusals.shift()?.();
    }
    t.ok((await Promise.all(attempts)).every((made) => !made));
    t.equal(dials, 100);
    t.equal(most, 6);
  });
});

t.test('a link that we dialled, without a proof of the nick', async (t) => {
  t.test('only pings are answered: the directory relays all messages', async (t) => {
    const s = await scene(t, { serve: false });
    const { peer } = await linked(t, s, ALICE, ['ping']);
    t.match(s.channel.send(ALICE.nick, 'error', 'x'), { route: { kind: 'direct' } });
    const sent = await peer.next();
    await peer.nextOf(798);
    peer.send(799, '');
    peer.send(798, '');
    await peer.nextOf(799);
    s.channel.clock.advance(2_999);
    t.strictSame(s.session.unread(), []);
    s.channel.clock.advance(1);
    t.strictSame(await s.session.nextOf(685), sent);
    t.match(s.channel.send(ALICE.nick, 'error', 'y'), { route: { kind: 'directory' } });
    t.equal(s.channel.peers().find(({ nick }) => nick === ALICE.nick)?.direct, false);
    await prove(s, peer, ALICE);
    t.match(s.channel.send(ALICE.nick, 'error', 'z'), { route: { kind: 'direct' } });
    peer.cut();
    t.match((await s.session.nextOf(685)).line, /!error y /);
    t.match((await s.session.nextOf(685)).line, /!error z /, 'x is not sent a third time');
  });

  t.test('proven in time: no message goes through the directory', async (t) => {
    const s = await scene(t, { serve: false });
    const { peer } = await linked(t, s, ALICE, ['ping']);
    s.channel.send(ALICE.nick, 'error', 'x');
    await peer.nextOf(798);
    peer.send(799, '');
    await prove(s, peer, ALICE);
    s.channel.clock.advance(10_000);
    peer.cut();
    await s.channel.next('direct-down');
    s.channel.publish('hp2 z');
    t.match((await s.session.next()).line, /hp2 z$/);
  });

  t.test('closed before: confirmed messages go through the directory as well', async (t) => {
    const s = await scene(t, { serve: false });
    const { peer } = await linked(t, s, ALICE, ['ping']);
    s.channel.send(ALICE.nick, 'error', 'x');
    await peer.nextOf(798);
    peer.send(799, '');
    peer.send(798, '');
    await peer.nextOf(799);
    peer.cut();
    t.match((await s.session.next()).line, /!error x /);
  });
});

t.test('a link that we dialled, whose peer is asked for its offers', async (t) => {
  const OFFER = '0 27300 1000 0 0.001!tbond proof';
  const answer = ({ channel }: Scene) => formatPrivmsg(ALICE, channel.nick, 'sw0reloffer', OFFER);

  t.test('a new answer proves the nick', async (t) => {
    const s = await scene(t, { serve: false });
    const { peer } = await linked(t, s, ALICE, ['peerlist_features', 'ping']);
    peer.send(685, answer(s));
    t.match(await s.channel.next('privmsg'), { from: ALICE.nick, route: { kind: 'direct' } });
    t.match(s.channel.send(ALICE.nick, 'error', 'x'), { route: { kind: 'direct' } });
    s.channel.clock.advance(14_999);
    t.strictSame(s.session.unread(), [], 'no message goes through the directory');
    t.equal(s.channel.peer(ALICE.nick)?.direct, true);
  });

  t.test(
    'an answer heard before: the link is used, and the directory gets all messages too',
    async (t) => {
      const s = await scene(t, { serve: false });
      s.session.send(685, answer(s));
      await s.channel.next('privmsg');
      const { peer } = await linked(t, s, ALICE);
      peer.send(685, answer(s));
      peer.send(798, '');
      await peer.nextOf(799);
      for (const text of ['x', 'y']) {
        t.match(s.channel.send(ALICE.nick, 'error', text), { route: { kind: 'direct' } });
        const sent = await peer.next();
        s.channel.clock.advance(2_999);
        t.strictSame(s.session.unread(), []);
        s.channel.clock.advance(1);
        t.strictSame(await s.session.next(), sent);
        t.equal(s.channel.peer(ALICE.nick)?.direct, true);
      }
      await prove(s, peer, ALICE);
      t.match(s.channel.send(ALICE.nick, 'error', 'z'), { route: { kind: 'direct' } });
      s.channel.clock.advance(10_000);
      t.strictSame(s.session.unread(), [], 'a new message proves the nick');
    },
  );

  t.test('at most once a minute, for any number of links', async (t) => {
    const s = await scene(t, { serve: false });
    const { server, peer } = await linked(t, s, ALICE);
    const again = async (): Promise<RawPeer> => {
      const dialled = s.channel.connectTo(ALICE.nick);
      const next = await server.accept();
      next.send(793, hello(ALICE));
      await dialled;
      next.send(798, '');
      return next;
    };
    peer.cut();
    await s.channel.next('direct-down');
    const second = await again();
    await second.nextOf(793);
    t.equal((await second.next()).type, 799);
    second.cut();
    await s.channel.next('direct-down');
    s.channel.clock.advance(60_000);
    const third = await again();
    await third.nextOf(793);
    t.equal((await third.next()).type, 687);
  });
});

t.test('asked for our offers over a link to us', async (t) => {
  t.test('the answer goes back over the same link, whichever peer has it', async (t) => {
    const { channel, session } = await scene(t);
    const [peer, other] = [await inbound(t, channel, ALICE), await inbound(t, channel, ALICE)];
    peer.send(687, `${ALICE.nick}!PUBLIC!orderbook`);
    const request = await channel.next('orderbook-asked');
    t.equal(request.from, ALICE.nick);
    t.equal(request.answer('sw0reloffer', '0 27300 1000 0 0.001'), true);
    const sent = formatPrivmsg(channel.key, ALICE.nick, 'sw0reloffer', '0 27300 1000 0 0.001');
    t.strictSame(await peer.next(), { type: 685, line: sent });
    channel.clock.advance(60_000);
    t.strictSame([other.unread(), session.unread()], [[], []]);
    session.pubmsg(ALICE.nick, 'orderbook');
    t.match(await channel.next('pubmsg'), { text: 'orderbook' }, 'asked in public, it is no copy');
    for (const end of [peer, other]) end.cut();
    await channel.next('direct-down');
    t.equal(request.answer('sw0reloffer', '0 27300 1000 0 0.001'), false);
  });
});

t.test('more messages at once than deployed peers accept on a link', async (t) => {
  const numbers = Array.from({ length: 20 }, (_, n) => n);

  t.test('the rest goes through the directory', async (t) => {
    const s = await scene(t, { serve: false });
    const { peer } = await linked(t, s, ALICE);
    await prove(s, peer, ALICE);
    // Our request for a proof counts as well.
    s.channel.clock.advance(250);
    const send = (text: string) => s.channel.send(ALICE.nick, 'error', text);
    const ways = numbers.map((n) => {
      const result = send(`${n}`);
      return result.sent ? result.route.kind : 'lost';
    });
    t.equal(ways.filter((way) => way === 'direct').length, 15);
    t.notOk(ways.includes('lost'));
    const arrived: number[] = [];
    for (const way of ways) {
      arrived.push(numberOf((await (way === 'direct' ? peer : s.session).next()).line));
    }
    t.strictSame(arrived, numbers);
    t.match(send('20'), { route: { kind: 'directory' } });
    s.channel.clock.advance(250);
    t.match(send('21'), { route: { kind: 'direct' } });
    t.match(send('22'), { route: { kind: 'directory' } });
  });

  t.test('or waits without another route, up to a bound', async (t) => {
    const s = await scene(t, { serve: false, limits: { unconfirmedLength: 2_000 } });
    const { peer } = await linked(t, s, ALICE);
    await prove(s, peer, ALICE);
    s.channel.clock.advance(250);
    s.session.send(789, `${ALICE.nick};NOT-SERVING-ONION;D`);
    await heard(s.channel, s.session);
    for (const n of numbers) {
      t.match(s.channel.send(ALICE.nick, 'error', `${n}`), { route: { kind: 'direct' } });
    }
    const filler = 'x'.repeat(2_000);
    t.match(s.channel.send(ALICE.nick, 'error', filler), { sent: false, reason: 'no-route' });
    for (const n of numbers) {
      if (n >= 15) {
        t.strictSame(peer.unread(), []);
        s.channel.clock.advance(250);
      }
      t.equal(numberOf((await peer.next()).line), n);
    }
  });

  t.test(
    'messages that wait when the link ends go through a directory that lists the peer',
    async (t) => {
      const s = await scene(t, { serve: false, limits: { directSendBurst: 1 } });
      const { peer } = await linked(t, s, ALICE);
      await prove(s, peer, ALICE);
      s.channel.clock.advance(250);
      s.session.send(789, `${ALICE.nick};NOT-SERVING-ONION;D`);
      await heard(s.channel, s.session);
      for (const text of ['1', '2']) s.channel.send(ALICE.nick, 'error', text);
      t.equal(numberOf((await peer.next()).line), 1);
      s.session.pubmsg(ALICE.nick, 'hp2 back');
      while ((await s.channel.next('pubmsg')).text !== 'hp2 back');
      peer.cut();
      t.equal(numberOf((await s.session.next()).line), 2);
    },
  );
});

t.test('a link that ends', async (t) => {
  t.test('messages that a peer did not confirm go through the directory', async (t) => {
    const s = await scene(t, { serve: false });
    const { peer } = await linked(t, s, ALICE, ['ping']);
    await prove(s, peer, ALICE);
    const payloads: string[] = [];
    for (const args of ['a', 'b', 'c']) {
      t.match(s.channel.send(ALICE.nick, 'error', args), { route: { kind: 'direct' } });
      payloads.push(formatPrivmsg(s.channel.key, ALICE.nick, 'error', args));
    }
    t.strictSame(await peer.next(), { type: 685, line: payloads[0] });
    t.strictSame(await peer.next(), { type: 798, line: '' }, 'a ping after the first');
    t.strictSame(await peer.next(), { type: 685, line: payloads[1] });
    t.strictSame(await peer.next(), { type: 685, line: payloads[2] });
    peer.send(799, '');
    t.strictSame(await peer.next(), { type: 798, line: '' }, 'another one after the others');
    peer.cut();
    t.strictSame(await s.session.next(), { type: 685, line: payloads[1] });
    t.strictSame(await s.session.next(), { type: 685, line: payloads[2] });
    await s.channel.next('direct-down');
    t.match(s.channel.send(ALICE.nick, 'error', 'd'), { route: { kind: 'directory' } });
  });

  t.test('no answer to a ping within 15 s, from a peer that answered: the same', async (t) => {
    const s = await scene(t, { serve: false });
    const { peer } = await linked(t, s, ALICE, ['ping']);
    await prove(s, peer, ALICE);
    s.channel.send(ALICE.nick, 'error', 'x');
    await peer.nextOf(798);
    peer.send(799, '');
    peer.send(798, '');
    await peer.nextOf(799);
    s.channel.send(ALICE.nick, 'error', 'y');
    await peer.nextOf(798);
    s.channel.clock.advance(15_000);
    t.match((await s.session.next()).line, /!error y /);
    await peer.over;
  });

  t.test(
    'the link to a peer that lists ping and never answers stays, without further pings',
    async (t) => {
      const s = await scene(t, { serve: false });
      const { peer } = await linked(t, s, ALICE, ['ping']);
      await prove(s, peer, ALICE);
      s.channel.send(ALICE.nick, 'error', 'x');
      await peer.nextOf(798);
      s.channel.clock.advance(15_000);
      t.match(
        (await s.session.next()).line,
        /!error x /,
        'it may be dead, so the directory gets it too',
      );
      t.match(s.channel.send(ALICE.nick, 'error', 'y'), { route: { kind: 'direct' } });
      t.match((await peer.next()).line, /!error y /);
      s.channel.clock.advance(60_000);
      peer.send(798, '');
      t.equal((await peer.next()).type, 799, 'no ping before it');
      t.strictSame(s.session.unread(), []);
      t.equal(s.channel.waiting('direct-down'), 0);
    },
  );

  t.test('confirmed messages are not sent again', async (t) => {
    const s = await scene(t, { serve: false });
    const { peer } = await linked(t, s, ALICE, ['ping']);
    s.channel.send(ALICE.nick, 'error', 'x');
    await peer.nextOf(798);
    peer.send(799, '');
    peer.send(685, formatPrivmsg(ALICE, s.channel.nick, 'error', 'y'));
    await s.channel.next('privmsg');
    peer.cut();
    await s.channel.next('direct-down');
    s.channel.publish('hp2 z');
    t.match((await s.session.next()).line, /hp2 z$/);
  });

  t.test('a link that is not read is closed; its messages go through the directory', async (t) => {
    const s = await scene(t, {
      serve: false,
      limits: { sendQueueBytes: 200_000, directSendBurst: 1_000 },
    });
    const { peer } = await linked(t, s, ALICE);
    peer.pause();
    const filler = 'x'.repeat(36_000);
    const routes: string[] = [];
    while (routes.at(-1) !== 'directory') {
      const result = s.channel.send(ALICE.nick, 'error', `${routes.length} ${filler}`);
      routes.push(result.sent ? result.route.kind : 'lost');
      await new Promise(setImmediate);
    }
    t.notOk(routes.includes('lost'), 'there was always a route');
    const last = routes.length - 1;
    const arrived: number[] = [];
    while (arrived.at(-1) !== last) arrived.push(numberOf((await s.session.next()).line));
    t.ok(arrived.length >= 1);
    t.ok(last > 5, 'the link carried some before');
    await s.channel.next('direct-down');
  });

  t.test('an unused link is closed after ten minutes', async (t) => {
    const s = await scene(t, { serve: false });
    const { peer } = await linked(t, s, ALICE);
    s.channel.clock.advance(300_000);
    s.channel.send(ALICE.nick, 'error', 'x');
    s.channel.clock.advance(599_999);
    t.equal(s.channel.waiting('direct-down'), 0);
    t.match((await peer.next()).line, /error x/);
    s.channel.clock.advance(1);
    await peer.over;
    await s.channel.next('direct-down');
  });

  t.test('a peer with a live link is not gone until that ends', async (t) => {
    const s = await scene(t, { serve: false });
    const { peer } = await linked(t, s, ALICE);
    s.session.send(789, `${ALICE.nick};NOT-SERVING-ONION;D`);
    await heard(s.channel, s.session);
    t.equal(s.channel.waiting('peer-gone'), 0);
    t.match(s.channel.send(ALICE.nick, 'error', 'x'), { route: { kind: 'direct' } });
    peer.cut();
    t.equal(await s.channel.next('peer-gone'), ALICE.nick);
  });
});

t.test('an overlay that does not withdraw the service causes no delay', async (t) => {
  const loopback = anyPort();
  const overlay: Overlay = {
    ...loopback,
    async serve(onConnection, options) {
      const service = await loopback.serve(onConnection, options);
      return {
        locations: service.locations,
        close: async () => {
          await service.close();
          return new Promise(() => {});
        },
      };
    },
  };
  const { channel } = await scene(t, { overlay });
  const closing = channel.close();
  channel.clock.advance(3_000);
  await closing;
  await channel.next('stopped');
});

t.test('a failure to serve is reported and tried again', async (t) => {
  let failures = 2;
  const loopback = anyPort();
  const overlay: Overlay = {
    ...loopback,
    serve: (onConnection, options) =>
      failures-- > 0
        ? Promise.reject(new Error('port taken'))
        : loopback.serve(onConnection, options),
  };
  const directory = await startFakeDirectory();
  const channel = openTestChannel([directory.location], { serve: true, overlay });
  t.teardown(async () => {
    await channel.close();
    await directory.close();
  });
  for (const retryInMs of [3_000, 5_000]) {
    t.match(await channel.next('serve-failed'), { error: { message: 'port taken' }, retryInMs });
    t.equal(channel.location.kind, 'not-serving');
    channel.clock.advance(retryInMs);
  }
  await channel.next('served');
  t.strictSame(await channel.next('service-state'), {
    state: 'starting',
    detail: 'listening on 127.0.0.1, at any free port',
  });
  t.strictSame(await channel.next('service-state'), { state: 'reachable' });
  await directory.acceptHandshake();
  await channel.next('directory-up');
});
