/** What a router does with more than it can pass on: it slows its neighbours down, drops, and says so. */
import t from 'tap';
import { Brake } from '../../src/llarp/iwp/brake.js';
import { LEAST_RATE, SendRate } from '../../src/llarp/iwp/send-rate.js';
import { Transmission } from '../../src/llarp/iwp/transmission.js';
import type { InnerMessage } from '../../src/llarp/iwp/messages.js';
import type { HiddenServiceFrame } from '../../src/llarp/routing-messages.js';
import { createTestClock } from '../helpers/test-clock.js';
import { Lab, seeded, type SeenPath } from './lab.js';

const DATA_BYTES = 8_000;

function frame(n: number): HiddenServiceFrame {
  return {
    kind: 'next',
    data: seeded(`frame ${n}`)(DATA_BYTES),
    nonce: new Uint8Array(32),
    tag: new Uint8Array(16),
    source: new Uint8Array(16),
    signature: new Uint8Array(64),
    version: 0n,
  };
}

function transfer(from: SeenPath, to: SeenPath, n: number): boolean {
  const { farthestId: pathId } = to.path;
  return from.path.send({ kind: 'transfer', pathId, frame: frame(n), version: 0n });
}

t.test('a limit is obeyed, eased and tightened, and ends by itself', (t) => {
  const clock = createTestClock();
  const rate = new SendRate(clock);
  t.equal(rate.limit, undefined);
  rate.asked('faster', 100, 5_000);
  t.equal(rate.limit, undefined, 'faster makes no limit');
  rate.asked('slower', 100, 5_000);
  t.equal(rate.limit, 102_400);
  rate.sent(102_400);
  t.equal(rate.waitMs(), 1_000, 'a second for the bytes of a second');
  rate.asked('slower', 200, 5_000);
  t.equal(rate.limit, 102_400, 'slower does not ease');
  rate.asked('faster', 300, 5_000);
  t.equal(rate.limit, 307_200);
  rate.asked('slower', 0, 0xffff_ffff);
  t.equal(rate.limit, LEAST_RATE, 'never below the least rate');
  clock.advance(10_000);
  t.equal(rate.limit, undefined, 'and never for longer than ten seconds');
  t.equal(rate.waitMs(), 0);
  t.end();
});

t.test('the brake asks for half of what arrives, then for twice as much at a time', (t) => {
  const clock = createTestClock();
  const brake = new Brake(clock);
  t.equal(brake.faster(), undefined, 'there is no limit to ease');
  for (let i = 0; i < 10; i++) {
    brake.received(102_400);
    clock.advance(100);
  }
  t.same(brake.slower(), { rate: 500, lifetimeMs: 2_000 });
  t.equal(brake.slower(), undefined, 'not again at once');
  clock.advance(250);
  t.same(brake.slower(), { rate: 250, lifetimeMs: 2_000 });
  clock.advance(250);
  t.same(brake.faster(), { rate: 500, lifetimeMs: 2_000 });
  clock.advance(2_000);
  t.equal(brake.faster(), undefined, 'the limit is over');
  t.end();
});

t.test('a limited session sends at the rate that was asked for', (t) => {
  const clock = createTestClock();
  let bytes = 0;
  const transmission: Transmission = new Transmission({
    clock,
    send(message: InnerMessage) {
      if (message.kind !== 'start') return;
      bytes += message.fragment.length;
      const { sequence } = message;
      clock.after(1, () => transmission.acknowledged(sequence, Uint8Array.of(255)));
    },
    onLost: () => undefined,
  });
  transmission.asked('slower', 100, 10_000);
  for (let i = 0; i < 500; i++) t.ok(transmission.send(new Uint8Array(1_024)));
  clock.advance(2_000);
  t.ok(bytes >= 190 * 1_024 && bytes <= 210 * 1_024, `${bytes} bytes in two seconds`);
  clock.advance(10_000);
  t.equal(transmission.queuedBytes, 0);
  transmission.close();
  t.equal(clock.pending, 0);
  t.end();
});

t.test('a link that cannot keep up slows the router before it, up to the creator', (t) => {
  const lab = new Lab(8);
  const alice = lab.path(0, [1, 2, 3]);
  const bob = lab.path(4, [5, 6, 3]);
  lab.clock.advance(2_000);
  // The link from the second to the third router carries 1,000 packets a second, about 1.2 MB.
  lab.paces = ({ from, to }) => (from === 2 && to === 3 ? 1 : 0);
  let sent = 0;
  let refused = 0;
  let isSlowed = false;
  for (let round = 0; round < 60 && refused < 5; round++) {
    for (let i = 0; i < 40; i++) {
      if (transfer(alice, bob, sent)) sent++;
      else refused++;
    }
    lab.clock.advance(100);
    isSlowed ||= lab.router(1).limitTo(lab.router(2).contact.signingKey) !== undefined;
  }
  t.ok(isSlowed, 'the second router asked the first one to send slower');
  t.ok(refused > 0, 'the creator is told when it sends: its own link takes no more');
  t.equal(alice.path.dropped.refused, refused);
  lab.clock.advance(30_000);
  t.equal(bob.frames.length, sent, 'what was taken arrives');
  for (const i of [1, 2, 3]) t.equal(lab.router(i).dropped.congestion, 0, `router ${i}`);
  t.same([alice.path.state, bob.path.state], ['ready', 'ready']);
  lab.clock.advance(15_000);
  t.equal(lab.router(1).limitTo(lab.router(2).contact.signingKey), undefined, 'the limit is over');
  t.end();
});

t.test('a full link at the common end: DDFM with the number of each dropped frame', (t) => {
  const lab = new Lab(8);
  const alice = lab.path(0, [1, 2, 3]);
  const bob = lab.path(4, [5, 6, 3]);
  lab.clock.advance(2_000);
  // Nothing from the common end to the other path arrives any more.
  lab.paces = ({ from, to }) => (from === 3 && to === 6 ? Infinity : 0);
  let sent = 0;
  for (let round = 0; round < 160; round++) {
    if (transfer(alice, bob, sent)) sent++;
    lab.clock.advance(10);
  }
  lab.clock.advance(2_000);
  const dropped = alice.messages.filter(({ kind }) => kind === 'discarded');
  t.ok(dropped.length > 0, `${dropped.length} of ${sent}`);
  t.equal(lab.router(3).droppedAtEnd.discarded, dropped.length);
  t.equal(alice.path.dropped.discarded, dropped.length);
  const numbers = dropped.map(({ sequence }) => sequence);
  t.same(
    numbers,
    [...new Set(numbers)].toSorted((a, b) => Number(a - b)),
    'each number once',
  );
  for (const each of dropped) {
    t.same('pathId' in each && each.pathId, bob.path.farthestId, 'the path that cannot take it');
  }
  t.ok(lab.router(3).queuedTo(lab.router(6).contact.signingKey) <= 1_048_576, 'bounded');
  t.end();
});
