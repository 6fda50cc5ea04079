/**
 * The turns of peers in a flush: when many peers have three cells or more to get, they get them one part after
 * the other, and none waits longer than a round.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { DEFAULT_LIMITS } from '../../src/directory/directory.js';
import { createFlushTimer } from '../../src/directory/fanout/flush-timer.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { createTestClock } from '../helpers/test-clock.js';
import { memoryPeer, type MemoryPeer } from './memory-connection.js';
import { hello, NO_RATES, testDirectory } from './wire.js';

void t.test('many peers take turns while three to eight cells come within a window', (t) => {
  const clock = createTestClock();
  const start = clock.now();
  let peers = 150;
  let flushed: string[] = [];
  const timer = createFlushTimer({
    clock,
    windows: { publicMs: 250, burstMs: 25 },
    peers: () => peers,
    flush: (part) => flushed.push(`${clock.now() - start}: ${part.step}/${part.steps}`),
  });
  const until = (ms: number): void => clock.advance(start + ms - clock.now());
  const at = (ms: number, bytes: number): void => {
    until(ms);
    timer.touch(bytes);
    timer.schedule();
  };
  at(0, 500);
  at(20, 500);
  t.strictSame(flushed, [], 'two cells wait');
  at(50, 494);
  t.strictSame(flushed, ['50: 0/10'], 'three cells: a round starts');
  at(100, 1_500);
  until(349);
  const first = Array.from({ length: 10 }, (_, n) => `${50 + 30 * n}: ${n}/10`);
  t.strictSame(flushed, first, 'it has ended 1.4 windows after the first frame');
  flushed = [];
  until(699);
  const whole = Array.from({ length: 10 }, (_, n) => `${350 + 35 * n}: ${n}/10`);
  t.strictSame(flushed, whole, 'the next round takes 1.4 windows');
  until(1_200);
  t.strictSame(flushed, whole, 'a round without frames is the last');
  t.equal(clock.pending, 0, 'no timer without frames');

  flushed = [];
  at(1_200, 1_500);
  at(1_390, 180);
  until(1_549);
  t.equal(flushed.length, 10);
  until(1_639);
  t.equal(flushed.length, 10, 'the frame that came during the round waits');
  until(2_000);
  t.strictSame(flushed.slice(10), ['1640: 0/1'], 'for its window, with all peers at once');

  flushed = [];
  at(2_000, 1_500);
  for (let n = 0; n < 11; n++) at(2_030 + 25 * n, 531);
  at(2_304, 134);
  const nine = Array.from({ length: 9 }, (_, n) => `${2_000 + 35 * n}: ${n}/10`);
  t.strictSame(flushed, nine, 'less than twelve cells since the start of the round');
  at(2_305, 1);
  t.strictSame(flushed.slice(9), ['2305: 0/1'], 'twelve cells end the round');
  at(2_500, 180);
  t.strictSame(flushed.slice(10), ['2500: 0/1'], 'which has its end with a small flush');

  flushed = [];
  at(2_600, 1_500);
  at(2_610, 1_493);
  t.strictSame(flushed, ['2600: 0/10'], 'two frames, which count as two cells');
  at(2_612, 498);
  at(2_614, 497);
  t.strictSame(flushed, ['2600: 0/10'], 'less than four cells within 25 ms');
  at(2_624, 1);
  t.strictSame(flushed.slice(1), ['2624: 0/1'], 'a burst ends the round');
  for (let n = 0; n < 6; n++) at(2_630 + 10 * n, 498);
  until(2_699);
  t.strictSame(
    flushed.slice(2),
    ['2649: 0/1', '2674: 0/1', '2699: 0/1'],
    'and goes on every 25 ms',
  );

  flushed = [];
  peers = 14;
  at(3_000, 1_500);
  until(3_349);
  t.strictSame(flushed, ['3000: 0/2', '3175: 1/2'], 'at least five peers in a step');
  until(4_000);
  flushed = [];
  at(4_000, 900);
  at(4_249, 900);
  t.strictSame(flushed, ['4249: 0/2'], 'a round may start until the window ends');
  until(4_999);
  t.strictSame(flushed, ['4249: 0/2', '4299.5: 1/2']);
  flushed = [];

  at(5_000, 1_500);
  timer.cancel();
  t.equal(clock.pending, 0, 'cancelled during a round');
  t.end();
});

/** One event among many peers. Numbers choose a peer among those present. */
type Turn =
  | { readonly do: 'join' }
  | { readonly do: 'leave' | 'publish' | 'ask'; readonly who: number }
  | { readonly do: 'wait'; readonly ms: number };

const who = fc.nat(999);
const turn: fc.Arbitrary<Turn> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constant('join' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('ask' as const), who }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('publish' as const), who }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(30) }) },
);

/** A peer that takes each write at once, and when each public message is due at the latest. */
interface Waiting {
  readonly nick: string;
  readonly peer: MemoryPeer;
  readonly due: { readonly text: string; readonly since: number }[];
  seen: number;
}

void t.test('peers that take turns get each public message in order and within a round', (t) => {
  const WINDOW_MS = 250;
  const ROUND_MS = 350;
  const LOOK_MS = 5;
  const LONGEST_MS = ROUND_MS + LOOK_MS;
  let rounds = 0;
  const look = (waiting: Waiting, now: number): void => {
    const { peer, due, nick } = waiting;
    peer.drain();
    const text = peer.received.slice(waiting.seen);
    waiting.seen = peer.received.length;
    for (const [, number = ''] of text.matchAll(/!PUBLIC!hp2 (\d+)/g)) {
      const next = due.shift();
      if (next?.text !== number) throw new Error(`${nick}: ${number} instead of ${next?.text}`);
      if (now - next.since > LONGEST_MS)
        throw new Error(`${nick}: ${number} waited ${now - next.since} ms`);
    }
    const [oldest] = due;
    if (oldest && now - oldest.since > LONGEST_MS)
      throw new Error(`${nick}: ${oldest.text} still waits`);
  };
  const run = (turns: readonly Turn[]): void => {
    const clock = createTestClock();
    const directory = testDirectory({
      limits: { ...DEFAULT_LIMITS, ...NO_RATES },
      clock,
      publicWindowMs: WINDOW_MS,
      flushWindowMs: 25,
      onFlush: ({ bytes }) => (rounds += bytes >= 1_494 ? 1 : 0),
    });
    const present: Waiting[] = [];
    let count = 0;
    const join = (): void => {
      const nick = `J5n${++count}`;
      const peer = memoryPeer();
      directory.accept(peer.connection);
      peer.say(encodeEnvelope(793, hello(nick)));
      present.push({ nick, peer, due: [], seen: 0 });
    };
    const wait = (ms: number): void => {
      for (let passed = 0; passed < ms; passed += LOOK_MS) {
        clock.advance(LOOK_MS);
        for (const waiting of present) look(waiting, clock.now());
      }
    };
    while (present.length < 60) join();
    for (const action of turns) {
      if (action.do === 'wait') wait(action.ms);
      else if (action.do === 'join') join();
      else {
        const at = action.who % present.length;
        const waiting = present[at];
        if (!waiting) continue;
        const { nick, peer } = waiting;
        if (action.do === 'leave') {
          // With fewer peers there are fewer steps.
          if (present.length === 50) continue;
          peer.leave();
          present.splice(at, 1);
        } else if (action.do === 'ask') {
          peer.say(encodeEnvelope(685, `${nick}!J5nobody!fill ${++count}`));
        } else {
          const text = String(++count);
          peer.say(encodeEnvelope(687, `${nick}!PUBLIC!hp2 ${text} ${'x'.repeat(120)}`));
          for (const { due } of present.filter((other) => other !== waiting))
            due.push({ text, since: clock.now() });
        }
      }
      for (const one of present) look(one, clock.now());
    }
    wait(LONGEST_MS);
    for (const { due, nick } of present) if (due.length > 0) throw new Error(`${nick}: lost`);
    for (const { peer } of present) peer.leave();
    if (clock.pending !== 0) throw new Error('timers are left');
  };
  const turns = fc.array(turn, { minLength: 40, maxLength: 80 });
  fc.assert(fc.property(turns, run), { numRuns: 25, endOnFailure: true });
  t.ok(rounds > 25, `${rounds} flushes with three cells or more`);
  t.end();
});
