import t, { type Test } from 'tap';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCli, startCli, startProgram, takenPort, type RunningCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';

const NO_TOR = `
socks5_host = 127.0.0.1
socks5_port = 1
tor_control_host = 127.0.0.1
tor_control_port = 1
`;

async function tempDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-cli-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function datadirWith(t: Test, text: string): Promise<string> {
  const datadir = await tempDir(t);
  await writeFile(join(datadir, 'joinmarket.cfg'), text, { mode: 0o600 });
  return datadir;
}

/** Ends the program as systemd does; resolves with its result. */
async function terminate(cli: RunningCli): Promise<{ code: number | null; ms: number }> {
  const began = performance.now();
  cli.child.kill('SIGTERM');
  const { code } = await cli.ended;
  return { code, ms: performance.now() - began };
}

// This test runs a hundred short programs in turn.
t.setTimeout(300_000);

t.test('help and version', async (t) => {
  const version = await runCli(['--version']);
  t.equal(version.code, 0);
  t.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  for (const args of [['--help'], ['directory', '--help'], ['demo', '--help']]) {
    const help = await runCli(args);
    t.equal(help.code, 0, args.join(' '));
    t.match(help.stdout, /Usage: onionmc/);
  }
});

t.test('a wrong command line gives exit code 2 and names the allowed values', async (t) => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['nonsense'], /unknown command 'nonsense'/],
    [['directory', '--nonsense'], /unknown option '--nonsense'/],
    [['directory', 'a', 'b'], /too many arguments/],
    [['directory', '--log-level', 'LOUD'], /Allowed choices are DEBUG, INFO, WARNING, ERROR/],
    [['maker', '--size', 'much'], /whole number of satoshi/],
    [['taker', '--wait', '-1'], /number of seconds|argument/],
    [['taker', '--json'], /--json goes with --once or --ask/],
    [['taker', '--ask', 'J5nobody', 'fill'], /--ask needs a nick, a command and its arguments/],
    [['taker', '--ask', 'J5nobody', 'dance', 'now'], /dance is not a private command; known: fill/],
    [['taker', '--ask', 'J5nobody', 'fill', '0', '1'], /fill takes 4 arguments at least, not 2/],
    [['ob-watcher', '--host', '127.0.0.1:80'], /host name or an IP address; the port .* --port/],
    [['ob-watcher', '--host', '[::1'], /host name or an IP address/],
    [['demo', '--seconds', '0'], /number of seconds/],
    [['directory', '--datadir='], /It is empty; give a directory/],
    [['init', '--datadir='], /It is empty; give a directory/],
  ];
  const HOME = await tempDir(t);
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await runCli(args, { env: { HOME } });
    t.equal(code, 2, args.join(' '));
    t.match(stderr, message);
    t.equal(stderr.split('\n').length, 2, 'one line');
    t.equal(stdout, '');
  }
});

t.test('a faulty configuration gives exit code 2 and one line', async (t) => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [
      'directory',
      '[BLOCKCHAIN]\nnetwork = moonnet\n',
      /:2: \[BLOCKCHAIN\] network: found "moonnet"/,
    ],
    ['directory', '[DIRECTORY]\nmax_peers = many\n', /\[DIRECTORY\] max_peers/],
    ['directory', 'no section\n', /joinmarket\.cfg:1/],
    ['taker', '[MESSAGING:a]\ntype = onion\n[MESSAGING:b]\ntype = onion\n', /second onion section/],
    ['maker', '[BLOCKCHAIN]\nnetwork = mainnet\n', /network is mainnet.*set network = signet/],
    [
      'maker',
      '[BLOCKCHAIN]\nnetwork = signet\n[YIELDGENERATOR]\ncjfee_r = 0.0000009\n',
      /:4: \[YIELDGENERATOR\] cjfee_r: found "0\.0000009"; allowed: .*from 0\.000001 to 0\.999999/,
    ],
    [
      'directory',
      loopbackConfig({}).replace('onion_serving_host = 127.0.0.1', 'onion_serving_host = 0.0.0.0'),
      /onion_serving_host/,
    ],
    [
      'taker',
      loopbackConfig({ nodes: '192.0.2.1:5222' }),
      /directory_nodes: found "192\.0\.2\.1:5222/,
    ],
  ];
  for (const [role, text, message] of cases) {
    const datadir = await datadirWith(t, text);
    const { code, stderr } = await runCli([role, '--datadir', datadir]);
    t.equal(code, 2, `${role}: ${String(message)}`);
    t.match(stderr, message);
    t.equal(
      stderr
        .trimEnd()
        .split('\n')
        .filter((line) => line.startsWith('onionmc:')).length,
      1,
    );
  }
});

t.test('without a Tor: exit code 3, and how to start one', async (t) => {
  const base = `[BLOCKCHAIN]\nnetwork = signet\n[MESSAGING:onion]\ntype = onion\ntor_mode = control${NO_TOR}`;
  for (const role of ['directory', 'maker']) {
    const datadir = await datadirWith(
      t,
      `${base}onion_serving_port = 0\n[DIRECTORY]\nstatus_port = 0\n`,
    );
    const { code, stderr } = await runCli([role, '--datadir', datadir]);
    t.equal(code, 3, role);
    t.match(stderr, /nothing listens at the Tor control port 127\.0\.0\.1:1: start Tor/);
  }
  t.test('neither a Tor that answers nor a tor program', async (t) => {
    const auto = base.replace('tor_mode = control', 'tor_mode = auto');
    const datadir = await datadirWith(t, auto);
    const { code, stderr } = await runCli(['taker', '--once', '--datadir', datadir], {
      env: { PATH: await tempDir(t) },
    });
    t.equal(code, 3);
    t.match(stderr, /SOCKS port 127\.0\.0\.1:1.*apt-get install tor/);
  });
});

t.test('an invalid HOME gives exit code 2', async (t) => {
  const { code, stderr } = await runCli(['init'], { env: { HOME: 'somewhere' } });
  t.equal(code, 2);
  t.match(stderr, /HOME: found "somewhere"; allowed: the absolute path/);
});

t.test('a stop during the start is not a failure', async (t) => {
  const mute = createServer();
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  t.teardown(() => mute.close());
  const address = mute.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const accepted = new Promise<void>((resolve) => mute.once('connection', () => resolve()));
  const datadir = await datadirWith(
    t,
    `[BLOCKCHAIN]\nnetwork = signet\n[MESSAGING:onion]\ntype = onion\ntor_mode = control\ntor_control_host = 127.0.0.1\ntor_control_port = ${port}\nonion_serving_port = 0\n[DIRECTORY]\nstatus_port = 0\n`,
  );
  const directory = startCli(['directory', '--datadir', datadir]);
  await accepted;
  const { code } = await terminate(directory);
  t.equal(code, 0);
  t.notMatch((await directory.ended).stderr, /onionmc:/);
});

t.test('the program ends when the reader of its output closes', async (t) => {
  // No directory listens there; the table is drawn again at each failed attempt.
  const datadir = await datadirWith(t, loopbackConfig({ nodes: '127.0.0.1:1' }));
  const taker = startCli(['taker', '--datadir', datadir, '--log-level', 'ERROR']);
  await taker.shows('stdout', /^0 offers of 0 makers/);
  taker.child.stdout?.destroy();
  const { code, stderr } = await taker.ended;
  t.equal(code, 0, stderr);
  t.equal(stderr, '');
});

/** The built program, started by a line of shell that ends in `"$@"`. */
function underShell(line: string, args: readonly string[]): RunningCli {
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  return startProgram('sh', ['-c', line, 'sh', process.execPath, main, ...args]);
}

t.test('a full disk', async (t) => {
  t.test('a directory loses log lines, and no connection', async (t) => {
    const datadir = await datadirWith(t, loopbackConfig({}));
    const directory = underShell('exec "$@" 2>/dev/full', ['directory', '--datadir', datadir]);
    const [, port = ''] = await directory.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
    directory.child.kill('SIGHUP');
    const upgraded = await runCli(['upgrade', '--datadir', datadir]);
    t.equal(upgraded.code, 0, upgraded.stderr);
    const check = ['check', '--datadir', datadir, `127.0.0.1:${port}`];
    t.equal((await runCli(check)).code, 0, 'it still serves');
    const [, pid = ''] = /runs as process (\d+)/.exec(upgraded.stdout) ?? [];
    process.kill(Number(pid), 'SIGTERM');
    t.equal((await directory.ended).code, 0);
  });

  t.test('a result that cannot be written is a failure', async (t) => {
    const datadir = await tempDir(t);
    const { code, stderr } = await underShell('exec "$@" >/dev/full', [
      'init',
      '--datadir',
      datadir,
    ]).ended;
    t.equal(code, 1);
    t.equal(stderr, 'onionmc: standard output cannot be written (ENOSPC)\n');
  });

  t.test('no partial configuration file is left', async (t) => {
    const datadir = await tempDir(t);
    const refused = await underShell('ulimit -f 1; exec "$@"', ['init', '--datadir', datadir])
      .ended;
    t.equal(refused.code, 2);
    t.match(refused.stderr, /found no file, and none can be written \(EFBIG/);
    t.same(await readdir(datadir), []);
    // Node ignores the signal of a write beyond that size; this program ends at once, as in a crash.
    const endAtOnce = "process.once('SIGXFSZ', () => process.kill(process.pid, 'SIGXFSZ'))";
    const loaded = `data:text/javascript,${encodeURIComponent(endAtOnce).replaceAll("'", '%27')}`;
    const line = `ulimit -f 1; program=$1; shift; exec "$program" --import '${loaded}' "$@"`;
    const cutShort = underShell(line, ['init', '--datadir', datadir]);
    t.equal((await cutShort.ended).signal, 'SIGXFSZ');
    t.notOk((await readdir(datadir)).includes('joinmarket.cfg'));
    t.match((await runCli(['init', '--datadir', datadir])).stdout, /joinmarket\.cfg \(new\)/);
  });
});

t.test('a second directory on one data directory is refused', async (t) => {
  const datadir = await datadirWith(t, loopbackConfig({}));
  const first = startCli(['directory', '--datadir', datadir]);
  await first.shows('stderr', /directory node is up/);
  const second = await runCli(['directory', '--datadir', datadir]);
  t.equal(second.code, 2);
  t.match(second.stderr, /^onionmc: a directory runs with the data directory \S+ already: stop it/);
  const upgraded = await runCli(['upgrade', '--datadir', datadir]);
  t.equal(upgraded.code, 0, 'the first directory still answers');
  const [, pid = ''] = /runs as process (\d+)/.exec(upgraded.stdout) ?? [];
  process.kill(Number(pid), 'SIGKILL');
  await first.ended;
  const third = startCli(['directory', '--datadir', datadir]);
  await third.shows('stdout', /^127\.0\.0\.1:\d+\n/);
  t.equal((await terminate(third)).code, 0, 'files of a killed directory do not matter');
});

t.test('the value 0 removes a limit', async (t) => {
  const extra = 'max_unhandshaked = 0\nhandshake_timeout_sec = 0\nmax_peers = 0';
  const directory = startCli([
    'directory',
    '--datadir',
    await datadirWith(t, loopbackConfig({ extra })),
  ]);
  const [, nodes = '', port = ''] = await directory.shows('stdout', /^(127\.0\.0\.1:(\d+))\n/);
  const silent = createConnection({ host: '127.0.0.1', port: Number(port) });
  let closed = false;
  silent.on('close', () => (closed = true));
  const takerDir = await datadirWith(t, loopbackConfig({ nodes }));
  const book = await runCli(['taker', '--once', '--json', '--datadir', takerDir]);
  t.match(JSON.parse(book.stdout), { directories: [{ up: true }] });
  t.equal(closed, false, 'still open without a handshake after seconds');
  silent.destroy();
  t.equal((await terminate(directory)).code, 0);
});

t.test('init prepares a directory once, and offline', async (t) => {
  const datadir = join(await tempDir(t), 'dn');
  const first = await runCli(['init', '--datadir', datadir, '--json']);
  t.equal(first.code, 0, first.stderr);
  const made: Record<string, unknown> = JSON.parse(first.stdout);
  t.match(made, { address: /^[a-z2-7]{56}\.onion:5222$/, createdConfig: true, network: 'mainnet' });
  const key = join(datadir, 'hidden_service', 'hs_ed25519_secret_key');
  t.equal((await stat(key)).mode & 0o777, 0o600);
  t.equal((await stat(datadir)).mode & 0o777, 0o700);
  const secret = await readFile(key);

  const second = await runCli(['init', '--datadir', datadir, '--json']);
  t.match(JSON.parse(second.stdout), {
    ...made,
    createdConfig: false,
    key: 'unchanged',
    changed: false,
  });
  t.same(await readFile(key), secret, 'a key is never overwritten');
  const text = await runCli(['init', '--datadir', datadir]);
  t.match(text.stdout, /exists, unchanged/);
});

t.test('a directory without a configuration writes one and continues', async (t) => {
  const datadir = join(await tempDir(t), 'fresh');
  const { code, stdout, stderr } = await runCli(['directory', 'hello', '--datadir', datadir], {
    env: { PATH: await tempDir(t) },
  });
  // Nothing answers at the default ports here and no tor program is found, so the program ends.
  t.equal(code, 3, stderr);
  t.match(stdout, /^[a-z2-7]{56}\.onion:5222\n$/, 'the address is printed at once');
  t.match(await readFile(join(datadir, 'joinmarket.cfg'), 'utf8'), /\[MESSAGING:onion\]/);
  t.match(stderr, /wrote the default configuration/);
});

t.test('a directory, a maker and a taker as three programs', async (t) => {
  const directory = startCli([
    'directory',
    'hello from the command line',
    '--datadir',
    await datadirWith(t, loopbackConfig({})),
  ]);
  const [, nodes = ''] = await directory.shows('stdout', /^(127\.0\.0\.1:\d+)\n/);
  const makerDir = await datadirWith(t, loopbackConfig({ nodes }));
  const maker = startCli(['maker', '--size', '5000000', '--datadir', makerDir]);
  const [, nick = ''] = await maker.shows('stdout', /^(J5\w{14})\n/);
  await maker.shows('stderr', /offers announced/);

  const takerDir = await datadirWith(t, loopbackConfig({ nodes }));
  const book = await runCli(['taker', '--once', '--json', '--datadir', takerDir]);
  t.equal(book.code, 0, book.stderr);
  t.match(JSON.parse(book.stdout), {
    offers: [{ counterparty: nick, ordertype: 'sw0reloffer', oid: 0, signed: true }],
    directories: [{ location: nodes, up: true, motd: /\nhello from the command line$/ }],
  });

  const fill = ['fill', '0', '100000', 'ab'.repeat(32), `P${'cd'.repeat(32)}`];
  const ask = (to: string, wait: string) =>
    runCli(['taker', '--json', '--wait', wait, '--datadir', takerDir, '--ask', to, ...fill]);
  const asked = await ask(nick, '20');
  t.equal(asked.code, 0, asked.stderr);
  t.match(JSON.parse(asked.stdout), { nick, commands: [{ name: 'error' }] });

  const unanswered = await ask('J5nobodynobodyno', '2');
  t.equal(unanswered.code, 1, 'no answer');
  t.match(unanswered.stderr, /no route to J5nobodynobodyno was found within 2 s/);

  const live = startCli(['taker', '--datadir', takerDir]);
  await live.shows('stdout', new RegExp(nick));
  for (const cli of [live, maker, directory]) {
    const { code, ms } = await terminate(cli);
    t.equal(code, 0, 'ends with 0');
    t.comment(`after ${Math.round(ms)} ms`);
  }
  t.notMatch((await directory.ended).stderr, new RegExp(nick), 'no nick in the log');
});

t.test('SIGHUP re-reads the MOTD and drops no peer', async (t) => {
  const config = loopbackConfig({ extra: 'motd = before' });
  const datadir = await datadirWith(t, config);
  const directory = startCli(['directory', '--datadir', datadir]);
  const [, nodes = ''] = await directory.shows('stdout', /^(127\.0\.0\.1:\d+)\n/);
  const takerDir = await datadirWith(t, loopbackConfig({ nodes }));
  const live = startCli(['taker', '--datadir', takerDir]);
  await live.shows('stdout', /up +127/);

  await writeFile(join(datadir, 'joinmarket.cfg'), config.replace('before', 'after'));
  directory.child.kill('SIGHUP');
  await directory.shows('stderr', /configuration re-read/);
  const book = await runCli(['taker', '--once', '--json', '--datadir', takerDir]);
  t.match(JSON.parse(book.stdout), { directories: [{ motd: /\nafter$/ }] });

  await writeFile(join(datadir, 'joinmarket.cfg'), '[DIRECTORY]\nmax_peers = x\n');
  directory.child.kill('SIGHUP');
  await directory.shows('stderr', /max_peers.*reload failed; nothing changed/);
  await rm(join(datadir, 'joinmarket.cfg'));
  directory.child.kill('SIGHUP');
  await directory.shows('stderr', /found no file.*reload failed; nothing changed/);
  await Promise.all([terminate(live), terminate(directory)]);
  t.notMatch((await live.ended).stderr, /directory down.*closed/, 'no peer was dropped');
});

t.test('a busy port gives exit code 2 and names its keys', async (t) => {
  const { port, close } = await takenPort();
  const serving = await runCli([
    'directory',
    '--datadir',
    await datadirWith(t, loopbackConfig({ port })),
  ]);
  t.equal(serving.code, 2);
  t.match(serving.stderr, /onion_serving_port/);
  const status = await runCli([
    'directory',
    '--datadir',
    await datadirWith(t, loopbackConfig({ statusPort: port })),
  ]);
  t.equal(status.code, 2);
  t.match(status.stderr, /status_port/);
  await close();
});
