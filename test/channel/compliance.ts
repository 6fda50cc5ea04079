import type { Test } from 'tap';
import type { ChannelTimings } from '../../src/channel/message-channel.js';
import type { Connection, Overlay } from '../../src/channel/ports.js';
import { sameLocation, type Location } from '../../src/protocol/location.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import {
  anyPort,
  keyOf,
  openLiveTestChannel,
  type LiveTestChannel,
} from '../helpers/test-channel.js';
import { serveDirectory } from '../helpers/directory-service.js';

/** The parts that an overlay gives to the suite. */
export interface ChannelSubject {
  /** An overlay that can serve; each call gives one with a location of its own. */
  server(): Overlay;
  /** An overlay that only dials; each call gives one. */
  dialer(): Overlay;
}

const MAKER = keyOf(21);
const TAKER = keyOf(22);
const WATCHER = keyOf(23);

/** Short waits; other tests check the real ones with a test clock. */
const QUICK: Partial<ChannelTimings> = {
  backoffFirstMs: 200,
  peerRetryMs: 200,
  peerDialJitterMs: 10,
  confirmWaitMs: 5_000,
};

interface Spied {
  readonly overlay: Overlay;
  /** Connections to peers, not to directories, in the order of their dials. */
  readonly toPeers: Connection[];
  /** The isolation names of all dials. */
  readonly isolations: Set<string>;
}

/** Keeps the dialled connections, so that a test can cut them. */
function spy(overlay: Overlay): Spied {
  const toPeers: Connection[] = [];
  const isolations = new Set<string>();
  return {
    toPeers,
    isolations,
    overlay: {
      ...overlay,
      async dial(location, options) {
        isolations.add(options.isolation ?? '');
        const connection = await overlay.dial(location, options);
        if (options.isolation?.startsWith('peer:')) toPeers.push(connection);
        return connection;
      },
    },
  };
}

/** A direct link over a fresh service can take some attempts while Tor learns its descriptor. */
async function linked(channel: LiveTestChannel, nick: string): Promise<void> {
  while (!(await channel.connectTo(nick))) await new Promise(setImmediate);
}

/** Waits until the session with this directory has ended. */
async function without(channel: LiveTestChannel, directory: Location): Promise<void> {
  const up = (): boolean =>
    channel
      .directories()
      .some(({ location, state }) => state === 'up' && sameLocation(location, directory));
  while (up()) await channel.next('directory-down');
}

/** Waits until every directory is up. */
async function complete(channel: LiveTestChannel): Promise<void> {
  while (channel.directories().some(({ state }) => state !== 'up')) {
    await channel.next('directory-up');
  }
}

/** The peer side end to end, against real directories, over any overlay. */
export async function channelCompliance(t: Test, subject: ChannelSubject): Promise<void> {
  const [first, second] = await Promise.all([
    serveDirectory(t, subject.server(), systemClock, 'J5firstOOOOOOOOO'),
    serveDirectory(t, subject.server(), systemClock, 'J5secondOOOOOOOO'),
  ]);
  const directories = [first.location, second.location];
  const takerSide = spy(subject.dialer());
  const watcherSide = spy(subject.dialer());
  const common = { timings: QUICK, random: () => 0 };
  const maker = openLiveTestChannel(directories, {
    ...common,
    overlay: subject.server(),
    serve: true,
    nickKey: MAKER,
  });
  t.teardown(() => maker.close());
  t.match(await maker.next('welcome'), { directories: 2 });
  while ((await maker.next('service-state')).state !== 'reachable');

  const taker = openLiveTestChannel(directories, {
    ...common,
    overlay: takerSide.overlay,
    nickKey: TAKER,
  });
  t.teardown(() => taker.close());
  const watcher = openLiveTestChannel(directories, {
    ...common,
    overlay: watcherSide.overlay,
    passive: true,
    nickKey: WATCHER,
  });
  t.teardown(() => watcher.close());
  await Promise.all([taker.next('welcome'), watcher.next('welcome')]);

  await t.test('a pubmsg reaches each peer once, although two directories relay it', async (t) => {
    t.strictSame(taker.publish('orderbook'), { sentTo: 2 });
    t.match(await maker.next('pubmsg'), { from: taker.nick, text: 'orderbook' });
    t.strictSame(maker.publish('sw0reloffer 0 27300 1000 0 0.001'), { sentTo: 2 });
    t.match(await taker.next('pubmsg'), { from: maker.nick });
    maker.publish('cancel 0');
    t.match(await taker.next('pubmsg'), { text: 'cancel 0' });
    t.match(await watcher.next('pubmsg'), { from: taker.nick });
    t.equal(taker.waiting('pubmsg') + maker.waiting('pubmsg'), 0);
  });

  await t.test('a private message goes through a directory, later ones directly', async (t) => {
    t.match(taker.send(maker.nick, 'fill', '0 1 2 3'), { route: { kind: 'directory' } });
    t.match(await maker.next('privmsg'), { from: taker.nick, route: { kind: 'directory' } });
    t.match(maker.send(taker.nick, 'pubkey', 'abc'), { sent: true });
    t.match(await taker.next('privmsg'), { from: maker.nick });
    await linked(taker, maker.nick);
    t.match(taker.send(maker.nick, 'error', 'straight'), { route: { kind: 'direct' } });
    t.match(await maker.next('privmsg'), { route: { kind: 'direct' } });
    t.match(maker.send(taker.nick, 'error', 'straight back'), { route: { kind: 'direct' } });
    t.match(await taker.next('privmsg'), { route: { kind: 'direct' } });
    t.strictSame(
      // A directory that was dialled more than once has a separate circuit for each dial.
      new Set([...takerSide.isolations].map((name) => name.replace(/:\d+$/, ''))),
      new Set([
        ...directories.map(({ host }) => `directory:${taker.nick}:${host}`),
        `peer:${taker.nick}:${maker.nick}`,
      ]),
      'streams of different purposes never share a circuit',
    );
  });

  await t.test('a direct link is cut: no message is lost', async (t) => {
    t.match(taker.send(maker.nick, 'error', 'on the wire'), { route: { kind: 'direct' } });
    for (const connection of takerSide.toPeers) connection.destroy();
    t.match(taker.send(maker.nick, 'error', 'after'), { route: { kind: 'directory' } });
    const texts = [await maker.next('privmsg'), await maker.next('privmsg')].map(({ commands }) =>
      commands[0].args.join(' '),
    );
    t.strictSame(texts.toSorted(), ['after', 'on the wire']);
    await taker.next('direct-down');
    await linked(taker, maker.nick);
    t.match(taker.send(maker.nick, 'error', 'again'), { route: { kind: 'direct' } });
    t.match(await maker.next('privmsg'), { route: { kind: 'direct' } });
    t.equal(maker.waiting('privmsg'), 0, 'no message came twice');
  });

  await t.test('a burst arrives completely and once', async (t) => {
    const texts = Array.from({ length: 160 }, (_, n) => `burst ${1_000 + n}`);
    const ways = new Set<string>();
    for (const text of texts) {
      const result = taker.send(maker.nick, 'error', text);
      ways.add(result.sent ? result.route.kind : 'lost');
      // The directories run in this process. Without a turn of the event loop they would read the whole
      // burst at once, and signing it can take longer than the 3 s whose messages fit a directory's rate.
      await new Promise(setImmediate);
    }
    t.strictSame([...ways].toSorted(), ['direct', 'directory']);
    const told: string[] = [];
    while (told.length < texts.length) {
      told.push((await maker.next('privmsg')).commands[0].args.join(' '));
    }
    t.strictSame(told.toSorted(), texts);
    t.equal(maker.waiting('privmsg'), 0);
  });

  await t.test('a directory restarts: the other one continues, the link returns', async (t) => {
    await first.stop();
    await Promise.all([without(taker, first.location), without(watcher, first.location)]);
    t.match(watcher.send(maker.nick, 'error', 'x'), {
      route: { location: second.location },
    });
    t.match(await maker.next('privmsg'), { from: watcher.nick });
    first.start();
    await Promise.all([complete(taker), complete(watcher)]);
    t.equal(watcher.waiting('peer-gone'), 0, 'no peer was gone from all directories');
  });

  await t.test('a watcher never dials a peer', (t) => {
    t.strictSame(watcherSide.toPeers, []);
    t.notOk([...watcherSide.isolations].some((name) => name.startsWith('peer:')));
    t.end();
  });

  await t.test('a peer that leaves everywhere is gone', async (t) => {
    await taker.close();
    t.equal(await maker.next('peer-gone'), taker.nick);
    t.match(maker.send(taker.nick, 'error', 'x'), { sent: false, reason: 'no-route' });
  });

  await t.test('peers that stop leave no state', async (t) => {
    await Promise.all([maker.close(), watcher.close()]);
    await Promise.all([maker.next('stopped'), watcher.next('stopped')]);
    t.strictSame(
      [maker.directories(), watcher.directories()].flat().map(({ state }) => state),
      ['waiting', 'waiting', 'waiting', 'waiting'],
    );
  });
}

/** Both overlays over plain sockets. */
export const LOOPBACK: ChannelSubject = { server: anyPort, dialer: anyPort };
