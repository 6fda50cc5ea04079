/**
 * Which peer may use a nick: dial-back of declared locations over loopback sockets, with the test's clock.
 */
import t, { type Test } from 'tap';
import type { Dialer } from '../../src/channel/ports.js';
import type { DialBackOptions } from '../../src/directory/directory.js';
import { startDirectoryNode } from '../../src/roles/directory-node.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { formatLocation } from '../../src/protocol/location.js';
import { dialRaw, serveRaw, type RawPeer, type RawServer } from '../helpers/raw-peer.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { DN_NICK, hello, runDirectory, until, type Client, type Running } from './wire.js';

const ASKER = 'J5Askerrrrrrrrrr';
const HOUR_MS = 3_600_000;

interface Scene extends Running {
  readonly clock: TestClock;
  /** Locations dialled so far, in order. */
  readonly dialled: readonly string[];
  /** Dials that the directory cancelled. */
  readonly aborted: () => number;
  /** Serves a location that answers each dial with a handshake of this nick, after that of the dialler. */
  readonly serve: (nick: string) => Promise<Serving>;
}

interface Serving {
  readonly location: string;
  readonly server: RawServer;
  /** The handshakes received. */
  readonly greetings: string[];
}

async function answerAs(
  nick: string,
  location: string,
  peer: RawPeer,
  greetings: string[],
): Promise<void> {
  greetings.push((await peer.nextOf(793)).line);
  // Some makers send this line first.
  peer.send(789, '');
  peer.send(793, hello(nick, { location }));
}

async function scene(test: Test, features: { readonly dialBack?: boolean } = {}): Promise<Scene> {
  const clock = createTestClock();
  const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
  const dialled: string[] = [];
  const servers: RawServer[] = [];
  let aborted = 0;
  const dialer: Dialer = {
    dial(location, options) {
      dialled.push(formatLocation(location));
      options.signal.addEventListener('abort', () => aborted++, { once: true });
      return overlay.dial(location, options);
    },
  };
  const dialBack: DialBackOptions = { dialer, newNick: () => ASKER };
  const running = await runDirectory({
    clock,
    limits: { heartbeatIntervalMs: 0 },
    // Each node dials for itself, and remembers what it found.
    oneNode: true,
    ...(features.dialBack === false ? {} : { dialBack }),
  });
  test.teardown(async () => {
    await running.stop();
    await Promise.all(servers.map((server) => server.close()));
    await overlay.close();
  });
  return {
    ...running,
    clock,
    dialled,
    aborted: () => aborted,
    async serve(nick) {
      const server = await serveRaw();
      servers.push(server);
      const location = formatLocation(server.location);
      const greetings: string[] = [];
      void (async () => {
        for (;;) {
          answerAs(nick, location, await server.accept(), greetings).catch(() => {});
        }
      })();
      return { location, server, greetings };
    },
  };
}

const verified = ({ directory }: Running): number => directory.stats().dialBacksVerified;

/** Sends a handshake; the caller reads the answer. */
async function sendHandshake(running: Running, nick: string, location?: string): Promise<Client> {
  const client = await running.dial();
  client.send(793, hello(nick, location === undefined ? {} : { location }));
  return client;
}

async function isAccepted(client: Client): Promise<boolean> {
  const answer = await client.next();
  return answer.type === 795 && answer.line.includes('"accepted": true');
}

void t.test('a maker at its own location is verified, a squatter of it is not', async (t) => {
  const s = await scene(t);
  const maker = await s.serve('J5maker');
  await s.join('J5squatter', { location: maker.location });
  await until(() => maker.greetings.length === 1);
  await s.join('J5maker', { location: maker.location });
  await until(() => verified(s) === 1);
  t.strictSame(s.dialled, [maker.location], 'one dial for both');
  t.equal(s.directory.peerCount, 2, 'no peer is refused for it');

  const greeting: unknown = JSON.parse(maker.greetings[0] ?? '');
  t.match(greeting, {
    'app-name': 'joinmarket',
    directory: false,
    'location-string': 'NOT-SERVING-ONION',
    nick: ASKER,
  });
  t.notOk(maker.greetings[0]?.includes(DN_NICK), 'not with the nick of the directory');
});

void t.test('at most one dial per location and hour, and one per second in all', async (t) => {
  const s = await scene(t);
  const [one, two, three] = await Promise.all(['J5a', 'J5b', 'J5c'].map((nick) => s.serve(nick)));
  if (!one || !two || !three) throw new Error('unreachable');
  const a = await s.join('J5a', { location: one.location });
  await s.join('J5b', { location: two.location });
  await s.join('J5c', { location: three.location });
  await until(() => verified(s) === 1);
  t.strictSame(s.dialled, [one.location], 'the others wait');
  s.clock.advance(1_000);
  await until(() => verified(s) === 2);
  t.strictSame(s.dialled, [one.location, two.location]);
  s.clock.advance(1_000);
  await until(() => verified(s) === 3);

  a.socket.destroy();
  await until(() => s.directory.peerCount === 2);
  const again = await s.join('J5a', { location: one.location });
  t.equal(verified(s), 4, 'a result is valid for an hour');
  again.socket.destroy();
  await until(() => s.directory.peerCount === 2);
  t.equal(s.dialled.length, 3);
  s.clock.advance(HOUR_MS);
  await s.join('J5a', { location: one.location });
  await until(() => s.dialled.length === 4);
  await until(() => verified(s) === 5);
});

void t.test('locations without a valid answer: the peer stays, unverified', async (t) => {
  const cases: [string, (peer: RawPeer) => void][] = [
    ['closes', (peer) => peer.end()],
    ['is not JoinMarket', (peer) => peer.raw('HTTP/1.1 400 Bad Request\r\n'.repeat(20))],
    ['sends an endless line', (peer) => peer.raw('x'.repeat(100_000))],
    ['sends a faulty handshake', (peer) => peer.send(793, '{}')],
    ['is on another network', (peer) => peer.send(793, hello('J5a').replace('signet', 'mainnet'))],
    ['says nothing', () => {}],
  ];
  for (const [name, act] of cases) {
    await t.test(name, async (t) => {
      const s = await scene(t);
      const server = await serveRaw();
      t.teardown(() => server.close());
      const a = await s.join('J5a', { location: formatLocation(server.location) });
      const peer = await server.accept();
      act(peer);
      if (name === 'says nothing') {
        await peer.nextOf(793);
        s.clock.advance(60_000);
      }
      await peer.over;
      t.equal(verified(s), 0);
      t.notOk(a.socket.closed);
      t.equal(s.directory.peerCount, 1);
    });
  }
  await t.test('cannot be dialled', async (t) => {
    const s = await scene(t);
    const server = await serveRaw();
    await server.close();
    await s.join('J5a', { location: formatLocation(server.location) });
    await until(() => s.dialled.length === 1);
    s.clock.advance(10_000);
    t.equal(verified(s), 0);
    t.equal(s.directory.peerCount, 1);
  });
});

void t.test('stopping cancels a dial under way', async (t) => {
  const s = await scene(t);
  const server = await serveRaw();
  t.teardown(() => server.close());
  await s.join('J5a', { location: formatLocation(server.location) });
  const peer = await server.accept();
  await peer.nextOf(793);
  await s.stop();
  await peer.over;
  t.equal(s.aborted(), 1);
});

void t.test('the nick of a maker, held by another peer', async (t) => {
  await t.test('the holder answers pings: the verified owner gets the nick', async (t) => {
    const s = await scene(t);
    const maker = await s.serve('J5maker');
    const holder = await s.join('J5maker', { features: { ping: true } });
    const observer = await s.join('J5observer');
    const owner = await sendHandshake(s, 'J5maker', maker.location);
    t.strictSame(await holder.next(), { type: 798, line: '' }, 'the holder is asked');
    holder.send(799, '');
    t.ok(await isAccepted(owner));
    await holder.closed;
    t.equal(s.directory.stats().closed['nick-displaced'], 1);
    t.equal(verified(s), 1);
    t.strictSame(await observer.next(), { type: 789, line: 'J5maker;NOT-SERVING-ONION;D' });
  });

  await t.test('the location of the holder is not its own: the owner gets the nick', async (t) => {
    const s = await scene(t);
    const [maker, other] = await Promise.all([s.serve('J5maker'), s.serve('J5other')]);
    if (!maker || !other) throw new Error('unreachable');
    await s.join('J5other', { location: other.location });
    await until(() => verified(s) === 1);
    const holder = await s.join('J5maker', {
      location: other.location,
      features: { ping: true },
    });
    const owner = await sendHandshake(s, 'J5maker', maker.location);
    await holder.next();
    holder.send(799, '');
    await until(() => s.directory.stats().messagesIn.pong === 1);
    t.equal(s.directory.stats().nickClaims, 1, 'the dial waits: one per second is allowed');
    s.clock.advance(1_000);
    t.ok(await isAccepted(owner));
    await holder.closed;
  });

  await t.test('the owner was verified before: it gets the nick at once', async (t) => {
    const s = await scene(t);
    const maker = await s.serve('J5maker');
    const first = await s.join('J5maker', { location: maker.location });
    await until(() => verified(s) === 1);
    first.socket.destroy();
    await until(() => s.directory.peerCount === 0);
    const watcher = await s.join('J5watcher');
    const holder = await s.join('J5maker', { features: { ping: true } });
    t.ok(await isAccepted(await sendHandshake(s, 'J5maker', maker.location)));
    await holder.closed;
    t.strictSame(holder.unread, [], 'the holder is not asked');
    t.notOk(watcher.socket.closed);
  });
});

/** The holder answers the ping; then the newcomer is refused. */
async function expectKept(test: Test, s: Scene, holder: Client, newcomer: Client): Promise<void> {
  for (let line = await holder.next(); line.type !== 798; line = await holder.next());
  holder.send(799, '');
  test.notOk(await isAccepted(newcomer));
  test.notOk(holder.socket.closed);
  test.equal(s.directory.stats().closed['nick-displaced'], 0);
}

void t.test('a holder that keeps its nick', async (t) => {
  await t.test('a verified holder, whatever another location answers', async (t) => {
    const s = await scene(t);
    const [maker, rival] = await Promise.all([s.serve('J5maker'), s.serve('J5maker')]);
    if (!maker || !rival) throw new Error('unreachable');
    const holder = await s.join('J5maker', { location: maker.location, features: { ping: true } });
    await until(() => verified(s) === 1);
    await expectKept(t, s, holder, await sendHandshake(s, 'J5maker', rival.location));
    t.strictSame(s.dialled, [maker.location], 'the rival is not dialled');
  });

  await t.test('a holder with the same location', async (t) => {
    const s = await scene(t);
    const server = await serveRaw();
    t.teardown(() => server.close());
    const location = formatLocation(server.location);
    const holder = await s.join('J5maker', { location, features: { ping: true } });
    await expectKept(t, s, holder, await sendHandshake(s, 'J5maker', location));
  });

  await t.test('a holder against a location that answers with another nick', async (t) => {
    const s = await scene(t);
    const other = await s.serve('J5other');
    const holder = await s.join('J5maker', { features: { ping: true } });
    await expectKept(t, s, holder, await sendHandshake(s, 'J5maker', other.location));
    t.equal(s.dialled.length, 1);
  });

  await t.test('a holder against a location that never answers, at the deadline', async (t) => {
    const s = await scene(t);
    const server = await serveRaw();
    t.teardown(() => server.close());
    const holder = await s.join('J5maker', { features: { ping: true } });
    const newcomer = await sendHandshake(s, 'J5maker', formatLocation(server.location));
    await holder.next();
    holder.send(799, '');
    await until(() => s.directory.stats().messagesIn.pong === 1);
    s.clock.advance(25_500);
    t.notOk(await isAccepted(newcomer));
    t.notOk(holder.socket.closed);
  });

  await t.test('a holder in the middle of a conversation', async (t) => {
    const s = await scene(t);
    const rival = await s.serve('J5taker');
    const maker = await s.join('J5maker');
    const holder = await s.join('J5taker', { features: { ping: true } });
    maker.send(685, 'J5maker!J5taker!sw0reloffer 0');
    await holder.next();
    await holder.next();
    holder.send(685, 'J5taker!J5maker!fill 0');
    await maker.next();
    await expectKept(t, s, holder, await sendHandshake(s, 'J5taker', rival.location));
  });

  await t.test('any live holder without dial-back', async (t) => {
    const s = await scene(t, { dialBack: false });
    const maker = await s.serve('J5maker');
    const holder = await s.join('J5maker', { features: { ping: true } });
    await expectKept(t, s, holder, await sendHandshake(s, 'J5maker', maker.location));
    t.strictSame(s.dialled, []);
    t.strictSame(maker.greetings, []);
  });
});

void t.test('a squatter that waits for a nick does not keep its owner out', async (t) => {
  const s = await scene(t);
  const maker = await s.serve('J5maker');
  const first = await s.join('J5maker', { location: maker.location });
  await until(() => verified(s) === 1);
  first.socket.destroy();
  await until(() => s.directory.peerCount === 0);
  const holder = await s.join('J5maker', { features: { ping: true } });
  const squatter = await sendHandshake(s, 'J5maker');
  await holder.next();
  const owner = await sendHandshake(s, 'J5maker', maker.location);
  t.notOk(await isAccepted(squatter));
  t.ok(await isAccepted(owner));
  await holder.closed;
});

void t.test('a directory node dials back through its overlay, if so configured', async (t) => {
  const { serve } = await scene(t);
  const maker = await serve('J5maker');
  for (const dialBack of [false, true]) {
    const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
    const node = await startDirectoryNode({ network: 'signet', overlay, dialBack });
    const peer = await dialRaw(node.location);
    peer.send(793, hello('J5maker', { location: maker.location }));
    t.match(await peer.next(), { type: 795, line: /"accepted": true/ });
    if (dialBack) {
      await until(() => node.directory.stats().dialBacksVerified === 1);
      t.match(maker.greetings, [/"nick": "J5/]);
    }
    t.equal(node.directory.stats().dialBacks, dialBack ? 1 : 0);
    peer.end();
    await node.close();
    await overlay.close();
  }
});

void t.test('no value that a peer declares adds an entry to a peer list', async (t) => {
  const s = await scene(t, { dialBack: false });
  const watcher = await s.join('J5watcher', { features: { peerlist_features: true } });
  const evil = [
    hello('J5a;x', {}),
    hello('J5a,J5b;127.0.0.1:1', {}),
    hello('J5a!b', {}),
    hello('J5a b', {}),
    hello('J5a\n', {}),
    hello('J5a+', {}),
    hello('J5a\u0130', {}),
    hello('J5a', { location: '127.0.0.1:80;D' }),
    hello('J5a', { location: '127.0.0.1:80,J5b;127.0.0.1:81' }),
    hello('J5a', { location: 'NOT-SERVING-ONION;D' }),
    hello('J5a', { location: ' NOT-SERVING-ONION' }),
  ];
  for (const payload of evil) {
    const client = await s.dial();
    client.send(793, payload);
    await client.closed;
  }
  const odd = await s.join('J5odd', {
    features: { 'a,J5x;127.0.0.1:1': true, 'b+c': true, 'd;D': true, 'e f': true, ok_1: true },
  });
  odd.send(685, 'J5odd!J5watcher!hello');
  await watcher.next();
  await watcher.next();
  watcher.send(791, '');
  t.strictSame((await watcher.next()).line.split(',').toSorted(), [
    'J5odd;NOT-SERVING-ONION;F:ok_1',
    'J5watcher;NOT-SERVING-ONION;F:peerlist_features',
  ]);
});
