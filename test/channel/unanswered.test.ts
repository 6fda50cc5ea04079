/**
 * Private messages to a directory over a path that holds them back and delivers them at once, in a model with the
 * real queue of the peer, the real rates of the directory, and the limits of deployed directories.
 */
import { array, assert, integer, property, record } from 'fast-check';
import t from 'tap';
import { DEFAULT_LIMITS as PEER_LIMITS } from '../../src/channel/channel-settings.js';
import { Unanswered } from '../../src/channel/directories/unanswered.js';
import { PacedQueue } from '../../src/channel/link/paced-queue.js';
import { DEFAULT_LIMITS } from '../../src/directory/limits.js';
import { meter, type Meters } from '../../src/directory/rates.js';
import { SlidingWindow, TokenBucket } from '../../src/kit/rate-limit.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';

/** One line on the path: a private message with its number, or a ping. */
type Line = { readonly kind: 'message'; readonly number: number } | { readonly kind: 'ping' };

interface Directory {
  /** Whether it acts on a private message. */
  readonly takesMessage: () => boolean;
  readonly takesPing: () => boolean;
}

function onionmcDirectory(clock: TestClock): Directory {
  const source: { meters: Meters | undefined } = { meters: undefined };
  const takes = (kind: 'privmsg' | 'ping'): boolean =>
    meter(source, kind, DEFAULT_LIMITS, clock.now()) === 'pass';
  return { takesMessage: () => takes('privmsg'), takesPing: () => takes('ping') };
}

/** joinmarket-ng: 500 lines a second of all kinds, 1,000 at once. */
function ngDirectory(clock: TestClock): Directory {
  const bucket = new TokenBucket(clock, 500, 1_000);
  return { takesMessage: () => bucket.take(), takesPing: () => bucket.take() };
}

/** The Rust directory: private messages without a limit, 6 pings in 60 s. */
function rustDirectory(clock: TestClock): Directory {
  const pings = new SlidingWindow(clock, 6, 60_000);
  return {
    takesMessage: () => true,
    takesPing() {
      const takes = pings.waitMs() === 0;
      pings.record();
      return takes;
    },
  };
}

const DIRECTORIES = { onionmc: onionmcDirectory, ng: ngDirectory, rust: rustDirectory };

/** A peer that sends to a directory over a path that can be held. */
class Scene {
  readonly clock = createTestClock();
  readonly arrived: number[] = [];
  readonly refused: string[] = [];
  pings = 0;
  readonly #directory: Directory;
  readonly #unanswered: Unanswered;
  readonly #queue: PacedQueue<number>;
  readonly #path: Line[] = [];
  #isHeld = false;
  #number = 0;

  constructor(kind: keyof typeof DIRECTORIES, perSecond = PEER_LIMITS.privmsgPerSecond) {
    const { clock } = this;
    this.#directory = DIRECTORIES[kind](clock);
    this.#unanswered = new Unanswered(clock);
    this.#queue = new PacedQueue({
      clock,
      pace: new TokenBucket(clock, perSecond, perSecond),
      most: Infinity,
      lengthOf: () => 1,
      isHeld: () => this.#unanswered.isFull,
      write: (number) => this.#write(number),
    });
  }

  get onTheWay(): number {
    return this.#path.length;
  }

  send(count: number): void {
    for (let n = 0; n < count; n++) this.#queue.push(this.#number++);
  }

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    for (const line of this.#path.splice(0)) this.#arrive(line);
  }

  #write(number: number): boolean {
    this.#put({ kind: 'message', number });
    this.#unanswered.sent();
    this.#pingWhenDue();
    return true;
  }

  #pingWhenDue(): void {
    const dueMs = this.#unanswered.pingDueMs;
    if (dueMs === undefined) return;
    if (dueMs > 0) {
      this.clock.after(dueMs, () => this.#pingWhenDue());
      return;
    }
    this.pings++;
    this.#unanswered.pinged();
    this.#put({ kind: 'ping' });
  }

  #put(line: Line): void {
    if (this.#isHeld) this.#path.push(line);
    else this.#arrive(line);
  }

  #arrive(line: Line): void {
    if (line.kind === 'message') {
      if (this.#directory.takesMessage()) this.arrived.push(line.number);
      else this.refused.push(`message ${line.number} at ${this.clock.now()}`);
      return;
    }
    if (!this.#directory.takesPing()) this.refused.push(`ping at ${this.clock.now()}`);
    // The answer takes its time.
    this.clock.after(300, () => {
      this.#unanswered.ponged();
      this.#queue.resume();
    });
  }
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

for (const kind of ['onionmc', 'ng', 'rust'] as const) {
  t.test(`${kind}: every burst arrives, in order, however the path holds it back`, async (t) => {
    const second = integer({ min: 0, max: 120 });
    const steps = array(
      record({ sent: integer({ min: 0, max: 1_500 }), held: second, open: second }),
      {
        minLength: 1,
        maxLength: 6,
      },
    );
    assert(
      property(steps, (all) => {
        const scene = new Scene(kind);
        let sent = 0;
        for (const step of all) {
          scene.hold();
          scene.send(step.sent);
          sent += step.sent;
          scene.clock.advance(step.held * 1_000);
          scene.release();
          scene.clock.advance(step.open * 1_000);
        }
        scene.clock.advance(3_600_000);
        t.same(scene.refused, []);
        t.same(scene.arrived, numbers(sent));
      }),
      { numRuns: 40, seed: 1 },
    );
  });
}

t.test(
  'a path that is held for 10 minutes: 900 messages are on their way, the others wait',
  async (t) => {
    const scene = new Scene('onionmc');
    scene.hold();
    scene.send(5_000);
    scene.clock.advance(600_000);
    t.equal(scene.onTheWay, 902, '900 messages and two pings');
    scene.release();
    scene.clock.advance(600_000);
    t.same([scene.arrived, scene.refused], [numbers(5_000), []]);
  },
);

t.test('with answers in time the pace is that without pings', async (t) => {
  const scene = new Scene('rust');
  scene.send(25 + 25 * 600);
  scene.clock.advance(600_000);
  t.equal(scene.arrived.length, 25 + 25 * 600, '25 and 25 a second');
  t.ok(scene.pings >= 30 && scene.pings <= 34, `${scene.pings} pings in ten minutes`);
});

t.test('a faster pace sends no more pings than the Rust directory takes', async (t) => {
  const scene = new Scene('rust', 1_000);
  scene.send(20_000);
  scene.clock.advance(60_000);
  t.equal(scene.pings, 4, 'in the first 75 s');
  scene.clock.advance(600_000);
  t.same([scene.arrived, scene.refused], [numbers(20_000), []]);
});
