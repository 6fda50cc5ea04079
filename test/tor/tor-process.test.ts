/** The managed Tor: it starts, ends, and comes back with its onion. */
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { ServiceState } from '../../src/channel/ports.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { formatLocation } from '../../src/protocol/location.js';
import { temporaryBase } from '../../src/tor/process/socket-folder.js';
import { startTorProcess, type TorProcessOptions } from '../../src/tor/process/tor-process.js';
import { acceptor, connectionPeer } from '../helpers/connection-peer.js';
import { startProgram } from '../helpers/cli.js';
import { dialPatiently, isRunning, torNetworkFor } from '../helpers/tor-network.js';

const { signal } = new AbortController();
const OFFLINE = ['DisableNetwork 1'];

async function shortFolder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'omt-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

function optionsFor(dataDir: string, more: Partial<TorProcessOptions> = {}): TorProcessOptions {
  return {
    dataDir,
    signal,
    log: silentLog,
    clock: systemClock,
    random: () => 0,
    env: {},
    ...more,
  };
}

// Mostly waiting for Tor, so all at once; each test has a folder of its own.
t.jobs = 5;

t.test(
  'it joins a network, and its onion comes back after its end',
  { buffered: true, timeout: 100_000 },
  async (t) => {
    const network = await torNetworkFor(t);
    const client = await network.startTor();
    const dir = await shortFolder(t);
    const extra = join(dir, 'torrc-extra');
    const lines = [...network.torrcLines, 'KISTSchedRunInterval 1 msec', ''];
    await writeFile(extra, lines.join('\n'));
    const percentages: number[] = [];
    const tor = await startTorProcess(
      optionsFor(join(dir, 'tor'), {
        env: { ONIONMC_TORRC_EXTRA: extra },
        onBootstrap: (percent) => percentages.push(percent),
      }),
    );
    t.teardown(() => tor.close());
    await tor.bootstrapped(signal);
    t.equal(percentages.at(-1), 100);

    const states: ServiceState[] = [];
    let changed: (() => void) | undefined;
    const state = async (wanted: ServiceState['state']): Promise<void> => {
      while (!states.some((one) => one.state === wanted)) {
        await new Promise<void>((resolve) => {
          changed = resolve;
        });
      }
      states.length = 0;
    };
    const accept = acceptor();
    const overlay = createTorOverlay({
      socks: tor.socks,
      dialDeadlineMs: 30_000,
      serving: {
        kind: 'control',
        identity: { kind: 'ephemeral' },
        listen: { host: '127.0.0.1', port: 0 },
        connectControl: (abort) => tor.connectControl(abort),
      },
    });
    const served = await overlay.serve((connection) => accept.onConnection(connection), {
      signal,
      onState: (one) => {
        states.push(one);
        changed?.();
      },
    });
    const outside = createTorOverlay({ socks: { kind: 'tcp', ...client.socks } });
    const roundTrip = async (from: typeof overlay, name: string): Promise<void> => {
      const dialled = connectionPeer(await dialPatiently(from, served.locations[0], name));
      const accepted = await accept.next();
      dialled.connection.write(Buffer.from(name));
      t.equal((await accepted.read(name.length)).toString(), name);
      dialled.connection.end();
      await Promise.all([dialled.closed, accepted.closed]);
    };
    await state('reachable');
    await roundTrip(outside, 'from another tor');
    await roundTrip(overlay, 'from the same tor');

    const { pid } = tor;
    t.type(pid, 'number');
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await state('lost');
    await state('reachable');
    t.not(tor.pid, pid);
    await roundTrip(outside, 'from another tor, again');
    await roundTrip(overlay, 'from the same tor, again');
    t.match(formatLocation(served.locations[0]), /^[a-z2-7]{56}\.onion:5222$/);

    await served.close();
    const last = tor.pid;
    await tor.close();
    t.ok(last !== undefined && !isRunning(last));
    t.throws(() => tor.control(), { code: 'closed' });
    await t.rejects(tor.connectControl(signal), { code: 'closed' });
  },
);

t.test('folder, sockets and processes', { buffered: true }, async (t) => {
  const dir = await shortFolder(t);
  const dataDir = join(dir, 'state', 'tor');
  await mkdir(join(dataDir, 'run-crashd'), { recursive: true });
  const tor = await startTorProcess(optionsFor(dataDir, { extraTorrc: OFFLINE }));
  t.equal((await stat(dataDir)).mode & 0o777, 0o700);
  t.equal((await stat(join(dataDir, 'torrc'))).mode & 0o777, 0o600);
  if (tor.socks.kind !== 'unix') throw new Error('not a unix socket');
  const sockets = dirname(tor.socks.path);
  t.equal((await stat(sockets)).mode & 0o777, 0o700);
  const runs = async (): Promise<string[]> =>
    (await readdir(dataDir)).filter((name) => name.startsWith('run-'));
  t.strictSame(await runs(), [basename(sockets)], 'files of a crashed run are gone');
  const control = await tor.connectControl(signal);
  t.match(await control.command('GETINFO process/pid'), {
    lines: [{ text: `process/pid=${tor.pid}` }, {}],
  });

  await t.test('a second tor in the same folder', async (t) => {
    await t.rejects(startTorProcess(optionsFor(dataDir, { extraTorrc: OFFLINE })), {
      code: 'data-dir-busy',
      remedy: 'configuration',
      message: `another tor already uses the folder ${dataDir}`,
    });
    t.strictSame(await runs(), [basename(sockets)]);
    const unharmed = await tor.connectControl(signal);
    unharmed.close();
  });

  await t.test('while it is down, control connections wait for the next one', async (t) => {
    // The timer of the restart does not keep the process alive, and nothing else does here.
    const alive = setInterval(() => {}, 1_000);
    t.teardown(() => clearInterval(alive));
    const before = tor.pid;
    const lost = control.lost;
    tor.control().close();
    await lost;
    const next = await tor.connectControl(signal);
    t.not(tor.pid, before);
    t.match(await next.command('GETINFO version'), { code: 250 });
    next.close();
  });
  const { pid } = tor;
  await Promise.all([tor.close(), tor.close()]);
  t.strictSame(await runs(), []);
  t.ok(pid !== undefined && !isRunning(pid));
});

/** Only the pending restart of its Tor keeps this program running. */
const KEEPER = `
import { startTorProcess } from './dist/tor/process/tor-process.js';
import { silentLog } from './dist/channel/log.js';
import { systemClock } from './dist/overlay/system-clock.js';
const tor = await startTorProcess({
  dataDir: process.env.FOLDER,
  extraTorrc: ['DisableNetwork 1'],
  signal: new AbortController().signal,
  log: {
    ...silentLog,
    info(text) {
      process.stdout.write(text + '\\n');
      void tor.close();
    },
  },
  clock: systemClock,
  random: () => 0,
  env: {},
});
process.kill(tor.pid, 'SIGKILL');
`;

t.test('a program does not end while its Tor is down', { buffered: true }, async (t) => {
  const FOLDER = join(await shortFolder(t), 'tor');
  const keeper = startProgram(process.execPath, ['--input-type=module', '--eval', KEEPER], {
    env: { FOLDER },
  });
  const { code, stdout, stderr } = await keeper.ended;
  t.strictSame({ code, stdout }, { code: 0, stdout: 'our Tor was started again\n' }, stderr);
});

/** Exits while its Tor is suspended, as a Tor is that gets no processor time. */
const LEAVER = `
import { startTorProcess } from './dist/tor/process/tor-process.js';
import { silentLog } from './dist/channel/log.js';
import { systemClock } from './dist/overlay/system-clock.js';
const tor = await startTorProcess({
  dataDir: process.env.FOLDER,
  extraTorrc: ['DisableNetwork 1'],
  signal: new AbortController().signal,
  log: silentLog,
  clock: systemClock,
  random: () => 0,
  env: {},
});
process.kill(tor.pid, 'SIGSTOP');
process.stdout.write(String(tor.pid));
process.exit(0);
`;

t.test('a program that cannot wait for its Tor leaves no folder', { buffered: true }, async (t) => {
  const FOLDER = join(await shortFolder(t), 'tor');
  const leaver = startProgram(process.execPath, ['--input-type=module', '--eval', LEAVER], {
    env: { FOLDER },
  });
  const { code, stdout, stderr } = await leaver.ended;
  process.kill(Number(stdout), 'SIGKILL');
  t.equal(code, 0, stderr);
  const left = (await readdir(FOLDER)).filter((name) => name.startsWith('run-'));
  t.strictSame(left, []);
});

t.test('close while it is down: no tor is started again', { buffered: true }, async (t) => {
  const dir = await shortFolder(t);
  const tor = await startTorProcess(optionsFor(dir, { extraTorrc: OFFLINE }));
  const lost = tor.control().lost;
  if (tor.pid !== undefined) process.kill(tor.pid, 'SIGKILL');
  await lost;
  const waiting = tor.connectControl(AbortSignal.timeout(60_000)).catch((error: unknown) => error);
  await tor.close();
  t.match(await waiting, { name: 'TorError' });
  t.equal(tor.pid, undefined);
});

t.test(
  'a folder with a long name puts the sockets elsewhere, for as long as it runs',
  { buffered: true },
  async (t) => {
    const dataDir = join(await shortFolder(t), 'x'.repeat(90));
    const tor = await startTorProcess(optionsFor(dataDir, { extraTorrc: OFFLINE }));
    if (tor.socks.kind !== 'unix') throw new Error('not a unix socket');
    t.ok(tor.socks.path.length < 108);
    const control = await tor.connectControl(signal);
    control.close();
    await tor.close();
    await t.rejects(stat(tor.socks.path), { code: 'ENOENT' });
  },
);

t.test('a temporary folder whose name torrc cannot hold is not used', (t) => {
  const before = process.env['TMPDIR'];
  const baseIn = (folder: string): string => {
    process.env['TMPDIR'] = folder;
    try {
      return temporaryBase();
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
  };
  t.equal(baseIn('/var/tmp'), '/var/tmp');
  for (const folder of ['/a b', '/a#b', '/a"b', `/${'long'.repeat(25)}`]) {
    t.equal(baseIn(folder), '/tmp', folder);
  }
  t.end();
});

t.test('tor sends no message to systemd in our name', async (t) => {
  const dir = await shortFolder(t);
  // A stand-in for tor: prints the variables for systemd, and ends.
  const program = join(dir, 'tor-stand-in');
  const says = 'echo "[warn] ${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none} ${WATCHDOG_PID-none}"';
  await writeFile(program, `#!/bin/sh\n${says}\nexit 1\n`, { mode: 0o755 });
  const variables = { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '1', WATCHDOG_PID: '1' };
  const before = { ...process.env };
  Object.assign(process.env, variables);
  t.teardown(() => {
    for (const name of Object.keys(variables)) Reflect.deleteProperty(process.env, name);
    Object.assign(process.env, before);
  });
  await t.rejects(startTorProcess(optionsFor(join(dir, 'tor'), { program })), {
    code: 'tor-exited',
    message: /none none none/,
  });
});

t.test('each reason for a failed start is one line', { buffered: true }, async (t) => {
  const dir = await shortFolder(t);
  const file = join(dir, 'file');
  await writeFile(file, '');
  await mkdir(join(dir, 'd'));
  const dataDir = join(dir, 'tor');
  const missing = join(dir, 'torrc-that-is-not-there');
  const cases: readonly (readonly [string, Partial<TorProcessOptions>, object])[] = [
    [
      'no program',
      { program: 'no-such-tor-program' },
      {
        code: 'tor-missing',
        message: /"no-such-tor-program" was not found: .*apt-get install tor/,
      },
    ],
    [
      'a wrong line',
      { extraTorrc: ['SocksPort nonsense:x:y'] },
      { code: 'tor-exited', message: /Socks/ },
    ],
    [
      'an extra file that is missing',
      { env: { ONIONMC_TORRC_EXTRA: missing } },
      { code: 'bad-torrc', message: missing, remedy: 'configuration' },
    ],
    ['a file where the folder should be', { dataDir: file }, { code: 'io', message: file }],
    ['an abort before the start', { signal: AbortSignal.abort() }, { code: 'aborted' }],
  ];
  for (const [name, more, error] of cases) {
    await t.rejects(
      startTorProcess(optionsFor(dataDir, more)),
      { name: 'TorError', ...error },
      name,
    );
  }
});
