/** A running directory continues in another process, without an effect on its peers. */
import t from 'tap';
import { readFileSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startSuccessor } from '../../src/handover/predecessor.js';
import { joinMany, nickOf, NO_RATES_CONFIG, type Mass } from '../directory/many.js';
import { hello, onion } from '../directory/wire.js';
import { upgradeObstacle, type ProcessPlace } from '../../src/cli/directory-upgrade.js';
import { onionHost } from '../../src/protocol/location.js';
import { runCli } from '../helpers/cli.js';
import { torConfig } from '../helpers/config.js';
import { dialRaw, type RawPeer } from '../helpers/raw-peer.js';
import { connectCountingPeers } from './counting-peers.js';
import { realProgram, startUpgradable } from './program.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

const PEERS = 500;
/** Messages that a peer is owed before the load pauses, so that it never exceeds what the machine can do. */
const MOST_OWED = 50;

interface StatusOf {
  readonly uptimeSeconds: number;
}

async function statusOf(statusPort: number): Promise<StatusOf> {
  const page = await (await fetch(`http://127.0.0.1:${statusPort}/status`)).text();
  const status: StatusOf = JSON.parse(page);
  return status;
}

/** The counters of a page, by name and labels. */
async function counters(statusPort: number): Promise<ReadonlyMap<string, number>> {
  const page = await (await fetch(`http://127.0.0.1:${statusPort}/metrics`)).text();
  const lines = page.matchAll(/^(onionmc_\w+_total(?:\{[^}]*\})?) (\S+)$/gm);
  return new Map([...lines].map(([, name = '', value]) => [name, Number(value)]));
}

t.test('500 peers under load, three upgrades in a row', async (t) => {
  const statusPort = await freePort();
  const program = await startUpgradable(t, { extra: `status_port = ${statusPort}` });
  const [, port = ''] = await program.first.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
  const counting = await connectCountingPeers(Number(port), PEERS);
  let turn = 0;
  const load = setInterval(() => {
    if (counting.owedTo(0) > MOST_OWED) return;
    if (turn % 2 === 0) counting.publish((turn / 2) % 25);
    for (let i = 0; i < 10; i++) counting.sendPrivate((turn * 10 + i) % (PEERS - 1));
    turn++;
  }, 10);

  const half = counting.next(PEERS - 1);
  const line = `{"type": 687, "line": ${JSON.stringify(half)}}\r\n`;
  counting.peers[PEERS - 1]?.socket.write(line.slice(0, 30));

  const pids = new Set<number>();
  let { uptimeSeconds: upSeconds } = await statusOf(statusPort);
  for (let i = 0; i < 3; i++) {
    // oxlint-disable-next-line no-await-in-loop
    const before = await counters(statusPort);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { code, stdout, stderr } = await program.upgrade();
    t.equal(code, 0, stderr);
    const answer: { done: boolean; pid: number; peers: number } = JSON.parse(stdout);
    t.match(answer, { done: true, peers: PEERS });
    pids.add(answer.pid);
    // oxlint-disable-next-line no-await-in-loop
    const status = await statusOf(statusPort);
    t.match(status, { peers: PEERS, state: 'reachable' }, 'the status page moved as well');
    t.ok(status.uptimeSeconds >= upSeconds, 'it has been up all the time');
    upSeconds = status.uptimeSeconds;
    // oxlint-disable-next-line no-await-in-loop
    const after = await counters(statusPort);
    t.ok(before.size > 20);
    t.same(
      [...before].filter(([name, sum]) => (after.get(name) ?? -1) < sum),
      [],
      'no counter falls',
    );
  }
  t.equal(pids.size, 3, 'three processes');
  counting.peers[PEERS - 1]?.socket.write(line.slice(30));
  clearInterval(load);
  await counting.complete();
  t.same(counting.losses, { disconnected: 0, lost: 0, doubledOrReordered: 0, garbled: 0 });
  t.comment(`${counting.counts.sent} messages, ${counting.counts.received} deliveries`);
  counting.end();
  const last = program.pid();
  t.ok(pids.has(last));
  process.kill(last, 'SIGTERM');
  t.equal((await program.first.ended).code, 0, 'the first process ended with 0');
});

/** Each stage at which a new program may fail, as code that runs before the real one. */
const BEFORE_SEND = (say: string, then: string): string => `
const send = process.send.bind(process);
process.send = (message, ...rest) => {
  if (message.say === '${say}') { ${then} }
  return send(message, ...rest);
};`;
const FAULTS: readonly (readonly [string, string, RegExp])[] = [
  ['ends at its start', 'process.exit(3);', /the new program ended \(exit code 3\)/],
  [
    'reads another format',
    `const emit = process.emit;
process.emit = function (name, message, ...rest) {
  if (name === 'message' && message?.say === 'begin') message.format = 99;
  return emit.call(this, name, message, ...rest);
};`,
    /hands over in format 99, this one reads 2: restart instead/,
  ],
  [
    'runs on a Node.js without a test',
    `const node = { value: { ...process.versions, node: '23.1.0' } };
Object.defineProperty(process, 'versions', node);`,
    /works on Node\.js 20, 22, 24, 26; this is 23\.1\.0: restart instead/,
  ],
  [
    'crashes in the middle',
    `process.on('message', ({ key }) => {
  if (key === 'copies:0') process.kill(process.pid, 'SIGKILL');
});`,
    /the new program ended \(SIGKILL\)/,
  ],
  [
    'crashes while the peers wait',
    `const emit = process.emit;
process.emit = function (name, message, ...rest) {
  if (name === 'message' && message?.key === 'directory') process.kill(process.pid, 'SIGKILL');
  return emit.call(this, name, message, ...rest);
};`,
    /the new program ended \(SIGKILL\)/,
  ],
  [
    'cannot start its parts',
    BEFORE_SEND('built', `message = { say: 'failed', why: 'no room' };`),
    /cannot take over: no room/,
  ],
  [
    'cannot read what it gets',
    `const emit = process.emit;
process.emit = function (name, message, ...rest) {
  if (name === 'message' && message?.key === 'copies:0') message.value[0].peer.nick = 'a b';
  return emit.call(this, name, message, ...rest);
};`,
    /cannot take over: what the old program handed over cannot be read: peer, snapshot-nick/,
  ],
  [
    'crashes when it takes over',
    BEFORE_SEND('taken', `process.kill(process.pid, 'SIGKILL'); return true;`),
    /the new program ended \(SIGKILL\)/,
  ],
  ['is never ready', BEFORE_SEND('ready', 'return true;'), /did not get ready within 10 s/],
];

t.test('a new program that fails, with a slow reader far behind', async (t) => {
  const size = 20;
  const program = await startUpgradable(t, {
    extra: 'send_queue_bytes = 100000000\nwrite_stall_timeout_sec = 600',
  });
  const [, port = ''] = await program.first.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
  const counting = await connectCountingPeers(Number(port), size);
  const slow = counting.peers[0]?.socket;
  slow?.pause();
  // More than the buffers of the kernel hold.
  for (let i = 0; i < 800; i++) counting.publish(1 + (i % (size - 1)), 30_000);
  const load = setInterval(() => {
    if (counting.owedTo(1) > MOST_OWED) return;
    for (let peer = 1; peer < size; peer++) counting.publish(peer);
    counting.sendPrivate(size - 1);
  }, 50);
  t.teardown(() => clearInterval(load));

  for (const [what, source, why] of FAULTS) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await program.replace(realProgram(source));
    const asked = program.upgrade();
    if (what === 'is never ready') {
      // oxlint-disable-next-line no-await-in-loop
      await program.first.shows('stderr', new RegExp(`(?:upgrade begins[^]*){${FAULTS.length}}`));
      // oxlint-disable-next-line no-await-in-loop
      t.match(JSON.parse((await program.upgrade()).stdout), {
        done: false,
        why: 'an upgrade is under way already',
      });
      process.kill(program.pid(), 'SIGHUP');
    }
    // oxlint-disable-next-line no-await-in-loop
    const { code, stdout } = await asked;
    t.equal(code, 1, what);
    const answer: { done: boolean; why: string } = JSON.parse(stdout);
    t.match(answer.why, why, what);
    t.equal(program.pid(), program.first.child.pid, 'the first process continues');
  }
  await program.first.shows('stderr', /configuration re-read/);
  await program.replace();
  t.equal((await program.upgrade()).code, 0, 'the next upgrade works');
  const owed = Number(/"owedBytes":(\d+)/.exec(program.stderr())?.[1]);
  t.ok(owed > 4_000_000, `${owed} bytes were unsent`);
  clearInterval(load);
  slow?.resume();
  await counting.complete();
  t.same(counting.losses, { disconnected: 0, lost: 0, doubledOrReordered: 0, garbled: 0 });
  t.comment(`${counting.counts.sent} messages, ${counting.counts.received} deliveries`);
  counting.end();
});

t.test('an upgrade waits while too much is queued for slow readers', async (t) => {
  const program = await startUpgradable(t, {
    extra: 'send_queue_bytes = 200000000\nwrite_stall_timeout_sec = 600',
  });
  const [, port = ''] = await program.first.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
  const counting = await connectCountingPeers(Number(port), 3);
  const slow = counting.peers[0]?.socket;
  slow?.pause();
  // 60 MB; an upgrade moves at most 34 MB.
  for (let i = 0; i < 2_000; i++) counting.publish(1 + (i % 2), 30_000);
  const asked = program.upgrade();
  await program.first.shows('stderr', /upgrade: waits for slow readers/);
  counting.sendPrivate(1);
  t.notMatch(program.stderr(), /upgrade done/, 'the peers are served meanwhile');
  slow?.resume();
  const { code, stdout } = await asked;
  t.equal(code, 0, stdout);
  await counting.complete();
  t.same(counting.losses, { disconnected: 0, lost: 0, doubledOrReordered: 0, garbled: 0 });
  counting.end();
});

t.test('signals during an upgrade reach the process that stays; systemd follows', async (t) => {
  const dir = t.testdir();
  const notify = join(dir, 'systemd-notify');
  // One write for each message: two processes send at the same time.
  const script = `printf '%s\\n' "$(printf '%s|' "$@")" >>'${dir}/sent'`;
  await writeFile(notify, `#!/bin/sh\n${script}\n`);
  await chmod(notify, 0o755);
  const program = await startUpgradable(t, {
    env: {
      PATH: `${dir}:${process.env['PATH'] ?? ''}`,
      NOTIFY_SOCKET: '/run/systemd/notify',
      WATCHDOG_USEC: '600000000',
    },
  });
  await program.first.shows('stderr', /directory node is up/);
  const first = program.pid();
  process.kill(first, 'SIGUSR2');
  await program.first.shows('stderr', /upgrade begins/);
  process.kill(first, 'SIGTERM');
  t.equal((await program.first.ended).code, 0);
  const next = program.pid();
  t.not(next, first);
  t.match(program.stderr(), /upgrade done[^]*stopping/, 'the new process was stopped');
  const sent = (await readFile(join(dir, 'sent'), 'utf8')).trim().split('\n');
  const own = sent.filter((line) => !line.startsWith('STATUS='));
  t.same(own.slice(0, 2), ['READY=1|WATCHDOG=1|', 'RELOADING=1|']);
  t.ok(own.slice(2).includes('READY=1|WATCHDOG=1|'), 'the new process feeds the watchdog at once');
  t.ok(own.includes(`MAINPID=${next}|READY=1|`));
  t.equal(own.at(-1), 'STOPPING=1|');
});

t.test('a peer that connects during an upgrade is accepted afterwards', async (t) => {
  const program = await startUpgradable(t);
  const [, port = ''] = await program.first.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
  const late = BEFORE_SEND('ready', 'setTimeout(() => send(message, ...rest), 1500); return true;');
  for (const [what, before, code] of [
    ['by the new process', late, 0],
    ['by the old one, if the new one fails', late.replace('send(message', 'process.exit(5'), 1],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await program.replace(realProgram(before));
    const came: Mass[] = [];
    const coming = setInterval(() => {
      came.push(joinMany(Number(port), nickOf(`late${code}`, came.length)));
    }, 100);
    // oxlint-disable-next-line no-await-in-loop
    const asked = await program.upgrade();
    clearInterval(coming);
    t.equal(asked.code, code, asked.stdout);
    // oxlint-disable-next-line no-await-in-loop
    const accepted = await Promise.all(came.map((peer) => peer.accepted));
    t.ok(accepted.length > 0);
    t.ok(
      accepted.every((yes) => yes),
      what,
    );
    for (const { socket } of came) socket.destroy();
  }
  t.match(program.stderr(), /"late":[1-9]/, 'some of them waited');
});

t.test('tor_mode = external: only the listener moves', async (t) => {
  const folder = t.testdir({ hostname: `${onion(3).replace(':5222', '')}\n` });
  const port = await freePort();
  const config = `
[BLOCKCHAIN]
network = signet
[MESSAGING:onion]
type = onion
tor_mode = external
onion_serving_port = ${port}
hidden_service_dir = ${folder}
[DIRECTORY]
status_port = 0
${NO_RATES_CONFIG}`;
  const program = await startUpgradable(t, { config });
  await program.first.shows('stdout', /^\S+\.onion:5222\n/);
  const counting = await connectCountingPeers(port, 3);
  t.equal((await program.upgrade()).code, 0);
  counting.publish(0);
  counting.sendPrivate(1);
  await counting.complete();
  t.same(counting.losses, { disconnected: 0, lost: 0, doubledOrReordered: 0, garbled: 0 });
  counting.end();
});

/** The answer to a 791, sorted. */
const listFor = async (peer: RawPeer): Promise<readonly string[]> => {
  peer.send(791, '');
  return (await peer.nextOf(789)).line.split(',').toSorted();
};

t.test(
  'a directory with two overlays: both listeners move, each peer stays in its own',
  async (t) => {
    const host = onionHost(new Uint8Array(32).fill(9));
    const dir = t.testdir({ hs: { hostname: `${host}\n` } });
    const [behindTor, local] = [await freePort(), await freePort()];
    const config = torConfig({
      mode: 'external',
      port: behindTor,
      onion: `hidden_service_dir = ${join(dir, 'hs')}
overlays = tor, loopback
loopback_serving_port = ${local}`,
      extra: NO_RATES_CONFIG,
    });
    const program = await startUpgradable(t, { config });
    await program.first.shows('stdout', new RegExp(`^${host}:5222\n127\\.0\\.0\\.1:${local}\n`));
    const joined = async (port: number, nick: string, location?: string): Promise<RawPeer> => {
      const peer = await dialRaw({ kind: 'loopback', host: '127.0.0.1', port });
      peer.send(793, hello(nick, location === undefined ? {} : { location }));
      t.match(JSON.parse((await peer.nextOf(795)).line), { accepted: true }, nick);
      return peer;
    };
    const maker = await joined(behindTor, 'J5maker', onion(3));
    const neighbour = await joined(local, 'J5neighbour', '127.0.0.1:4711');
    const overTor = [
      'J5early;NOT-SERVING-ONION',
      `J5maker;${onion(3)}`,
      'J5neighbour;NOT-SERVING-ONION',
    ];
    const early = await joined(behindTor, 'J5early');
    t.strictSame(await listFor(early), overTor);

    const { code, stdout, stderr } = await program.upgrade();
    t.equal(code, 0, stderr);
    t.match(JSON.parse(stdout), { done: true, peers: 3 });
    t.strictSame(await listFor(early), overTor, 'the new process knows where each peer came in');
    neighbour.send(685, 'J5neighbour!J5early!hello there');
    t.equal((await early.nextOf(685)).line, 'J5neighbour!J5early!hello there');
    t.match(
      (await early.nextOf(789)).line,
      new RegExp(`^[^,]*;${host}:5222$`),
      'its own entry alone',
    );
    const late = await joined(local, 'J5late');
    t.ok((await listFor(late)).includes('J5maker;NOT-SERVING-ONION'));
    t.ok((await listFor(late)).includes('J5neighbour;127.0.0.1:4711'));
    const later = await joined(behindTor, 'J5later');
    t.ok((await listFor(later)).includes(`J5maker;${onion(3)}`));
    maker.end();
    t.equal((await late.nextOf(789)).line, 'J5maker;NOT-SERVING-ONION;D');
    t.equal((await later.nextOf(789)).line, `J5maker;${onion(3)};D`);
    for (const peer of [neighbour, early, late, later]) peer.end();
  },
);

t.test('the upgrade command names a configuration that is wrong by now', async (t) => {
  const program = await startUpgradable(t);
  await program.first.shows('stderr', /directory node is up/);
  const file = join(program.datadir, 'joinmarket.cfg');
  const good = await readFile(file, 'utf8');
  await writeFile(file, `${good}\nmax_peers = x\n`);
  const refused = await program.upgrade();
  t.equal(refused.code, 1);
  t.match(JSON.parse(refused.stdout), {
    done: false,
    why: /cannot take over: \S+joinmarket\.cfg:\d+: \[DIRECTORY\] max_peers: found "x"; allowed:/,
  });
  await writeFile(file, good);
  t.equal((await program.upgrade()).code, 0, 'the old process continues, and can be asked again');
});

t.test('upgrade without a running directory', async (t) => {
  const file = t.testdir({ file: 'x' });
  for (const datadir of [file, join(file, 'none'), join(file, 'file')]) {
    // oxlint-disable-next-line no-await-in-loop
    const { code, stderr } = await runCli(['upgrade', '--datadir', datadir]);
    t.equal(code, 3);
    t.match(stderr, /^onionmc: no directory runs with the data directory /);
  }
  // Node.js cuts such a path before version 24, and refuses it since.
  const long = await runCli(['upgrade', '--datadir', join(file, 'x'.repeat(120))]);
  t.equal(long.code, 3);
  t.match(long.stderr, /^onionmc: no directory runs with .* too long for a socket/);
});

t.test('no upgrade where a new process could not continue', async (t) => {
  const place = { pid: 7, ppid: 5, init: 'systemd', env: {} };
  const cases: readonly (readonly [Partial<ProcessPlace>, RegExp | undefined])[] = [
    [{}, undefined],
    [{ ppid: 1 }, undefined],
    [{ pid: 1, ppid: 0 }, /process 1/],
    [{ ppid: 1, init: 'docker-init' }, /under docker-init.*restart it instead/],
    [{ ppid: 1, init: 'catatonit' }, /under catatonit/],
    [{ init: 'tini' }, undefined],
    [{ ppid: 1, env: { SYSTEMD_EXEC_PID: '7' } }, /Type=notify/],
    [{ ppid: 1, env: { SYSTEMD_EXEC_PID: '7', NOTIFY_SOCKET: '/run/x' } }, undefined],
    [{ ppid: 1, env: { SYSTEMD_EXEC_PID: '6' } }, undefined],
  ];
  for (const [other, why] of cases) {
    const said = upgradeObstacle({ ...place, ...other });
    if (why === undefined) t.equal(said, undefined, JSON.stringify(other));
    else t.match(said, why);
  }
});

/** Blocks this process until a child has ended, so that nothing of its last messages is read before. */
function untilEnded(pid: number): void {
  const deadline = Date.now() + 20_000;
  while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) {
    if (Date.now() > deadline) throw new Error('the child does not end');
  }
}

t.test('the last message of a program that ended counts, not the failed send', async (t) => {
  const program = `
    process.once('message', () => process.send({ say: 'failed', why: 'no room' }, () => process.exit(1)));
    process.send({ say: 'hello', version: '1' });`;
  const image = { program: process.execPath, args: ['-e', program] };
  const successor = await startSuccessor({ image, startMs: 20_000 });
  untilEnded(successor.pid);
  await t.rejects(successor.build(20_000), { message: /cannot take over: no room/ });
  await t.rejects(successor.withdraw('a'), { message: /cannot take over: no room/ });
});

t.test('a program that never answers is ended', async (t) => {
  const image = { program: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)'] };
  await t.rejects(startSuccessor({ image, startMs: 100 }), {
    message: 'the new program did not answer within 0.1 s',
  });
  const missing = { program: '/nonexistent/node', args: [] };
  await t.rejects(startSuccessor({ image: missing, startMs: 5_000 }), {
    message: /cannot be started/,
  });
});
