/** The timer of all timeouts: often while something may time out, once in a second otherwise. */
import t from 'tap';
import { DEFAULT_LIMITS } from '../../src/directory/directory.js';
import { createSweepTimer } from '../../src/directory/entry/sweep-timer.js';
import { MessageType } from '../../src/protocol/constants.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { createTestClock } from '../helpers/test-clock.js';
import { memoryPeer, type MemoryPeer } from './memory-connection.js';
import { hello, testDirectory } from './wire.js';

interface Scene {
  waits: boolean;
  readonly advance: (ms: number) => void;
  /** The times of the sweeps since the last call, in milliseconds since the start. */
  readonly swept: () => number[];
  readonly timer: ReturnType<typeof createSweepTimer>;
  /** Stops the timer; returns the number of timers that are left. */
  readonly end: () => number;
}

function newScene(): Scene {
  const clock = createTestClock();
  const start = clock.now();
  let times: number[] = [];
  const scene: Scene = {
    waits: false,
    advance: (ms) => clock.advance(ms),
    swept: () => {
      const all = times;
      times = [];
      return all;
    },
    timer: createSweepTimer({
      clock,
      limits: DEFAULT_LIMITS,
      isCalm: () => !scene.waits,
      sweep: (now) => times.push(now - start),
    }),
    end: () => {
      scene.timer.stop();
      return clock.pending;
    },
  };
  return scene;
}

void t.test('nothing waits: one sweep in a second', (t) => {
  const { timer, advance, swept, end } = newScene();
  advance(2_000);
  t.strictSame(swept(), [], 'none before the start');
  timer.start();
  timer.start();
  advance(3_000);
  t.strictSame(swept(), [3_000, 4_000, 5_000]);
  t.equal(end(), 0);
  t.end();
});

void t.test('something waits: four sweeps in a second, the first one soon', (t) => {
  const scene = newScene();
  scene.timer.start();
  scene.advance(100);
  scene.waits = true;
  scene.timer.start();
  scene.advance(500);
  t.strictSame(scene.swept(), [350, 600]);
  scene.waits = false;
  scene.advance(1_500);
  t.strictSame(scene.swept(), [850, 1_850], 'after the next sweep it is calm again');
  t.equal(scene.end(), 0);
  t.end();
});

void t.test('what a sweep begins is looked at soon', (t) => {
  const clock = createTestClock();
  const start = clock.now();
  const times: number[] = [];
  const timer = createSweepTimer({
    clock,
    limits: DEFAULT_LIMITS,
    isCalm: () => times.length !== 1,
    sweep: (now) => times.push(now - start),
  });
  timer.start();
  clock.advance(3_000);
  t.strictSame(times, [1_000, 1_250, 1_500, 2_500]);
  timer.stop();
  t.equal(clock.pending, 0);
  t.end();
});

void t.test('shorter limits are looked at four times, from a change on', (t) => {
  const { timer, advance, swept, end } = newScene();
  timer.start();
  timer.retime({ ...DEFAULT_LIMITS, writeStallTimeoutMs: 400 });
  advance(1_300);
  t.strictSame(swept(), [1_000, 1_100, 1_200, 1_300]);
  timer.retime({ ...DEFAULT_LIMITS, writeStallTimeoutMs: 1 });
  advance(120);
  t.strictSame(swept(), [1_400, 1_410, 1_420], 'at most a hundred times in a second');
  t.equal(end(), 0);
  t.end();
});

void t.test('a sweep may stop the timer', (t) => {
  const clock = createTestClock();
  let sweeps = 0;
  const timer = createSweepTimer({
    clock,
    limits: DEFAULT_LIMITS,
    isCalm: () => true,
    sweep: () => {
      sweeps++;
      timer.stop();
    },
  });
  timer.start();
  clock.advance(5_000);
  t.equal(sweeps, 1);
  t.equal(clock.pending, 0);
  t.end();
});

void t.test('the timeouts of a directory keep to a quarter of a second', (t) => {
  const { handshakeTimeoutMs, heartbeatPongWaitMs } = DEFAULT_LIMITS;
  const clock = createTestClock();
  const directory = testDirectory({ clock });
  const connect = (): MemoryPeer => {
    const peer = memoryPeer();
    directory.accept(peer.connection);
    return peer;
  };
  /** Milliseconds until a condition holds, to a hundredth of a second; Infinity when it never does. */
  const until = (holds: () => boolean): number => {
    const from = clock.now();
    while (clock.now() - from < 3_600_000) {
      if (holds()) return clock.now() - from;
      clock.advance(10);
    }
    return Infinity;
  };
  const silent = connect();
  silent.say(
    encodeEnvelope(MessageType.HANDSHAKE, hello('J5silent', { features: { ping: true } })),
  );
  silent.drain();
  clock.advance(1_100);
  const stranger = connect();
  const late = until(() => stranger.closed) - handshakeTimeoutMs;
  t.ok(late >= 0 && late <= 250, `a newcomer without a handshake is ended ${late} ms late`);
  const pinged = until(() => {
    silent.drain();
    return silent.received.includes(`"type": ${MessageType.PING}`);
  });
  t.ok(pinged < 3_600_000, 'a silent peer is asked');
  const over = until(() => silent.closed) - heartbeatPongWaitMs;
  t.ok(over >= -10 && over <= 250, `a peer without a pong is ended ${over} ms late`);
  t.end();
});
