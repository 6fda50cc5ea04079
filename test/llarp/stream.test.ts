/** Streams over datagrams that are lost, repeated and late: the same bytes, or an end with a fault. */
import {
  array,
  assert,
  boolean,
  double,
  nat,
  property,
  record,
  string,
  uint8Array,
} from 'fast-check';
import t from 'tap';
import { MAX_QUEUED_BYTES } from '../../src/llarp/stream/sending.js';
import { RECEIVE_WINDOW, ReceivingHalf } from '../../src/llarp/stream/receiving.js';
import {
  MAX_RANGES,
  readSegment,
  SEGMENT_BYTES,
  writeSegment,
  type Segment,
} from '../../src/llarp/stream/segment.js';
import { SILENCE_MS, type Stream, type StreamFault } from '../../src/llarp/stream/stream.js';
import { MAX_STREAMS_OF_ONE, Streams } from '../../src/llarp/stream/streams.js';
import { createTestClock } from '../helpers/test-clock.js';
import { seeded } from './lab.js';

const PORT = 5_222;

/** One end of a stream in a test. */
class End {
  readonly received: Uint8Array[] = [];
  readonly ends: (StreamFault | undefined)[] = [];
  opened = false;
  stream: Stream | undefined;

  readonly handlers = {
    onOpen: () => {
      this.opened = true;
    },
    onData: (bytes: Uint8Array) => void this.received.push(bytes),
    onEnd: (fault: StreamFault | undefined) => void this.ends.push(fault),
  };

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  get open(): Stream {
    if (!this.stream) throw new Error('no stream');
    return this.stream;
  }
}

/** What happens to a datagram: milliseconds until it arrives, none when it is lost, several when it is repeated. */
type Fate = (payload: Uint8Array) => readonly number[];

class Pair {
  readonly clock = createTestClock();
  readonly alice = new End();
  readonly bob = new End();
  fate: Fate = () => [10];
  sent = 0;
  doubts = 0;
  readonly accepted: End[] = [];
  readonly streams: { readonly alice: Streams; readonly bob: Streams };

  constructor() {
    const { clock } = this;
    const options = (to: 'alice' | 'bob', from: string) => ({
      clock,
      randomBytes: seeded(`streams of ${from}`),
      send: (address: string, payload: Uint8Array) => {
        if (address !== to) throw new Error(`sent to ${address}`);
        this.sent++;
        for (const ms of this.fate(payload)) {
          clock.after(ms, () => this.streams[to].receive(from, payload));
        }
      },
      onDoubt: () => void this.doubts++,
    });
    this.streams = {
      alice: new Streams(options('bob', 'alice')),
      bob: new Streams(options('alice', 'bob')),
    };
    this.streams.bob.listen(PORT, (stream) => {
      const end = this.accepted.length === 0 ? this.bob : new End();
      end.stream = stream;
      stream.attach(end.handlers);
      this.accepted.push(end);
    });
  }

  open(): this {
    this.alice.stream = this.streams.alice.open('bob', PORT, this.alice.handlers);
    this.clock.advance(100);
    return this;
  }
}

function opened(): Pair {
  return new Pair().open();
}

const bytesOf = (length: number, seed: string): Uint8Array => seeded(seed)(length);

const SEGMENT: Segment = {
  stream: '0123456789abcdef',
  fromOpener: true,
  opens: false,
  ends: true,
  resets: false,
  asks: true,
  offset: 7,
  acknowledged: 5,
  window: 9,
  ranges: [{ from: 6, to: 8 }],
  data: Uint8Array.of(1, 2, 3),
};

t.test('a segment, byte for byte', (t) => {
  t.equal(
    Buffer.from(writeSegment(SEGMENT)).toString('hex'),
    [
      '00', // version
      '1a', // ends, from the opener, asks
      '0123456789abcdef',
      '0000000000000007', // offset
      '0000000000000005', // acknowledged
      '00000009', // window
      '01', // ranges
      '0000000000000006',
      '0000000000000008',
      '010203',
    ].join(''),
  );
  t.same(readSegment(writeSegment(SEGMENT)), { ok: true, value: SEGMENT });
  const changed = (at: number, byte: number): Uint8Array => {
    const bytes = writeSegment(SEGMENT);
    bytes[at] = byte;
    return bytes;
  };
  for (const [bytes, reason] of [
    [new Uint8Array(30), 'length'],
    [changed(0, 1), 'version'],
    [changed(1, 32), 'flags'],
    [changed(10, 255), 'range'],
    [changed(30, MAX_RANGES + 1), 'length'],
    [changed(38, 2), 'range'],
    [changed(46, 6), 'range'],
    [writeSegment({ ...SEGMENT, data: new Uint8Array(SEGMENT_BYTES + 1) }), 'length'],
  ] as const) {
    t.same(readSegment(bytes), { ok: false, reason });
  }
  t.end();
});

t.test('any bytes are read or refused, and what is read is written back', (t) => {
  assert(
    property(uint8Array({ maxLength: 200 }), boolean(), (bytes, isLikely) => {
      if (isLikely && bytes.length > 31) {
        bytes[0] = 0;
        bytes[1] = (bytes[1] ?? 0) & 31;
        bytes[10] = 0;
        bytes[18] = 0;
        bytes[30] = (bytes[30] ?? 0) & 1;
      }
      const read = readSegment(bytes);
      return !read.ok || Buffer.compare(writeSegment(read.value), bytes) === 0;
    }),
  );
  t.end();
});

t.test('open, both ways, end: no byte is missing and nothing is left', (t) => {
  const pair = opened();
  const { alice, bob, clock } = pair;
  t.ok(alice.opened);
  t.notOk(bob.opened, 'only the opener is told');
  const there = bytesOf(200_000, 'there');
  const back = bytesOf(300_000, 'back');
  let told = 0;
  alice.open.write(there.subarray(0, 100_000), () => told++);
  alice.open.write(there.subarray(100_000), () => told++);
  bob.open.write(back);
  t.ok(alice.open.queuedBytes === 200_000);
  clock.advance(3_000);
  t.equal(told, 2);
  t.equal(alice.open.queuedBytes, 0);
  alice.open.end();
  clock.advance(1_000);
  t.ok(bob.bytes.equals(there));
  t.ok(alice.bytes.equals(back));
  t.same([alice.ends, bob.ends], [[undefined], [undefined]]);
  t.equal(pair.streams.alice.size + pair.streams.bob.size, 0);
  t.equal(clock.pending, 0, 'no timer is left');
  t.end();
});

t.test('small writes share segments', (t) => {
  const pair = opened();
  const before = pair.sent;
  for (let i = 0; i < 2_000; i++) pair.alice.open.write(Buffer.from(`${i}\n`));
  pair.clock.advance(1_000);
  t.equal(pair.bob.bytes.length, 8_890);
  t.ok(pair.sent - before <= 4, `${pair.sent - before} segments`);
  t.end();
});

t.test('lost, repeated and late datagrams: the same bytes, or a fault', (t) => {
  assert(
    property(
      record({
        seed: string(),
        loss: double({ min: 0, max: 0.5, noNaN: true }),
        repeat: double({ min: 0, max: 0.3, noNaN: true }),
        spreadMs: nat(400),
        there: nat(120_000),
        back: nat(60_000),
        pauses: array(nat(3_000), { maxLength: 4 }),
      }),
      ({ seed, loss, repeat, spreadMs, there, back, pauses }) => {
        const random = seeded(seed);
        const uniform = (): number => new DataView(random(4).buffer).getUint32(0) / 2 ** 32;
        const pair = new Pair();
        const { alice, bob, clock } = pair;
        pair.fate = () => {
          const delay = (): number => 5 + Math.floor(uniform() * spreadMs);
          if (uniform() < loss) return [];
          return uniform() < repeat ? [delay(), delay()] : [delay()];
        };
        pair.open();
        alice.open.write(bytesOf(there, 'there'));
        for (let i = 0; i < 600 && !bob.stream && alice.ends.length === 0; i++) clock.advance(100);
        if (bob.stream) {
          bob.stream.write(bytesOf(back, 'back'));
          for (const ms of pauses) {
            bob.stream.pause();
            clock.advance(ms);
            bob.stream.resume();
            clock.advance(ms);
          }
        }
        // After that, since an end of one side ends the other one too.
        alice.open.end();
        for (let i = 0; i < 900 && alice.ends.length + bob.ends.length < 2; i++) {
          clock.advance(1_000);
        }
        const gotThere = bob.bytes;
        const gotBack = alice.bytes;
        // Never anything else than the beginning of what was written.
        if (!gotThere.equals(bytesOf(there, 'there').subarray(0, gotThere.length))) return false;
        if (!gotBack.equals(bytesOf(back, 'back').subarray(0, gotBack.length))) return false;
        if (alice.ends.length !== 1 || bob.ends.length > 1) return false;
        // An end without a fault means that the other side has everything.
        if (bob.ends.includes(undefined) && gotThere.length !== there) return false;
        const isComplete = gotThere.length === there && gotBack.length === back;
        return alice.ends[0] !== undefined || isComplete;
      },
    ),
    { numRuns: 60 },
  );
  t.end();
});

t.test('loss of one in ten does not stop a stream', (t) => {
  const pair = opened();
  const random = seeded('one in ten');
  pair.fate = () => ((random(1)[0] ?? 0) < 26 ? [] : [20]);
  const bytes = bytesOf(1_000_000, 'million');
  pair.alice.open.write(bytes);
  pair.alice.open.end();
  pair.clock.advance(60_000);
  t.ok(pair.bob.bytes.equals(bytes));
  t.same([pair.alice.ends, pair.bob.ends], [[undefined], [undefined]]);
  t.end();
});

t.test('a slow reader stops the sender, at a bounded cost', (t) => {
  const { alice, bob, clock } = opened();
  bob.open.pause();
  const bytes = bytesOf(2_000_000, 'slow');
  alice.open.write(bytes);
  clock.advance(20_000);
  t.equal(bob.bytes.length, 0);
  t.ok(bob.open.heldBytes <= RECEIVE_WINDOW, `${bob.open.heldBytes} bytes held`);
  t.ok(alice.open.queuedBytes >= bytes.length - RECEIVE_WINDOW);
  clock.advance(10 * SILENCE_MS);
  t.same(alice.ends, [], 'a reader that only pauses is there');
  bob.open.resume();
  clock.advance(20_000);
  t.ok(bob.bytes.equals(bytes));
  t.equal(alice.open.queuedBytes, 0);
  t.end();
});

t.test('a writer that writes more than the bound ends with a fault', (t) => {
  const { alice, bob, clock } = opened();
  bob.open.pause();
  const chunk = new Uint8Array(MAX_QUEUED_BYTES / 8);
  for (let i = 0; i < 9; i++) alice.open.write(chunk);
  clock.advance(0);
  t.same(alice.ends, ['queue-full']);
  t.end();
});

t.test('a reset is seen, with its reason', (t) => {
  const { alice, bob, clock, streams } = opened();
  alice.open.write(Buffer.from('last'));
  clock.advance(100);
  alice.open.reset();
  alice.open.write(Buffer.from('too late'));
  clock.advance(100);
  t.same([alice.ends, bob.ends], [['closed'], ['closed']]);
  t.equal(bob.bytes.toString(), 'last');
  const refused = new End();
  streams.alice.open('bob', PORT + 1, refused.handlers);
  clock.advance(100);
  t.same(refused.ends, ['no-service']);
  t.end();
});

t.test('the other side is gone: an idle stream, a writing one, and one that opens', (t) => {
  const pair = opened();
  const { alice, bob, clock } = pair;
  clock.advance(10 * SILENCE_MS);
  t.same([alice.ends, bob.ends], [[], []], 'an idle stream stays');
  const writing = new End();
  writing.stream = pair.streams.alice.open('bob', PORT, writing.handlers);
  clock.advance(100);
  pair.fate = () => [];
  writing.open.write(Buffer.from('hello?'));
  const opening = new End();
  pair.streams.alice.open('bob', PORT, opening.handlers);
  clock.advance(2 * SILENCE_MS);
  t.same([alice.ends, writing.ends, opening.ends], [['silent'], ['silent'], ['not-opened']]);
  t.ok(pair.doubts > 2, 'the way was doubted before');
  t.equal(pair.streams.alice.size, 0);
  t.end();
});

t.test('a repeated opening makes no second stream; the end is answered again', (t) => {
  const pair = new Pair();
  pair.fate = () => [10, 20, 600];
  pair.open();
  pair.alice.open.write(Buffer.from('once'));
  pair.alice.open.end();
  pair.clock.advance(20_000);
  t.equal(pair.accepted.length, 1);
  t.equal(pair.bob.bytes.toString(), 'once');
  t.same([pair.alice.ends, pair.bob.ends], [[undefined], [undefined]]);
  t.end();
});

t.test('streams of one service, and segments of no stream, are bounded', (t) => {
  const { streams, clock, accepted } = new Pair();
  const ends = Array.from({ length: MAX_STREAMS_OF_ONE + 1 }, () => new End());
  for (const end of ends) end.stream = streams.alice.open('bob', PORT, end.handlers);
  clock.advance(100);
  t.equal(accepted.length, MAX_STREAMS_OF_ONE);
  t.same(
    ends.flatMap((end) => end.ends),
    ['too-many'],
  );
  let answers = 0;
  const busy = new Streams({
    clock,
    randomBytes: seeded('busy'),
    send: () => void answers++,
    onDoubt: () => undefined,
  });
  for (let i = 0; i < 1_000; i++) busy.receive('carol', writeSegment(SEGMENT));
  busy.receive('carol', Uint8Array.of(1, 2));
  t.ok(answers <= 20, `${answers} resets`);
  t.same(busy.dropped, { malformed: 1, unknown: 1_000, full: 0 });
  t.end();
});

t.test('a hostile segment cannot make the receiver keep more than its window', (t) => {
  assert(
    property(
      array(
        record({
          offset: nat(2 * RECEIVE_WINDOW),
          length: nat(SEGMENT_BYTES),
          ends: boolean(),
        }),
        { maxLength: 60 },
      ),
      (segments) => {
        const half = new ReceivingHalf(() => undefined);
        half.pause();
        let before = 0;
        for (const { offset, length, ends } of segments) {
          half.take({ offset, data: new Uint8Array(length), ends });
          const { acknowledged, ranges } = half.receipt;
          if (half.heldBytes > 64 * SEGMENT_BYTES + RECEIVE_WINDOW) return false;
          if (half.window < 0 || acknowledged < before) return false;
          if (ranges.some(({ from, to }) => from < acknowledged || to <= from)) return false;
          before = acknowledged;
        }
        return true;
      },
    ),
    { numRuns: 200 },
  );
  t.end();
});
