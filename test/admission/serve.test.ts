/**
 * `onionmc admission serve` against Debian's python3-zmq as the endpoint: byte-exact frames over tcp, ipc and
 * curve, a program that decides, restarts of either side, the errors of the guide, and the commands of door 1 in
 * docs/admission-lokinet.md.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { lstat, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { runCli, startCli, startProgram } from '../helpers/cli.js';
import { stepsOf } from '../docs/steps.js';
import { CLIENT, metainfo } from './sample.js';

t.setTimeout(240_000);

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ZMQ = join(ROOT, '.build/debian/zmq');
const PEER = join(ROOT, 'test/admission/lokinet-peer.py');
const TAG = Buffer.alloc(15, 7);
const hex = (text: string | Uint8Array): string => Buffer.from(text).toString('hex');

interface Endpoint {
  send(...frames: readonly (string | Uint8Array)[]): void;
  /** Messages as text, one array of frames each. */
  receive(count: number, ms?: number): Promise<string[][]>;
  reconnect(): Promise<void>;
  forget(): Promise<void>;
  ask(code: string | Uint8Array, tag?: Uint8Array): Promise<string[]>;
}

/** The endpoint: libzmq of Debian, driven from Python. */
async function endpoint(t: Test, address: string, key?: string): Promise<Endpoint> {
  const child = spawn('/usr/bin/python3', [PEER, address, ...(key === undefined ? [] : [key])], {
    env: {
      ...process.env,
      PYTHONPATH: join(ZMQ, 'usr/lib/python3/dist-packages'),
      LD_LIBRARY_PATH: join(ZMQ, 'usr/lib/x86_64-linux-gnu'),
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const say = (command: unknown): void => void child.stdin.write(`${JSON.stringify(command)}\n`);
  const answer = async (): Promise<Record<string, unknown>> =>
    JSON.parse(String((await lines.next()).value));
  t.match(await answer(), { ready: /^4\./ });
  const peer: Endpoint = {
    send: (...frames) => say({ send: frames.map(hex) }),
    async receive(count, ms = 5_000) {
      say({ receive: count, ms });
      const { frames } = await answer();
      if (!Array.isArray(frames)) throw new Error('no frames');
      return frames.map((message: readonly string[]) =>
        message.map((frame) => Buffer.from(frame, 'hex').toString('latin1')),
      );
    },
    async reconnect() {
      say({ reconnect: true });
      await answer();
    },
    async forget() {
      say({ forget: true });
      await answer();
    },
    async ask(code, tag = TAG) {
      peer.send('llarp.auth', tag, metainfo(), code);
      return (await peer.receive(1))[0] ?? [];
    },
  };
  return peer;
}

/** A running server; the line of `auth-lmq` is what the endpoint dials. */
async function serve(t: Test, ...args: readonly string[]) {
  const cli = startCli(['admission', 'serve', ...args]);
  t.teardown(() => cli.child.kill('SIGKILL'));
  const [, address = ''] = await cli.shows('stdout', /auth-lmq=(\S+)\n/);
  return { cli, address };
}

async function newCode(datadir: string, ...args: readonly string[]) {
  const { stdout } = await runCli([
    'admission',
    'code',
    'add',
    '--json',
    '--datadir',
    datadir,
    ...args,
  ]);
  const { code, id }: { code: string; id: string } = JSON.parse(stdout);
  return { code, id };
}

const REPLY = TAG.toString('latin1');

/** What an endpoint and the server say, whatever the transport. */
async function conversation(t: Test, peer: Endpoint, code: string, revoked: string): Promise<void> {
  peer.send('HI');
  t.same(await peer.receive(1), [['HELLO']]);
  t.same(await peer.ask(code), ['REPLY', REPLY, 'OKAY', 'OK']);
  t.same(await peer.ask('other'), ['REPLY', REPLY, 'REJECT', 'the code is not valid']);
  t.same(await peer.ask(revoked), ['REPLY', REPLY, 'REJECT', 'the code was revoked']);
  t.same(await peer.ask(''), ['REPLY', REPLY, 'REJECT', 'a code is needed']);
  peer.send('llarp.auth', TAG, 'not bencode', code);
  t.same(await peer.receive(1), [['REPLY', REPLY, 'REJECT', 'malformed request']]);
  peer.send('llarp.auth', TAG, metainfo(), code, 'one too many');
  t.same(await peer.receive(1), [['REPLY', REPLY, 'REJECT', 'malformed request']]);
  peer.send('llarp.auth');
  t.same(await peer.receive(1), [['NO_REPLY_TAG', 'llarp.auth']]);
  peer.send('llarp.other', TAG, 'x');
  t.same(
    await peer.receive(1),
    [['UNKNOWNCOMMAND', 'REPLY', REPLY]],
    'with the tag: fails at once',
  );
  peer.send('llarp.other');
  t.same(await peer.receive(1), [['UNKNOWNCOMMAND', 'llarp.other']]);
  peer.send('BYE');
  t.same(await peer.receive(1, 200), [], 'silence');
}

t.test('tcp, and restarts of either side', async (t) => {
  const datadir = t.testdir();
  const { code } = await newCode(datadir, '--name', 'a');
  const gone = await newCode(datadir);
  await runCli(['admission', 'code', 'revoke', gone.id, '--datadir', datadir]);
  const bind = `tcp://127.0.0.1:${await freePort()}`;
  const first = await serve(t, '--bind', bind, '--datadir', datadir);
  t.equal(first.address, bind);
  const peer = await endpoint(t, bind);
  await conversation(t, peer, code, gone.code);

  await peer.reconnect();
  t.same(
    await peer.ask(code),
    ['REPLY', REPLY, 'OKAY', 'OK'],
    'heard although the old connection lives',
  );

  await peer.forget();
  first.cli.child.kill('SIGTERM');
  t.equal((await first.cli.ended).code, 0);
  const second = await serve(t, '--bind', bind, '--datadir', datadir);
  t.same(await peer.ask(code), ['REPLY', REPLY, 'OKAY', 'OK'], 'after a restart of the server');

  const later = await newCode(datadir, '--max-uses', '1');
  await second.cli.shows('stderr', /codes of admission were read again/);
  const answer = await peer.ask(later.code);
  t.equal(answer[2], 'OKAY', 'a code that was added while it runs');
  const audit = await readFile(join(datadir, 'admission/audit.log'), 'utf8');
  t.match(audit, new RegExp(`"address":"${CLIENT}","verdict":"OKAY"`));
  t.notMatch(audit, code);
  t.equal((await stat(join(datadir, 'admission/audit.log'))).mode & 0o777, 0o600);
});

t.test('ipc: the path of a server that runs is not taken, a file is not replaced', async (t) => {
  const datadir = t.testdir();
  const { code } = await newCode(datadir);
  // The path of a socket has at most 107 bytes.
  const dir = await mkdtemp(join(tmpdir(), 'omc-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const path = join(dir, 'auth.socket');
  const args = ['--bind', `ipc://${path}`, '--datadir', datadir];
  const first = await serve(t, ...args);
  const peer = await endpoint(t, `ipc://${path}`);
  t.same(await peer.ask(code), ['REPLY', REPLY, 'OKAY', 'OK']);
  const second = await runCli(['admission', 'serve', ...args]);
  t.equal(second.code, 2);
  t.match(second.stderr, /another program serves/);
  t.same(await peer.ask(code), ['REPLY', REPLY, 'OKAY', 'OK'], 'the first one still answers');
  first.cli.child.kill('SIGTERM');
  t.equal((await first.cli.ended).code, 0);
  await t.rejects(lstat(path), { code: 'ENOENT' }, 'the path is removed');

  await writeFile(path, 'precious');
  const third = await runCli(['admission', 'serve', ...args]);
  t.equal(third.code, 2);
  t.match(third.stderr, /is not a socket/);
  t.equal(await readFile(path, 'utf8'), 'precious');

  const stale = join(dir, 'stale.socket');
  const leaver = startProgram(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  await leaver.ended;
  t.ok((await lstat(stale)).isSocket(), 'a socket that nobody serves');
  const fourth = await serve(t, '--bind', `ipc://${stale}`, '--datadir', datadir);
  t.equal(fourth.address, `ipc://${stale}`);
});

t.test('curve: the server proves its key', async (t) => {
  const datadir = t.testdir();
  const { code } = await newCode(datadir);
  const gone = await newCode(datadir);
  await runCli(['admission', 'code', 'revoke', gone.id, '--datadir', datadir]);
  const port = await freePort();
  const args = ['--bind', `curve://127.0.0.1:${port}`, '--datadir', datadir];
  const { address } = await serve(t, ...args);
  const [, key = ''] = /^curve:\/\/127\.0\.0\.1:\d+\/([0-9a-f]{64})$/.exec(address) ?? [];
  const config = await runCli(['admission', 'lokinet-config', ...args]);
  t.match(
    config.stdout,
    new RegExp(`\\[network\\]\\nexit=true\\n[^]*auth=lmq\\nauth-lmq=${address}\\n`),
  );
  const peer = await endpoint(t, `tcp://127.0.0.1:${port}`, key);
  await conversation(t, peer, code, gone.code);
  const wrong = await endpoint(t, `tcp://127.0.0.1:${port}`, '11'.repeat(32));
  wrong.send('HI');
  t.same(await wrong.receive(1, 1_000), [], 'another key is no server');
  const plain = await endpoint(t, `tcp://127.0.0.1:${port}`);
  plain.send('HI');
  t.same(await plain.receive(1, 1_000), [], 'without CURVE nothing is said');
});

t.test('a program gets exactly two fresh arguments, whatever came before', async (t) => {
  const dir = t.testdir();
  const program = join(dir, 'decide');
  const log = join(dir, 'calls');
  // The guide's server kept arguments of earlier requests; a code may also look like an option or a command.
  await writeFile(
    program,
    `#!/bin/sh\nprintf '%s|%s|%s\\n' "$#" "$1" "$2" >> '${log}'\ncase "$(printf %s "$2" | base64 -d)" in\nslow) exec sleep 30;;\ncrash) kill -9 $$;;\nright|-n|'$(id)') exit 0;;\nesac\nexit 3\n`,
    { mode: 0o755 },
  );
  const { address } = await serve(
    t,
    '--bind',
    `tcp://127.0.0.1:${await freePort()}`,
    '--cmd',
    program,
    '--cmd-timeout',
    '3',
    '--datadir',
    dir,
  );
  const peer = await endpoint(t, address);
  const CASES = [
    ['right', 'OKAY', 'OK'],
    ['wrong', 'REJECT', 'the code was refused'],
    ['-n', 'OKAY', 'OK'],
    ['$(id)', 'OKAY', 'OK'],
    ['crash', 'REJECT', 'codes cannot be checked now, try later'],
    ['slow', 'REJECT', 'codes cannot be checked now, try later'],
  ] as const;
  for (const [code, verdict, reason] of CASES) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    t.same(await peer.ask(code), ['REPLY', REPLY, verdict, reason], code);
  }
  const calls = (await readFile(log, 'utf8')).trim().split('\n');
  t.same(
    calls,
    CASES.map(([code]) => `2|${CLIENT}|${Buffer.from(code).toString('base64')}`),
  );
});

t.test("the guide's own errors", async (t) => {
  const dir = t.testdir();
  const code = 'a code that is long enough to be wrapped by base64 without an option, 0123456789';
  const line = await startProgram('/bin/bash', [
    '-c',
    `sha256sum <<<"$(printf %s '${code}' | base64 -w0)" | cut -d' ' -f1`,
  ]).ended;
  await writeFile(join(dir, 'codes.txt'), line.stdout);
  const guide = await startProgram('/bin/bash', ['-c', `base64 -e '${code}'`]).ended;
  t.not(guide.code, 0, 'base64 -e does not exist');
  const { address } = await serve(
    t,
    '--bind',
    `tcp://127.0.0.1:${await freePort()}`,
    '--codes',
    join(dir, 'codes.txt'),
    '--datadir',
    dir,
  );
  const peer = await endpoint(t, address);
  t.same(await peer.ask(code), ['REPLY', REPLY, 'OKAY', 'OK'], 'the line of base64 -w0');
  t.same(
    await peer.ask('a code'),
    ['REPLY', REPLY, 'REJECT', 'the code is not valid'],
    'not a part of it',
  );
  const lost = await runCli(['admission', 'serve', '--bind', 'tcp://', '--datadir', dir]);
  t.equal(lost.code, 2, 'the guide lost the address behind tcp://');
  t.match(lost.stderr, /tcp:\/\/127\.0\.0\.1:5555/);
});

t.test('docs/admission-lokinet.md: each command', async (t) => {
  const door = (await stepsOf('docs/admission-lokinet.md', 'door')).find(
    ({ name }) => name === 'lokinet',
  );
  const lines = (door?.commands ?? '').split('\n').map((line) => line.replace(/ *#.*/, ''));
  const [ours = '', guide = '', decided = '', config = ''] = lines;
  t.equal(lines.length, 4);
  const dir = await mkdtemp(join(tmpdir(), 'omc-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const { code } = await newCode(dir);
  const sum = `sha256sum <<<"$(printf %s 'guide' | base64 -w0)" | cut -d' ' -f1 > '${dir}/auth-codes.txt'`;
  await startProgram('/bin/bash', ['-c', sum]).ended;
  await writeFile(join(dir, 'decide'), '#!/bin/sh\n[ "$2" = "$(printf decided | base64)" ]\n', {
    mode: 0o755,
  });
  /** The words of a line after `onionmc`, with places of this test. */
  const typed = async (line: string): Promise<string[]> => {
    const port = await freePort();
    const here = line
      .replace(/(127\.0\.0\.1|10\.0\.0\.5):5555/, `127.0.0.1:${port}`)
      .replaceAll(/\/(?:run\/onionmc|etc\/loki|usr\/local\/bin)\//g, `${dir}/`);
    return [...here.split(' ').slice(1), '--datadir', dir];
  };
  for (const [line, right] of [
    [ours, code],
    [guide, 'guide'],
    [decided, 'decided'],
  ] as const) {
    // oxlint-disable no-await-in-loop -- one server after the other
    const [, , ...args] = await typed(line);
    const { cli, address } = await serve(t, ...args);
    const [, plain = address, key] = /^curve:(.*)\/([0-9a-f]{64})$/.exec(address) ?? [];
    const peer = await endpoint(t, key === undefined ? plain : `tcp:${plain}`, key);
    t.same(await peer.ask(right), ['REPLY', REPLY, 'OKAY', 'OK'], line);
    t.equal((await peer.ask('wrong'))[2], 'REJECT', line);
    cli.child.kill('SIGTERM');
    t.equal((await cli.ended).code, 0, line);
    // oxlint-enable no-await-in-loop
  }
  const written = await runCli([...config.split(' ').slice(1), '--datadir', dir]);
  t.equal(written.code, 0, written.stderr);
  t.match(written.stdout, /^auth-lmq=curve:\/\/10\.0\.0\.5:5555\/[0-9a-f]{64}$/m);
});

t.test(
  'a plain socket beyond this machine needs a word; an address in use is an error',
  async (t) => {
    const dir = t.testdir();
    const port = await freePort();
    const open = ['admission', 'serve', '--bind', `tcp://0.0.0.0:${port}`, '--datadir', dir];
    const refused = await runCli(open);
    t.equal(refused.code, 2);
    t.match(refused.stderr, /curve:\/\/.*--plain-beyond-loopback/);
    const busy = createServer();
    await new Promise<void>((resolve) => busy.listen(port, '127.0.0.1', resolve));
    const taken = await runCli([
      'admission',
      'serve',
      '--bind',
      `tcp://127.0.0.1:${port}`,
      '--datadir',
      dir,
    ]);
    t.equal(taken.code, 3);
    t.match(taken.stderr, /cannot listen on/);
    busy.close();
  },
);

t.test('without the package zeromq the error names the line that installs it', async (t) => {
  const dir = t.testdir({
    'hook.mjs': `export async function resolve(name, context, next) {
      if (name === 'zeromq') throw Object.assign(new Error('gone'), { code: 'ERR_MODULE_NOT_FOUND' });
      return next(name, context);
    }`,
    'register.mjs':
      "import { register } from 'node:module'; register('./hook.mjs', import.meta.url);",
  });
  const env = { NODE_OPTIONS: `--import=${join(dir, 'register.mjs')}` };
  const args = ['--bind', `tcp://127.0.0.1:${await freePort()}`, '--datadir', dir];
  const { code, stderr } = await runCli(['admission', 'serve', ...args], { env });
  t.equal(code, 2);
  t.match(stderr, /zeromq is not installed; .*npm install --ignore-scripts zeromq@6/);
  const codes = await runCli(['admission', 'code', 'add', '--datadir', dir], { env });
  t.equal(codes.code, 0, 'the other commands do not need it');
});
