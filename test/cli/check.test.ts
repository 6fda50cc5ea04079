/** `onionmc check` and `onionmc status`, for an operator and for a monitoring program. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { checkJson, checkTable, greetingLines } from '../../src/cli/check-view.js';
import { parseAddress } from '../../src/cli/check.js';
import type { OverlayName } from '../../src/config/overlays.js';
import { readStatus } from '../../src/cli/status.js';
import { statusPage, type StatusJson } from '../../src/cli/status-page.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import type { ProbeResult, Greeting } from '../../src/probe/probe.js';
import { formatLocation, onionHost, type Location } from '../../src/protocol/location.js';
import {
  historyEntry,
  openCheckHistory,
  parseHistory,
  uptimeOf,
} from '../../src/roles/check-history.js';
import { startPrivateTorNetwork } from '../../src/lab/private-network/network.js';
import { connectControl } from '../../src/tor/control/client.js';
import { runCli, startCli } from '../helpers/cli.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { directoryAnswer, startFakeDirectory } from '../helpers/fake-directory.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

/** A configuration with the address of the status page. */
const pageConfig = (host: string, port: number): string =>
  `[BLOCKCHAIN]\nnetwork = signet\n[DIRECTORY]\nstatus_host = ${host}\nstatus_port = ${port}\n`;

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const run = promisify(execFile);

/** The output in a terminal: `script` runs the command in a terminal of its own. */
async function inTerminal(url: string, env: Record<string, string> = {}): Promise<string> {
  const command = `"${process.execPath}" "${MAIN}" status --url ${url}`;
  const { stdout } = await run('script', ['-qec', command, '/dev/null'], {
    env: { PATH: process.env['PATH'] ?? '', TERM: 'xterm', ...env },
  });
  return stdout;
}

async function tempDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'omcc-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/**
 * No test may start a Tor that connects to the Internet, or use the Tor of this machine. Outside loopback
 * mode a check uses only the Tor of its `--socks`.
 */
const NO_TOR = 'tor_mode = external\nsocks5_host = 127.0.0.1\nsocks5_port = 1';

async function datadirWith(
  t: Test,
  onion: string,
  directory = '',
  network = 'signet',
): Promise<string> {
  const datadir = await tempDir(t);
  await writeFile(
    join(datadir, 'joinmarket.cfg'),
    `[BLOCKCHAIN]\nnetwork = ${network}\n[MESSAGING:onion]\ntype = onion\n${NO_TOR}\n${onion}\n[DIRECTORY]\n${directory}\n`,
  );
  return datadir;
}

const A: Location = { kind: 'onion', host: onionHost(new Uint8Array(32).fill(1)), port: 5222 };
const B: Location = { kind: 'onion', host: onionHost(new Uint8Array(32).fill(2)), port: 5222 };
const GREETING: Greeting = {
  nick: 'J5directoryOOOOO',
  network: 'signet',
  motd: 'one\ntwo',
  version: '0.9.12',
  features: [],
};
const SEEN = { tookMs: 3, dialMs: 1_234.5, handshakeMs: 400, greeting: GREETING };
const LEGS = { 'private-there': 300, 'private-back': 500, 'public-there': 200, 'public-back': 1 };
const FINE: ProbeResult = { ...SEEN, location: A, outcome: 'relays', legs: LEGS };
const MUTE: ProbeResult = {
  ...SEEN,
  location: B,
  outcome: 'accepts-only',
  legs: { 'private-there': undefined, 'public-there': undefined },
  peerlist: { peers: 1_234, serving: 5, tookMs: 1 },
};
const DOWN: ProbeResult = {
  location: B,
  tookMs: 1,
  outcome: 'unreachable',
  reason: 'no\u001b[31m such\nonion',
};

t.test('addresses', async (t) => {
  const host = A.host;
  for (const text of [host, `${host}:5222`, host.toUpperCase()]) {
    t.same(parseAddress(text, ['tor']), A, text);
  }
  t.match(parseAddress('127.0.0.1:5', ['loopback']), { kind: 'loopback', port: 5 });
  for (const text of [host, '127.0.0.1:5']) t.ok(parseAddress(text, ['tor', 'loopback']), text);
  const refused: readonly (readonly [string, OverlayName])[] = [
    ['example.org:5222', 'tor'],
    ['example.org', 'tor'],
    ['127.0.0.1:5222', 'tor'],
    ['localhost:5222', 'tor'],
    [`${host}:0`, 'tor'],
    [`x${host.slice(1)}`, 'tor'],
    [`${host}:5222`, 'loopback'],
    ['192.0.2.1:5222', 'loopback'],
    ['', 'tor'],
  ];
  for (const [text, overlay] of refused) {
    t.throws(() => parseAddress(text, [overlay]), { name: 'UsageError', exitCode: 2 }, text);
  }
});

t.test('the table', async (t) => {
  const text = checkTable([FINE, MUTE, DOWN]);
  t.match(text, /^directory +connect +greet +relay +peers\n/);
  t.match(text, /\.\.\. +ok +1235 ms +400 ms +500 ms +-\n/);
  t.match(text, /\.\.\. +FAIL +1235 ms +400 ms +- +1234\n/);
  t.match(text, / {2}accepts but does not relay\n/);
  t.match(text, / {2}not reachable: no\\u001b\[31m such\\nonion$/, 'no control character');
  const lines = text.split('\n');
  t.ok(
    lines.every((line) => line.length <= 80),
    'at most 80 columns',
  );
  t.match(
    greetingLines([FINE, DOWN]),
    /\n {2}0\.9\.12, signet, nick J5\w+, features none\n {2}\| one\n {2}\| two$/,
  );

  const now = 1_000_000;
  const entries = [
    historyEntry(DOWN, now - 100_000),
    historyEntry(MUTE, now - 50),
    ...Array.from({ length: 9_999 }, () => historyEntry({ ...FINE, location: B }, now - 40)),
    historyEntry(FINE, now),
  ];
  const [, fine = '', mute = ''] = checkTable([FINE, MUTE], { entries, now }).split('\n');
  t.match(fine, / 100\.0 % {2}100\.0 %$/);
  t.match(mute, / {2}99\.9 % {3}99\.9 %$/, 'never rounded up to 100 %');
  const json: unknown = JSON.parse(
    checkJson([FINE, MUTE, DOWN], { network: 'signet', now, entries }),
  );
  t.match(json, {
    ok: false,
    directories: [
      { ok: true, outcome: 'relays', relay_ms: { private_back: 500 }, version: '0.9.12' },
      { ok: false, outcome: 'accepts-only', peers: { all: 1_234, serving: 5 } },
      { ok: false, outcome: 'unreachable', connect_ms: null, motd: null, relay_ms: null },
    ],
  });
});

t.test('history', async (t) => {
  const file = join(await tempDir(t), 'new', 'history.jsonl');
  const first = await openCheckHistory(file);
  await first.add([historyEntry(FINE, 10), historyEntry(MUTE, 10)]);
  await first.add([historyEntry({ ...FINE, location: B }, 20)]);
  t.equal((await stat(file)).mode & 0o777, 0o600);
  t.same(uptimeOf(first.entries, formatLocation(B)), { checks: 2, share: 0.5 });
  t.same(uptimeOf(first.entries, formatLocation(B), 15), { checks: 1, share: 1 });
  t.equal(uptimeOf(first.entries, formatLocation(B), 21), undefined);

  t.test('a crash in the middle of a line of the history', async (t) => {
    await writeFile(file, `${await readFile(file, 'utf8')}{"at":30,"direc`);
    const second = await openCheckHistory(file);
    t.equal(second.entries.length, 3, 'complete lines are read');
    await second.add([historyEntry(FINE, 40)]);
    t.equal((await openCheckHistory(file)).entries.length, 4, 'the next line is complete');
  });

  t.test('the history is bounded', async (t) => {
    const small = await openCheckHistory(file, 2_000);
    for (let at = 100; at < 200; at++) {
      await small.add([historyEntry(FINE, at)]);
      t.ok((await stat(file)).size <= 2_000);
    }
    t.equal(small.entries.at(-1)?.at, 199, 'the newest entries stay');
    t.same((await openCheckHistory(file, 2_000)).entries, small.entries);
    await writeFile(file, `{${'x'.repeat(2_500)}\n${JSON.stringify(historyEntry(FINE, 7))}\n`);
    t.same(
      (await openCheckHistory(file, 2_000)).entries,
      [historyEntry(FINE, 7)],
      'cut when opened',
    );
    await t.rejects(openCheckHistory(file, 10), /larger than/, 'a file of another kind');
  });

  t.test('a file that cannot be a history', async (t) => {
    const dir = await tempDir(t);
    const notes = join(dir, 'notes.txt');
    await writeFile(notes, 'not a history\n');
    for (const [path, reason] of [
      [notes, /the history \S+notes\.txt cannot be kept \(the file is not a history\): give/],
      [dir, /\(EISDIR\): give another file with --history/],
      [join(notes, 'x'), /\(ENOTDIR\)/],
    ] as const) {
      await t.rejects(openCheckHistory(path), { message: reason, exitCode: 2 });
    }
    t.equal(await readFile(notes, 'utf8'), 'not a history\n', 'not changed');
    const own = join(dir, 'own');
    const opened = await openCheckHistory(own);
    await rm(own);
    await mkdir(own);
    await t.rejects(opened.add([historyEntry(FINE, 1)]), {
      message: /own cannot be kept \(EISDIR/,
    });
  });

  const line = fc.oneof(fc.string(), fc.json(), fc.constant(JSON.stringify(historyEntry(FINE, 1))));
  const property = fc.property(fc.array(line), (lines) => {
    const entries = parseHistory(lines.join('\n'));
    return entries.every(({ at, ok }) => Number.isFinite(at) && typeof ok === 'boolean');
  });
  t.equal(fc.defaultReportMessage(fc.check(property)), undefined, 'any content of the file');
});

t.test('check over loopback', async (t) => {
  const mute = await startFakeDirectory();
  const serveMute = async (): Promise<void> => {
    for (;;) {
      const peer = await mute.accept();
      void peer.nextOf(793).then(() => peer.send(795, directoryAnswer({ motd: 'I say nothing' })));
    }
  };
  void serveMute();
  t.teardown(() => mute.close());
  const port = await freePort();
  const statusPort = await freePort();
  const serving = `regtest_count = 1,1\nonion_serving_port = ${port}`;
  const node = startCli([
    'directory',
    'hello there',
    '--datadir',
    await datadirWith(t, serving, `status_port = ${statusPort}`),
  ]);
  await node.shows('stdout', /127/);
  const well = `127.0.0.1:${port}`;
  const datadir = await datadirWith(t, `regtest_count = 1,1\ndirectory_nodes = ${well}`);
  const check = (...args: string[]) => runCli(['check', '--datadir', datadir, ...args]);

  t.test('a directory that works', async (t) => {
    const { code, stdout, stderr } = await check('--relay');
    t.equal(code, 0, stderr);
    t.match(stdout, /^127\.0\.0\.1:\d+ +ok( +\d+ ms){3} +0$/m, 'the configured directory');
    t.match(stdout, /onionmc\/\S+, signet, nick J5\w{14}, features peerlist_features ping$/m);
    t.match(stdout, /^ {2}\| hello there$/m);
    t.equal(stderr, '');
  });

  t.test('one directory is silent, one is not there', async (t) => {
    const gone = `127.0.0.1:${await freePort()}`;
    const muteAt = formatLocation(mute.location);
    const silent = runCli(['check', '--datadir', datadir, '--json', well, muteAt, gone]);
    const { code, stdout } = await silent;
    t.equal(code, 1);
    t.match(JSON.parse(stdout), {
      network: 'signet',
      ok: false,
      directories: [
        { location: well, outcome: 'accepted', peers: { all: 0 } },
        { location: muteAt, outcome: 'accepted', motd: 'I say nothing', peers: null },
        { location: gone, outcome: 'unreachable' },
      ],
    });
    t.equal(stdout.trim().split('\n').length, 1);
  });

  t.test('--watch', async (t) => {
    const watching = startCli(['check', '--datadir', datadir, '--watch', '--interval', '10']);
    await watching.shows('stdout', /UTC, every 10 s, signet\n\n[^]*100\.0 % {2}100\.0 %\n/);
    const file = join(datadir, 'check-history.jsonl');
    t.match(parseHistory(await readFile(file, 'utf8')), [{ directory: well, ok: true }]);
    watching.child.kill('SIGTERM');
    t.equal((await watching.ended).code, 0);
  });

  t.test('wrong usage', async (t) => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['example.org:5222'], /"example\.org:5222" cannot be checked .* 127\.0\.0\.1:port/],
      [[formatLocation(A)], /cannot be checked \(an onion address\)/],
      [['--interval', '1', well], /from 10 to 86400/],
      [['--socks', 'nothing', well], /host:port of the SOCKS port/],
      [['--network', 'moon', well], /mainnet, testnet, signet, regtest/],
    ];
    for (const [args, text] of cases) {
      const { code, stderr, stdout } = await check(...args);
      t.equal(code, 2, args.join(' '));
      t.match(stderr, text);
      t.equal(stdout, '');
    }
    const empty = await datadirWith(t, 'directory_nodes =', '', 'regtest');
    const { code, stderr } = await runCli(['check', '--datadir', empty]);
    t.equal(code, 2, 'regtest has no shipped list, so an address must be given');
    t.match(stderr, /name a directory to check/);
  });

  t.test('status', async (t) => {
    const url = `http://127.0.0.1:${statusPort}`;
    const shown = await runCli(['status', '--url', url]);
    t.equal(shown.code, 0, shown.stderr);
    t.match(shown.stdout, /^onionmc \S+, signet, up \d\d:\d\d:\d\d\n127\.0\.0\.1:\d+\n/);
    t.match(shown.stdout, /^health +all is well\nonion +reachable\ncanary +off\n/m);
    t.notOk(shown.stdout.includes('\u001b'), 'no colours in a pipe');
    const json = await runCli(['status', '--json', '--url', url]);
    t.match(JSON.parse(json.stdout), {
      health: { ok: true },
      kinds: { serving: 0, notServing: 0 },
      lag: { peers: 0, mostBytes: 0 },
      canary: { state: 'off', tests: 0 },
    });

    t.test('status of a data directory', async (t) => {
      const own = await mkdtemp(join(tmpdir(), 'onionmc-status-'));
      t.teardown(() => rm(own, { recursive: true, force: true }));
      const status = async (text: string, ...more: string[]) => {
        await writeFile(join(own, 'joinmarket.cfg'), text);
        return runCli(['status', '--json', '--datadir', own, ...more]);
      };
      for (const host of ['127.0.0.1', '0.0.0.0']) {
        const { code, stdout, stderr } = await status(pageConfig(host, statusPort));
        t.equal(code, 0, stderr);
        t.match(JSON.parse(stdout), { network: 'signet' }, host);
      }
      const off = await status(pageConfig('127.0.0.1', 0));
      t.equal(off.code, 2);
      t.match(off.stderr, /joinmarket\.cfg: \[DIRECTORY\] status_port is 0/);
      const both = await status(pageConfig('127.0.0.1', statusPort), '--url', url);
      t.equal(both.code, 2);
      t.match(both.stderr, /--url and --datadir exclude each other/);
    });

    t.test('status in a terminal', async (t) => {
      t.ok((await inTerminal(url)).includes('\u001b[32mall is well\u001b[0m'));
      t.notOk((await inTerminal(url, { NO_COLOR: '1' })).includes('\u001b['));
    });

    t.test('no server, or another server', async (t) => {
      const none = await runCli(['status', '--url', `http://127.0.0.1:${await freePort()}`]);
      t.equal(none.code, 3);
      t.match(none.stderr, /^onionmc: no directory answers at \S+ \(ECONNREFUSED\): start it/);
      t.equal(none.stderr.trim().split('\n').length, 1);
      let body = '';
      const other = createServer((_, response) => response.end(body));
      other.listen(0, '127.0.0.1');
      await once(other, 'listening');
      const address = other.address();
      const otherPort = address !== null && typeof address === 'object' ? address.port : 0;
      for (body of ['{"x":1}', '[]', 'hello', `{"peers":"${'x'.repeat(300_000)}"}`]) {
        const reading = readStatus(new URL(`http://127.0.0.1:${otherPort}`));
        const error = { exitCode: 3, message: /^no directory answers at/ };
        await t.rejects(reading, error, body.slice(0, 20));
      }
      other.close();
      const wrong = await runCli(['status', '--url', 'ftp://x']);
      t.equal(wrong.code, 2);
    });
  });

  t.test('the directory stops', async (t) => {
    node.child.kill('SIGTERM');
    t.equal((await node.ended).code, 0);
  });
});

t.test('the page of a busy directory', async (t) => {
  const before: StatusJson = { messagesIn: { pubmsg: 100 }, bytesIn: 0, bytesOut: 0 };
  const now: StatusJson = {
    version: '0.1.0',
    network: 'mainnet',
    location: formatLocation(A),
    uptimeSeconds: 3 * 86_400 + 4 * 3600 + 5 * 60 + 6,
    state: 'reachable',
    health: { ok: false, reason: `the outside cannot reach the onion ${'x'.repeat(200)}` },
    canary: { state: 'unreachable', testedSecondsAgo: 12, tests: 100, failures: 3, dialMs: 1_500 },
    peers: 9_876,
    kinds: { serving: 4_000, notServing: 5_876, answerPings: 9_000, verified: 3_999 },
    messagesIn: { pubmsg: 125 },
    messagesOut: { pubmsg: 246_900 },
    bytesIn: 10_240,
    bytesOut: 512_000,
    lag: { peers: 12, mostBytes: 2_500_000 },
    dropped: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`reason-number-${i}`, i])),
    closed: { 'closed-by-peer': 12_345 },
  };
  const view = { now, before: { status: before, secondsAgo: 2 } };
  const page = statusPage({ ...view, color: false });
  t.equal(
    page,
    [
      'onionmc 0.1.0, mainnet, up 3 d 04:05:06',
      formatLocation(A),
      '',
      `health    the outside cannot reach the onion ${'x'.repeat(35)}`,
      'onion     reachable',
      'canary    unreachable, 12 s ago, 3 of 100 failed',
      '          connect 1 500 ms, greet -, relay -',
      '',
      'peers     9 876, serving 4 000, not serving 5 876, answer pings 9 000,',
      '          verified 3 999, not introduced 0',
      'messages  in 13/s, out 123 450/s, received 5.0 kB/s, sent 250 kB/s',
      'lag       12 peers behind, at most 2.4 MB, 0 messages waiting for the budget',
      'dropped   reason-number-19 19, reason-number-18 18, reason-number-17 17,',
      '          reason-number-16 16, reason-number-15 15, reason-number-14 14,',
      '          reason-number-13 13, reason-number-12 12, reason-number-11 11,',
      '          reason-number-10 10, reason-number-9 9, reason-number-8 8, 7 more',
      'refused   none',
      'closed    closed-by-peer 12 345',
    ].join('\n'),
  );
  t.ok(
    page.split('\n').every((line) => line.length <= 80),
    '80 columns',
  );
  const services = [
    { location: formatLocation(A), state: 'lost', detail: 'Tor ended' },
    { location: '127.0.0.1:5222', state: 'reachable' },
  ];
  const several = statusPage({ now: { ...now, services }, color: false }).split('\n');
  t.strictSame(several.slice(1, 4), [`${formatLocation(A)} lost`, '127.0.0.1:5222 reachable', '']);
  const coloured = statusPage({ ...view, color: true });
  // oxlint-disable-next-line no-control-regex -- removes the colours
  t.equal(coloured.replaceAll(/\u001b\[\d+m/g, ''), page, 'only colours differ');
  const odd = fc.object({ maxDepth: 2 });
  const property = fc.property(odd, (status) => {
    const { status: _, ...rest } = status;
    return statusPage({ now: { ...now, ...rest }, color: false }).length > 0;
  });
  t.equal(fc.defaultReportMessage(fc.check(property)), undefined, 'any content of the page');
});

t.test('check through a real Tor', { timeout: 200_000 }, async (t) => {
  const network = await startPrivateTorNetwork();
  t.teardown(() => network.close());
  const tor = await network.startTor({ controlPort: true });
  const { controlEndpoint: endpoint } = tor;
  if (endpoint === undefined) throw new Error('this tor has no control port');
  const overlay = createTorOverlay({
    socks: { kind: 'tcp', ...tor.socks },
    serving: {
      kind: 'control',
      identity: { kind: 'ephemeral' },
      listen: { host: '127.0.0.1', port: 0 },
      connectControl: (signal) => connectControl({ endpoint, signal }),
    },
  });
  const { location } = await serveDirectory(t, overlay, systemClock, 'J5directoryOOOOO');
  const datadir = await datadirWith(t, 'directory_nodes =');
  const socks = `127.0.0.1:${tor.socks.port}`;
  const check = (at: string, ...args: string[]) =>
    runCli(['check', '--datadir', datadir, '--socks', at, '--json', '--relay', ...args]);
  const well = await check(socks, formatLocation(location));
  t.equal(well.code, 0, well.stdout + well.stderr);
  t.match(JSON.parse(well.stdout), {
    ok: true,
    directories: [{ outcome: 'relays', relay_ms: { public_back: Number } }],
  });
  const gone = await check(socks, formatLocation(A));
  t.equal(gone.code, 1);
  t.match(JSON.parse(gone.stdout), { directories: [{ outcome: 'unreachable', text: /onion/ }] });
  const noTor = await check(`127.0.0.1:${await freePort()}`, formatLocation(location));
  t.equal(noTor.code, 3, 'the directory was not checked');
  t.match(JSON.parse(noTor.stdout), {
    directories: [{ text: /nothing listens at Tor's SOCKS port/ }],
  });
});
