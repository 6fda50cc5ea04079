/** The Tor circuit of a connection: the PROXY line, the listener that reads it, and real Tor. */
import { once } from 'node:events';
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { silentLog, type Log } from '../../src/channel/log.js';
import type { Clock, Connection, ServiceState } from '../../src/channel/ports.js';
import { createDirectory, DEFAULT_LIMITS } from '../../src/directory/directory.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { listen, type Listening } from '../../src/overlay/listen.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { MAX_PROXY_LINE_BYTES, parseProxyLine } from '../../src/protocol/proxy-line.js';
import { loadOrCreateOnionKey } from '../../src/tor/onion/key-folder.js';
import { startTorProcess } from '../../src/tor/process/tor-process.js';
import { hello } from '../directory/wire.js';
import { connectionPeer, type ConnectionPeer } from '../helpers/connection-peer.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { dialPatiently, torNetworkFor } from '../helpers/tor-network.js';

const { signal } = new AbortController();
const LINE = 'PROXY TCP6 fc00:dead:beef:4dad::0:16 ::1 22 5222';

/** A folder whose name leaves room for the name of a socket. */
async function shortFolder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'omcc-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

t.test('the PROXY line', async (t) => {
  t.strictSame(parseProxyLine(LINE), { ok: true, value: { circuit: 0x16, virtualPort: 5222 } });
  t.strictSame(parseProxyLine('PROXY TCP6 fc00:dead:beef:4dad::ffff:ffff ::1 65535 65535'), {
    ok: true,
    value: { circuit: 0xffffffff, virtualPort: 65_535 },
  });
  const wrong = [
    '',
    'PROXY UNKNOWN',
    'PROXY TCP4 127.0.0.1 127.0.0.1 22 5222',
    LINE.toLowerCase(),
    ` ${LINE}`,
    `${LINE} `,
    `${LINE}\r`,
    `${LINE}\n`,
    LINE.replace('TCP6', 'TCP6 '),
    LINE.replace('fc00', 'fc01'),
    LINE.replace('0:16', '0:10016'),
    LINE.replace('0:16', '0:1g'),
    LINE.replace('0:16', '0:'),
    LINE.replace('0:16', '16'),
    LINE.replace('0:16', '0:0:16'),
    LINE.replace('::1', '::2'),
    LINE.replace('22', '65536'),
    LINE.replace('5222', '65536'),
    LINE.replace('5222', '-1'),
    LINE.replace('5222', '0x10'),
  ];
  for (const line of wrong) t.notOk(parseProxyLine(line).ok, JSON.stringify(line));
  const port = fc.integer({ min: 0, max: 65_535 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff }), port, port, port, (high, low, source, to) => {
      const id = `${high.toString(16)}:${low.toString(16)}`;
      const parsed = parseProxyLine(`PROXY TCP6 fc00:dead:beef:4dad::${id} ::1 ${source} ${to}`);
      return parsed.ok && parsed.value.circuit === high * 65_536 + low;
    }),
  );
  const changed = fc.tuple(fc.nat(LINE.length), fc.string(), fc.nat(4));
  fc.assert(
    fc.property(fc.oneof(fc.string(), changed), (text) => {
      if (typeof text === 'string') return typeof parseProxyLine(text).ok === 'boolean';
      const [at, put, cut] = text;
      return typeof parseProxyLine(LINE.slice(0, at) + put + LINE.slice(at + cut)).ok === 'boolean';
    }),
  );
});

/** Resolves when the socket is closed, also by a reset. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

interface Door {
  readonly dial: () => Promise<Socket>;
  /** The next accepted connection. */
  readonly next: () => Promise<ConnectionPeer>;
  readonly count: () => number;
  readonly listening: Listening;
}

/** A listener for Tor, which these tests reach themselves. */
async function openDoor(t: Test, clock: Clock = systemClock, log: Log = silentLog): Promise<Door> {
  const path = join(await shortFolder(t), 'onion.sock');
  const peers: ConnectionPeer[] = [];
  let count = 0;
  let wake: (() => void) | undefined;
  const listening = await listen({
    address: { host: '127.0.0.1', port: 0 },
    socket: { path, circuits: true, group: undefined },
    via: 'onion',
    onConnection(connection) {
      count++;
      peers.push(connectionPeer(connection));
      wake?.();
    },
    signal,
    clock,
    log,
  });
  const sockets: Socket[] = [];
  t.teardown(() => {
    listening.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    listening,
    count: () => count,
    async dial() {
      const socket = createConnection({ path });
      socket.on('error', () => {});
      sockets.push(socket);
      await once(socket, 'connect');
      return socket;
    },
    async next() {
      for (;;) {
        const peer = peers.shift();
        if (peer) return peer;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}

t.test('the listener for Tor', async (t) => {
  await t.test('hands over the circuit, and every byte after the line', async (t) => {
    const door = await openDoor(t);
    const text = `${LINE}\r\nhello\nworld`;
    for (let cut = 1; cut < text.length; cut++) {
      const socket = await door.dial();
      socket.setNoDelay(true);
      socket.write(text.slice(0, cut));
      // A turn between, so that both parts are read separately.
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(text.slice(cut));
      const peer = await door.next();
      t.equal(peer.connection.circuit, '22');
      t.equal((await peer.read(11)).toString(), 'hello\nworld');
      peer.connection.write(Buffer.from('back'));
      t.equal(String((await once(socket, 'data'))[0]), 'back');
      socket.end();
      await peer.closed;
      t.equal(peer.rest().length, 0);
    }
  });

  await t.test('refuses every other beginning', async (t) => {
    const door = await openDoor(t);
    const beginnings = [
      encodeEnvelope(793, hello('J5a')),
      `${LINE}\n`,
      `${LINE} \r\n`,
      '\r\n',
      'x'.repeat(MAX_PROXY_LINE_BYTES),
      'x'.repeat(500_000),
      `PROXY TCP6 ${'f'.repeat(100)} ::1 22 5222\r\n`,
    ];
    for (const bytes of beginnings) {
      const socket = await door.dial();
      const over = closeOf(socket);
      socket.write(bytes);
      await over;
    }
    t.equal(door.count(), 0);
  });

  await t.test('says what a torrc lacks, once a minute', async (t) => {
    const clock = createTestClock();
    const lines: string[] = [];
    const warn = (text: string, fields?: object): void => {
      lines.push(`${text} ${JSON.stringify(fields)}`);
    };
    const door = await openDoor(t, clock, { ...silentLog, warn });
    for (let n = 0; n < 4; n++) {
      const socket = await door.dial();
      const over = closeOf(socket);
      socket.write(encodeEnvelope(793, hello('J5a')));
      await over;
      if (n === 2) clock.advance(60_000);
    }
    t.match(lines, [
      /HiddenServiceExportCircuitID haproxy .*"times":1/,
      /HiddenServiceExportCircuitID haproxy .*"times":3/,
    ]);
    t.equal(lines.length, 2);
  });

  await t.test('a second PROXY line is data of the peer', async (t) => {
    const door = await openDoor(t);
    const socket = await door.dial();
    socket.write(`${LINE}\r\n${LINE.replace('0:16', '0:17')}\r\n`);
    const peer = await door.next();
    t.equal(peer.connection.circuit, '22');
    t.match((await peer.read(LINE.length)).toString(), /^PROXY TCP6 .*0:17/);
  });

  await t.test('waits ten seconds, and not after it is closed', async (t) => {
    const clock: TestClock = createTestClock();
    const door = await openDoor(t, clock);
    const [late, other] = [await door.dial(), await door.dial()];
    const [lateOver, otherOver] = [closeOf(late), closeOf(other)];
    while (clock.pending < 2) await new Promise((resolve) => setImmediate(resolve));
    late.write(LINE);
    clock.advance(9_999);
    t.equal(clock.pending, 2);
    clock.advance(1);
    await lateOver;
    await otherOver;
    const third = await door.dial();
    const thirdOver = closeOf(third);
    while (clock.pending < 1) await new Promise((resolve) => setImmediate(resolve));
    door.listening.close();
    await thirdOver;
    while (clock.pending > 0) await new Promise((resolve) => setImmediate(resolve));
    t.equal(door.count(), 0);
  });
});

t.test('a PROXY line on any other listener is a malformed first line', async (t) => {
  const directory = createDirectory({
    network: 'signet',
    nick: 'J5DirectoryOOOOO',
    location: () => ({ kind: 'loopback', host: '127.0.0.1', port: 5222 }),
    reachable: new Set(['loopback'] as const),
    motd: () => '',
    limits: DEFAULT_LIMITS,
    clock: createTestClock(),
    random: () => 0,
    log: silentLog,
  });
  const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
  const served = await overlay.serve((connection) => directory.accept(connection), { signal });
  t.teardown(async () => {
    await served.close();
    await directory.close();
    await overlay.close();
  });
  const socket = createConnection({ host: '127.0.0.1', port: served.locations[0].port });
  socket.on('error', () => {});
  const over = closeOf(socket);
  const answers: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => answers.push(chunk));
  socket.write(`${LINE}\r\n${encodeEnvelope(793, hello('J5a'))}`);
  await over;
  t.strictSame(answers, []);
  t.equal(directory.stats().closed['proxy-line'], 1);
  t.equal(directory.stats().circuits, 0);
});

/** A connected peer as far as its 795, or `closed` when there is none. */
async function greet(connection: Connection, nick: string): Promise<string> {
  const peer = connectionPeer(connection);
  connection.write(Buffer.from(encodeEnvelope(793, hello(nick)), 'latin1'));
  try {
    return (await peer.read(12)).toString();
  } catch {
    return 'closed';
  }
}

// A test network repairs the mode of a key folder; tor on the real network does not start.
t.test('by the rules of the real network', { timeout: 60_000 }, async (t) => {
  const dir = await shortFolder(t);
  const hiddenServiceDir = join(dir, 'hs');
  const { key } = await loadOrCreateOnionKey(hiddenServiceDir);
  const tor = await startTorProcess({
    dataDir: join(dir, 'tor'),
    extraTorrc: ['DisableNetwork 1'],
    signal,
    log: silentLog,
    clock: systemClock,
    random: Math.random,
    env: {},
  });
  t.teardown(() => tor.close());
  const overlay = createTorOverlay({
    socks: tor.socks,
    serving: {
      kind: 'control',
      identity: { kind: 'persistent', key },
      listen: { host: '127.0.0.1', port: 0 },
      connectControl: (abort) => tor.connectControl(abort),
      circuits: {
        folder: { dir: hiddenServiceDir, keepInTorrc: (lines) => tor.keepInTorrc(lines) },
        socket: join(tor.socketFolder, 'onion.sock'),
      },
    },
  });
  const control = await tor.connectControl(signal);
  await chmod(hiddenServiceDir, 0o750);
  await t.rejects(
    control.command(
      `SETCONF HiddenServiceDir="${hiddenServiceDir}" HiddenServicePort="5222 127.0.0.1:1"`,
    ),
    { code: 'rejected', message: / 513 / },
    'Tor refuses the folder',
  );
  t.equal((await stat(hiddenServiceDir)).mode & 0o777, 0o750, 'and does not repair it');
  await t.rejects(
    overlay.serve(() => {}, { signal }),
    { code: 'wrong-mode', message: /has mode 0750.* Fix: chmod 700/ },
    'the error names the fault',
  );
  await chmod(hiddenServiceDir, 0o700);
  const served = await overlay.serve(() => {}, { signal });
  t.equal(served.locations[0].host, key.host, 'a folder that we made is taken as it is');
  t.match((await control.command('GETCONF HiddenServiceDir')).lines[0]?.text, hiddenServiceDir);
  await served.close();
  control.close();
});

t.test('over a Tor of our own', { timeout: 110_000 }, async (t) => {
  const network = await torNetworkFor(t);
  const dir = await shortFolder(t);
  const hiddenServiceDir = join(dir, 'hs');
  const { key } = await loadOrCreateOnionKey(hiddenServiceDir);
  const tor = await startTorProcess({
    dataDir: join(dir, 'tor'),
    extraTorrc: network.torrcLines,
    signal,
    log: silentLog,
    clock: systemClock,
    random: Math.random,
  });
  t.teardown(() => tor.close());
  const client = await network.startTor({ name: 'client' });
  const dialer = createTorOverlay({
    socks: { kind: 'tcp', ...client.socks },
    dialDeadlineMs: 30_000,
  });
  const overlay = createTorOverlay({
    socks: tor.socks,
    serving: {
      kind: 'control',
      identity: { kind: 'persistent', key },
      listen: { host: '127.0.0.1', port: 0 },
      connectControl: (abort) => tor.connectControl(abort),
      circuits: {
        folder: { dir: hiddenServiceDir, keepInTorrc: (lines) => tor.keepInTorrc(lines) },
        socket: join(tor.socketFolder, 'onion.sock'),
      },
      watchTimings: { askMs: 500 },
    },
  });
  const states: ServiceState['state'][] = [];
  let changed: (() => void) | undefined;
  async function state(wanted: ServiceState['state']): Promise<void> {
    while (!states.includes(wanted)) await new Promise<void>((resolve) => (changed = resolve));
    states.splice(0, states.indexOf(wanted) + 1);
  }
  const directory = createDirectory({
    network: 'signet',
    nick: 'J5DirectoryOOOOO',
    location: () => ({ kind: 'onion', host: key.host, port: 5222 }),
    reachable: new Set(['onion'] as const),
    motd: () => '',
    limits: { ...DEFAULT_LIMITS, streamsPerCircuit: 2 },
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  });
  const circuits: (string | undefined)[] = [];
  const served = await overlay.serve(
    (connection) => {
      circuits.push(connection.circuit);
      directory.accept(connection);
    },
    {
      signal,
      onState(next) {
        states.push(next.state);
        changed?.();
      },
    },
  );
  t.teardown(async () => {
    await directory.close();
    await served.close();
  });
  t.equal(served.locations[0].host, key.host);
  await state('reachable');

  const first = await dialPatiently(dialer, served.locations[0], 'warm');
  t.match(await greet(first, 'J5first'), '"type": 795');
  circuits.length = 0;
  const same = { signal, isolation: 'one client' };
  const streams = [];
  for (const nick of ['J5a', 'J5b', 'J5c']) {
    streams.push(await greet(await dialer.dial(served.locations[0], same), nick));
  }
  const otherClient = await dialer.dial(served.locations[0], {
    signal,
    isolation: 'another client',
  });
  streams.push(await greet(otherClient, 'J5d'));
  t.match(streams, [/795/, /795/, /^closed$/, /795/], 'two streams of one circuit, not three');
  t.equal(new Set(circuits.slice(0, 3)).size, 1, 'streams of one client have one circuit');
  t.not(circuits[3], circuits[0], 'another client has another');
  t.equal(directory.stats().closed['circuit-streams'], 1);

  // A reload, as in log rotation: the onion and its streams stay.
  const control = await tor.connectControl(signal);
  let reloads = 0;
  const reload = async (by: () => unknown): Promise<void> => {
    const told = new Promise<void>((resolve) => {
      void control.onEvent('SIGNAL', (text) => text === 'RELOAD' && resolve());
    });
    await control.command('GETINFO version');
    await by();
    await told;
    reloads++;
    t.match(
      (await control.command('GETCONF HiddenServiceDir')).lines.at(-1)?.text,
      hiddenServiceDir,
      'the service is still there',
    );
    const name = `after reload ${reloads}`;
    const fresh = await dialPatiently(dialer, served.locations[0], name);
    t.match(await greet(fresh, `J5r${reloads}`), '"type": 795', name);
    t.match(circuits.at(-1), /^\d+$/);
    fresh.destroy();
  };
  const ready = directory.peerCount;
  await reload(() => tor.pid !== undefined && process.kill(tor.pid, 'SIGHUP'));
  await reload(() => control.command('SIGNAL RELOAD'));
  t.ok(directory.peerCount >= ready, 'all peers are still connected');
  t.strictSame(states, [], 'the service was never away');

  // Another program removes the service, and our Tor continues.
  await control.command('RESETCONF HiddenServiceDir');
  await state('lost');
  await state('reachable');
  const mended = await dialPatiently(dialer, served.locations[0], 'mended');
  t.match(await greet(mended, 'J5m'), '"type": 795');
  mended.destroy();
  control.close();

  // Tor dies; the next one serves the same onion, with circuits.
  if (tor.pid !== undefined) process.kill(tor.pid, 'SIGKILL');
  await state('lost');
  await state('reachable');
  const again = await dialPatiently(dialer, served.locations[0], 'again');
  t.match(await greet(again, 'J5e'), '"type": 795');
  t.match(circuits.at(-1), /^\d+\/\d+$/, 'the numbers of a new Tor begin again');
  again.destroy();
});

t.test('over the torrc of an operator', { timeout: 110_000 }, async (t) => {
  const network = await torNetworkFor(t);
  const dir = await shortFolder(t);
  const [hiddenServiceDir, path] = [join(dir, 'hs'), join(dir, 'onion.sock')];
  const tor = await network.startTor({
    name: 'operator',
    extraTorrc: [
      `HiddenServiceDir ${hiddenServiceDir}`,
      `HiddenServicePort 5222 unix:${path}`,
      'HiddenServiceExportCircuitID haproxy',
    ],
  });
  t.teardown(() => tor.kill());
  const client = await network.startTor({ name: 'client' });
  const dialer = createTorOverlay({
    socks: { kind: 'tcp', ...client.socks },
    dialDeadlineMs: 30_000,
  });

  /** A directory behind the socket, which reads the lines of Tor or does not. */
  async function serve(t: Test, circuits: boolean) {
    const overlay = createTorOverlay({
      socks: { kind: 'tcp', ...tor.socks },
      serving: {
        kind: 'external',
        hiddenServiceDir,
        listen: { host: '127.0.0.1', port: 0 },
        socket: { path, circuits },
      },
    });
    const directory = createDirectory({
      network: 'signet',
      nick: 'J5DirectoryOOOOO',
      location: () => served.locations[0],
      reachable: new Set(['onion'] as const),
      motd: () => '',
      limits: { ...DEFAULT_LIMITS, streamsPerCircuit: 2 },
      clock: systemClock,
      random: Math.random,
      log: silentLog,
    });
    const named: (string | undefined)[] = [];
    const served = await overlay.serve(
      (connection) => {
        named.push(connection.circuit);
        directory.accept(connection);
      },
      { signal },
    );
    t.teardown(async () => {
      await directory.close();
      await served.close();
    });
    return { directory, served, named };
  }

  await t.test('onion_serving_circuits = yes', async (t) => {
    const { directory, served, named } = await serve(t, true);
    const [location] = served.locations;
    const warm = await dialPatiently(dialer, location, 'warm');
    t.match(await greet(warm, 'J5first'), '"type": 795');
    named.length = 0;
    const streams = [];
    for (const nick of ['J5a', 'J5b', 'J5c']) {
      streams.push(
        await greet(await dialer.dial(location, { signal, isolation: 'one client' }), nick),
      );
    }
    const other = await dialer.dial(location, { signal, isolation: 'another client' });
    streams.push(await greet(other, 'J5d'));
    t.match(streams, [/795/, /795/, /^closed$/, /795/], 'two streams of one circuit, not three');
    t.match(named, [/^\d+$/, named[0], named[0], /^\d+$/]);
    t.not(named[3], named[0]);
    t.equal(directory.stats().closed['circuit-streams'], 1);

    const forger = await dialer.dial(location, { signal, isolation: 'one that writes a line' });
    forger.write(Buffer.from(`${LINE}\r\n`));
    t.equal(await greet(forger, 'J5e'), 'closed');
    t.equal(directory.stats().closed['proxy-line'], 1, 'the line of a peer is no circuit');
  });

  await t.test('onion_serving_circuits = no', async (t) => {
    const { directory, served, named } = await serve(t, false);
    const stream = await dialPatiently(dialer, served.locations[0], 'a peer');
    t.equal(await greet(stream, 'J5first'), 'closed');
    t.equal(directory.stats().closed['proxy-line'], 1, 'Tor writes lines that nobody reads');
    t.strictSame(named, [undefined]);
  });
});
