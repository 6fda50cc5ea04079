/** The canary of a directory: what it detects, how soon, and what peers see of it. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Log } from '../../src/channel/log.js';
import type { Connection, Overlay } from '../../src/channel/ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import type { Location } from '../../src/protocol/location.js';
import { createNickKey } from '../../src/protocol/nick.js';
import type { CanaryReport, CanaryState } from '../../src/roles/canary-report.js';
import { Canary } from '../../src/roles/canary.js';
import { startDirectoryNode } from '../../src/roles/directory-node.js';
import { SelfTests } from '../../src/roles/self-tests.js';
import { connectControl, type ControlClient } from '../../src/tor/control/client.js';
import { loadOrCreateOnionKey } from '../../src/tor/onion/key-folder.js';
import { directoryAnswer, FAKE_DIRECTORY_NICK } from '../helpers/fake-directory.js';
import { controlTunnel } from '../helpers/control-tunnel.js';
import { dialRaw } from '../helpers/raw-peer.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { torNetworkFor } from '../helpers/tor-network.js';
import { scriptedDirectory, soon, type Guest, type Script } from '../probe/scripted-directory.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

const HOST = '127.0.0.1';
const ONION: Location = { kind: 'loopback', host: HOST, port: 5222 };
const MINUTE = 60_000;
/** The time that docs/directory.md promises. */
const NOTICED_WITHIN_MS = 3 * MINUTE;

interface LineLog extends Log {
  readonly lines: string[];
}

function lineLog(): LineLog {
  const lines: string[] = [];
  const say = (level: string) => (text: string) => void lines.push(`${level} ${text}`);
  return { lines, debug() {}, info: say('info'), warn: say('warn'), error: say('error') };
}

/** A world in which the onion can be cut in several ways. */
type World = 'well' | 'cut' | 'mute' | 'silent' | 'usurped' | 'full' | 'no-tor';

const answerOf = (world: World): string =>
  directoryAnswer({
    ...(world === 'usurped' ? { nick: 'J5usurperOOOOOOO' } : {}),
    ...(world === 'full' ? { accepted: false, motd: 'full' } : {}),
  });

interface Bench {
  readonly clock: TestClock;
  readonly canary: Canary;
  readonly selfTests: SelfTests;
  readonly log: LineLog;
  /** The number of alarms that the onion does not answer. */
  readonly alarms: () => number;
  /** Sets the state of the world from now on. */
  become(world: World): void;
  /** Advances the clock until the canary has this state; resolves with the time, in milliseconds. */
  until(state: CanaryState): Promise<number>;
  /** Advances the clock by this time. */
  pass(ms: number): Promise<void>;
  /** Ends the canary; no timer or connection may be left. */
  end(): Promise<void>;
}

function bench(t: Test, intervalMs: number, random = 0.999, past?: CanaryReport): Bench {
  const clock = createTestClock();
  const log = lineLog();
  let world: World = 'well';
  let alarms = 0;
  const script: Script = (guest, { type, line }, all) => {
    if (world === 'silent') return;
    if (type === 793) guest.say(795, answerOf(world));
    const [, to] = line.split('!');
    const isAddressee = (other: Guest): boolean => other.nick === to;
    if (type === 685 && world !== 'mute') all.find(isAddressee)?.say(685, line);
  };
  const directory = scriptedDirectory(script, () => {
    if (world === 'cut') return 'pending';
    if (world === 'no-tor') return Object.assign(new Error('no SOCKS port'), { ours: true });
    return undefined;
  });
  const selfTests = new SelfTests();
  const canary = new Canary({
    selfTests,
    showsCode: false,
    dialer: directory,
    network: 'signet',
    nick: FAKE_DIRECTORY_NICK,
    intervalMs,
    past,
    newNickKey: () => createNickKey(randomBytes),
    clock,
    random: () => random,
    log,
    onUnreachable: () => alarms++,
  });
  return {
    clock,
    canary,
    selfTests,
    log,
    alarms: () => alarms,
    become: (next) => void (world = next),
    async until(state) {
      const from = clock.now();
      const reached = new Promise<void>((resolve) => {
        const look = (): void => {
          if (canary.report().state === state) resolve();
          else clock.after(50, look);
        };
        look();
      });
      await soon(clock, reached);
      return clock.now() - from;
    },
    async pass(ms) {
      await soon(clock, new Promise<void>((resolve) => void clock.after(ms, resolve)));
    },
    async end() {
      await canary.stop();
      t.equal(clock.pending, 0, 'no timer is left');
      t.equal(directory.open, 0, 'no connection is left open');
    },
  };
}

t.test('a fault is detected in time, logged once, and its end is logged', async (t) => {
  const cases: readonly [World, CanaryState, RegExp][] = [
    ['cut', 'unreachable', /cannot reach the onion, although it is published/],
    ['silent', 'unreachable', /cannot reach the onion/],
    ['usurped', 'elsewhere', /another program answers at this address/],
    ['mute', 'not-relaying', /did not arrive/],
  ];
  for (const [world, state, text] of cases) {
    t.test(world, async (t) => {
      const b = bench(t, MINUTE);
      t.equal(b.canary.report().state, 'waiting');
      b.canary.published(ONION);
      const firstMs = await b.until('reachable');
      t.ok(firstMs <= 25_000, `the first test is over after ${firstMs} ms`);
      t.equal(b.canary.reason(), undefined);
      t.strictSame(b.log.lines, [], 'no fault, no line');

      b.become(world);
      const noticedMs = await b.until(state);
      t.ok(noticedMs <= NOTICED_WITHIN_MS, `noticed after ${noticedMs} ms at most`);
      t.match(b.canary.reason(), text);
      t.match(b.log.lines, [new RegExp(`^warn canary: .*${text.source}`)]);
      const isAway = state === 'unreachable';
      t.equal(b.alarms(), isAway ? 1 : 0, 'an alarm when the onion itself may be lost');
      await b.pass(10 * MINUTE);
      t.equal(b.log.lines.length, 1, 'one line, for as long as it lasts');
      t.equal(b.alarms() > 3, isAway, 'an alarm after each test');

      b.become('well');
      await b.until('reachable');
      t.equal(b.canary.reason(), undefined);
      t.equal(b.log.lines.length, 2);
      t.match(b.log.lines[1], /^info canary: the outside reaches this directory again$/);
      const { tests, failures } = b.canary.report();
      t.ok(tests > failures && failures > 2, `${failures} of ${tests} tests failed`);
      await b.end();
    });
  }
});

t.test('the state of the previous process', async (t) => {
  const past: CanaryReport = {
    state: 'unreachable',
    stateSeconds: 70,
    testedSecondsAgo: 20,
    tests: 9,
    failures: 3,
  };
  t.test('an alarm lasts until a test succeeds', async (t) => {
    const b = bench(t, MINUTE, 0.999, past);
    b.canary.published(ONION);
    t.match(b.canary.report(), past);
    t.match(b.canary.reason(), /cannot reach the onion/);
    await b.until('reachable');
    t.match(b.canary.report(), { tests: 10, failures: 3, stateSeconds: 0 });
    t.match(b.log.lines, [/^info canary: .*again$/]);
    await b.end();
  });
  t.test('switched on or off in between', async (t) => {
    const off = bench(t, 0, 0.999, past);
    t.match(off.canary.report(), { state: 'off', tests: 9 });
    t.equal(off.canary.reason(), undefined);
    await off.end();
    const on = bench(t, MINUTE, 0.999, { state: 'off', tests: 0, failures: 0 });
    t.equal(on.canary.report().state, 'waiting');
    await on.end();
  });
});

t.test('no alarm', async (t) => {
  t.test('one failure among successes', async (t) => {
    const b = bench(t, MINUTE);
    b.canary.published(ONION);
    await b.until('reachable');
    for (let i = 0; i < 5; i++) {
      const { failures } = b.canary.report();
      b.become('mute');
      while (b.canary.report().failures === failures) await b.pass(50);
      b.become('well');
      await b.pass(MINUTE);
      t.equal(b.canary.report().failures, failures + 1);
    }
    t.equal(b.canary.report().state, 'reachable');
    t.strictSame(b.log.lines, []);
    t.equal(b.alarms(), 0);
    await b.end();
  });
  t.test('a full directory was reached', async (t) => {
    const b = bench(t, MINUTE);
    b.become('full');
    b.canary.published(ONION);
    await b.until('reachable');
    await b.pass(5 * MINUTE);
    t.strictSame(b.log.lines, []);
    await b.end();
  });
  t.test('a fault of this machine says nothing about the onion', async (t) => {
    const b = bench(t, MINUTE);
    b.become('no-tor');
    b.canary.published(ONION);
    await b.until('untested');
    t.equal(b.canary.reason(), undefined);
    t.match(b.log.lines, [/^warn canary: not possible/]);
    t.equal(b.alarms(), 0);
    await b.end();
  });
  t.test('while Tor itself reports the onion as lost', async (t) => {
    const b = bench(t, MINUTE);
    b.canary.published(ONION);
    await b.until('reachable');
    b.become('cut');
    await b.pass(MINUTE);
    b.canary.published(undefined);
    t.equal(b.canary.report().state, 'waiting');
    const { tests } = b.canary.report();
    await b.pass(10 * MINUTE);
    t.equal(b.canary.report().tests, tests, 'no test is made');
    b.become('well');
    b.canary.published(ONION);
    b.canary.published(ONION);
    await b.until('reachable');
    t.strictSame(b.log.lines, [], 'Tor has its own lines for that');
    await b.end();
  });
  t.test('with an interval of 0', async (t) => {
    const b = bench(t, 0);
    b.canary.published(ONION);
    await b.pass(MINUTE);
    t.match(b.canary.report(), { state: 'off', tests: 0 });
    t.notOk('stateSeconds' in b.canary.report());
    await b.end();
  });
});

t.test('few tests and few nicks', async (t) => {
  const b = bench(t, 2 * MINUTE, 0.5);
  b.canary.published(ONION);
  await b.until('reachable');
  const before = b.canary.report().tests;
  await b.pass(60 * MINUTE);
  const tests = b.canary.report().tests - before;
  t.ok(tests >= 28 && tests <= 30, `${tests} tests in an hour`);
  t.ok(b.selfTests.nicks.size <= 16, 'it keeps few nicks');
  await b.end();
});

async function page(port: number, path: string): Promise<{ code: number; body: string }> {
  const answer = await fetch(`http://${HOST}:${port}${path}`, { headers: { connection: 'close' } });
  return { code: answer.status, body: await answer.text() };
}

interface NodeClock extends TestClock {
  /** Advances the clock by this time at once; resolves when the test that falls due is over. */
  test(waitMs: number): Promise<void>;
  /** The clock of the node. */
  readonly onCanaryProbe: () => void;
}

/**
 * A clock that runs five times as fast as the platform's, in even steps, and jumps where no wait is needed.
 * Sockets and Tor take their usual time meanwhile.
 */
function nodeClock(t: Test): NodeClock {
  const clock = createTestClock();
  const pump = setInterval(() => clock.advance(50), 10);
  t.teardown(() => clearInterval(pump));
  let tell: (() => void) | undefined;
  return {
    get pending() {
      return clock.pending;
    },
    now: () => clock.now(),
    after: (ms, fn) => clock.after(ms, fn),
    advance: (ms) => clock.advance(ms),
    onCanaryProbe: () => tell?.(),
    test(waitMs) {
      const over = new Promise<void>((resolve) => (tell = resolve));
      clock.advance(waitMs);
      return over;
    },
  };
}

/** With random = 0.5: all intervals are as configured, the first test comes after 15 s. */
const FIRST_MS = 15_000;
const CONFIRM_MS = 5_000;

t.test('a node on loopback: page, metrics, and what peers see', async (t) => {
  const clock = nodeClock(t);
  const inner = createLoopbackOverlay({ host: HOST, port: 0 });
  let blocked = false;
  const overlay: Overlay = {
    ...inner,
    serve: (onConnection, options) =>
      inner.serve((connection: Connection) => {
        if (!blocked) return onConnection(connection);
        connection.attach({ data() {}, closed() {} });
        connection.destroy();
      }, options),
  };
  const port = await freePort();
  const log = lineLog();
  const node = await startDirectoryNode({
    network: 'signet',
    overlay,
    clock,
    random: () => 0.5,
    log,
    canaryIntervalMs: MINUTE,
    onCanaryProbe: clock.onCanaryProbe,
    status: { host: HOST, port },
  });
  t.teardown(() => node.close());
  const bystander = await dialRaw(node.location);
  bystander.send(
    793,
    '{"app-name":"joinmarket","directory":false,"location-string":"NOT-SERVING-ONION","proto-ver":5,"features":{},"nick":"J5bystanderOOOOO","network":"signet"}',
  );
  await bystander.nextOf(795);
  const unknown = (await page(port, '/metrics')).body;
  t.notMatch(unknown, /^onionmc_self_onion_reachable \d/m, 'no figure before the first test');
  t.match(unknown, /^onionmc_self_tests_total\{outcome="relays"\} 0$/m);

  await clock.test(FIRST_MS);
  t.same(node.health(), { ok: true });
  const well = (await page(port, '/metrics')).body;
  t.match(well, /^onionmc_self_onion_reachable 1$/m);
  t.match(well, /^onionmc_self_relay_working 1$/m);
  t.match(well, /^onionmc_self_seconds\{step="relay"\} \d/m);
  t.match(well, /^onionmc_self_round_trip_seconds_count 1$/m);
  t.match(well, /^onionmc_peers 1$/m, 'it does not count itself');
  const status: unknown = JSON.parse((await page(port, '/status')).body);
  t.match(status, { peers: 1, canary: { state: 'reachable', tests: 1, failures: 0 } });

  blocked = true;
  await clock.test(MINUTE);
  t.equal(node.health().ok, true, 'one failure is no alarm');
  await clock.test(CONFIRM_MS);
  const ill = await page(port, '/healthz');
  t.equal(ill.code, 503);
  t.match(JSON.parse(ill.body), { ok: false, reason: /cannot reach the onion, although/ });
  t.match((await page(port, '/metrics')).body, /^onionmc_self_onion_reachable 0$/m);
  t.match((await page(port, '/metrics')).body, /^onionmc_service_reachable 1$/m, 'as Tor reports');
  t.equal(node.directory.peerCount, 1, 'the process still serves');

  blocked = false;
  await clock.test(MINUTE);
  t.equal((await page(port, '/healthz')).code, 200);
  const said = log.lines.filter((line) => line.includes('canary: '));
  t.match(said, [/^warn .*cannot reach/, /^info .*again$/]);

  bystander.send(791, '');
  const { line } = await bystander.nextOf(789);
  t.equal(line, 'J5bystanderOOOOO;NOT-SERVING-ONION', 'no leave before it, no other peer in it');
  bystander.end();
  await bystander.over;
});

t.test('a private directory lets its own tests in, and nobody under their nicks', async (t) => {
  const clock = nodeClock(t);
  const asked: string[] = [];
  const node = await startDirectoryNode({
    network: 'signet',
    overlay: createLoopbackOverlay({ host: HOST, port: 0 }),
    clock,
    random: () => 0.5,
    canaryIntervalMs: MINUTE,
    onCanaryProbe: clock.onCanaryProbe,
    gate: {
      ask({ nick }) {
        asked.push(nick);
        return { enters: false, reason: 'private', text: 'this directory is private' };
      },
      stays: () => false,
      left: () => {},
    },
  });
  t.teardown(() => node.close());
  await clock.test(FIRST_MS);
  t.same(node.health(), { ok: true });
  t.match(node.directory.stats().handshakesRejected, { private: 0, code: 0 });
  t.same(asked, [], 'the operator has no code of them, and counts no use');
  t.equal(node.directory.peerCount, 0);

  const { nick } = createNickKey(randomBytes);
  const code = node.admitTest([nick]);
  t.match(code, /^[0-9a-f]{32}$/);
  const greeting = async (fields: object): Promise<unknown> => {
    const peer = await dialRaw(node.location);
    const terms = { 'app-name': 'joinmarket', directory: false, 'proto-ver': 5, features: {} };
    const own = { 'location-string': 'NOT-SERVING-ONION', network: 'signet', nick };
    peer.send(793, JSON.stringify({ ...terms, ...own, ...fields }));
    const { line } = await peer.nextOf(795);
    peer.end();
    await peer.over;
    return JSON.parse(line);
  };
  t.match(await greeting({}), { accepted: false }, 'the nick alone is not enough');
  t.match(await greeting({ admission: '0'.repeat(32) }), { accepted: false });
  const { nick: other } = createNickKey(randomBytes);
  t.match(await greeting({ admission: code, nick: other }), { accepted: false });
  t.match(await greeting({ admission: code }), { accepted: true });
  t.same(asked, [nick, nick, other]);
});

t.test('a real Tor behind a filter: only the onion is cut', { timeout: 200_000 }, async (t) => {
  const network = await torNetworkFor(t);
  const tor = await network.startTor({ controlPort: true });
  const { controlEndpoint: target } = tor;
  if (target === undefined) throw new Error('this tor has no control port');
  // Tor is not asked whether it has the onion, so only the canary can detect the loss.
  const { endpoint } = await controlTunnel(t, {
    target,
    whenTorIsGone: 'silent',
    refuses: /^GETINFO onions/,
  });
  const { key } = await loadOrCreateOnionKey(join(t.testdir({}), 'hs'));
  const clock = nodeClock(t);
  const log = lineLog();
  const clients: ControlClient[] = [];
  const listenPort = await freePort();
  const overlay = createTorOverlay({
    socks: { kind: 'tcp', ...tor.socks },
    log,
    serving: {
      watchTimings: { readdMs: 15_000 },
      kind: 'control',
      identity: { kind: 'persistent', key },
      listen: { host: HOST, port: listenPort },
      connectControl: async (signal) => {
        const client = await connectControl({ endpoint, signal });
        clients.push(client);
        return client;
      },
    },
  });
  const found: string[] = [];
  const node = await startDirectoryNode({
    network: 'signet',
    overlay,
    clock,
    random: () => 0.5,
    log,
    canaryIntervalMs: MINUTE,
    onCanaryProbe({ outcome }) {
      found.push(outcome);
      clock.onCanaryProbe();
    },
  });
  t.teardown(() => node.close());
  await node.reachable;
  while (found.at(-1) !== 'relays') await clock.test(FIRST_MS);
  t.same(node.health(), { ok: true }, 'reached through the onion');

  const [client] = clients;
  if (client === undefined) throw new Error('no control connection');
  await client.command(`DEL_ONION ${key.host.slice(0, 56)}`);
  const cutAt = clock.now();
  await clock.test(MINUTE);
  await clock.test(CONFIRM_MS);
  t.notOk(node.health().ok);
  t.ok(clock.now() - cutAt <= NOTICED_WITHIN_MS);
  t.match(
    log.lines.filter((line) => line.includes('canary: ')),
    [/^warn .*cannot reach the onion, although it is published/],
  );

  // The node adds the service again. The client of the canary knows the old descriptor, and fails a
  // few times before it asks for a new one.
  while (!node.health().ok) await clock.test(MINUTE);
  t.ok(clients.length > 1);
  t.match(log.lines.filter((line) => /onion service (lost|re-created)/.test(line)).slice(0, 2), [
    /^warn /,
    /^info /,
  ]);
});
