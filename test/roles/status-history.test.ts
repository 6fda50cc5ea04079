/** The data of the status page: two bounded series, and the refusals by reason. */
import t from 'tap';
import * as fc from 'fast-check';
import { DEFAULT_LIMITS, LIMIT_ROWS, limitsInForce } from '../../src/directory/limits.js';
import { DirectoryHistory, historyIn } from '../../src/roles/directory-history.js';
import { Refusals } from '../../src/roles/refusals.js';
import {
  COLUMN_NAMES,
  SERIES_LENGTH,
  StatusHistory,
  STEP_SECONDS,
  STEPS_PER_DAY_SAMPLE,
  type Figures,
} from '../../src/roles/status-history.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { memoryPeer } from '../directory/memory-connection.js';
import { hello, onion, testDirectory } from '../directory/wire.js';

const EPOCH_MS = 1_790_000_000_000;
const STEP_MS = STEP_SECONDS * 1_000;

const canary = () => ({ state: 'off', tests: 0, failures: 0 }) as const;

function historyOf(read: (seconds: number, clock: TestClock) => Figures) {
  const clock = createTestClock();
  const history = new StatusHistory({
    clock,
    epoch: () => EPOCH_MS + clock.now(),
    read: (seconds) => read(seconds, clock),
  });
  history.start();
  return { clock, history };
}

t.test('a sample at each step, with the time and what was measured', (t) => {
  let serving = 0;
  const steps: number[] = [];
  const { clock, history } = historyOf((seconds) => {
    steps.push(seconds);
    serving += 1;
    return { serving, mostBytes: 1 / 3 };
  });
  t.same(history.json().hour.at, [], 'nothing before the first step');
  clock.advance(3 * STEP_MS);
  const { hour, day } = history.json();
  t.same(steps, [0, STEP_SECONDS, STEP_SECONDS, STEP_SECONDS]);
  const first = (EPOCH_MS + 1_000 + STEP_MS) / 1_000;
  t.same(hour.at, [first, first + STEP_SECONDS, first + 2 * STEP_SECONDS]);
  t.same(hour.columns.serving, [2, 3, 4]);
  t.same(hour.columns.mostBytes, [0.333, 0.333, 0.333]);
  t.same(hour.columns.relayMs, [null, null, null], 'not measured');
  t.same(Object.keys(hour.columns), COLUMN_NAMES);
  t.same([hour.stepSeconds, day.stepSeconds, day.at], [10, 240, []]);
  history.stop();
  t.equal(clock.pending, 0);
  t.end();
});

t.test('an hour and a day, and no more', (t) => {
  let n = 0;
  const { clock, history } = historyOf(() => {
    n += 1;
    return n % 5 === 0 ? {} : { serving: n, flushMs: n };
  });
  clock.advance(STEP_MS * STEPS_PER_DAY_SAMPLE);
  const [mean] = history.json().day.columns.serving;
  const [most] = history.json().day.columns.flushMs;
  const measured = Array.from({ length: 24 }, (_, i) => i + 2).filter((i) => i % 5 !== 0);
  t.equal(mean, Math.round((measured.reduce((a, b) => a + b) / measured.length) * 1_000) / 1_000);
  t.equal(most, 24, 'the largest of those that were measured');

  clock.advance(STEP_MS * STEPS_PER_DAY_SAMPLE * SERIES_LENGTH);
  const { hour, day } = history.json();
  for (const series of [hour, day]) {
    t.equal(series.at.length, SERIES_LENGTH);
    for (const column of Object.values(series.columns)) t.equal(column.length, SERIES_LENGTH);
    const [first = 0] = series.at;
    t.equal((series.at.at(-1) ?? 0) - first, series.stepSeconds * (SERIES_LENGTH - 1));
  }
  t.ok(JSON.stringify(history.json()).length < 120_000, 'a page of bounded size');
  history.stop();
  t.end();
});

t.test('a directory: peers, deliveries, queue, and what it refused', (t) => {
  const clock = createTestClock();
  const directory = testDirectory({ clock });
  const history = new DirectoryHistory({
    directory,
    canary: () => ({ state: 'reachable', tests: 1, failures: 0, handshakeMs: 20, relayMs: 30 }),
    clock,
    past: undefined,
  });
  history.start();
  const join = (nick: string, location?: string) => {
    const peer = memoryPeer();
    directory.accept(peer.connection);
    peer.say(encodeEnvelope(793, hello(nick, location === undefined ? {} : { location })));
    peer.drain();
    return peer;
  };
  const peers = [join('J5maker', onion(1)), join('J5taker'), join('J5watch'), join('bad nick')];
  peers[0]?.say(encodeEnvelope(687, 'J5maker!PUBLIC!hello'));
  history.flushed({ bytes: 1, lagBytes: 0, keptBytes: 0, tookMs: 7 });
  history.flushed({ bytes: 1, lagBytes: 0, keptBytes: 0, tookMs: 3 });
  clock.advance(STEP_MS);
  peers[1]?.drain();
  clock.advance(STEP_MS);
  const { hour, refusals } = Object(history.json());
  t.match(hour.columns, {
    serving: [1, 1],
    notServing: [2, 2],
    // Four handshakes and one line in 10 seconds; three answers and two deliveries.
    messagesIn: [0.5, 0],
    messagesOut: [0.5, 0],
    peersBehind: [2, 1],
    waitingMessages: [0, 0],
    flushMs: [7, 0],
    handshakeMs: [20, 20],
    relayMs: [30, 30],
    refused: [0.1, 0],
  });
  t.ok(hour.columns.mostBytes[0] > 40, `${hour.columns.mostBytes[0]} bytes`);
  t.match(refusals, [
    { what: 'handshake', reason: 'handshake-nick', total: 1, lastHour: 1, secondsAgo: 10 },
  ]);
  t.notMatch(JSON.stringify(history.json()), /J5|onion/, 'it contains no nick and no onion');
  history.stop();
  for (const peer of peers) peer.leave();
  t.equal(clock.pending, 0);
  t.end();
});

t.test('refusals: the latest first, with the number of the last hour', (t) => {
  const clock = createTestClock();
  const stats = testDirectory({ clock }).stats();
  const counted = (full: number, rate: number) => ({
    ...stats,
    handshakesRejected: { ...stats.handshakesRejected, full },
    closed: { ...stats.closed, rate, 'closed-by-peer': 99, rejected: 99, shutdown: 9 },
  });
  const refusals = new Refusals(clock);
  refusals.note(counted(5, 0));
  t.same(
    refusals.json(counted(5, 0)),
    [{ what: 'handshake', reason: 'full', total: 5, lastHour: 0 }],
    'what another process counted has no time',
  );
  clock.advance(600_000);
  refusals.note(counted(7, 1));
  clock.advance(60_000);
  t.same(refusals.json(counted(8, 1)), [
    { what: 'handshake', reason: 'full', total: 8, lastHour: 3, secondsAgo: 0 },
    { what: 'connection', reason: 'rate', total: 1, lastHour: 1, secondsAgo: 60 },
  ]);
  for (let i = 0; i < 200; i++) {
    clock.advance(60_000);
    refusals.note(counted(8, 1));
  }
  t.match(refusals.json(counted(9, 1)), [
    { reason: 'full', total: 9, lastHour: 1, secondsAgo: 0 },
    { reason: 'rate', total: 1, lastHour: 0 },
  ]);
  t.end();
});

t.test('the history goes on in the process after an upgrade', async (t) => {
  const clock = createTestClock();
  const directory = testDirectory({ clock });
  const begun = (past: ReturnType<typeof historyIn>) => {
    const epoch = (): number => EPOCH_MS + clock.now();
    const history = new DirectoryHistory({ directory, canary, clock, epoch, past });
    history.start();
    return history;
  };
  const first = begun(undefined);
  clock.advance(STEP_MS * STEPS_PER_DAY_SAMPLE);
  first.stop();
  const before = Object(first.json());
  const parcels = await first.move.hold();
  const travelled = parcels.map(({ key, value }): [string, { key: string; value: unknown }] => {
    const read: unknown = JSON.parse(JSON.stringify(value));
    return [key, { key, value: read }];
  });
  const next = begun(historyIn(new Map(travelled)));
  clock.advance(STEP_MS);
  next.stop();
  const after = Object(next.json());
  t.equal(before.hour.at.length, STEPS_PER_DAY_SAMPLE);
  t.same(after.hour.at.slice(0, -1), before.hour.at);
  t.same(after.day, before.day);
  t.equal(historyIn(undefined), undefined);
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      for (const one of [value, { hour: value, day: [value] }]) {
        const past = historyIn(new Map([['history', { key: 'history', value: one }]]));
        new DirectoryHistory({ directory, canary, clock, past }).json();
      }
    }),
  );
});

t.test('limits in force, as the file writes them', (t) => {
  t.same(
    limitsInForce(DEFAULT_LIMITS).map(({ key, value, fallback }) => [key, value, fallback]),
    LIMIT_ROWS.map(({ key, fallback }) => [key, fallback, fallback]),
  );
  const rows = limitsInForce({
    ...DEFAULT_LIMITS,
    maxUnhandshaked: Infinity,
    heartbeatIdleMs: 1_500,
    streamsPerCircuit: 0,
  });
  t.match(
    rows.filter(({ value, fallback }) => value !== fallback),
    [
      { key: 'max_unhandshaked', value: 0, unit: 'count' },
      { key: 'heartbeat_idle_sec', value: 1.5, unit: 'seconds', meaning: /Silence/ },
      { key: 'streams_per_circuit', value: 0 },
    ],
  );
  t.end();
});
