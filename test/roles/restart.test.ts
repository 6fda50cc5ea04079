/**
 * The effect of a restart of a directory on its peers: the bytes that clients of the original get while it
 * stops, and how soon an onionmc maker is back with its offers.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { Location } from '../../src/protocol/location.js';
import { formatOffer, type Offer } from '../../src/protocol/offer.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startMaker } from '../../src/roles/maker.js';
import { hello, onion } from '../directory/wire.js';
import { openLiveTestChannel, openTestChannel } from '../helpers/test-channel.js';
import { startCli, startProgram, type RunningCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';
import { startFakeDirectory, type FakeSession } from '../helpers/fake-directory.js';
import { dialRaw } from '../helpers/raw-peer.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

const OFFERS: readonly Offer[] = [
  { type: 'sw0reloffer', oid: 0, minsize: 27_300, maxsize: 9_000_000, txfee: 0, cjfee: '0.00002' },
  { type: 'sw0absoffer', oid: 1, minsize: 27_300, maxsize: 9_000_000, txfee: 100, cjfee: '500' },
];

async function datadirFor(t: Test, port: number): Promise<string> {
  const datadir = join(t.testdir({}), 'data');
  await mkdir(datadir, { mode: 0o700 });
  await writeFile(join(datadir, 'joinmarket.cfg'), loopbackConfig({ port }));
  return datadir;
}

async function runDirectory(datadir: string, port: number): Promise<RunningCli> {
  const running = startCli(['directory', '--datadir', datadir]);
  await running.shows('stdout', new RegExp(`^127\\.0\\.0\\.1:${port}\n`));
  await running.shows('stderr', /directory node is up/);
  return running;
}

/** A client of another program, which records how its connection ended. */
interface Watched {
  readonly socket: Socket;
  /** The text received and not yet checked. */
  text: string;
  /** A FIN was received. */
  ended: boolean;
  /** A reset, or any other end that is not orderly. */
  fault: Error | undefined;
  readonly closed: Promise<void>;
  /** Resolves when `pattern` has been received. */
  hears(pattern: RegExp): Promise<void>;
}

async function watched(port: number): Promise<Watched> {
  const socket = createConnection({ host: '127.0.0.1', port });
  let look: (() => void) | undefined;
  const made: Watched = {
    socket,
    text: '',
    ended: false,
    fault: undefined,
    closed: new Promise((resolve) => socket.once('close', () => resolve())),
    hears: (pattern) =>
      new Promise((resolve, reject) => {
        look = () => {
          if (pattern.test(made.text)) resolve();
          else if (socket.closed) reject(new Error(`ended before ${String(pattern)}`));
        };
        look?.();
      }),
  };
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    made.text += chunk;
    look?.();
  });
  socket.on('end', () => (made.ended = true));
  socket.on('error', (error) => (made.fault = error));
  socket.on('close', () => look?.());
  await new Promise((resolve) => socket.once('connect', resolve));
  return made;
}

t.test('SIGTERM: an orderly end and no further byte', { timeout: 110_000 }, async (t) => {
  const port = await freePort();
  const datadir = await datadirFor(t, port);
  const directory = await runDirectory(datadir, port);

  const joining = async (nick: string, location?: string, features?: Record<string, boolean>) => {
    const client = await watched(port);
    client.socket.write(
      encodeEnvelope(
        793,
        hello(nick, { ...(location && { location }), ...(features && { features }) }),
      ),
    );
    await client.hears(/"type": 795.*\r\n/);
    return client;
  };
  const modern = { ping: true, peerlist_features: true };
  const clients = await Promise.all([
    ...Array.from({ length: 100 }, (_, n) => joining(`J5legacymaker${n}`, onion(n))),
    ...Array.from({ length: 20 }, (_, n) => joining(`J5legacytaker${n}`)),
    ...Array.from({ length: 20 }, (_, n) => joining(`J5modern${n}`, onion(150 + n), modern)),
  ]);
  const silent = await watched(port);
  const [first, halfway] = clients;
  if (!first || !halfway) throw new Error('no peer connected');
  // All peers have received the same lines, so no line is under way.
  first.socket.write(encodeEnvelope(687, 'J5legacymaker0!PUBLIC!orderbook'));
  await Promise.all(clients.slice(1).map((client) => client.hears(/PUBLIC!orderbook.*\r\n/)));
  halfway.socket.write('{"type": 687, "line": "J5legacymaker1!PUB');
  const all = [...clients, silent];
  for (const client of all) client.text = '';

  directory.child.kill('SIGTERM');
  await Promise.all(all.map(({ closed }) => closed));
  t.equal((await directory.ended).code, 0);
  // Neither 801 (clients of the original fail on it) nor the leaves of peers, sent to peers that leave.
  t.strictSame(new Set(all.map(({ text }) => text)), new Set(['']), 'no byte was sent');
  t.ok(
    all.every(({ ended }) => ended),
    'each peer got the end of the stream',
  );
  t.strictSame(
    all.flatMap(({ fault }) => (fault ? [fault.message] : [])),
    [],
    'no reset',
  );
});

t.test('an onionmc maker is back with its offers', { timeout: 110_000 }, async (t) => {
  const port = await freePort();
  const datadir = await datadirFor(t, port);
  const location: Location = { kind: 'loopback', host: '127.0.0.1', port };
  const before = await runDirectory(datadir, port);
  const channel = openLiveTestChannel([location], { serve: true });
  t.teardown(() => channel.close());
  const maker = startMaker({ channel, offers: OFFERS, clock: systemClock, log: silentLog });
  t.teardown(() => maker.stop());
  await channel.next('directory-up');

  before.child.kill('SIGTERM');
  const { retryInMs = Infinity } = await channel.next('directory-down');
  t.ok(retryInMs <= 10_000, `it comes back after ${retryInMs} ms`);
  t.equal((await before.ended).code, 0);
  const after = await runDirectory(datadir, port);
  const listener = await dialRaw(location);
  listener.send(793, hello('J5listener'));
  await listener.nextOf(795);
  // The listener gets the offers whether it or the maker connects first.
  listener.send(687, 'J5listener!PUBLIC!orderbook');
  const heard = new Set<string>();
  while (heard.size < OFFERS.length) {
    const { type, line } = await listener.next();
    if ((type !== 687 && type !== 685) || !line.startsWith(`${channel.nick}!`)) continue;
    for (const offer of OFFERS.map(formatOffer)) if (line.includes(offer)) heard.add(offer);
  }
  t.equal(heard.size, 2);
  listener.end();
  await listener.over;
  after.child.kill('SIGTERM');
  t.equal((await after.ended).code, 0);
});

t.test('offers are announced after each of 30 drops, and never twice', async (t) => {
  const directory = await startFakeDirectory();
  t.teardown(() => directory.close());
  const channel = openTestChannel([directory.location], { random: () => 1 - 1e-9 });
  t.teardown(() => channel.close());
  const maker = startMaker({ channel, offers: OFFERS, clock: channel.clock, log: silentLog });
  const announced = async (session: FakeSession): Promise<string[]> => {
    const lines: string[] = [];
    while (lines.length < OFFERS.length) lines.push((await session.nextOf(687)).line);
    return lines;
  };
  const expected = OFFERS.map((offer) => `${channel.nick}!PUBLIC!${formatOffer(offer)}`);
  for (let drop = 0; drop <= 30; drop++) {
    const session = await directory.acceptHandshake();
    t.strictSame(await announced(session), expected);
    // Every third session is a stable one.
    if (drop % 3 === 2) channel.clock.advance(60_000);
    // A second announcement would come before the answer to the ping.
    session.send(798, '');
    t.equal((await session.next()).type, 799, 'no other line was sent');
    session.cut();
    const { retryInMs = 0 } = await channel.next('directory-down');
    if (drop % 3 === 2) t.ok(retryInMs <= 10_000);
    channel.clock.advance(retryInMs);
  }
  maker.stop();
});

/** A bot that only listens: only its channel keeps the process running. Ends its channel on SIGUSR2. */
const BOT = `
import { createLoopbackOverlay, OnionMessageChannel } from './dist/index.js';
const channel = OnionMessageChannel.open({
  network: 'signet',
  directories: [process.env.DIRECTORY],
  overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
});
const say = (word) => process.stdout.write(word + '\\n');
channel.on('directory-up', () => say('up'));
channel.on('directory-down', ({ retryInMs }) => say(retryInMs === undefined ? 'left' : 'down'));
process.once('SIGUSR2', () => channel.close().then(() => say('closed')));
`;

t.test(
  'a program with only a channel outlives its directory, until it closes the channel',
  async (t) => {
    const port = await freePort();
    const before = await startFakeDirectory(port);
    const bot = startProgram(process.execPath, ['--input-type=module', '--eval', BOT], {
      env: { DIRECTORY: `127.0.0.1:${port}` },
    });
    await before.acceptHandshake();
    await bot.shows('stdout', /^up\n/);
    await before.close();
    await bot.shows('stdout', /^up\ndown\n/);
    // One attempt fails before the directory is back.
    await bot.shows('stdout', /^up\ndown\ndown\n/);
    const after = await startFakeDirectory(port);
    t.teardown(() => after.close());
    await after.acceptHandshake();
    await bot.shows('stdout', /down\nup\n$/);
    bot.child.kill('SIGUSR2');
    const { code, signal, stdout } = await bot.ended;
    t.strictSame({ code, signal }, { code: 0, signal: null });
    t.match(stdout, /up\nleft\nclosed\n$/, 'then it ends by itself');
  },
);

/** It waits to bring its onion back, and has no socket in the meantime. */
const WAITER = `
import { systemClock } from './dist/overlay/system-clock.js';
import { pause } from './dist/kit/pause.js';
await pause(systemClock, 100, new AbortController().signal);
process.stdout.write('waited');
`;

t.test('a program does not end while it waits to bring its onion back', async (t) => {
  const args = ['--input-type=module', '--eval', WAITER];
  t.match(await startProgram(process.execPath, args).ended, { code: 0, stdout: 'waited' });
});
