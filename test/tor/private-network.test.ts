/** The private Tor network: its start, its clients, a restart, and its end without leftovers. */
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { waitForBootstrap } from '../../src/tor/process/bootstrap.js';
import { connectControl } from '../../src/tor/control/client.js';
import { startPrivateTorNetwork } from '../../src/lab/private-network/network.js';
import { launchTor } from '../../src/tor/process/tor-program.js';
import { isRunning } from '../helpers/tor-network.js';

const { signal } = new AbortController();

/** A folder with a short path, for unix sockets. */
async function shortFolder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'omt-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A `tor` that is a shell script. */
async function fakeTor(dir: string, script: string): Promise<string> {
  const program = join(dir, 'fake-tor');
  await writeFile(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return program;
}

t.test('clients join, one restarts in place, and close leaves no file', async (t) => {
  const tmpDir = await shortFolder(t);
  const progress: string[] = [];
  const percentages: number[] = [];
  const network = await startPrivateTorNetwork({
    tmpDir,
    onProgress: (text) => progress.push(text),
  });
  t.teardown(() => network.close());
  t.equal((await stat(network.directory)).mode & 0o777, 0o700);
  t.match(progress, [/keys/, /relays/]);

  const tor = await network.startTor({
    controlPort: true,
    controlSocket: true,
    onBootstrap: (percent, summary) => {
      percentages.push(percent);
      t.type(summary, 'string');
    },
  });
  t.equal(percentages.at(-1), 100);
  t.strictSame(
    percentages,
    [...percentages].toSorted((a, b) => a - b),
  );
  t.equal((await stat(tor.cookieFile)).size, 32);
  const { controlEndpoint: endpoint, controlSocket: path = '' } = tor;
  if (endpoint === undefined) throw new Error('no control port');
  for (const where of [endpoint, { kind: 'unix', path } as const]) {
    const control = await connectControl({ endpoint: where, signal });
    t.match(await control.command('GETINFO version'), { code: 250 });
    control.close();
  }

  await t.test('a restart keeps ports and folder', async (t) => {
    await tor.kill();
    t.notOk(isRunning(tor.pid));
    const again = await tor.restart();
    t.strictSame(again.socks, tor.socks);
    t.strictSame(again.controlEndpoint, tor.controlEndpoint);
    t.equal(again.dataDir, tor.dataDir);
    t.not(again.pid, tor.pid);
  });

  await t.test('a foreign tor needs only torrcLines', async (t) => {
    t.equal(network.torrcLines.length, 2);
    const dataDir = join(tmpDir, 'foreign');
    await mkdir(dataDir, { mode: 0o700 });
    const torrc = [...network.torrcLines, 'SocksPort 0'];
    const foreign = await launchTor({ dataDir, torrc, signal });
    await waitForBootstrap(foreign.control, signal);
    await foreign.stop();
    t.notOk(isRunning(foreign.pid));
  });

  await t.test('a wrong option gives the error text of tor', async (t) => {
    await t.rejects(network.startTor({ extraTorrc: ['NoSuchOption 1'] }), {
      code: 'tor-exited',
      message: /NoSuchOption/,
    });
  });

  await t.test('closing while a client starts ends that too', async (t) => {
    const starting = network.startTor();
    const [result] = await Promise.allSettled([starting, network.close()]);
    t.match(result, { status: 'rejected', reason: { name: 'TorError' } });
    await network.close();
    await t.rejects(network.startTor(), { code: 'aborted' }, 'no further client can be started');
  });
  t.strictSame(await readdir(tmpDir), ['foreign']);
});

t.test('a start that fails leaves no file', async (t) => {
  const tmpDir = await shortFolder(t);
  const missing = join(tmpDir, 'no-such-tor');
  await t.rejects(startPrivateTorNetwork({ tmpDir, torProgram: missing }), {
    code: 'tor-missing',
    remedy: 'unreachable',
    message: `the program "${missing}" was not found: install it: apt-get install tor`,
  });
  await t.rejects(startPrivateTorNetwork({ tmpDir, torProgram: tmpDir }), { code: 'tor-missing' });
  await t.rejects(startPrivateTorNetwork({ tmpDir, signal: AbortSignal.abort() }), {
    code: 'aborted',
  });
  await t.rejects(startPrivateTorNetwork({ tmpDir: join(tmpDir, 'x'.repeat(80)) }), {
    message: /TMPDIR/,
  });
  t.strictSame(await readdir(tmpDir), []);

  await t.test('an abort during the start', async (t) => {
    const abort = new AbortController();
    const starting = startPrivateTorNetwork({
      tmpDir,
      signal: abort.signal,
      onProgress: (text) => {
        if (text.includes('relays')) abort.abort(new Error('enough'));
      },
    });
    await t.rejects(starting, { code: 'aborted' });
    t.strictSame(await readdir(tmpDir), []);
  });
});

t.test('a relay that cannot bind its port: once more with other ports', async (t) => {
  const tmpDir = await shortFolder(t);
  const warning = 'Could not bind to 127.0.0.1:1: Address already in use. Is Tor already running?';
  const unlucky = await fakeTor(
    tmpDir,
    `mkdir '${tmpDir}/once' 2>/dev/null && { echo 'Nov 21 10:00:00.000 [warn] ${warning}'; exit 1; }
exec tor "$@"`,
  );
  const network = await startPrivateTorNetwork({ tmpDir, torProgram: unlucky });
  await network.startTor();
  await network.close();
  t.strictSame((await readdir(tmpDir)).toSorted(), ['fake-tor', 'once']);

  const hopeless = await fakeTor(tmpDir, `echo 'Nov 21 10:00:00.000 [warn] ${warning}'; exit 1`);
  await t.rejects(startPrivateTorNetwork({ tmpDir, torProgram: hopeless }), {
    code: 'tor-exited',
    message: `tor ended at its start (code 1): ${warning}`,
  });
});
