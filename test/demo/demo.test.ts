import t, { type Test } from 'tap';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openMessageChannel } from '../../src/channel/message-channel.js';
import { silentLog } from '../../src/channel/log.js';
import { startTorOverlays } from '../../src/lab/demo/overlays.js';
import { startParticipants, type Participants } from '../../src/lab/demo/participants.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { formatLocation } from '../../src/protocol/location.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { ownTemporaryFolder } from '../../src/tor/process/temporary-folder.js';
import { startTaker, type Answer, type Taker } from '../../src/roles/taker.js';
import { startCli } from '../helpers/cli.js';

/** A temporary folder with a short path, in which a test sees every file that is left. */
async function ownTmp(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'omcd-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Command lines of all processes that name a folder. */
async function processesNaming(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(folder));
}

// The whole file; the last scene alone may take two minutes.
t.setTimeout(300_000);

const FILL = (): string => `0 100000 ${'ab'.repeat(32)} P${randomBytes(32).toString('hex')}`;

t.test('the demo over loopback sockets shows every part and ends by itself', async (t) => {
  const demo = startCli(['demo', '--loopback', '--seconds', '8', '--json']);
  const { code, stdout, stderr } = await demo.ended;
  t.equal(code, 0, stderr);
  t.match(JSON.parse(stdout), {
    network: 'loopback',
    offers: 3,
    firstRelayedMs: Number,
    firstDirectMs: Number,
  });
  t.match(stderr, /!error: both ways by the directory/);
  t.match(stderr, /!error: both ways over the direct link/);
});

t.test('the demo over a private Tor network ends with Ctrl-C and leaves no file', async (t) => {
  const TMPDIR = await ownTmp(t);
  const demo = startCli(['demo'], { env: { TMPDIR } });
  await demo.shows('stdout', /!error: both ways by the directory/);
  await demo.shows('stdout', /!error: both ways over the direct link, [\d.]+ ms/);
  t.not((await processesNaming(TMPDIR)).length, 0, 'its Tor processes are known by their folder');
  const stopped = performance.now();
  demo.child.kill('SIGINT');
  const { code, stdout, stderr } = await demo.ended;
  t.comment(`ended after ${((performance.now() - stopped) / 1_000).toFixed(1)} s`);
  t.equal(code, 0, stderr);
  t.match(stdout, /descriptor uploads/, 'progress was shown while Tor booted');
  t.match(stdout, /maker 3 .*sw0reloffer .*signed/, 'a table of offers');
  t.match(stdout, /over direct links +[\d.]+ s/, 'a summary');
  t.same(await readdir(TMPDIR), [], 'no file is left');
  t.same(await processesNaming(TMPDIR), [], 'no process is left');
});

t.test('a demo that is stopped while Tor boots leaves no file either', async (t) => {
  const TMPDIR = await ownTmp(t);
  const demo = startCli(['demo'], { env: { TMPDIR } });
  await demo.shows('stdout', /starting 5 Tor relays/);
  demo.child.kill('SIGTERM');
  t.equal((await demo.ended).code, 0);
  t.same(await readdir(TMPDIR), []);
  t.same(await processesNaming(TMPDIR), []);
});

t.test('the next demo removes the files of a killed one', async (t) => {
  const TMPDIR = await ownTmp(t);
  const killed = startCli(['demo'], { env: { TMPDIR } });
  await killed.shows('stdout', /starting 5 Tor relays/);
  killed.child.kill('SIGKILL');
  await killed.ended;
  const left = await readdir(TMPDIR);
  t.equal(left.length, 1, 'the killed demo left its folder');
  // A folder of another program, and one with an unknown owner.
  await mkdir(join(TMPDIR, 'omc-unknown'));
  await mkdir(join(TMPDIR, 'omc-alive'));
  await ownTemporaryFolder(join(TMPDIR, 'omc-alive'));

  const next = startCli(['demo'], { env: { TMPDIR } });
  await next.shows('stdout', /starting 5 Tor relays/);
  const now = new Set(await readdir(TMPDIR));
  t.notOk(left.some((name) => now.has(name)));
  t.ok(now.has('omc-unknown') && now.has('omc-alive'));
  next.child.kill('SIGTERM');
  t.equal((await next.ended).code, 0);
});

t.test('a demo whose output is closed before it has shown anything fails', async (t) => {
  const demo = startCli(['demo', '--loopback']);
  await demo.shows('stdout', /directory/);
  demo.child.stdout?.destroy();
  const { code, stderr } = await demo.ended;
  t.equal(code, 1);
  t.match(stderr, /the output was closed before the demo had shown a message over a direct link/);

  const whole = startCli(['demo', '--loopback']);
  await whole.shows('stdout', /!error: both ways over the direct link/);
  whole.child.stdout?.destroy();
  t.equal((await whole.ended).code, 0, 'it ran to the end');
});

t.test('without a tor program the demo says what to install', async (t) => {
  const demo = startCli(['demo'], { env: { PATH: await ownTmp(t) } });
  const { code, stderr } = await demo.ended;
  t.equal(code, 3);
  t.match(stderr, /apt-get install tor/);
});

/** A new peer, with its own circuits and descriptors. */
function newcomer(
  t: Test,
  participants: Participants,
  overlay: Parameters<typeof openMessageChannel>[0]['overlay'],
): Taker {
  const channel = openMessageChannel({
    network: 'signet',
    directories: [participants.directory.location],
    overlay,
    nickKey: createNickKey(randomBytes),
    serve: false,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  });
  t.teardown(() => channel.close());
  return startTaker({ channel, clock: systemClock, log: silentLog });
}

t.test('Tor restarts under a live directory and live makers', { timeout: 240_000 }, async (t) => {
  const signal = new AbortController().signal;
  const said: string[] = [];
  const waiters = new Set<() => void>();
  const overlays = await startTorOverlays(signal, (subject, text) => {
    said.push(`${subject}: ${text}`);
    for (const waiter of waiters) waiter();
  });
  t.teardown(() => overlays.close());
  const participants = await startParticipants(overlays, signal, (subject, text) => {
    said.push(`${subject}: ${text}`);
    for (const waiter of waiters) waiter();
  });
  t.teardown(() => participants.close());
  const { tors } = overlays;
  const [maker] = participants.makers;
  if (tors === undefined || maker === undefined) throw new Error('the demo has Tors and makers');
  const onions = (): string[] =>
    [participants.directory.location, ...participants.makers.map((m) => m.channel.location)].map(
      formatLocation,
    );
  const before = onions();
  t.equal(new Set(before).size, 4, 'four onions');

  const answer: Answer = await participants.taker.ask(maker.channel.nick, 'fill', FILL(), 30_000);
  t.equal(answer.commands[0].name, 'error', 'a maker answers');

  const reachableAgain = new Promise<void>((resolve) => {
    const from = said.length;
    const check = (): void => {
      const now = said.slice(from);
      if (!now.includes('directory: is reachable')) return;
      waiters.delete(check);
      resolve();
    };
    waiters.add(check);
  });
  const makersAgain = participants.makers.map(
    ({ channel }) =>
      new Promise<void>((resolve) =>
        channel.on('service-state', ({ state }) => void (state === 'reachable' && resolve())),
      ),
  );
  const killed = performance.now();
  await tors.servers.restart();
  await Promise.all([reachableAgain, ...makersAgain]);
  t.same(onions(), before, 'the same onions');
  t.ok(
    said.some((line) => line.startsWith('directory: lost')),
    'the loss was noticed',
  );

  const taker = newcomer(t, participants, await overlays.overlayFor('taker'));
  const again = await taker.ask(maker.channel.nick, 'fill', FILL(), 110_000);
  const seconds = (performance.now() - killed) / 1000;
  t.equal(again.commands[0].name, 'error', 'directory and maker answer at their old onions');
  t.ok(seconds < 120, `within 120 s (${seconds.toFixed(1)} s)`);
  t.comment(`a maker answered through the directory ${seconds.toFixed(1)} s after Tor was killed`);
  taker.stop();
});
