/** A peer tests its own location from outside, over loopback sockets: in time of the test's clock. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { openMessageChannel, type OnionMessageChannel } from '../../src/channel/message-channel.js';
import type { Clock, Dialer } from '../../src/channel/ports.js';
import { keepAlive } from '../../src/kit/keep-alive.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createNickKey } from '../../src/protocol/nick.js';
import type { Location } from '../../src/protocol/location.js';
import { OutsideTest } from '../../src/roles/outside-test.js';
import { silentLog } from '../../src/channel/log.js';

// The timers of the clock do not keep a process alive.
t.teardown(keepAlive());

const TIMINGS = { firstMs: 1, everyMs: 20, limitMs: 400, confirmMs: 1 };

async function peerAt(t: Test): Promise<OnionMessageChannel> {
  const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
  const channel = openMessageChannel({
    network: 'signet',
    // None answers: the test dials the peer itself.
    directories: [{ kind: 'loopback', host: '127.0.0.1', port: await freePort() }],
    overlay,
    nickKey: createNickKey(randomBytes),
    serve: true,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  });
  t.teardown(() => channel.close());
  await new Promise<void>((resolve) => channel.once('served', () => resolve()));
  return channel;
}

function scene(t: Test, dialer: Dialer = createLoopbackOverlay({ host: '127.0.0.1', port: 0 })) {
  const lines: string[] = [];
  let told: (() => void)[] = [];
  const say = (line: string): void => {
    lines.push(line);
    for (const tell of told.splice(0)) tell();
  };
  const clock: Clock = {
    now: () => systemClock.now(),
    after(ms, fn) {
      const cancel = systemClock.after(ms, () => {
        fn();
        for (const tell of told.splice(0)) tell();
      });
      return cancel;
    },
  };
  const test = new OutsideTest({
    dialer,
    network: 'signet',
    clock,
    random: () => 0.5,
    log: { ...silentLog, info: say, warn: say },
    timings: TIMINGS,
  });
  t.teardown(() => {
    test.stop();
    told = [];
  });
  /** Resolves when the condition holds; it is looked at after each event. */
  async function until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      // oxlint-disable-next-line no-await-in-loop -- one event after the other
      await new Promise<void>((resolve) => told.push(resolve));
    }
  }
  return { test, lines, until };
}

function firstLocation({ locations: [first] }: OnionMessageChannel): Location {
  if (first === undefined) throw new Error('not served');
  return first;
}

t.test('a peer that answers, then closes, then answers at another location', async (t) => {
  const peer = await peerAt(t);
  const { test, lines, until } = scene(t);
  t.equal(test.report.reachable, undefined);
  t.equal(test.report.tests, 0);
  test.watch({ location: firstLocation(peer), nick: peer.nick });
  await until(() => test.report.reachable === true && test.report.tests > 2);
  t.equal(test.report.failures, 0);
  t.ok((test.report.dialMs ?? -1) >= 0 && (test.report.answerMs ?? -1) >= 0);
  t.ok(test.report.testedAt);
  t.match(lines, ['self-test: this peer answers at its own location']);
  await peer.close();
  await until(() => test.report.reachable === false);
  t.ok(test.report.failures >= 2, 'a single failure is tested again before the alarm');
  t.equal(lines.length, 2, 'one line for the loss, however long it lasts');
  t.match(lines[1], /does not answer at its own location/);

  const next = await peerAt(t);
  test.watch({ location: firstLocation(next), nick: next.nick });
  t.equal(test.report.reachable, undefined, 'nothing is known of a new identity');
  await until(() => test.report.reachable === true);
  test.watch(undefined);
  t.equal(test.report.reachable, undefined);
});

t.test('another peer at the location, and a program that says nothing', async (t) => {
  const peer = await peerAt(t);
  const other = scene(t);
  other.test.watch({ location: firstLocation(peer), nick: createNickKey(randomBytes).nick });
  await other.until(() => other.test.report.reachable === false);

  const port = await freePort();
  const silent = createServer((socket) => t.teardown(() => socket.destroy()));
  await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
  t.teardown(() => silent.close());
  const quiet = scene(t);
  const location = { ...firstLocation(peer), port };
  quiet.test.watch({ location, nick: peer.nick });
  await quiet.until(() => quiet.test.report.reachable === false);
  t.ok(quiet.test.report.failures >= 2);
});

t.test('a dial that fails on this machine says nothing about the location', async (t) => {
  let dials = 0;
  const isolations = new Set<string | undefined>();
  const dialer: Dialer = {
    dial(_, { isolation }) {
      dials++;
      isolations.add(isolation);
      return Promise.reject(Object.assign(new Error('Tor is away'), { ours: true }));
    },
  };
  const { test, until, lines } = scene(t, dialer);
  const peer = await peerAt(t);
  test.watch({ location: firstLocation(peer), nick: peer.nick });
  await until(() => dials > 3);
  t.equal(test.report.reachable, undefined);
  t.equal(test.report.failures, 0);
  t.same(lines, []);
  t.equal(isolations.size, dials, 'a circuit of its own for each test');
});
