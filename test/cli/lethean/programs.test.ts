/** `run-wallet` and `run-daemon` with a real node and a real wallet RPC: started, watched, and ended with the command. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Log } from '../../../src/channel/log.js';
import { TOKEN_HEADER } from '../../../src/http/actions.js';
import { deferred } from '../../../src/kit/deferred.js';
import { recordOf } from '../../../src/kit/json-record.js';
import { freePorts } from '../../../src/lab/private-network/free-ports.js';
import { SupervisedProgram } from '../../../src/lethean/programs/supervised.js';
import { systemClock } from '../../../src/overlay/system-clock.js';
import { runCli, startCli } from '../../helpers/cli.js';
import { moneroScript } from '../../helpers/monero.js';

t.setTimeout(240_000);

const NODE_ARGS = ['--regtest', '--offline', '--fixed-difficulty=1', '--no-zmq', '--no-igd'];

async function scene(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-lethean-programs-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const [rpc = 0, p2p = 0, wallet = 0] = await freePorts(3);
  const node = await moneroScript(folder, 'monerod', NODE_ARGS);
  const program = await moneroScript(folder, 'monero-wallet-rpc', [
    `--shared-ringdb-dir=${join(folder, 'ringdb')}`,
  ]);
  const config = join(folder, 'client.ini');
  const lines = [
    `var-dir = ${join(folder, 'var')}`,
    'sdp-url = https://127.0.0.1:1/',
    'run-wallet = 1',
    'run-daemon = 1',
    `wallet-rpc-bin = ${program}`,
    `wallet-rpc-port = ${wallet}`,
    `daemon-bin = ${node}`,
    `daemon-rpc-url = http://127.0.0.1:${rpc}/json_rpc`,
    `daemon-p2p-port = ${p2p}`,
    'proxy-port = 0',
    'http-port = 0',
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  const options = { env: { WLC_CONFIG: config }, detached: true };
  return {
    folder,
    walletPort: wallet,
    run: (...args: readonly string[]) => runCli(['lethean', ...args], options),
    start: (...args: readonly string[]) => startCli(['lethean', ...args], options),
    pid: async (name: string): Promise<number> =>
      Number(await readFile(join(folder, `${name}.pid`), 'utf8')),
  };
}

/** Resolves when the process has ended. */
async function gone(pid: number): Promise<void> {
  // oxlint-disable no-await-in-loop -- the kernel tells the end of another's child to nobody
  for (;;) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => undefined);
    if (status === undefined || /^State:\tZ/m.test(status)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // oxlint-enable no-await-in-loop
}

/** What a page shows of the wallet after its action "wallet". */
async function walletOn(page: unknown): Promise<Readonly<Record<string, unknown>>> {
  const url = new URL(String(page));
  const response = await fetch(new URL('/wallet', url), {
    method: 'POST',
    headers: { [TOKEN_HEADER]: url.hash.slice(1), 'content-type': 'application/json' },
    body: '{}',
  });
  return recordOf(recordOf(await response.json())['wallet']);
}

/** Asks until it answers: the page tells no restart. */
async function openWalletOn(page: unknown): Promise<unknown> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- each waits for the wallet RPC
    const { view } = await walletOn(page);
    if (view !== undefined) return view;
  }
}

t.test('a wallet is made and shown, and nothing runs on', async (t) => {
  const { run, start, pid, folder, walletPort } = await scene(t);
  const created = await run('wallet', 'create', '--json');
  t.equal(created.code, 0, created.stderr);
  t.match(created.stderr, /file below \S+var\/wallets, so back that up/);
  const { address } = recordOf(JSON.parse(created.stdout));
  t.ok((await readdir(join(folder, 'var/wallets'))).includes('default.keys'));
  const password = join(folder, 'var/wallet-rpc-password');
  t.equal((await stat(password)).mode & 0o777, 0o600);
  await Promise.all([gone(await pid('monerod')), gone(await pid('monero-wallet-rpc'))]);

  const client = start('page', '--json');
  const [line] = await client.shows('stdout', /^\{.*\}\n/);
  const { page } = recordOf(JSON.parse(line));
  t.match(await openWalletOn(page), { address });
  const first = await pid('monero-wallet-rpc');
  const argv = await readFile(`/proc/${first}/cmdline`, 'utf8');
  const secret = (await readFile(password, 'utf8')).trim();
  t.match(argv, /--config-file=/);
  t.notOk(argv.includes(secret), 'the password is not among the arguments');
  const [, config = ''] = /--config-file=([^\0]+)/.exec(argv) ?? [];
  await t.rejects(readFile(config), { code: 'ENOENT' }, 'and its file is gone');
  t.match(JSON.parse((await run('wallet', '--json')).stdout), { address }, 'a second command');

  process.kill(first, 'SIGKILL');
  await client.shows('stderr', /the wallet RPC ended and is started again/);
  t.match(await openWalletOn(page), { address }, 'it is started again');
  const second = await pid('monero-wallet-rpc');
  t.not(second, first);
  const node = await pid('monerod');
  client.child.kill('SIGTERM');
  t.match(await client.ended, { code: 0 });
  await Promise.all([gone(second), gone(node)]);

  const killed = start('page', '--json');
  await killed.shows('stdout', /^\{.*\}\n/);
  const [walletPid, nodePid] = [await pid('monero-wallet-rpc'), await pid('monerod')];
  killed.child.kill('SIGKILL');
  await killed.ended;
  await Promise.all([gone(walletPid), gone(nodePid)]);

  const squatter = createServer().listen(walletPort, '127.0.0.1');
  await once(squatter, 'listening');
  t.teardown(() => squatter.close());
  t.match(await run('wallet'), { code: 3, stderr: /another program has port \d+; end it, set/ });
});

t.test('what is missing or does not fit is told', async (t) => {
  const { run, folder } = await scene(t);
  const cases: readonly (readonly [number, RegExp, ...string[]])[] = [
    [
      3,
      /the wallet RPC cannot be started: there is no program no-such.*set wallet-rpc-bin/,
      '--run-daemon',
      '0',
      '--wallet-rpc-bin',
      'no-such',
    ],
    [
      3,
      /the node cannot be started: there is no program no-such.*set daemon-bin/,
      '--daemon-bin',
      'no-such',
    ],
    [3, /the node ended at once: code 1$/m, '--daemon-bin', '/bin/false'],
    [
      2,
      /wallet-rpc-url must be http:\/\/127\.0\.0\.1:PORT/,
      '--run-daemon',
      '0',
      '--wallet-rpc-url',
      'https://wallet.example/json_rpc',
    ],
    [2, /must have no "#"/, '--run-daemon', '0', '--wallet-rpc-password', 'a#b'],
  ];
  for (const [code, stderr, ...options] of cases) {
    // oxlint-disable-next-line no-await-in-loop -- one lock
    t.match(await run('wallet', ...options), { code, stderr }, options.join(' '));
  }
  t.notOk((await readdir(join(folder, 'var'))).includes('payments.json'));
});

/** A shell script as the program, and what the log says of it. */
function scripted(script: string, more: { readonly answers?: () => Promise<boolean> } = {}) {
  const lines: string[] = [];
  const given = deferred<string>();
  const note = (message: string, fields?: object): void => {
    const line = `${message} ${JSON.stringify(fields ?? {})}`;
    lines.push(line);
    if (message.includes('not started again')) given.resolve(line);
  };
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const options = {
    name: 'wallet RPC',
    option: 'wallet-rpc-bin',
    program: 'sh',
    prepare: () => Promise.resolve(['-c', script]),
    folder: tmpdir(),
    clean: () => Promise.resolve(),
    clock: systemClock,
    log,
    startMs: 2_000,
    restartMs: 1,
    ...more,
  };
  return { options, lines, given: given.promise };
}

t.test('a program that ends again and again is given up', async (t) => {
  const { signal } = new AbortController();
  const { options, lines, given } = scripted('sleep 1; echo "no luck" >&2; exit 3', {
    answers: () => Promise.resolve(true),
  });
  const program = await SupervisedProgram.start(options, signal);
  t.match(await given, /ended 6 times and is not started again .*code 3: no luck/);
  t.equal(lines.filter((line) => line.includes('is started again')).length, 5);
  await program.stop();
});

t.test('a program that never answers, and one whose start is cancelled', async (t) => {
  const { signal } = new AbortController();
  const deaf = scripted('exec sleep 600', { answers: () => Promise.resolve(false) });
  await t.rejects(SupervisedProgram.start(deaf.options, signal), {
    name: 'ProgramError',
    message: 'the wallet RPC did not answer within 2 s',
  });
  const cancelled = new AbortController();
  const starting = SupervisedProgram.start(deaf.options, cancelled.signal);
  cancelled.abort(new Error('Ctrl-C'));
  await t.rejects(starting, { message: 'Ctrl-C' });
});
