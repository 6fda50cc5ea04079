/** A unix socket between Tor and us: who may use it, its proof by a dial, and TCP where Tor cannot reach it. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog, type Log } from '../../src/channel/log.js';
import type { Overlay, Served } from '../../src/channel/ports.js';
import { socketForTor, type SocketPlace } from '../../src/overlay/onion-socket.js';
import { startSocketProof } from '../../src/overlay/socket-proof.js';
import { createTorOverlay, type TorServing } from '../../src/overlay/tor.js';
import { connectControl, type ControlClient } from '../../src/tor/control/client.js';
import { SocksError } from '../../src/tor/socks/error.js';
import { acceptor, connectionPeer } from '../helpers/connection-peer.js';
import { fakeControl } from '../helpers/fake-control.js';
import { createTestClock } from '../helpers/test-clock.js';
import { dialPatiently, torNetworkFor } from '../helpers/tor-network.js';

const { signal } = new AbortController();

/** A folder whose name leaves room for the name of a socket. */
async function shortFolder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'omcd-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

/** Notes the texts of its lines. */
function notingLog(lines: string[]): Log {
  const note = (text: string, fields?: Readonly<Record<string, unknown>>): void => {
    lines.push(fields === undefined ? text : `${text} ${JSON.stringify(fields)}`);
  };
  return { ...silentLog, info: note, warn: note };
}

/** A client of a control port that names this user as Tor's. */
async function controlOf(t: Test, user: string, cookie = ''): Promise<ControlClient> {
  const control = await fakeControl((line) => {
    if (line.startsWith('PROTOCOLINFO')) {
      const methods = cookie === '' ? 'NULL' : `NULL COOKIEFILE="${cookie}"`;
      return `250-PROTOCOLINFO 1\r\n250-AUTH METHODS=${methods}\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n`;
    }
    if (line === 'GETINFO process/uid') return `250-process/uid=${user}\r\n250 OK\r\n`;
    return '250 OK\r\n';
  });
  const endpoint = { kind: 'tcp', host: '127.0.0.1', port: control.port } as const;
  const client = await connectControl({ endpoint, signal });
  t.teardown(async () => {
    client.close();
    await control.close();
  });
  return client;
}

t.test('the folder of the socket', async (t) => {
  const dir = await shortFolder(t);
  const runtimeFolder = join(dir, 'run');
  await mkdir(runtimeFolder);
  const place: SocketPlace = {
    path: undefined,
    runtimeFolder,
    ownFolder: join(dir, 'own'),
    controlSocket: undefined,
  };
  const us = String(process.geteuid?.());
  const other = String(Number(us) + 1);

  const own = await socketForTor(await controlOf(t, us), place, silentLog);
  t.strictSame(own, { path: join(dir, 'own/onion.sock'), circuits: false, group: undefined });
  t.equal(await modeOf(join(dir, 'own')), 0o700, 'a Tor of our user needs no other');

  const cookie = join(dir, 'cookie');
  await writeFile(cookie, '');
  const group = (await stat(cookie)).gid;
  const shared = await socketForTor(await controlOf(t, other, cookie), place, silentLog);
  t.strictSame(shared, { path: join(runtimeFolder, 'onion.sock'), circuits: false, group });
  t.equal(await modeOf(runtimeFolder), 0o710, 'open to the group of the cookie, and to no other');

  await chmod(runtimeFolder, 0o700);
  const bySocket = { ...place, controlSocket: cookie };
  t.strictSame(await socketForTor(await controlOf(t, other), bySocket, silentLog), shared);
  t.equal(await modeOf(runtimeFolder), 0o710, 'or of the control socket');

  const reasons: string[] = [];
  const log = notingLog(reasons);
  const refused: readonly (readonly [string, Partial<SocketPlace>, RegExp])[] = [
    [other, { runtimeFolder: undefined }, /no folder that Tor can reach/],
    [other, {}, /group is not known/],
    [us, { ownFolder: join(dir, 'a b') }, /blank/],
    [us, { ownFolder: join(dir, 'x'.repeat(100)) }, /too long/],
    [us, { path: join(dir, 'missing/onion.sock') }, /ENOENT/],
  ];
  for (const [user, differs, reason] of refused) {
    const socket = await socketForTor(await controlOf(t, user), { ...place, ...differs }, log);
    t.equal(socket, undefined);
    t.match(reasons.pop(), reason);
  }
});

const refusal = (): Error => new SocksError('general-failure', 'refused', 1);
const slow = (): Error => new SocksError('onion-not-found', 'no descriptor', 0xf0);

t.test('the proof', async (t) => {
  interface Case {
    readonly name: string;
    /** The results of the dials, in order; undefined: it arrives. */
    readonly dials: readonly (Error | undefined)[];
    readonly refused: boolean;
  }
  const cases: readonly Case[] = [
    { name: 'a dial that arrives', dials: [undefined], refused: false },
    { name: 'one refusal', dials: [refusal(), undefined], refused: false },
    { name: 'two refusals', dials: [refusal(), refusal()], refused: true },
    { name: 'no descriptor yet', dials: [slow(), slow(), slow(), undefined], refused: false },
    { name: 'both', dials: [refusal(), slow(), refusal()], refused: true },
  ];
  for (const { name, dials, refused } of cases) {
    const clock = createTestClock();
    const left = [...dials];
    let told = 0;
    startSocketProof({
      host: 'x.onion',
      clock,
      log: silentLog,
      wasUsed: () => false,
      onRefused: () => told++,
      async selfTest() {
        const result = left.shift();
        if (result !== undefined) throw result;
      },
    });
    for (let n = 0; n < 10; n++) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(10_000);
    }
    t.equal(told, refused ? 1 : 0, name);
    t.strictSame([left.length, clock.pending], [0, 0], 'each dial once, and no timer is left');
  }
  const clock = createTestClock();
  let dialled = 0;
  const options = {
    host: 'x.onion',
    clock,
    log: silentLog,
    selfTest: async () => {
      dialled++;
      throw slow();
    },
    onRefused: () => t.fail('not refused'),
  };
  startSocketProof({ ...options, wasUsed: () => true });
  t.equal(dialled, 0, 'a peer was faster');
  const stop = startSocketProof({ ...options, wasUsed: () => false });
  await new Promise((resolve) => setImmediate(resolve));
  stop();
  t.strictSame([dialled, clock.pending], [1, 0], 'stopped');
});

/** The next connection that says something. The dial of the proof comes in the same way, and ends without a byte. */
async function speaker(
  accept: ReturnType<typeof acceptor>,
): Promise<{ readonly text: string; readonly closed: Promise<unknown> }> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const peer = await accept.next();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const bytes = await peer.read(5).catch(() => undefined);
    if (bytes) return { text: bytes.toString(), closed: peer.closed };
  }
}

/** A round trip to a service whose other end the test holds. */
async function answers(
  t: Test,
  dialer: Overlay,
  { locations: [location] }: Served,
  accept: ReturnType<typeof acceptor>,
): Promise<void> {
  const dialling = dialPatiently(dialer, location, `answers:${randomBytes(4).toString('hex')}`);
  const client = connectionPeer(await dialling);
  client.connection.write(Buffer.from('hello'));
  const server = await speaker(accept);
  t.equal(server.text, 'hello');
  client.connection.end();
  await Promise.all([client.closed, server.closed]);
}

t.test('over real Tor', { timeout: 110_000, jobs: 3 }, async (t) => {
  const network = await torNetworkFor(t);
  const [client, service] = await Promise.all([
    network.startTor({ name: 'client' }),
    network.startTor({ name: 'service', controlSocket: true }),
  ]);
  const dialer = createTorOverlay({ socks: { kind: 'tcp', ...client.socks } });

  function overlayWith(place: SocketPlace, lines: string[]): Overlay {
    const { controlEndpoint: endpoint } = service;
    if (endpoint === undefined) throw new Error('this tor has no control socket');
    const serving: TorServing = {
      kind: 'control',
      identity: { kind: 'ephemeral' },
      listen: { host: '127.0.0.1', port: 0 },
      socket: place,
      connectControl: (abort) => connectControl({ endpoint, signal: abort }),
    };
    const socks = { kind: 'tcp', ...service.socks } as const;
    return createTorOverlay({ socks, serving, log: notingLog(lines) });
  }

  const placeIn = (ownFolder: string): SocketPlace => ({
    path: undefined,
    runtimeFolder: undefined,
    ownFolder,
    controlSocket: service.controlSocket,
  });

  t.test('peers come through the socket', { buffered: true }, async (t) => {
    const folder = join(await shortFolder(t), 'own');
    const lines: string[] = [];
    const accept = acceptor();
    const overlay = overlayWith(placeIn(folder), lines);
    const served = await overlay.serve((connection) => accept.onConnection(connection), { signal });
    t.teardown(() => served.close());
    t.equal(served.listensOn, `unix:${join(folder, 'onion.sock')}`);
    t.equal(await modeOf(join(folder, 'onion.sock')), 0o600, 'for this user only');
    await answers(t, dialer, served, accept);
    // An onion may have these letters in its name.
    t.notMatch(lines.join('\n'), /TCP|\blost\b/);
  });

  t.test('a socket that cannot be opened: TCP', { buffered: true }, async (t) => {
    const folder = join(await shortFolder(t), 'own');
    await mkdir(join(folder, 'onion.sock'), { recursive: true });
    const lines: string[] = [];
    const accept = acceptor();
    const overlay = overlayWith(placeIn(folder), lines);
    const served = await overlay.serve((connection) => accept.onConnection(connection), { signal });
    t.teardown(() => served.close());
    t.match(served.listensOn, /^127\.0\.0\.1:\d+$/);
    t.match(lines[0], /Tor forwards over TCP, not over a unix socket .*is not a socket/);
    await answers(t, dialer, served, accept);

    const named = overlayWith({ ...placeIn(folder), path: join(folder, 'onion.sock') }, lines);
    await t.rejects(
      named.serve(() => {}, { signal }),
      { code: 'listen-failed', message: /not a socket/ },
      'the path of a person is no choice of ours',
    );
  });

  t.test('a socket that Tor cannot reach: TCP, and one notice', { buffered: true }, async (t) => {
    const folder = join(await shortFolder(t), 'own');
    const lines: string[] = [];
    const accept = acceptor();
    const overlay = overlayWith(placeIn(folder), lines);
    let isLost = false;
    let tellBack: (() => void) | undefined;
    const back = new Promise<void>((resolve) => (tellBack = resolve));
    const served = await overlay.serve((connection) => accept.onConnection(connection), {
      signal,
      onState({ state }) {
        isLost ||= state === 'lost';
        if (isLost && state === 'reachable') tellBack?.();
      },
    });
    t.teardown(() => served.close());
    // Tor has accepted it, and says nothing.
    await rm(join(folder, 'onion.sock'));
    // A client that dials before would keep the descriptor of the first service.
    await back;
    await answers(t, dialer, served, accept);
    t.match(served.listensOn, /^127\.0\.0\.1:\d+$/);
    const notices = lines.filter((line) => line.includes('cannot reach'));
    t.match(notices, [/Tor cannot reach unix:.*; it forwards to 127\.0\.0\.1:\d+ from now on/]);
    t.equal(notices.length, 1);
  });

  t.test('a torrc that names the socket', { buffered: true }, async (t) => {
    const dir = await shortFolder(t);
    const path = join(dir, 'onion.sock');
    const hiddenServiceDir = join(dir, 'hs');
    const socks = { kind: 'tcp', ...service.socks } as const;
    const torrc = [`HiddenServiceDir ${hiddenServiceDir}`, `HiddenServicePort 5222 unix:${path}`];
    const tor = await network.startTor({ name: 'external', extraTorrc: torrc });
    t.teardown(() => tor.kill());
    const listen = { host: '127.0.0.1', port: 0 };
    const socket = { path, circuits: false };
    const serving: TorServing = { kind: 'external', hiddenServiceDir, listen, socket };
    const accept = acceptor();
    const overlay = createTorOverlay({ socks, serving });
    const served = await overlay.serve((connection) => accept.onConnection(connection), { signal });
    t.teardown(() => served.close());
    t.equal(served.listensOn, `unix:${path}`);
    t.equal(await modeOf(path), 0o660, 'also for the group of the folder');
    await answers(t, dialer, served, accept);
  });
});
