import t from 'tap';
import type { Overlay } from '../../src/channel/ports.js';
import { createOverlaySet } from '../../src/overlay/overlay-set.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { formatPeerHandshake } from '../../src/protocol/handshake.js';
import {
  addLocationKind,
  NOT_SERVING,
  onionHost,
  type Location,
} from '../../src/protocol/location.js';
import {
  anyPort,
  keyOf,
  openLiveTestChannel,
  openTestChannel,
  type TestChannel,
} from '../helpers/test-channel.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { startFakeDirectory } from '../helpers/fake-directory.js';
import { createMemoryNetwork, IN_MEMORY, MEMORY_ROW } from '../helpers/memory-overlay.js';
import { serveRaw } from '../helpers/raw-peer.js';
import { GRANTED, startSocksServer } from '../helpers/socks-server.js';
import { createTestClock } from '../helpers/test-clock.js';
import { channelCompliance, LOOPBACK } from './compliance.js';

t.test('compliance over loopback sockets', (t) => channelCompliance(t, LOOPBACK));

t.test('compliance in memory, where every answer comes in the next microtask', (t) => {
  const { overlay } = createMemoryNetwork();
  return channelCompliance(t, { server: overlay, dialer: overlay });
});

t.test('compliance through a set of two overlays', async (t) => {
  const { overlay: memory } = createMemoryNetwork(IN_MEMORY);
  t.teardown(addLocationKind(IN_MEMORY.kind, MEMORY_ROW));
  const both = (): Overlay => createOverlaySet([memory(), anyPort()]);
  await channelCompliance(t, { server: both, dialer: both });
});

t.test('a link that is made or lost in a microtask', async (t) => {
  const { overlay } = createMemoryNetwork();
  const directory = await serveDirectory(t, overlay(), systemClock, 'J5directoryOOOOO');
  const open = (byte: number, serve: boolean) =>
    openLiveTestChannel([directory.location], { overlay: overlay(), nickKey: keyOf(byte), serve });
  const [maker, taker] = [open(51, true), open(52, false)];
  t.teardown(() => Promise.all([maker.close(), taker.close()]));
  await Promise.all([maker.next('welcome'), taker.next('welcome')]);
  maker.publish('hp2 here');
  await taker.next('pubmsg');
  while (taker.peer(maker.nick)?.location === undefined) await new Promise(setImmediate);
  t.equal(
    await taker.connectTo(maker.nick),
    true,
    'the handshake arrives before the dial resolves',
  );
  await taker.close();
  await taker.next('stopped');

  // A link that the peer closes as soon as it is open.
  const closing = await overlay().serve(
    (connection) => {
      connection.attach({ data: () => {}, closed: () => {} });
      connection.destroy();
    },
    { signal: new AbortController().signal },
  );
  t.teardown(() => closing.close());
  const liar = openLiveTestChannel([directory.location], {
    overlay: { ...overlay(), serve: () => Promise.resolve(closing) },
    nickKey: keyOf(54),
    serve: true,
  });
  t.teardown(() => liar.close());
  await liar.next('welcome');
  const other = openLiveTestChannel([directory.location], {
    overlay: overlay(),
    nickKey: keyOf(53),
  });
  t.teardown(() => other.close());
  await other.next('welcome');
  liar.publish('hp2 here');
  await other.next('pubmsg');
  while (other.peer(liar.nick)?.location === undefined) await new Promise(setImmediate);
  t.equal(await other.connectTo(liar.nick), false);
  await other.close();
  await other.next('stopped');
});

t.test(
  'a directory restarts after a stable session: all peers are back within ten seconds',
  async (t) => {
    const clock = createTestClock();
    const directory = await serveDirectory(t, anyPort(), clock, 'J5directoryOOOOO');
    const peers = Array.from({ length: 20 }, (_, n) =>
      // The jitter from its least to its most.
      openTestChannel([directory.location], {
        clock,
        nickKey: keyOf(30 + n),
        random: () => n / 20,
      }),
    );
    t.teardown(() => Promise.all(peers.map((peer) => peer.close())));
    for (let restart = 0; restart < 3; restart++) {
      await Promise.all(peers.map((peer) => peer.next('directory-up')));
      clock.advance(60_000);
      await directory.stop();
      const downs = await Promise.all(peers.map((peer) => peer.next('directory-down')));
      const waits = downs.map(({ retryInMs = Infinity }) => retryInMs);
      t.ok(Math.max(...waits) <= 10_000, `at most ${Math.max(...waits)} ms`);
      t.ok(new Set(waits).size > 15, 'not all at the same moment');
      directory.start();
      clock.advance(10_000);
    }
    await Promise.all(peers.map((peer) => peer.next('directory-up')));
    t.equal(directory.peerCount, peers.length);
  },
);

t.test('two nicks over one Tor share no circuit, whatever they dial and how often', async (t) => {
  const [directoryHost = '', makerHost = ''] = [1, 2].map((n) =>
    onionHost(new Uint8Array(32).fill(n)),
  );
  const directoryLocation: Location = { kind: 'onion', host: directoryHost, port: 5222 };
  const maker = keyOf(40);
  const [directory, makerServer] = [await startFakeDirectory(), await serveRaw()];
  const socks = await startSocksServer({
    reply: GRANTED,
    forward: ({ host }) => (host === directoryHost ? directory : makerServer).location.port,
  });
  const overlay = createTorOverlay({ socks: socks.endpoint });
  const channels: TestChannel[] = [];
  t.teardown(async () => {
    for (const channel of channels) await channel.close();
    for (const each of [socks, directory, makerServer]) await each.close();
  });

  for (const byte of [41, 42]) {
    const channel = openTestChannel([directoryLocation], { overlay, nickKey: keyOf(byte) });
    channels.push(channel);
    // A directory that is dialled again gets another circuit for that dial, too.
    (await directory.acceptHandshake()).end();
    await channel.next('directory-up');
    const { retryInMs } = await channel.next('directory-down');
    channel.clock.advance(retryInMs ?? 0);
    const session = await directory.acceptHandshake();
    await channel.next('directory-up');
    session.send(789, `${maker.nick};${makerHost}:5222`);
    session.pubmsg(keyOf(43).nick, 'hp2 listed');
    await channel.next('pubmsg');
    // Tor would let a second stream wait for a circuit that hangs, so each dial gets another one here, too.
    for (let dial = 0; dial < 2; dial++) {
      const dialled = channel.connectTo(maker.nick);
      const link = await makerServer.accept();
      link.send(
        793,
        formatPeerHandshake({
          nick: maker.nick,
          location: NOT_SERVING,
          network: 'signet',
          features: [],
        }),
      );
      t.equal(await dialled, true);
      const down = channel.next('direct-down');
      link.end();
      await down;
    }
  }

  t.strictSame(
    socks.requests.map(({ host }) => host),
    [0, 1].flatMap(() => [directoryHost, directoryHost, makerHost, makerHost]),
  );
  const clients = socks.requests.map(({ username, password }) => `${username}:${password}`);
  t.equal(new Set(clients).size, clients.length, 'each dial asks for its own circuit');
});
