/**
 * A program with two overlays at once. One of them is a kind of location that no file of this package
 * knows: the test adds it to the table of the location parser, and nothing else learns of it.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openMessageChannel } from '../../src/channel/message-channel.js';
import { silentLog } from '../../src/channel/log.js';
import { deferred } from '../../src/kit/deferred.js';
import type { Overlay } from '../../src/channel/ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { createOverlaySet } from '../../src/overlay/overlay-set.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { formatPeerHandshake } from '../../src/protocol/handshake.js';
import {
  addLocationKind,
  formatLocation,
  NOT_SERVING,
  type DeclaredLocation,
  type Location,
} from '../../src/protocol/location.js';
import { startDirectoryNode, type DirectoryNode } from '../../src/roles/directory-node.js';
import { keyOf, openLiveTestChannel, type LiveTestChannel } from '../helpers/test-channel.js';
import { linePeer, type LinePeer } from '../helpers/line-peer.js';
import { createMemoryNetwork, IN_MEMORY, MEMORY_ROW } from '../helpers/memory-overlay.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

t.teardown(addLocationKind(IN_MEMORY.kind, MEMORY_ROW));

const network = 'signet';
const HANDSHAKE = 793;
const WELCOME = 795;
const PEERLIST = 789;
const GETPEERLIST = 791;
const PRIVMSG = 685;

const { signal } = new AbortController();
const loopback = (): Overlay => createLoopbackOverlay({ host: '127.0.0.1', port: 0 });

interface World {
  readonly node: DirectoryNode;
  readonly memory: () => Overlay;
  /** The directory's location in memory, and at 127.0.0.1. */
  readonly inMemory: Location;
  readonly atLoopback: Location;
}

async function world(t: Test): Promise<World> {
  const { overlay: memory } = createMemoryNetwork(IN_MEMORY);
  const node = await startDirectoryNode({
    network,
    overlay: createOverlaySet([memory(), loopback()]),
    clock: systemClock,
  });
  t.teardown(() => node.close());
  await node.reachable;
  const [inMemory, atLoopback] = node.locations;
  if (atLoopback === undefined) throw new Error('the directory serves two locations');
  return { node, memory, inMemory, atLoopback };
}

/** Connects and sends a handshake. */
async function greet(
  overlay: Overlay,
  at: Location,
  nick: string,
  location: DeclaredLocation = NOT_SERVING,
): Promise<LinePeer> {
  const peer = linePeer(await overlay.dial(at, { signal }));
  peer.send(HANDSHAKE, formatPeerHandshake({ nick, location, network, features: [] }));
  return peer;
}

interface Answer {
  readonly accepted: boolean;
  readonly motd: string;
}

async function answerTo(peer: LinePeer): Promise<Answer> {
  const answer: Answer = JSON.parse(await peer.next(WELCOME));
  return answer;
}

t.test('no peer learns a location of an overlay that it does not use', async (t) => {
  const { node, memory, inMemory, atLoopback } = await world(t);
  const dir = node.nick;
  const homeOfM = IN_MEMORY.locationOf(77);
  const homeOfL = { kind: 'loopback', host: '127.0.0.1', port: 4_711 } as const;
  const m1 = await greet(memory(), inMemory, 'J5memoryMaker', homeOfM);
  const inMotd = await answerTo(m1);
  const m2 = await greet(memory(), inMemory, 'J5memoryTaker');
  const l1 = await greet(loopback(), atLoopback, 'J5localMaker', homeOfL);
  const localMotd = await answerTo(l1);
  const l2 = await greet(loopback(), atLoopback, 'J5localTaker');
  for (const peer of [m2, l2]) t.match(await answerTo(peer), { accepted: true });
  t.match(inMotd.motd, `DIRECTORY NODE: ${formatLocation(inMemory)}\n`);
  t.match(localMotd.motd, `DIRECTORY NODE: ${formatLocation(atLoopback)}\n`);

  await t.test('a peer declares a location in its own overlay, or none', async (t) => {
    for (const [overlay, at, location] of [
      [memory(), inMemory, homeOfL],
      [loopback(), atLoopback, homeOfM],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const answer = await answerTo(await greet(overlay, at, 'J5stranger', location));
      t.match(answer, { accepted: false, motd: /location-string must be/ });
    }
    for (const [overlay, at] of [
      [memory(), inMemory],
      [loopback(), atLoopback],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop
      const answer = await answerTo(await greet(overlay, at, 'J5stranger', at));
      t.match(answer, { accepted: false, motd: /the one of this directory/ });
    }
  });

  await t.test(
    'the answer to a 791 says NOT-SERVING-ONION of peers in the other one',
    async (t) => {
      m2.send(GETPEERLIST, '');
      t.strictSame((await m2.next(PEERLIST)).split(','), [
        `J5memoryMaker;${formatLocation(homeOfM)}`,
        'J5memoryTaker;NOT-SERVING-ONION',
        'J5localMaker;NOT-SERVING-ONION',
        'J5localTaker;NOT-SERVING-ONION',
      ]);
      l2.send(GETPEERLIST, '');
      t.strictSame((await l2.next(PEERLIST)).split(','), [
        'J5memoryMaker;NOT-SERVING-ONION',
        'J5memoryTaker;NOT-SERVING-ONION',
        `J5localMaker;${formatLocation(homeOfL)}`,
        'J5localTaker;NOT-SERVING-ONION',
      ]);
    },
  );

  await t.test('a private message crosses, its sender’s location does not', async (t) => {
    const ownInMemory = `${dir};${formatLocation(inMemory)}`;
    const ownAtLoopback = `${dir};${formatLocation(atLoopback)}`;
    l1.send(PRIVMSG, 'J5localMaker!J5memoryTaker!hello there');
    t.equal(await m2.next(PRIVMSG), 'J5localMaker!J5memoryTaker!hello there');
    t.equal(await m2.next(PEERLIST), ownInMemory);
    m1.send(PRIVMSG, 'J5memoryMaker!J5memoryTaker!hello there');
    t.equal(await m2.next(PEERLIST), `J5memoryMaker;${formatLocation(homeOfM)},${ownInMemory}`);
    l1.send(PRIVMSG, 'J5localMaker!J5localTaker!hello there');
    t.equal(await l2.next(PEERLIST), `J5localMaker;${formatLocation(homeOfL)},${ownAtLoopback}`);
  });

  await t.test('a gone notice and a leave', async (t) => {
    m2.send(PRIVMSG, 'J5memoryTaker!J5nobody!hello there');
    t.equal(await m2.next(PEERLIST), 'J5nobody;NOT-SERVING-ONION;D');
    l1.end();
    t.equal(await m2.next(PEERLIST), 'J5localMaker;NOT-SERVING-ONION;D');
    t.equal(await l2.next(PEERLIST), `J5localMaker;${formatLocation(homeOfL)};D`);
    m1.end();
    t.equal(await l2.next(PEERLIST), 'J5memoryMaker;NOT-SERVING-ONION;D');
    t.equal(await m2.next(PEERLIST), `J5memoryMaker;${formatLocation(homeOfM)};D`);
    l2.end();
    t.equal(
      await m2.next(PEERLIST),
      'J5localTaker;NOT-SERVING-ONION;D',
      'one line for all is enough',
    );
  });

  for (const { heard } of [m1, m2]) t.notMatch(heard, '127.0.0.1', 'every byte in memory');
  for (const { heard } of [l1, l2]) t.notMatch(heard, '.memory', 'every byte at loopback');
});

t.test('the directory tells the state of each location', async (t) => {
  const { overlay: memory } = createMemoryNetwork(IN_MEMORY);
  const port = await freePort();
  let tell: ((state: 'lost' | 'reachable') => void) | undefined;
  const fickle: Overlay = {
    ...memory(),
    serve(onConnection, options) {
      tell = (state) =>
        options.onState?.(
          state === 'lost' ? { state, detail: 'the router ended' } : { state },
          IN_MEMORY.kind,
        );
      return memory().serve(onConnection, options);
    },
  };
  const node = await startDirectoryNode({
    network,
    overlay: createOverlaySet([fickle, loopback()]),
    status: { host: '127.0.0.1', port },
  });
  t.teardown(() => node.close());
  await node.reachable;
  const page = async (): Promise<unknown> =>
    (await fetch(`http://127.0.0.1:${port}/status`)).json();
  const [inMemory = '', atLoopback = ''] = node.locations.map(formatLocation);
  t.match(await page(), {
    state: 'reachable',
    location: inMemory,
    services: [
      { location: inMemory, state: 'reachable' },
      { location: atLoopback, state: 'reachable' },
    ],
  });
  tell?.('lost');
  t.match(await page(), {
    state: 'lost',
    services: [
      { location: inMemory, state: 'lost', detail: 'the router ended' },
      { location: atLoopback, state: 'reachable' },
    ],
  });
  t.strictSame(node.health(), {
    ok: false,
    reason: 'not reachable: x-memory: the router ended',
  });
  tell?.('reachable');
  t.strictSame(node.health(), { ok: true });
});

const TIMINGS = { backoffFirstMs: 200, peerRetryMs: 200, peerDialJitterMs: 10 };

function open(
  t: Test,
  byte: number,
  overlay: Overlay,
  directories: readonly Location[],
  serve = false,
): LiveTestChannel {
  const channel = openLiveTestChannel(directories, {
    overlay,
    serve,
    nickKey: keyOf(byte),
    timings: TIMINGS,
    random: () => 0,
  });
  t.teardown(() => channel.close());
  return channel;
}

/** Resolves when the channel knows a location of this nick, or that it serves none. */
async function located(channel: LiveTestChannel, nick: string): Promise<DeclaredLocation> {
  for (;;) {
    const location = channel.peer(nick)?.location;
    if (location !== undefined) return location;
    // oxlint-disable-next-line no-await-in-loop -- each message that arrives may tell
    await new Promise(setImmediate);
  }
}

t.test('peers without a common overlay: by relay. With one: directly', async (t) => {
  const { memory, inMemory, atLoopback } = await world(t);
  const maker = open(t, 61, loopback(), [atLoopback], true);
  const both = open(t, 64, createOverlaySet([memory(), loopback()]), [inMemory], true);
  await Promise.all([maker, both].map((channel) => channel.next('welcome')));
  // They ask for the peer list as soon as they are welcome.
  const memoryOnly = open(t, 62, memory(), [inMemory]);
  const loopbackOnly = open(t, 63, loopback(), [atLoopback]);
  const newcomer = open(t, 69, createOverlaySet([memory(), loopback()]), [inMemory]);
  await Promise.all([memoryOnly, loopbackOnly, newcomer].map((channel) => channel.next('welcome')));

  t.strictSame(
    both.locations.map(({ kind }) => kind),
    ['x-memory', 'loopback'],
  );
  await both.next('served');
  t.match(await both.next('served'), { kind: 'loopback' }, 'each location is told');

  t.match(await located(memoryOnly, maker.nick), { kind: 'not-serving' });
  t.match(await located(loopbackOnly, maker.nick), maker.location);
  t.match(await located(memoryOnly, both.nick), { kind: 'x-memory' }, 'in its overlay');
  t.match(await located(loopbackOnly, both.nick), { kind: 'not-serving' }, 'joined elsewhere');

  t.equal(await memoryOnly.connectTo(maker.nick), false, 'no common overlay');
  t.match(memoryOnly.send(maker.nick, 'fill', '0 1 2 3'), { route: { kind: 'directory' } });
  t.match(await maker.next('privmsg'), { from: memoryOnly.nick, route: { kind: 'directory' } });
  t.match(maker.send(memoryOnly.nick, 'error', 'no'), { route: { kind: 'directory' } });
  t.match(await memoryOnly.next('privmsg'), { from: maker.nick });
  t.match(await located(newcomer, maker.nick), { kind: 'not-serving' });
  t.equal(await newcomer.connectTo(maker.nick), false, 'no directory at loopback told it where');

  t.equal(await loopbackOnly.connectTo(maker.nick), true, 'both are at loopback');
  t.match(loopbackOnly.send(maker.nick, 'fill', '0 1 2 3'), { route: { kind: 'direct' } });
  t.match(await maker.next('privmsg'), { from: loopbackOnly.nick, route: { kind: 'direct' } });
  t.equal(await memoryOnly.connectTo(both.nick), true, 'both are in memory');
  t.match(memoryOnly.send(both.nick, 'fill', '0 1 2 3'), { route: { kind: 'direct' } });
  t.match(await both.next('privmsg'), { from: memoryOnly.nick, route: { kind: 'direct' } });
});

/** The location-string of the next handshake that an overlay accepts. */
async function declaredTo(t: Test, overlay: Overlay): Promise<[Location, Promise<string>]> {
  const declared = deferred<string>();
  async function listen(peer: LinePeer): Promise<void> {
    const handshake: Readonly<Record<string, string>> = JSON.parse(await peer.next(HANDSHAKE));
    declared.resolve(handshake['location-string'] ?? '');
  }
  const served = await overlay.serve((connection) => void listen(linePeer(connection)), { signal });
  t.teardown(() => served.close());
  return [served.locations[0], declared.promise];
}

t.test('each directory and each direct link learns our location in its own overlay', async (t) => {
  const { overlay: memory } = createMemoryNetwork(IN_MEMORY);
  const overlay = createOverlaySet([loopback(), memory()]);
  const [inMemory, toldInMemory] = await declaredTo(t, memory());
  const [atLoopback, toldAtLoopback] = await declaredTo(t, loopback());
  const channel = open(t, 65, overlay, [inMemory, atLoopback], true);
  const ours = [await channel.next('served'), await channel.next('served')];
  t.equal(
    await toldInMemory,
    ours.filter(({ kind }) => kind === 'x-memory').map(formatLocation)[0],
  );
  t.equal(await toldAtLoopback, formatLocation(channel.location));

  for (const location of channel.locations) {
    // oxlint-disable-next-line no-await-in-loop
    const peer = linePeer(await overlay.dial(location, { signal }));
    const us = { nick: keyOf(66).nick, location: NOT_SERVING, network, features: [] } as const;
    peer.send(HANDSHAKE, formatPeerHandshake(us));
    // oxlint-disable-next-line no-await-in-loop
    const answer: unknown = JSON.parse(await peer.next(HANDSHAKE));
    t.match(answer, { 'location-string': formatLocation(location) });
    peer.end();
  }
});

t.test('a directory cannot make a peer dial through another overlay', async (t) => {
  const { overlay: memory } = createMemoryNetwork(IN_MEMORY);
  const victim = await loopback().serve(() => t.fail('the victim was dialled'), { signal });
  t.teardown(() => victim.close());
  const liar = keyOf(67).nick;
  const dialled = deferred<LinePeer>();
  const directory = await memory().serve((connection) => dialled.resolve(linePeer(connection)), {
    signal,
  });
  const channel = open(t, 68, createOverlaySet([memory(), loopback()]), directory.locations);
  const peer = await dialled.promise;
  await peer.next(HANDSHAKE);
  const accepting = {
    'app-name': 'joinmarket',
    directory: true,
    'proto-ver-min': 5,
    'proto-ver-max': 5,
    features: {},
    accepted: true,
    nick: 'J5directory',
    network,
    motd: '',
  };
  peer.send(WELCOME, JSON.stringify(accepting));
  peer.send(PEERLIST, `${liar};${formatLocation(victim.locations[0])}`);
  t.match(await located(channel, liar), { kind: 'not-serving' });
  t.equal(await channel.connectTo(liar), false);
});

t.test('a directory that no overlay reaches is refused at once', async (t) => {
  const { overlay: memory } = createMemoryNetwork(IN_MEMORY);
  t.throws(
    () =>
      openMessageChannel({
        network,
        directories: [{ kind: 'loopback', host: '127.0.0.1', port: 1 }],
        overlay: memory(),
        nickKey: keyOf(1),
        serve: false,
        clock: systemClock,
        random: Math.random,
        log: silentLog,
      }),
    {
      code: 'directories',
      message: 'cannot reach 127.0.0.1:1: the overlay reaches x-memory locations only',
    },
  );
});

/** Folders that must not change when an overlay is added. */
const WITHOUT_KINDS = ['channel', 'directory', 'roles'];
/** It dials a bitcoin node, which is no peer and has no overlay. */
const OPENS_NODE = 'open-chain.ts';

t.test('no file of channel, directory or roles names a kind of location', async (t) => {
  const src = new URL('../../src/', import.meta.url).pathname;
  for (const folder of WITHOUT_KINDS) {
    // oxlint-disable-next-line no-await-in-loop
    const names = await readdir(join(src, folder), { recursive: true });
    for (const name of names.filter((each) => each.endsWith('.ts') && each !== OPENS_NODE)) {
      // oxlint-disable-next-line no-await-in-loop
      const text = await readFile(join(src, folder, name), 'utf8');
      t.notMatch(text, /['"`](onion|loopback|x-[a-z]+)['"`]/, `${folder}/${name}`);
    }
  }
});
