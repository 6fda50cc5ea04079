/** `onionmc list`, `kick`, `bans` and `unban` against a running directory, over real sockets. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { kickTarget } from '../../src/cli/operator.js';
import { peersTable } from '../../src/cli/peer-tables.js';
import { REQUEST_SOCKET } from '../../src/ops/request-socket.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { addLocationKind } from '../../src/protocol/location.js';
import { ok } from '../../src/protocol/result.js';
import { parseOperatorRequest } from '../../src/roles/operator-requests.js';
import { hello, onion, type Hello } from '../directory/wire.js';
import { startUpgradable, type Program } from '../handover/program.js';
import { runCli, type Ended } from '../helpers/cli.js';
import { dialRaw, type RawPeer } from '../helpers/raw-peer.js';

t.setTimeout(180_000);

const host = (n: number): string => onion(n).replace(/:\d+$/, '');
const EVIL = '\u001b[2J\u202eEVIL\u0007';

interface Scene {
  readonly program: Program;
  readonly statusPort: number;
  /** A command with the data directory of the directory. */
  readonly run: (...args: readonly string[]) => Promise<Ended>;
  readonly json: (...args: readonly string[]) => Promise<Record<string, unknown>>;
  readonly join: (nick: string, options?: Hello) => Promise<RawPeer>;
  /** The text of the answer to a handshake. */
  readonly greet: (nick: string, options?: Hello) => Promise<string>;
}

async function scene(t: Test): Promise<Scene> {
  const statusPort = await freePort();
  const program = await startUpgradable(t, { extra: `status_port = ${statusPort}` });
  const [, port = ''] = await program.first.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
  const run = (...args: readonly string[]): Promise<Ended> =>
    runCli([...args, '--datadir', program.datadir]);
  async function greeted(nick: string, options?: Hello) {
    const peer = await dialRaw({ kind: 'loopback', host: '127.0.0.1', port: Number(port) });
    t.teardown(() => peer.cut());
    peer.send(793, hello(nick, options));
    return { peer, answer: (await peer.nextOf(795)).line };
  }
  return {
    program,
    statusPort,
    run,
    async json(...args) {
      return JSON.parse((await run(...args, '--json')).stdout);
    },
    join: async (nick, options) => (await greeted(nick, options)).peer,
    greet: async (nick, options) => (await greeted(nick, options)).answer,
  };
}

t.test('list, kick, ban and unban', async (t) => {
  const { program, statusPort, run, json, join: joins, greet } = await scene(t);
  t.match(await run('list'), { code: 0, stdout: 'no peers are connected\n' });
  t.match(await run('bans'), { code: 0, stdout: 'no bans are in force\n' });

  const observer = await joins('J5observer');
  const maker = await joins('J5maker', {
    location: onion(1),
    features: { ping: true, [EVIL]: true, ...manyFeatures() },
  });
  maker.send(687, 'J5maker!PUBLIC!hello');
  await observer.nextOf(687);
  const listed = await run('list');
  t.equal(listed.code, 0, listed.stderr);
  const [heading = '', ...rows] = listed.stdout.trimEnd().split('\n');
  t.match(heading, /^nick +kind +since +dir +queue +in +out +features$/);
  t.match(rows[0], /^J5observer +not-serving +00:00:\d\d +in +0 B +0 +2 +-$/);
  t.match(rows[1], /^J5maker +serving +00:00:\d\d +in +0 B +1 +1 +\S/);
  t.equal(rows[2], '2 peers');
  t.notMatch(listed.stdout, /[^\P{C}\n]/u, 'text of peers contains no control character');
  t.match((await run('list', '--locations')).stdout, onion(1));
  const { peers, total } = await json('list');
  t.equal(total, 2);
  t.match(peers, [
    { nick: 'J5observer', kind: 'not-serving', location: 'NOT-SERVING-ONION', messagesOut: 2 },
    { nick: 'J5maker', kind: 'serving', location: onion(1), direction: 'in', queuedBytes: 0 },
  ]);
  const [, { features = [] } = {}] = Array.isArray(peers) ? peers : [];
  t.equal(features.length, 16, 'the features of one peer are bounded');

  const unknown = await run('kick', 'J5absent');
  t.same(unknown, {
    code: 1,
    signal: null,
    stdout: '',
    stderr: 'onionmc: J5absent: no such peer is connected now\n',
  });
  t.equal((await run('kick', onion(7), '--ban', '1h')).code, 1);
  t.equal((await run('unban', 'J5absent')).code, 1);
  t.match(await run('bans'), { stdout: 'no bans are in force\n' }, 'a failed kick adds no ban');

  const kicked = await run('kick', 'J5maker', '--ban', '1h');
  t.equal(kicked.code, 0, kicked.stderr);
  t.match(kicked.stdout, 'closed 1 peer: J5maker\nbanned for 01:00:00: J5maker ');
  t.match(kicked.stdout, host(1));
  await maker.over;
  t.equal((await observer.nextOf(789)).line, `J5maker;${onion(1)};D`, 'the other peers are told');
  for (const [nick, location] of [
    ['J5maker', undefined],
    ['J5fresh', onion(1)],
  ] as const) {
    const answer = await greet(nick, location === undefined ? {} : { location });
    t.match(answer, /"accepted": false.*does not serve this peer/, nick);
  }
  const bans = await run('bans');
  t.match(bans.stdout, /^kind +name +expires in\nnick +J5maker +0(1:00:00|0:59:\d\d)\nonion +/);

  const metrics = await (await fetch(`http://127.0.0.1:${statusPort}/metrics`)).text();
  t.match(metrics, /^onionmc_closed_total\{reason="kicked"\} 1$/m);
  t.match(metrics, /^onionmc_handshakes_rejected_total\{reason="banned"\} 2$/m);
  t.match(metrics, /^onionmc_bans 2$/m);

  t.match(await run('unban', 'J5maker'), { code: 0, stdout: 'lifted 1 ban\n' });
  t.match(await run('unban', '--all'), { code: 0, stdout: 'lifted 1 ban\n' });
  t.match(await greet('J5maker', { location: onion(1) }), /"accepted": true/);

  const log = program.stderr();
  t.match(log, /the operator closed peers/);
  t.match(log, /"banSeconds":3600/);
  t.notMatch(log, /J5maker|J5fresh/, 'the log contains no nick');
  t.notMatch(log, host(1));
  await run('kick', 'J5maker', '--ban', '1m', '--log-names');
  await program.first.shows('stderr', new RegExp(`J5maker ${host(1)}`));
});

/** More features than a list should show. */
function manyFeatures(): Record<string, boolean> {
  const names = Array.from({ length: 60 }, (_, i) => [`x${i}`.padEnd(60, 'y'), true] as const);
  return Object.fromEntries(names);
}

t.test('bans continue after an upgrade, and expire in the new process', async (t) => {
  const { program, run, json, join: joins, greet } = await scene(t);
  await joins('J5maker', { location: onion(1) });
  const stays = await joins('J5stays');
  t.equal((await run('kick', 'J5maker', '--ban', '1h')).code, 0);
  const short = await joins('J5short');
  t.equal((await run('kick', 'J5short', '--ban', '4s')).code, 0);
  await short.over;
  t.equal((await program.upgrade()).code, 0);
  t.match(await greet('J5maker'), /"accepted": false/, 'refused by the new process');
  const banned = async (): Promise<string> => (await run('bans')).stdout;
  t.match(await banned(), /^nick +J5maker +0[01]:\d\d:\d\d$/m);
  t.match(await banned(), host(1));
  const { peers } = await json('list');
  t.match(peers, [{ nick: 'J5stays' }]);
  t.match(await run('kick', 'J5stays'), { code: 0 }, 'the new process answers the command');
  await stays.over;
  // The test cannot set the clock of the process; each request takes as long as the start of a program.
  const deadline = performance.now() + 60_000;
  // oxlint-disable-next-line no-await-in-loop -- one request after the other
  while ((await banned()).includes('J5short')) {
    if (performance.now() > deadline) throw new Error('the ban does not expire');
  }
  t.match(await greet('J5short'), /"accepted": true/);
});

t.test('a wrong command line, and a directory that does not run', async (t) => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['kick'], /missing required argument 'who'/],
    [['kick', 'J5x', '--ban', 'long'], /a time such as 30m, 1h or 7d; at most 30d/],
    [['kick', 'J5x', '--ban', '31d'], /at most 30d/],
    [['kick', 'J5x', '--ban', '0h'], /at most 30d/],
    [['kick', 'a b'], /"a b" is not a nick or an onion/],
    [['kick', 'abc.onion'], /not the address of a v3 onion; copy it whole/],
    [['unban'], /a nick, an onion, or --all/],
    [['unban', 'J5x', '--all'], /a nick, an onion, or --all/],
  ];
  for (const [args, said] of cases) {
    const { code, stderr } = await runCli(args);
    t.equal(code, 2, args.join(' '));
    t.match(stderr, said);
    t.equal(stderr.trimEnd().split('\n').length, 1, 'one line');
  }
  const datadir = t.testdir({});
  for (const args of [['list'], ['kick', 'J5x'], ['bans'], ['unban', '--all']]) {
    const { code, stderr } = await runCli([...args, '--datadir', datadir]);
    t.equal(code, 3, args.join(' '));
    t.match(stderr, /^onionmc: no directory runs with the data directory /);
  }
});

t.test('the socket answers known requests, and closes on all other input', async (t) => {
  const { program } = await scene(t);
  const ask = async (bytes: string): Promise<string> => {
    const socket = connect(join(program.datadir, REQUEST_SOCKET));
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.on('error', () => {});
    socket.write(bytes);
    await once(socket, 'close');
    return text;
  };
  t.match(JSON.parse(await ask('{"ask":"list"}\n')), { peers: [], total: 0 });
  for (const bytes of [
    'nonsense\n',
    '{"ask":"list"}\n{"ask":"list"}\n',
    '\n',
    '{"ask":"kick"}\n',
    '{"ask":"kick","target":{"by":"nick","name":"J5x"},"banMs":1e99}\n',
    `{"ask":"unban","name":"${'x'.repeat(200)}"}\n`,
    'x'.repeat(5_000),
  ]) {
    t.equal(await ask(bytes), '', bytes.slice(0, 60));
  }
});

t.test('requests of the socket are read without a throw', (t) => {
  fc.assert(fc.property(fc.string(), (line) => void parseOperatorRequest(line)));
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom('list', 'kick', 'unban'), (value, ask) => {
      parseOperatorRequest(JSON.stringify(value));
      parseOperatorRequest(JSON.stringify({ ask, target: value, name: value, banMs: value }));
    }),
  );
  const target = { by: 'nick', name: 'J5x' };
  const request = { ask: 'kick', target, banMs: 1_000, logNames: true };
  t.same(parseOperatorRequest(JSON.stringify(request)), { ok: true, value: request });
  t.end();
});

const labHost = (text: string) => (text.endsWith('.lab') ? ok(text) : undefined);

t.test('how the argument WHO is read', (t) => {
  const rows = [
    ['J5maker', false, { by: 'nick', name: 'J5maker' }],
    [host(1), false, { by: 'onion', name: host(1) }],
    [onion(1), false, { by: 'onion', name: host(1) }],
    [host(1).toUpperCase(), false, { by: 'onion', name: host(1) }],
    ['127.0.0.1:5222', false, { by: 'loopback', name: '127.0.0.1:5222' }],
    // A peer may use an onion as its nick; a kick of that nick must not close the owner of the onion.
    [host(1), true, { by: 'nick', name: host(1) }],
    ['127.0.0.1:5222', true, { by: 'nick', name: '127.0.0.1:5222' }],
  ] as const;
  for (const [who, isNick, target] of rows) t.same(kickTarget(who, isNick), target, who);

  t.teardown(addLocationKind('x-lab', { read: labHost, sharesHost: false }));
  const target = { by: 'x-lab', name: 'a.lab' };
  t.same(kickTarget('a.lab:7', false), target, 'a kind that the program added');
  t.match(parseOperatorRequest(JSON.stringify({ ask: 'kick', target })), { value: { target } });
  t.end();
});

t.test('the table of peers can show any answer', (t) => {
  const long = { nick: 'x'.repeat(500), features: [EVIL, 7, 'y'.repeat(500)], queuedBytes: 'x' };
  const table = peersTable({ peers: [long, 7, null], total: 12_345 }, true);
  t.notMatch(table, /[^\P{C}\n]/u);
  t.match(table, /12 345 peers, 12 342 of them not shown$/);
  t.ok(table.split('\n').every((line) => line.length < 260));
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      peersTable({ peers: value, total: value }, true);
      peersTable({ peers: [value], total: value }, false);
    }),
  );
  t.end();
});
