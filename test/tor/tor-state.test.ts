/** What a Tor says about itself, over a control connection of its own. */
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { DaemonState } from '../../src/channel/ports.js';
import { connectControl } from '../../src/tor/control/client.js';
import { DAEMON_INTERVAL_MS } from '../../src/kit/daemon-watch.js';
import { TorState } from '../../src/tor/control/tor-state.js';
import { fakeControl, type FakeControl } from '../helpers/fake-control.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';

const LOGIN: Readonly<Record<string, string>> = {
  'PROTOCOLINFO 1': '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250 OK\r\n',
  AUTHENTICATE: '250 OK\r\n',
};
const READY: Readonly<Record<string, string>> = {
  'GETINFO version': '250-version=0.4.9.11\r\n250 OK\r\n',
  'GETINFO status/bootstrap-phase':
    '250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"\r\n250 OK\r\n',
  'GETINFO status/circuit-established': '250-status/circuit-established=1\r\n250 OK\r\n',
  'GETINFO network-liveness': '250-network-liveness=up\r\n250 OK\r\n',
};
const QUESTIONS = Object.keys(READY);
const WELL = {
  name: 'Tor',
  connected: true,
  version: '0.4.9.11',
  bootstrapPercent: 100,
  bootstrapStep: 'Done',
  circuits: true,
  networkLive: true,
};

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Resolves when a timer is set: a look has ended. */
async function timerSet(clock: TestClock): Promise<void> {
  // oxlint-disable-next-line no-await-in-loop
  while (clock.pending === 0) await turn();
}

interface Scene {
  readonly clock: TestClock;
  readonly state: TorState;
  readonly tor: FakeControl;
  /** What was asked after the login, in order, and forgets it. */
  readonly asked: () => readonly string[];
  /** Resolves with the state when it matches. */
  readonly becomes: (test: (state: DaemonState) => boolean) => Promise<DaemonState>;
}

async function scene(
  t: Test,
  answer: (line: string, socket: Socket) => string | undefined,
): Promise<Scene> {
  const clock = createTestClock();
  const tor = await fakeControl((line, socket) => LOGIN[line] ?? answer(line, socket));
  const state = new TorState({
    connect: (signal) =>
      connectControl({ endpoint: { kind: 'tcp', host: '127.0.0.1', port: tor.port }, signal }),
    clock,
    log: silentLog,
  });
  t.teardown(async () => {
    state.stop();
    await tor.close();
  });
  let read = 0;
  return {
    clock,
    state,
    tor,
    asked() {
      const lines = tor.lines.slice(read).map((line) => line.replace(/^\d+ /, ''));
      read = tor.lines.length;
      return lines.filter((line) => line.startsWith('GETINFO'));
    },
    async becomes(test) {
      for (;;) {
        const now = state.read();
        if (test(now)) return now;
        // Real sockets: their events come between two turns.
        // oxlint-disable-next-line no-await-in-loop
        await turn();
      }
    },
  };
}

const isUp = ({ connected }: DaemonState): boolean => connected;
const isDown = ({ connected }: DaemonState): boolean => !connected;

t.test('asked from the first look on, then at intervals', async (t) => {
  const { clock, state, tor, asked, becomes } = await scene(t, (line) => READY[line]);
  t.equal(tor.lines.length, 0, 'no connection before it is read');
  t.same(state.read(), { name: 'Tor', connected: false, detail: 'not asked yet' });
  t.same(await becomes(isUp), { ...WELL, answeredAt: 1_000 });
  t.same(asked(), QUESTIONS);
  for (let n = 0; n < 100; n++) state.read();
  clock.advance(DAEMON_INTERVAL_MS - 1);
  t.same(asked(), [], 'looking does not ask');
  clock.advance(1);
  await becomes(({ answeredAt }) => answeredAt === 1_000 + DAEMON_INTERVAL_MS);
  t.same(asked(), QUESTIONS, 'the same questions, on the same connection');
  t.equal(tor.lines.filter((line) => line.endsWith(' AUTHENTICATE')).length, 1);
  state.stop();
  await tor.allClosed();
  t.equal(clock.pending, 0, 'no timer is left');
});

const CASES: readonly [
  string,
  Readonly<Record<string, string>>,
  Readonly<Record<string, unknown>>,
][] = [
  [
    'a Tor that starts',
    {
      'GETINFO status/bootstrap-phase':
        '250-status/bootstrap-phase=WARN BOOTSTRAP PROGRESS=14 TAG=handshake SUMMARY="Handshaking" WARNING="Connection refused"\r\n250 OK\r\n',
      'GETINFO status/circuit-established': '250-status/circuit-established=0\r\n250 OK\r\n',
      'GETINFO network-liveness': '250-network-liveness=down\r\n250 OK\r\n',
    },
    {
      bootstrapPercent: 14,
      bootstrapStep: 'Connection refused',
      circuits: false,
      networkLive: false,
    },
  ],
  [
    'values that are none',
    {
      'GETINFO version': `250-version=0.4.9\u001b[31m${'x'.repeat(200)}\r\n250 OK\r\n`,
      'GETINFO status/bootstrap-phase': '250-status/bootstrap-phase=PROGRESS=900\r\n250 OK\r\n',
      'GETINFO status/circuit-established': '250-status/circuit-established=maybe\r\n250 OK\r\n',
      'GETINFO network-liveness': '250 OK\r\n',
    },
    {
      version: `0.4.9\\u001b[31m${'x'.repeat(82)}...`,
      bootstrapPercent: undefined,
      bootstrapStep: undefined,
      circuits: undefined,
      networkLive: undefined,
    },
  ],
];
for (const [name, answers, wanted] of CASES) {
  t.test(name, async (t) => {
    const { becomes } = await scene(t, (line) => answers[line] ?? READY[line]);
    const state: Readonly<Record<string, unknown>> = { ...(await becomes(isUp)) };
    for (const [key, value] of Object.entries(wanted)) t.equal(state[key], value, key);
  });
}

t.test('a value that is refused is not asked again; the others are shown', async (t) => {
  const { clock, asked, becomes } = await scene(t, (line) =>
    line === 'GETINFO network-liveness' ? '510 Command filtered\r\n' : READY[line],
  );
  const { networkLive, ...others } = WELL;
  t.ok(networkLive);
  t.same(await becomes(isUp), { ...others, answeredAt: 1_000 });
  t.same(asked(), QUESTIONS);
  clock.advance(DAEMON_INTERVAL_MS);
  await becomes(({ answeredAt = 0 }) => answeredAt > 1_000);
  t.same(asked(), QUESTIONS.slice(0, -1));
});

t.test('a filter that ends the connection at a question meets it twice at most', async (t) => {
  const { clock, asked, becomes } = await scene(t, (line, socket) => {
    if (line !== 'GETINFO status/circuit-established') return READY[line];
    socket.destroy();
    return undefined;
  });
  for (const round of [1, 2]) {
    const lines: string[] = [];
    while (lines.length < 3) {
      // The look begins at the first round, and at the end of the interval.
      await becomes(() => true);
      await turn();
      lines.push(...asked());
    }
    t.same(lines, QUESTIONS.slice(0, 3), `look ${round}`);
    await timerSet(clock);
    t.match(await becomes(isDown), { detail: /control connection/ });
    clock.advance(DAEMON_INTERVAL_MS);
  }
  const { circuits, ...others } = WELL;
  t.ok(circuits);
  t.match(await becomes(isUp), others);
});

t.test('a Tor that ends is shown at once, and again when it is back', async (t) => {
  const sockets: Socket[] = [];
  const { clock, tor, becomes } = await scene(t, (line, socket) => {
    sockets.push(socket);
    return READY[line];
  });
  await becomes(isUp);
  sockets.at(-1)?.destroy();
  const down = await becomes(isDown);
  t.match(down, { version: '0.4.9.11', answeredAt: 1_000, detail: /control connection/ });
  t.notOk('circuits' in down || 'bootstrapPercent' in down, 'nothing that may have changed');
  clock.advance(DAEMON_INTERVAL_MS);
  t.match(await becomes(isUp), { ...WELL, answeredAt: 1_000 + DAEMON_INTERVAL_MS });
  t.equal(tor.lines.filter((line) => line.endsWith(' AUTHENTICATE')).length, 2);
});

t.test('no Tor, and an end while it connects', async (t) => {
  const clock = createTestClock();
  const signals: AbortSignal[] = [];
  const state = new TorState({
    connect(signal) {
      signals.push(signal);
      return Promise.reject(new Error('nothing listens\nat 127.0.0.1:1'));
    },
    clock,
    log: silentLog,
  });
  state.read();
  await timerSet(clock);
  t.same(state.read(), {
    name: 'Tor',
    connected: false,
    detail: String.raw`nothing listens\nat 127.0.0.1:1`,
  });
  clock.advance(DAEMON_INTERVAL_MS);
  t.equal(signals.length, 2, 'it tries again at the next interval');
  await timerSet(clock);
  state.stop();
  t.ok(signals.every(({ aborted }) => aborted));
  t.equal(clock.pending, 0);
  state.read();
  t.equal(signals.length, 2, 'nothing starts after the end');
});
