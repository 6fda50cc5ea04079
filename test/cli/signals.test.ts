/** Signals, terminals, and a second program on one data directory. */
import t, { type Test } from 'tap';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCli, startCli, startProgram, type RunningCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';

async function datadirWith(t: Test, text: string): Promise<string> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-cli-'));
  t.teardown(() => rm(datadir, { recursive: true, force: true }));
  await writeFile(join(datadir, 'joinmarket.cfg'), text, { mode: 0o600 });
  return datadir;
}

/** Ends the program as systemd does; resolves with its result. */
async function terminate(cli: RunningCli): Promise<{ readonly code: number | null }> {
  cli.child.kill('SIGTERM');
  return cli.ended;
}

/** Changes in each section that the role reads, and the keys that need a restart. */
const EDITS: readonly (readonly [role: string, more: string, waiting: string])[] = [
  [
    'directory',
    '[DIRECTORY]\nstatus_port = 0\nmax_peers = 17\ndial_back = true\n[LOGGING]\ncolor = false\nconsole_log_level = INFO\n[YIELDGENERATOR]\nminsize = 5\n',
    '[LOGGING] color, [DIRECTORY] dial_back',
  ],
  [
    'maker',
    '[YIELDGENERATOR]\nminsize = 200000\n[DIRECTORY]\nmax_peers = 17\n',
    '[YIELDGENERATOR] minsize',
  ],
  ['taker', '[TIMEOUT]\nmaker_timeout_sec = 7\n', '[TIMEOUT] maker_timeout_sec'],
  ['ob-watcher', '[OBWATCHER]\nport = 62611\n', '[OBWATCHER] port'],
];

t.test('SIGHUP without a terminal: a reload that names the keys for a restart', async (t) => {
  const nodes = '127.0.0.1:1';
  for (const [role, more, waiting] of EDITS) {
    const before = loopbackConfig({ nodes });
    const datadir = await datadirWith(t, before);
    const args = role === 'ob-watcher' ? ['--port', '0'] : [];
    const cli = startCli([role, '--datadir', datadir, ...args]);
    await cli.shows('stdout', /./);
    cli.child.kill('SIGHUP');
    await cli.shows('stderr', /configuration re-read/);
    await writeFile(join(datadir, 'joinmarket.cfg'), `${before}\n${more}`);
    cli.child.kill('SIGHUP');
    const [, keys] = await cli.shows(
      'stderr',
      /these changed keys take effect only after a restart: ([^"]*)"/,
    );
    t.equal(keys, waiting, role);
    await writeFile(
      join(datadir, 'joinmarket.cfg'),
      before.replace('network = signet', 'network = testnet').replace(nodes, '127.0.0.1:2'),
    );
    cli.child.kill('SIGHUP');
    await cli.shows('stderr', /: \[BLOCKCHAIN\] network, \[MESSAGING:onion\] directory_nodes"/);
    t.equal((await terminate(cli)).code, 0);
  }
});

t.test('a terminal that closes ends a maker, a taker and a watcher', async (t) => {
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  for (const role of ['maker', 'taker', 'ob-watcher']) {
    const datadir = await datadirWith(t, loopbackConfig({ nodes: '127.0.0.1:1' }));
    const fifo = join(datadir, 'log');
    t.equal((await startProgram('mkfifo', [fifo]).ended).code, 0);
    // The log ends when the program has ended.
    const log = startProgram('cat', [fifo]).ended;
    const port = role === 'ob-watcher' ? '--port 0' : '';
    const line = `exec "${process.execPath}" "${main}" ${role} --datadir "${datadir}" ${port} 2>"${fifo}"`;
    const terminal = startProgram('script', ['-q', '-f', '-c', line, '/dev/null']);
    await terminal.shows('stdout', /J5|http|0 offers/);
    terminal.child.kill('SIGKILL');
    t.match((await log).stdout, /"stopping"/, role);
  }
});

t.test('a second maker on one data directory is refused', async (t) => {
  const datadir = await datadirWith(t, loopbackConfig({ nodes: '127.0.0.1:1' }));
  const maker = startCli(['maker', '--datadir', datadir]);
  await maker.shows('stdout', /^J5/);
  const second = await runCli(['maker', '--datadir', datadir]);
  t.equal(second.code, 2);
  t.equal(
    second.stderr
      .split('\n')
      .filter((line) => line.includes('onionmc:'))
      .join(),
    `onionmc: a maker runs with the data directory ${datadir} already (process ${maker.child.pid ?? 0}): stop it first, or give this one another --datadir`,
  );
  maker.child.kill('SIGKILL');
  await maker.ended;
  const third = startCli(['maker', '--datadir', datadir]);
  await third.shows('stdout', /^J5/);
  t.equal((await terminate(third)).code, 0, 'the lock of a killed maker is not respected');
});

t.test('taker --once --wait 1 waits one second, whatever other directories do', async (t) => {
  const serving = await datadirWith(t, loopbackConfig());
  const directory = startCli(['directory', '--datadir', serving]);
  const [, address = ''] = await directory.shows('stdout', /^(127\.0\.0\.1:\d+)\n/);
  // The second directory accepts connections and sends nothing.
  const silent = createServer();
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.teardown(() => silent.close());
  const bound = silent.address();
  const port = bound === null || typeof bound === 'string' ? 0 : bound.port;
  const nodes = `${address},127.0.0.1:${port}`;
  const datadir = await datadirWith(t, loopbackConfig({ nodes }));
  const book = await runCli(['taker', '--once', '--json', '--wait', '1', '--datadir', datadir]);
  t.equal(book.code, 0, book.stderr);
  t.match(JSON.parse(book.stdout), { directories: [{ up: true }, { up: false }] });
  t.notMatch(book.stderr, /slow to stop/, 'a silent directory does not delay the exit');
  await terminate(directory);
});
