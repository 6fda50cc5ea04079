/** The log, status page and metrics of a directory node: what they show, and what they must never show. */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openMessageChannel } from '../../src/channel/message-channel.js';
import { silentLog, type Log } from '../../src/channel/log.js';
import type { Overlay, ServeOptions, ServiceState } from '../../src/channel/ports.js';
import { DEFAULT_LIMITS } from '../../src/directory/limits.js';
import { createLog } from '../../src/ops/log.js';
import { LOOP_LOOK_MS } from '../../src/ops/loop-look.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { MessageType } from '../../src/protocol/constants.js';
import { formatLocation, onionHost, type Location } from '../../src/protocol/location.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { startDirectoryNode, type DirectoryNode } from '../../src/roles/directory-node.js';
import { startMaker } from '../../src/roles/maker.js';
import { startTaker } from '../../src/roles/taker.js';
import { connectControl } from '../../src/tor/control/client.js';
import { deferred } from '../../src/kit/deferred.js';
import { loadOrCreateOnionKey } from '../../src/tor/onion/key-folder.js';
import { dialRaw, type RawPeer } from '../helpers/raw-peer.js';
import { torNetworkFor } from '../helpers/tor-network.js';
import { createTestClock } from '../helpers/test-clock.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

const HOST = '127.0.0.1';

interface Page {
  /** The status code and the text of a path. */
  get(path: string): Promise<{ readonly code: number; readonly body: string }>;
}

function pageAt(port: number): Page {
  return {
    async get(path) {
      const answer = await fetch(`http://${HOST}:${port}${path}`, {
        headers: { connection: 'close' },
      });
      return { code: answer.status, body: await answer.text() };
    },
  };
}

/** `name{label="value"}` and its number. */
function metric(text: string, name: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? Number.NaN);
}

/** A log at a level, and the bytes that it wrote. */
function written(level: 'INFO' | 'DEBUG'): { readonly log: Log; readonly text: () => string } {
  const lines: string[] = [];
  const log = createLog({ level, format: 'json', write: (line) => void lines.push(line) });
  return { log, text: () => lines.join('') };
}

function both(a: Log, b: Log): Log {
  const tell =
    (level: keyof Log): Log['info'] =>
    (text, fields) => {
      a[level](text, fields);
      b[level](text, fields);
    };
  return { debug: tell('debug'), info: tell('info'), warn: tell('warn'), error: tell('error') };
}

/** All texts that untrusted peers sent, so that a test can search the outputs for them. */
const onionOf = (name: string): string =>
  `${onionHost(createHash('sha256').update(name).digest())}:5222`;

function hello(nick: string, location: string, network = 'signet'): string {
  return JSON.stringify({
    'app-name': 'joinmarket',
    directory: false,
    'location-string': location,
    'proto-ver': 5,
    features: {},
    nick,
    network,
  });
}

async function joined(location: Location, nick: string, onion: string): Promise<RawPeer> {
  const peer = await dialRaw(location);
  peer.send(MessageType.HANDSHAKE, hello(nick, onion));
  await peer.nextOf(MessageType.DN_HANDSHAKE);
  return peer;
}

const welcomed = (channel: ReturnType<typeof openMessageChannel>): Promise<void> =>
  new Promise((resolve) => channel.once('welcome', () => resolve()));

const SECRET = 'XYZZYsecretXYZZY';
const FLOODERS = 20;
const FLOOD_LINES = 900;
/** A flood of 20 peers with 900 lines each, and 200 broken connections, may log this much. */
const MAX_INFO_BYTES = 4_000;
const MAX_DEBUG_BYTES = 12_000;

interface Busy {
  readonly node: DirectoryNode;
  /** Acts once; later calls wait for the first. */
  readonly close: () => Promise<void>;
  readonly page: Page;
  readonly secrets: readonly string[];
}

/** Makers and takers that trade, untrusted peers that flood, send false messages, and leave. */
async function busyRun(t: Test, log: Log): Promise<Busy> {
  const port = await freePort();
  const overlay = createLoopbackOverlay({ host: HOST, port: 0 });
  const node = await startDirectoryNode({
    network: 'signet',
    overlay,
    motd: 'a busy day',
    limits: { ...DEFAULT_LIMITS, maxPeers: 40 },
    status: { host: HOST, port },
    log,
  });
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= node.close());
  t.teardown(close);
  const secrets: string[] = [SECRET];
  const open = (serve: boolean) => {
    const nickKey = createNickKey(randomBytes);
    secrets.push(nickKey.nick);
    const channel = openMessageChannel({
      network: 'signet',
      directories: [node.location],
      overlay: createLoopbackOverlay({ host: HOST, port: 0 }),
      nickKey,
      serve,
      clock: systemClock,
      random: Math.random,
      log: silentLog,
    });
    t.teardown(() => channel.close());
    return channel;
  };

  const offer = {
    type: 'sw0reloffer',
    oid: 0,
    minsize: 27_300,
    maxsize: 50_000_000,
    txfee: 0,
    cjfee: '0.00002',
  } as const;
  const makers = [open(true), open(true)];
  for (const channel of makers) {
    const maker = startMaker({ channel, offers: [offer], clock: systemClock, log: silentLog });
    t.teardown(() => maker.stop());
  }
  await Promise.all(makers.map(welcomed));
  const takerChannel = open(false);
  const taker = startTaker({ channel: takerChannel, clock: systemClock, log: silentLog });
  t.teardown(() => taker.stop());
  await welcomed(takerChannel);
  for (const { nick } of makers) {
    const answer = await taker.ask(nick, 'fill', `0 100000 ${SECRET} ${SECRET}`, 20_000);
    t.equal(answer.commands[0].name, 'error', 'a maker without a wallet says so');
  }

  const { location } = node;
  const peers = await Promise.all(
    Array.from({ length: FLOODERS }, async (_, i) => {
      const nick = `J5Flooder${i}`.padEnd(16, 'O');
      const onion = onionOf(nick);
      secrets.push(nick, onion.slice(0, 56));
      return { nick, peer: await joined(location, nick, onion) };
    }),
  );
  const ends = peers.map(({ nick, peer }, i) => {
    for (let n = 0; n < FLOOD_LINES; n++) {
      const lies = n % 100 === 99 && i === 0 ? 'J5SomebodyElseOO' : nick;
      if (n % 3 === 0) peer.send(MessageType.PUBMSG, `${lies}!PUBLIC!!orderbook ${SECRET}`);
      else if (n % 3 === 1) peer.send(MessageType.PUBMSG, `${lies}!PUBLIC!absoffer ${SECRET}${n}`);
      else peer.send(MessageType.PRIVMSG, `${lies}!J5Nobody${n}OOOOOOO!fill ${SECRET}`);
    }
    peer.send(791, '');
    return peer.over;
  });
  secrets.push('J5SomebodyElseOO', 'J5Nobody');

  const refused = async (payload: string): Promise<void> => {
    const peer = await dialRaw(location);
    peer.send(MessageType.HANDSHAKE, payload);
    await peer.over;
  };
  const rejected = 'J5RejectedOOOOOO';
  const elsewhere = onionOf(rejected);
  secrets.push(rejected, elsewhere.slice(0, 56));
  await refused(hello(rejected, elsewhere, 'mainnet'));
  await refused(hello(rejected, `${SECRET}.onion:5222`));
  await refused(hello(`${rejected};${SECRET}`, elsewhere));
  const broken = Array.from({ length: 200 }, async (_, i) => {
    const peer = await dialRaw(location);
    if (i % 3 === 0) peer.raw(`${SECRET}\r\n`);
    else if (i % 3 === 1) peer.raw(Buffer.from([0xff, 0xfe, 0x0a]));
    else peer.raw(`{"type": 687, "line": "${rejected}!PUBLIC!${SECRET}"}\r\n`);
    await peer.over;
  });
  await Promise.all(broken);
  // The directory closes peers that are above ten times a rate; the others leave.
  for (const { peer } of peers.slice(1)) peer.end();
  await Promise.all(ends.slice(1));
  await ends[0];
  return { node, close, page: pageAt(port), secrets };
}

t.test('a busy run logs no nick and no location, and its log stays small', async (t) => {
  const info = written('INFO');
  const debug = written('DEBUG');
  const { node, close, page, secrets } = await busyRun(t, both(info.log, debug.log));
  const [metrics, status, health] = await Promise.all([
    page.get('/metrics'),
    page.get('/status'),
    page.get('/healthz'),
  ]);
  t.same([metrics.code, status.code, health.code], [200, 200, 200]);

  const outputs = { metrics, status, health, log: { body: info.text() } };
  for (const [name, { body }] of Object.entries(outputs)) {
    t.same(
      secrets.filter((secret) => body.includes(secret)),
      [],
      `${name} holds no nick, no onion and no text of ${secrets.length} looked for`,
    );
  }
  t.ok(info.text().length <= MAX_INFO_BYTES, `${info.text().length} bytes at info`);
  t.ok(debug.text().length <= MAX_DEBUG_BYTES, `${debug.text().length} bytes at debug`);

  const told: { peers: number; connections: number } = JSON.parse(status.body);
  t.equal(told.peers, node.directory.peerCount);
  t.equal(metric(metrics.body, 'onionmc_peers'), told.peers);
  const atLeast: readonly (readonly [string, number])[] = [
    ['connections_accepted_total', 200 + FLOODERS + 6],
    ['handshakes_accepted_total', FLOODERS + 3],
    ['handshakes_rejected_total{reason="network"}', 1],
    ['handshakes_rejected_total{reason="location"}', 1],
    ['handshakes_rejected_total{reason="handshake-nick"}', 1],
    ['messages_in_total{class="privmsg"}', 2],
    ['messages_out_total{class="privmsg"}', 2],
    ['messages_in_total{class="orderbook"}', 1],
    ['messages_out_total{class="pubmsg"}', 1],
    ['dropped_total{reason="rate-orderbook"}', 1],
    ['dropped_total{reason="spoofed-from"}', 1],
    ['closed_total{reason="not-a-handshake"}', 130],
    ['closed_total{reason="not-utf8"}', 66],
    ['flush_bytes_count', 1],
    ['flush_bytes_sum', 100],
    ['flush_lag_bytes_count', 1],
    ['flush_kept_bytes_bucket{le="+Inf"}', 1],
    ['flush_seconds_count', 1],
    ['peers_by_queue{le="+Inf"}', told.peers],
    ['service_reachable', 1],
    ['service_state{state="reachable"}', 1],
    ['service_state_entered_total{state="reachable"}', 1],
  ];
  for (const [name, least] of atLeast) {
    const value = metric(metrics.body, `onionmc_${name}`);
    t.ok(value >= least, `${name} is ${value}`);
  }
  t.equal(
    metric(metrics.body, 'onionmc_flush_bytes_count'),
    metric(metrics.body, 'onionmc_flushes_total'),
    'one observation per flush, whatever the number of peers',
  );
  await close();
  for (const { text } of [info, debug]) {
    t.match(text(), /"msg":"connection closed: not-a-handshake"/, 'it logs the events');
    t.match(text(), /"repeated":1\d\d,/, 'repeated lines are counted at the end');
  }
});

t.test('a blocked event loop shows in /metrics', async (t) => {
  const port = await freePort();
  const overlay = createLoopbackOverlay({ host: HOST, port: 0 });
  const node = await startDirectoryNode({
    network: 'signet',
    overlay,
    status: { host: HOST, port },
  });
  t.teardown(() => node.close());
  const page = pageAt(port);
  await page.get('/metrics');
  // A read restarts the measurement, and its timer must fire once before it can see a gap. Timers fire in the
  // order of their due times, so it has fired when this one does.
  await new Promise((resolve) => setTimeout(resolve, LOOP_LOOK_MS + 100));
  // The next look is due at the latest after half of this.
  const until = performance.now() + 2 * LOOP_LOOK_MS;
  while (performance.now() < until) createHash('sha256').update('busy').digest();
  const { body } = await page.get('/metrics');
  const longest = metric(body, 'nodejs_eventloop_lag_max_seconds');
  t.ok(longest >= (1.8 * LOOP_LOOK_MS) / 1000, `${longest} s`);
});

interface Puppet {
  readonly overlay: Overlay;
  readonly tell: (state: ServiceState) => void;
  /** Completes the withdrawal of the service, which is pending until then. */
  readonly withdrawn: () => void;
}

/** An overlay whose service is in the state that the test sets. */
function puppetOverlay(): Puppet {
  const inner = createLoopbackOverlay({ host: HOST, port: 0 });
  let onState: ServeOptions['onState'];
  const withdrawal = deferred<void>();
  return {
    overlay: {
      ...inner,
      async serve(onConnection, options) {
        onState = options.onState;
        const served = await inner.serve(onConnection, { signal: options.signal });
        return {
          locations: served.locations,
          async close() {
            await served.close();
            await withdrawal.promise;
          },
        };
      },
    },
    tell: (state) => onState?.(state, 'loopback'),
    withdrawn: () => withdrawal.resolve(),
  };
}

t.test('/healthz by state', async (t) => {
  const port = await freePort();
  const { overlay, tell, withdrawn } = puppetOverlay();
  const clock = createTestClock();
  const node = await startDirectoryNode({
    network: 'signet',
    overlay,
    clock,
    limits: { ...DEFAULT_LIMITS, maxPeers: 1 },
    status: { host: HOST, port },
  });
  t.teardown(withdrawn);
  const page = pageAt(port);
  const shows = async (code: number, reason: string | RegExp, when: string): Promise<void> => {
    const answer = await page.get('/healthz');
    t.equal(answer.code, code, when);
    t.match(JSON.parse(answer.body), { ok: code === 200, reason }, when);
    t.same(node.health().ok, code === 200);
  };

  await shows(503, 'starting: not served yet', 'before the onion is served');
  tell({ state: 'starting', detail: 'uploading descriptors' });
  await shows(503, 'starting: uploading descriptors', 'on the way');
  tell({ state: 'reachable' });
  await shows(200, 'ok', 'served');
  tell({ state: 'lost', detail: 'the control connection was closed' });
  await shows(503, /^not reachable: the control connection/, 'Tor lost it');
  tell({ state: 'starting', detail: 'connecting to Tor' });
  await shows(503, /^starting/, 'on the way again');
  tell({ state: 'reachable' });
  await shows(200, 'ok', 'back');

  const first = await joined(node.location, 'J5FirstOOOOOOOOO', onionOf('first'));
  const second = await dialRaw(node.location);
  second.send(MessageType.HANDSHAKE, hello('J5SecondOOOOOOOO', onionOf('second')));
  const answer = await second.nextOf(MessageType.DN_HANDSHAKE);
  t.match(JSON.parse(answer.line), { accepted: false }, 'it is full');
  await shows(200, 'ok', 'full, but healthy');
  const { body } = await page.get('/metrics');
  t.equal(metric(body, 'onionmc_service_state_entered_total{state="lost"}'), 1);
  t.equal(metric(body, 'onionmc_service_state_entered_total{state="reachable"}'), 2);
  await second.over;

  const closing = node.close();
  await shows(503, 'stopping', 'while stopping');
  tell({ state: 'reachable' });
  await shows(503, 'stopping', 'a late event of Tor changes nothing');
  withdrawn();
  await Promise.all([closing, first.over]);
  await t.rejects(page.get('/healthz'), 'then the page is closed');
});

t.test('a real Tor is lost and comes back', { timeout: 110_000 }, async (t) => {
  const network = await torNetworkFor(t);
  const tor = await network.startTor({ name: 'mortal', controlPort: true });
  const { controlEndpoint: endpoint } = tor;
  if (endpoint === undefined) throw new Error('this tor has no control port');
  const { key } = await loadOrCreateOnionKey(join(t.testdir({}), 'hs'));
  const overlay = createTorOverlay({
    socks: { kind: 'tcp', ...tor.socks },
    serving: {
      kind: 'control',
      identity: { kind: 'persistent', key },
      listen: { host: HOST, port: 0 },
      connectControl: (signal) => connectControl({ endpoint, signal }),
    },
  });
  const waiting = new Map<ServiceState['state'], () => void>();
  const next = (state: ServiceState['state']): Promise<void> =>
    new Promise((resolve) => waiting.set(state, resolve));
  const port = await freePort();
  const first = next('reachable');
  const node = await startDirectoryNode({
    network: 'signet',
    overlay,
    status: { host: HOST, port },
    onState: ({ state }) => {
      waiting.get(state)?.();
      waiting.delete(state);
    },
  });
  t.teardown(() => node.close());
  const page = pageAt(port);
  t.match(formatLocation(node.location), key.host);
  await first;
  t.equal((await page.get('/healthz')).code, 200, 'served');

  const lost = next('lost');
  await tor.kill();
  await lost;
  const ill = await page.get('/healthz');
  t.equal(ill.code, 503, 'its tor was killed');
  t.match(JSON.parse(ill.body), { ok: false, reason: /^not reachable: / });
  t.match((await page.get('/metrics')).body, /^onionmc_service_reachable 0$/m);

  const back = next('reachable');
  const again = await tor.restart();
  t.teardown(() => again.kill());
  await back;
  t.equal((await page.get('/healthz')).code, 200, 'served again, by itself');
  t.match(
    (await page.get('/metrics')).body,
    /^onionmc_service_state_entered_total\{state="lost"\} 1$/m,
  );
});
