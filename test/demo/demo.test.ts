import t, { type Test } from 'tap';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openMessageChannel } from '../../src/channel/message-channel.js';
import { silentLog } from '../../src/channel/log.js';
import { memoryDemoChain, NETWORK } from '../../src/lab/demo/chain.js';
import { pictureOf } from '../../src/lab/demo/picture.js';
import { showCoinjoin } from '../../src/lab/demo/coinjoin.js';
import { openMoney } from '../../src/lab/demo/money.js';
import { allOffers } from '../../src/lab/demo/steps.js';
import { textTable } from '../../src/kit/text-table.js';
import { startLoopbackOverlays, startTorOverlays } from '../../src/lab/demo/overlays.js';
import { MAKERS, startParticipants, type Participants } from '../../src/lab/demo/participants.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { formatLocation } from '../../src/protocol/location.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { ownTemporaryFolder } from '../../src/tor/process/temporary-folder.js';
import { startTaker, type Answer, type Taker } from '../../src/roles/taker.js';
import { bitcoindCommand } from '../helpers/bitcoin-program.js';
import { startCli, type Ended, type RunningCli } from '../helpers/cli.js';
import { signedTransaction, testScript } from '../helpers/test-keys.js';

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
t.setTimeout(420_000);

const FILL = (): string => `0 100000 ${'ab'.repeat(32)} P${randomBytes(32).toString('hex')}`;

/** What both forms of the demo show of their coinjoin. */
const COINJOIN = [
  /Balances before the coinjoin/,
  /joins 5 000 000 sat with 3 makers; at most [\d ]+ sat for makers and [\d ]+ sat for miners/,
  /signing: maker 1 signed, maker 2 signed, maker 3 signed/,
  /Transaction [0-9a-f]{64}/,
  /=> /,
  /5 000 000 +=  taker +coinjoin/,
  /5 000 000 +=  maker 3 +coinjoin/,
  /4 equal outputs/,
  /Balances after the coinjoin/,
  /taker +[\d ]+ +5 000 000 /,
];

/** Ends the demo as soon as it has shown its coinjoin. */
async function untilCoinjoin(demo: RunningCli, stream: 'stdout' | 'stderr'): Promise<Ended> {
  await demo.shows(stream, /Further messages, until it is stopped/);
  demo.child.kill('SIGINT');
  return demo.ended;
}

t.test('the demo over loopback sockets shows every part and leaves nothing', async (t) => {
  const TMPDIR = await ownTmp(t);
  const demo = startCli(['demo', '--loopback', '--json'], { env: { TMPDIR } });
  const { code, stdout, stderr } = await untilCoinjoin(demo, 'stderr');
  t.equal(code, 0);
  t.match(JSON.parse(stdout), {
    network: 'loopback',
    offers: 3,
    firstRelayedMs: Number,
    firstDirectMs: Number,
    chain: bitcoindCommand() === undefined ? 'memory' : 'node',
    coinjoin: { txid: /^[0-9a-f]{64}$/, amount: 5_000_000, makers: 3, seconds: Number },
  });
  t.match(stderr, /!error: both ways by the directory/);
  t.match(stderr, /!error: both ways over the direct link/);
  for (const shown of COINJOIN) t.match(stderr, shown);
  t.same(await readdir(TMPDIR), [], 'no file is left');
  t.same(await processesNaming(TMPDIR), [], 'no process is left');
});

t.test('the demo over LLARP says that it is a laboratory, and shows every part', async (t) => {
  const TMPDIR = await ownTmp(t);
  const demo = startCli(['demo', '--overlay', 'llarp'], { env: { TMPDIR } });
  const { code, stdout } = await untilCoinjoin(demo, 'stdout');
  t.equal(code, 0);
  t.match(stdout, /^LLARP v0, a laboratory: .* it gives nobody privacy$/m, 'above everything else');
  t.match(stdout, /directory .* at [a-z0-9]{52}\.llarp:5222/);
  t.match(stdout, /!error: both ways by the directory/);
  t.match(stdout, /!error: both ways over the direct link/);
  for (const shown of COINJOIN) t.match(stdout, shown);
  t.match(stdout, /What was shown, over a laboratory that gives nobody privacy/);
  t.same(await readdir(TMPDIR), [], 'no file is left');
  t.same(await processesNaming(TMPDIR), [], 'no process is left');
  const both = await startCli(['demo', '--overlay', 'llarp', '--loopback']).ended;
  t.match(both, { code: 2, stderr: /cannot be used with option/ });
});

t.test('without a bitcoind the demo says so, and joins on the chain in memory', async (t) => {
  const signal = new AbortController().signal;
  const said: string[] = [];
  const say = (subject: string, text: string): void => void said.push(`${subject}: ${text}`);
  const overlays = await startLoopbackOverlays();
  const money = await openMoney(MAKERS, signal, say, async () => memoryDemoChain(say));
  t.teardown(() => money.close());
  t.match(said[0], /^chain: no bitcoind here: the chain is in memory/);
  const participants = await startParticipants(overlays, signal, say, money);
  t.teardown(() => participants.close());
  await allOffers(participants.taker, signal);
  const screen = {
    say,
    heading: (text: string) => void said.push(text),
    table: (rows: readonly (readonly string[])[]) => void said.push(...textTable([], rows)),
  };
  const coinjoin = await showCoinjoin(participants, money, screen, signal);
  t.match(coinjoin, { amount: 5_000_000, makers: 3 });
  for (const shown of COINJOIN)
    t.ok(
      said.some((line) => shown.test(line)),
      String(shown),
    );
  const { total } = money.taker.wallet.summary();
  t.equal(total, 19_600_000 - coinjoin.makerFees - coinjoin.minerFee, 'to the satoshi');
});

t.test('the demo over a private Tor network ends with Ctrl-C and leaves no file', async (t) => {
  const TMPDIR = await ownTmp(t);
  const demo = startCli(['demo'], { env: { TMPDIR } });
  await demo.shows('stdout', /!error: both ways by the directory/);
  await demo.shows('stdout', /!error: both ways over the direct link, [\d.]+ ms/);
  await demo.shows('stdout', /Further messages, until it is stopped/);
  t.not((await processesNaming(TMPDIR)).length, 0, 'its Tor processes are known by their folder');
  const stopped = performance.now();
  demo.child.kill('SIGINT');
  const { code, stdout, stderr } = await demo.ended;
  t.comment(`ended after ${((performance.now() - stopped) / 1_000).toFixed(1)} s`);
  t.equal(code, 0, stderr);
  t.match(stdout, /descriptor uploads/, 'progress was shown while Tor booted');
  for (const shown of COINJOIN) t.match(stdout, shown);
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
  t.ok(left.length >= 1, 'the killed demo left its folders');
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
  t.match(stderr, /the output was closed before the demo had shown a coinjoin/);

  const whole = startCli(['demo', '--loopback']);
  await whole.shows('stdout', /Further messages, until it is stopped/);
  whole.child.stdout?.destroy();
  t.equal((await whole.ended).code, 0, 'it ran to the end');
});

t.test('the picture of a transaction', async (t) => {
  const coins = [1, 2].map((index) => ({
    txid: `${index}`.repeat(64),
    vout: index,
    script: testScript(index),
    value: 10_000 + 20_000 * index,
  }));
  const outputs = [
    { script: testScript(3), value: 20_000 },
    { script: testScript(4), value: 20_000 },
    { script: testScript(5), value: 39_500 },
  ];
  const owners = new Map([1, 2, 3, 4, 5].map((n) => [testScript(n), n % 2 === 0 ? 'even' : 'odd']));
  const picture = pictureOf({
    transaction: signedTransaction(coins, outputs),
    spent: ({ vout }) => coins.find((it) => it.vout === vout),
    ownerOf: (script) => owners.get(script),
    amount: 20_000,
  });
  t.equal(picture.fee, 500);
  t.equal(picture.equal, 2);
  t.same(picture.rows.slice(1), [
    ['odd', '11111111:1', '30 000', '=>', '20 000', '=', 'odd', 'coinjoin'],
    ['even', '22222222:2', '50 000', '', '20 000', '=', 'even', 'coinjoin'],
    ['', '', '', '', '39 500', '', 'odd', 'change'],
  ]);
  t.throws(
    () =>
      pictureOf({
        transaction: new Uint8Array(3),
        spent: () => undefined,
        ownerOf: () => undefined,
        amount: 1,
      }),
    RangeError,
  );
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
    network: NETWORK,
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
