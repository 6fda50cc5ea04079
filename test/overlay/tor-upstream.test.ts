/**
 * `[TOR] upstream`: a Tor of our own that reaches its network only through a proxy, on a private Tor network. The
 * kernel's table of its connections shows that it has no other way, also while the proxy is dead.
 */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { parseCfg } from '../../src/config/cfg-file.js';
import { settingsFrom, type Settings } from '../../src/config/settings.js';
import { parseTorUpstream, shownUpstream } from '../../src/config/tor-upstream.js';
import { freePorts } from '../../src/lab/private-network/free-ports.js';
import { startLocalProxy } from '../../src/lethean/transport/local-proxy.js';
import { randomLogin } from '../../src/lethean/transport/local-request.js';
import { ProxyTransport } from '../../src/lethean/transport/proxy-transport.js';
import { openOverlay } from '../../src/overlay/factory/open-overlays.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { upstreamLines } from '../../src/tor/process/upstream-lines.js';
import { makeAuthority } from '../helpers/certificates.js';
import { gateConfig, startHaproxy } from '../helpers/haproxy.js';
import { startExitProxy, tunnelTarget } from '../helpers/lethean-exit.js';
import { GRANTED, startSocksServer } from '../helpers/socks-server.js';
import { peersDuring } from '../helpers/tcp-peers.js';
import { dialPatiently, serviceOn, torNetworkFor } from '../helpers/tor-network.js';

const { signal } = new AbortController();
/** How long a Tor without its proxy is watched; it tries the proxy several times. */
const WATCHED_MS = 3_000;

async function settingsWith(
  upstream: string,
  mode = 'managed',
  datadir = '/data',
): Promise<Settings> {
  const text = `[MESSAGING:onion]\ntype = onion\ntor_mode = ${mode}\n[TOR]\nupstream = ${upstream}\n`;
  const cfg = parseCfg(text, 'joinmarket.cfg');
  if (!cfg.ok) throw new Error(cfg.fault.fault);
  return (await settingsFrom(cfg.value, { datadir, role: 'taker' })).settings;
}

t.test('values of the key', (t) => {
  const none = { login: undefined };
  for (const [text, expected] of [
    ['', null],
    ['socks5://127.0.0.1:1080', { kind: 'socks5', host: '127.0.0.1', port: 1080, ...none }],
    ['http://proxy.test:3128/', { kind: 'http', host: 'proxy.test', port: 3128, ...none }],
    ['socks5://[::1]:9', { kind: 'socks5', host: '::1', port: 9, ...none }],
    [
      'socks5://a%40b:p%3A%2F%22@h:1',
      { kind: 'socks5', host: 'h', port: 1, login: { username: 'a@b', password: 'p:/"' } },
    ],
    ['lthn://94ece0/1A', { kind: 'lthn', link: 'lthn://94ece0/1A' }],
    ['socks4://127.0.0.1:1080', undefined],
    ['socks5://127.0.0.1', undefined],
    ['socks5://127.0.0.1:0', undefined],
    ['socks5://127.0.0.1:70000', undefined],
    ['socks5://user@h:1', undefined],
    ['socks5://user:@h:1', undefined],
    ['socks5://a:b%0A@h:1', undefined],
    ['http://a%3Ab:c@h:1', undefined],
    ['http://h:1/path', undefined],
    ['https://h:1', undefined],
    ['socks5://name.loki:1', undefined],
    ['lthn://provider', undefined],
    ['lthn://a b/c', undefined],
    ['127.0.0.1:9050', undefined],
  ] as const) {
    t.same(parseTorUpstream(text), expected, text);
  }
  fc.assert(
    fc.property(
      fc.stringMatching(/^[ -~]{1,255}$/),
      fc.stringMatching(/^[ -~]{1,255}$/),
      (username, password) => {
        const text = `socks5://${encodeURIComponent(username)}:${encodeURIComponent(password)}@h:1`;
        const parsed = parseTorUpstream(text);
        if (parsed === null || parsed === undefined || parsed.kind === 'lthn') return false;
        const lines = upstreamLines(parsed);
        return (
          parsed.login?.username === username &&
          parsed.login.password === password &&
          lines.every((line) => !line.includes('\n')) &&
          !shownUpstream(parsed).includes('@')
        );
      },
    ),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const parsed = parseTorUpstream(text);
      return parsed === undefined || parsed === null || shownUpstream(parsed) !== '';
    }),
  );
  t.end();
});

t.test('another Tor is refused, with what its torrc needs, and without the password', async (t) => {
  for (const [mode, upstream, hint] of [
    [
      'control',
      'socks5://alice:geheim@192.0.2.1:1080',
      /Socks5Proxy 192\.0\.2\.1:1080, Socks5ProxyUsername/,
    ],
    [
      'external',
      'http://alice:geheim@192.0.2.1:3128',
      /HTTPSProxy 192\.0\.2\.1:3128 and HTTPSProxyAuthenticator/,
    ],
    ['auto', 'socks5://192.0.2.1:1080', /tor_mode = auto.*tor_mode = managed/],
    ['control', 'lthn://94ece0/1A', /onionmc lethean connect/],
  ] as const) {
    const error = await settingsWith(upstream, mode).catch((cause: unknown) => String(cause));
    t.match(error, hint, `${mode} ${upstream}`);
    t.match(error, /\[TOR\] upstream/);
    t.notMatch(error, /geheim|alice/);
  }
  const bad = await settingsWith('socks5://alice:geheim@host').catch((cause: unknown) =>
    String(cause),
  );
  t.match(bad, /found a value that is not shown; allowed: socks5:/);

  // The library has no command that could open it.
  const settings = await settingsWith('lthn://94ece0/1A', 'managed', t.testdir());
  const opening = openOverlay({
    settings,
    serves: false,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    signal,
  });
  await t.rejects(opening, { name: 'TorError', message: /works in the commands of onionmc only/ });
});

/** A port that leads to a proxy, and that can die. */
class Front {
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  port = 0;

  constructor(target: number) {
    this.#target = target;
  }

  async up(): Promise<void> {
    const server = createServer((socket) => {
      const behind = createConnection({ host: '127.0.0.1', port: this.#target });
      for (const [one, other] of [
        [socket, behind],
        [behind, socket],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => {});
        one.once('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    this.port = address !== null && typeof address === 'object' ? address.port : 0;
    this.#server = server;
  }

  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    for (const socket of this.#sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }
}

async function frontFor(t: Test, target: number): Promise<Front> {
  const front = new Front(target);
  await front.up();
  t.teardown(() => front.down());
  return front;
}

interface Upstream {
  /** The value of the key, for a port. */
  key(port: number): string;
  /** The port of the proxy. */
  readonly port: number;
  /** The ports of relays that it was asked for. */
  asked(): readonly number[];
}

async function socks(t: Test): Promise<Upstream> {
  const server = await startSocksServer({ reply: GRANTED, forward: ({ port }) => port });
  t.teardown(() => server.close());
  return {
    port: server.endpoint.kind === 'tcp' ? server.endpoint.port : 0,
    key: (port) => `socks5://tor:pass%%20%%22word@127.0.0.1:${port}`,
    asked() {
      const others = server.requests.filter(({ password }) => password !== 'pass "word');
      t.same(others, [], 'each request has the password');
      return server.requests.map(({ port }) => port);
    },
  };
}

const SESSION = { username: 's-1', password: 'geheim', bearer: 'abc' };
const asPorts = (asked: readonly string[]): readonly number[] =>
  asked.map((text) => Number(text.split(':')[1]));

/** A real haproxy that asks for the password. */
async function http(t: Test): Promise<Upstream> {
  const exit = await startExitProxy(t);
  const [port = 0] = await freePorts(1);
  await startHaproxy(t, port, gateConfig({ port, ...SESSION, exit: exit.port }));
  return {
    port,
    key: (at) => `http://s-1:geheim@127.0.0.1:${at}`,
    asked: () => asPorts(exit.asked),
  };
}

/** A tunnel of Lethean: a gate with TLS 1.3 behind haproxy, and the local proxy in front. */
async function tunnel(t: Test): Promise<Upstream> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-upstream-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const authority = await makeAuthority(folder, 'ca');
  const pem = await authority.server('gate', 'IP:127.0.0.1');
  const exit = await startExitProxy(t);
  const [port = 0, tlsPort = 0] = await freePorts(2);
  const tls = { port: tlsPort, pem };
  await startHaproxy(t, port, gateConfig({ port, tls, ...SESSION, exit: exit.port }));
  const at = { port: tlsPort, tls: true };
  const target = tunnelTarget('http-proxy', at, { bearer: 'abc' }, { ca: [authority.pem] });
  const opened = await new ProxyTransport().open(target, signal);
  t.teardown(() => opened.close());
  const login = randomLogin();
  const local = await startLocalProxy({ port: 0, login, tunnel: () => opened });
  t.teardown(() => local.close());
  return {
    port: local.port,
    key: (front) => `socks5://${login.username}:${login.password}@127.0.0.1:${front}`,
    asked: () => asPorts(exit.asked),
  };
}

t.test('on a private Tor network', async (t) => {
  const network = await torNetworkFor(t);
  const location = await serviceOn(t, network);

  for (const [name, make] of [
    ['socks5 with a password', socks],
    ['http: haproxy with a password', http],
    ['a tunnel of Lethean', tunnel],
  ] as const) {
    await t.test(name, async (t) => {
      const datadir = await mkdtemp(join(tmpdir(), 'omcu-'));
      t.teardown(() => rm(datadir, { recursive: true, force: true }));
      const upstream = await make(t);
      const front = await frontFor(t, upstream.port);
      const pidFile = join(datadir, 'pid');
      const extra = join(datadir, 'extra');
      const lines = [`PidFile ${pidFile}`];
      await writeFile(extra, [...network.torrcLines, ...lines].join('\n'));
      process.env['ONIONMC_TORRC_EXTRA'] = extra;
      t.teardown(() => delete process.env['ONIONMC_TORRC_EXTRA']);
      const logged: string[] = [];
      const keep = (text: string): void => void logged.push(text);
      const overlay = await openOverlay({
        settings: await settingsWith(upstream.key(front.port), 'managed', datadir),
        serves: false,
        clock: systemClock,
        random: Math.random,
        log: { debug: keep, info: keep, warn: keep, error: keep },
        signal,
      });
      t.teardown(() => overlay.close());
      const pid = Number(await readFile(pidFile, 'utf8'));

      const dialling = dialPatiently(overlay.overlay, location, name);
      const seen = await peersDuring(pid, dialling);
      (await dialling).destroy();
      t.same([...seen], [front.port], 'Tor has connections to the proxy only');
      t.ok(upstream.asked().length > 0, 'and the proxy was asked for its relays');

      await front.down();
      const asked = upstream.asked().length;
      const failing = overlay.overlay
        .dial(location, { signal: AbortSignal.timeout(WATCHED_MS), isolation: `${name} without` })
        .then(() => 'connected')
        .catch(() => 'failed');
      const without = await peersDuring(pid, failing);
      t.equal(await failing, 'failed');
      t.same(
        [...without].filter((port) => port !== front.port),
        [],
        'no direct way instead',
      );
      t.equal(upstream.asked().length, asked);

      t.match(logged.join('\n'), /proxy server at 127\.0\.0\.1:\d+ just failed|proxy/i);
      t.notMatch(logged.join('\n'), /geheim|pass "word/);
    });
  }
});
