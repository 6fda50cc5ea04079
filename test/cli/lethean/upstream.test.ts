/** `[TOR] upstream = lthn://...`: the tunnel stands before Tor is started, and Tor has no other way. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../../src/channel/log.js';
import { openUpstream, type OpenedUpstream } from '../../../src/cli/lethean/upstream.js';
import { usesTunnel, withUpstream } from '../../../src/cli/tor-upstream.js';
import { parseCfg } from '../../../src/config/cfg-file.js';
import { settingsFrom, type Settings } from '../../../src/config/settings.js';
import { LetheanClient } from '../../../src/lethean/client.js';
import { createTransports } from '../../../src/lethean/transport/transports.js';
import { socksConnect } from '../../../src/lethean/transport/socks-connect.js';
import { openOverlay } from '../../../src/overlay/factory/open-overlays.js';
import { systemClock } from '../../../src/overlay/system-clock.js';
import { echoed, faultOf, startEcho } from '../../helpers/lethean-exit.js';
import { peersDuring } from '../../helpers/tcp-peers.js';
import { dialPatiently, serviceOn, torNetworkFor } from '../../helpers/tor-network.js';
import { LINK, TestCoin, TestPayer, TestProvider } from '../../lethean/provider.js';

const { signal } = new AbortController();
const now = (): number => Math.floor(Date.now() / 1_000);

/** Options of client.ini: everything below one folder, and a wallet that does not answer. */
function givenFor(folder: string, provider: TestProvider): Readonly<Record<string, string>> {
  return {
    varDir: folder,
    providersDir: join(folder, 'providers'),
    myProvidersDir: join(folder, 'my-providers'),
    spacesDir: join(folder, 'spaces'),
    gatesDir: join(folder, 'gates'),
    sessionsDir: join(folder, 'sessions'),
    sdpUrl: provider.searchUrl,
    walletRpcUrl: 'http://127.0.0.1:1/json_rpc',
    autoReconnect: '1',
  };
}

async function settingsWith(upstream: string, datadir: string): Promise<Settings> {
  const text = `[MESSAGING:onion]\ntype = onion\ntor_mode = managed\n[TOR]\nupstream = ${upstream}\n`;
  const cfg = parseCfg(text, 'joinmarket.cfg');
  if (!cfg.ok) throw new Error(cfg.fault.fault);
  return (await settingsFrom(cfg.value, { datadir, role: 'taker' })).settings;
}

/** Buys a session, as `onionmc lethean connect` does, and ends. */
async function bought(folder: string, provider: TestProvider, payer: TestPayer): Promise<void> {
  const given = givenFor(folder, provider);
  const client = await LetheanClient.open({
    folders: {
      providers: given['providersDir'] ?? '',
      myProviders: given['myProvidersDir'] ?? '',
      spaces: given['spacesDir'] ?? '',
      gates: given['gatesDir'] ?? '',
      sessions: given['sessionsDir'] ?? '',
    },
    payer,
    transports: createTransports(),
    sdpUrl: provider.searchUrl,
    sdpCa: [provider.authority.pem],
    clock: systemClock,
    log: silentLog,
  });
  await client.search({}, signal);
  await (await client.connect(LINK)).ready();
  await client.close();
}

async function world(t: Test): Promise<{
  readonly folder: string;
  readonly provider: TestProvider;
  readonly payer: TestPayer;
}> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-lthn-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const coin = new TestCoin();
  const provider = await TestProvider.start(t, { coin, now });
  return { folder, provider, payer: new TestPayer(coin) };
}

/** A connection through the proxy of an upstream, as Tor makes it. */
async function through({ proxy }: OpenedUpstream, port: number): Promise<Socket> {
  const socket = createConnection({ host: proxy.host, port: proxy.port, allowHalfOpen: true });
  await once(socket, 'connect');
  await socksConnect(socket, '127.0.0.1', port, proxy.login);
  return socket;
}

t.test('a session that was bought before is the way; without it there is none', async (t) => {
  const { folder, provider, payer } = await world(t);
  await bought(folder, provider, payer);
  const echo = await startEcho(t);
  const given = givenFor(folder, provider);
  const opened = await openUpstream(LINK, { log: silentLog, signal, given });
  t.match(opened.proxy, { kind: 'socks5', host: '127.0.0.1', login: { username: 'onionmc' } });
  const socket = await through(opened, echo);
  t.equal((await echoed(socket, Buffer.from('to a relay'))).toString(), 'to a relay');
  t.equal(payer.coin.transfers.length, 1, 'nothing was paid again');

  const { login: _, ...stranger } = opened.proxy;
  const refused = await through(
    { ...opened, proxy: { ...stranger, login: undefined } },
    echo,
  ).catch(faultOf);
  t.equal(refused, 'credentials', 'another user of this machine is not served');

  for (const { sessionid } of provider.sessions) provider.forget(sessionid);
  const without = await through(opened, echo).catch(faultOf);
  t.equal(without, 'destination', 'a gate that refuses the session is no way');

  const { port } = opened.proxy;
  await opened.close();
  const dial = createConnection({ host: '127.0.0.1', port });
  const [error] = await once(dial, 'error');
  t.match(error, { code: 'ECONNREFUSED' });
});

t.test('no tunnel: an error that says so, before any Tor', async (t) => {
  const { folder, provider, payer } = await world(t);
  const given = givenFor(folder, provider);
  const unknown = openUpstream(LINK, { log: silentLog, signal, given });
  await t.rejects(unknown, { name: 'UsageError', message: /No Tor was started/ });

  await bought(folder, provider, payer);
  for (const { sessionid } of provider.sessions) provider.forget(sessionid);
  const other = await mkdtemp(join(tmpdir(), 'onionmc-lthn-'));
  t.teardown(() => rm(other, { recursive: true, force: true }));
  const unpaid = { ...given, sessionsDir: join(other, 'sessions') };
  const asking = openUpstream(LINK, { log: silentLog, signal, given: unpaid });
  await t.rejects(asking, { message: /lthn:.*No Tor was started/ });
  t.equal(payer.coin.transfers.length, 1, 'nothing is bought without a person or auto-pay-days');
});

t.test(
  'the whole way: a link in the configuration, a Tor that has nothing but the tunnel',
  async (t) => {
    const { folder, provider, payer } = await world(t);
    await bought(folder, provider, payer);
    const ini = join(folder, 'client.ini');
    const lines = Object.entries(givenFor(folder, provider)).map(
      ([name, value]) =>
        `${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${value}`,
    );
    await writeFile(ini, `[client]\n${lines.join('\n')}\n`);
    const datadir = await mkdtemp(join(tmpdir(), 'omcl-'));
    t.teardown(() => rm(datadir, { recursive: true, force: true }));
    const network = await torNetworkFor(t);
    const extra = join(datadir, 'extra');
    const pidFile = join(datadir, 'pid');
    await writeFile(extra, [...network.torrcLines, `PidFile ${pidFile}`].join('\n'));
    process.env['WLC_CONFIG'] = ini;
    process.env['ONIONMC_TORRC_EXTRA'] = extra;
    t.teardown(() => {
      delete process.env['WLC_CONFIG'];
      delete process.env['ONIONMC_TORRC_EXTRA'];
    });

    const stops: (() => void | Promise<void>)[] = [];
    const settings = await withUpstream({
      settings: await settingsWith(LINK, datadir),
      log: silentLog,
      shutdown: {
        signal,
        onStop: (_name, stop) => {
          stops.push(stop);
          return () => {};
        },
      },
    });
    t.teardown(async () => {
      await Promise.all(stops.map(async (stop) => stop()));
    });
    const { upstream } = settings.onion;
    if (upstream === undefined || upstream.kind === 'lthn') throw new Error('no proxy');
    const overlay = await openOverlay({
      settings,
      serves: false,
      clock: systemClock,
      random: Math.random,
      log: silentLog,
      signal,
    });
    t.teardown(() => overlay.close());
    const pid = Number(await readFile(pidFile, 'utf8'));
    const service = await serviceOn(t, network);
    const dialling = dialPatiently(overlay.overlay, service, 'through');
    const seen = await peersDuring(pid, dialling);
    (await dialling).destroy();
    t.same([...seen], [upstream.port], 'Tor has connections to the local proxy only');
    t.ok(provider.steps.includes('gate'), 'and the gate was asked for its relays');

    for (const { sessionid } of provider.sessions) provider.forget(sessionid);
    provider.cutAll();
    const failing = overlay.overlay
      .dial(service, { signal: AbortSignal.timeout(3_000), isolation: 'without' })
      .then(() => 'connected')
      .catch(() => 'failed');
    const without = await peersDuring(pid, failing);
    t.equal(await failing, 'failed', 'the exit has withdrawn the session');
    t.same(
      [...without].filter((port) => port !== upstream.port),
      [],
      'and Tor has no direct way',
    );
  },
);

t.test('only such a link loads the client', async (t) => {
  for (const [upstream, tunnel] of [
    ['', false],
    ['socks5://127.0.0.1:1080', false],
    [LINK, true],
  ] as const) {
    const settings = await settingsWith(upstream, t.testdir());
    t.equal(usesTunnel(settings), tunnel);
    const parts = { settings, log: silentLog, shutdown: { signal, onStop: () => () => {} } };
    if (!tunnel) t.equal(await withUpstream(parts), settings, 'as they are');
  }
});
