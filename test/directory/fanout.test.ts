/**
 * The shared log, the outboxes and the flush window: compared with a model over connections in memory whose
 * queues drain at random, and tested one by one where the model does not look.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { createBroadcastLog } from '../../src/directory/fanout/broadcast-log.js';
import { DEFAULT_LIMITS, directoryMotd } from '../../src/directory/directory.js';
import { Fanout } from '../../src/directory/fanout/fanout.js';
import { createFlushTimer } from '../../src/directory/fanout/flush-timer.js';
import { Outboxes } from '../../src/directory/fanout/outbox.js';
import { createPeer } from '../../src/directory/peer.js';
import { createRegistry } from '../../src/directory/registry.js';
import { createTally } from '../../src/directory/stats.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { createTestClock } from '../helpers/test-clock.js';
import { memoryPeer, type MemoryPeer } from './memory-connection.js';
import type { Location, LocationKind } from '../../src/protocol/location.js';
import {
  CLUSTER_TIMERS,
  connectPeer,
  DN_NICK,
  hello,
  NO_RATES,
  onion,
  oneProcess,
  openDirectory,
  parseLine,
  testDirectory,
} from './wire.js';

/** One event at one of the seats. Numbers are seats, sizes and shares. */
type Step =
  | { readonly do: 'join' | 'leave'; readonly seat: number }
  | { readonly do: 'publish'; readonly seat: number; readonly size: number; readonly times: number }
  | { readonly do: 'send'; readonly seat: number; readonly to: number; readonly size: number }
  | { readonly do: 'drain'; readonly seat: number; readonly bytes: number }
  | { readonly do: 'wait'; readonly ms: number };

const SEATS = 5;
const seat = fc.nat(SEATS - 1);
const size = fc.oneof(fc.nat(60), fc.nat(39_000));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('join' as const), seat }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), seat }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      seat,
      size,
      times: fc.integer({ min: 1, max: 12 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('send' as const), seat, to: seat, size }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('drain' as const),
      seat,
      bytes: fc.oneof(fc.nat(500), fc.nat(300_000)),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(40) }) },
);

/** A message, with the peer list entry behind a private one. */
interface Message {
  readonly type: number;
  readonly from: string;
  readonly line: string;
  readonly entry?: string;
}

/** A peer as the model sees it. */
interface Modelled {
  readonly peer: MemoryPeer;
  readonly nick: string;
  /**
   * The messages that it must get: all of a sender, all public ones, and all private ones in this order.
   * Leaves come in between; see `leaves`.
   */
  readonly due: Message[];
  /** The entries of peers whose leave it must hear exactly once, `;D` excluded. */
  readonly leaves: string[];
  /** Where it is, and the kind of location that it dialled. */
  readonly home: Home;
}

/** The location of a peer, in one of the overlays of the directory. */
interface Home {
  readonly via: 'loopback' | 'onion';
  readonly location: string;
}

/** The locations of a directory with two overlays. */
const OWN = { loopback: '127.0.0.1:5222', onion: onion(250) };
const NOWHERE: Home = { via: 'loopback', location: 'NOT-SERVING-ONION' };

/** The peers of even seats come through one overlay, the others through another; all of them serve. */
function homeOf(n: number): Home {
  return n % 2 === 0
    ? { via: 'loopback', location: `127.0.0.1:${n + 1}` }
    : { via: 'onion', location: onion(n + 1) };
}

/** The entry of a peer in a list for another one. */
function entryFor({ home }: Modelled, { nick, home: { via, location } }: Modelled): string {
  return `${nick};${home.via === via ? location : 'NOT-SERVING-ONION'}`;
}

function isLeave(line: string): boolean {
  return line.endsWith(';D');
}

/** Checks the lines that a peer got; with `all`, no line may be missing. */
function check({ peer, due, leaves, nick }: Modelled, all: boolean): void {
  const raw = peer.received.split('\r\n');
  if (all && raw.at(-1) !== '') throw new Error(`${nick}: half a line at the end`);
  const lines = raw.slice(0, -1).map(parseLine);
  if (lines.length > 0 && lines[0]?.type !== 795) throw new Error(`${nick}: 795 is not first`);
  const ordered: Message[] = [];
  const left: string[] = [];
  for (const { type, line } of lines.slice(1)) {
    if (type === 789 && isLeave(line)) {
      left.push(...line.split(',').map((entry) => entry.slice(0, -';D'.length)));
    } else if (type === 789) {
      const before = ordered.pop();
      if (before?.type !== 685) throw new Error(`${nick}: an entry without a private message`);
      ordered.push({ ...before, entry: line });
    } else {
      const [from = ''] = line.split('!');
      if (left.some((entry) => entry.startsWith(`${from};`)))
        throw new Error(`${nick}: ${from} spoke after it left`);
      ordered.push({ type, from, line });
    }
  }
  const last = ordered.at(-1);
  if (!all && last?.type === 685 && last.entry === undefined) ordered.pop();
  // A private message may come before the public ones of others.
  const keys = new Set([...due, ...ordered].flatMap(({ type, from }) => [type, from]));
  for (const key of keys) {
    const of = ({ type, from }: Message): boolean => type === key || from === key;
    const came = ordered.filter(of);
    const wanted = due.filter(of).slice(0, all ? undefined : came.length);
    if (JSON.stringify(came) !== JSON.stringify(wanted)) {
      const first = came.findIndex((one, n) => JSON.stringify(one) !== JSON.stringify(wanted[n]));
      throw new Error(
        `${nick}: ${came.length} lines of ${wanted.length} of ${key}, first difference at ${first}`,
      );
    }
  }
  const expected = new Set(leaves);
  if (new Set(left).size !== left.length) throw new Error(`${nick}: a leave came twice`);
  if (left.some((gone) => !expected.has(gone))) throw new Error(`${nick}: an unexpected leave`);
  if (all && left.length !== leaves.length) throw new Error(`${nick}: a leave is missing`);
}

interface Windows {
  readonly publicWindowMs: number;
  readonly flushWindowMs: number;
}

const WINDOWS: readonly Windows[] = [
  { publicWindowMs: 0, flushWindowMs: 0 },
  { publicWindowMs: 0, flushWindowMs: 25 },
  { publicWindowMs: 250, flushWindowMs: 25 },
];

async function play(steps: readonly Step[], windows: Windows, isInTwo: boolean): Promise<void> {
  const clock = createTestClock();
  const options = {
    ...(isInTwo
      ? {
          reachable: new Set(['loopback', 'onion'] as const),
          location: (via: LocationKind): Location => ({
            kind: via,
            host: OWN[via === 'onion' ? via : 'loopback'].replace(/:5222$/, ''),
            port: 5222,
          }),
        }
      : {}),
    limits: { ...DEFAULT_LIMITS, ...NO_RATES, sendQueueBytes: 1e9, writeStallTimeoutMs: 1e9 },
    random: () => 0.5,
    ...windows,
  };
  const directory = await openDirectory((more) => testDirectory({ ...options, ...more }), clock);
  const seats: (Modelled | undefined)[] = Array.from({ length: SEATS }, () => undefined);
  let count = 0;
  const present = (): Modelled[] => seats.filter((s) => s !== undefined);

  for (const action of steps) {
    if (action.do === 'wait') {
      clock.advance(action.ms);
      continue;
    }
    const me = seats[action.seat];
    if (action.do === 'join') {
      if (me) continue;
      // A new nick each time; other tests cover a nick that comes back.
      const nick = `J5n${++count}`;
      const home = isInTwo ? homeOf(action.seat) : NOWHERE;
      const peer = connectPeer(directory, undefined, home.via);
      peer.say(encodeEnvelope(793, hello(nick, home)));
      seats[action.seat] = { peer, nick, due: [], leaves: [], home };
      continue;
    }
    if (!me) continue;
    const others = present().filter((other) => other !== me);
    switch (action.do) {
      case 'leave':
        seats[action.seat] = undefined;
        me.peer.leave();
        check(me, false);
        for (const other of others) other.leaves.push(entryFor(other, me));
        break;
      case 'publish': {
        let bytes = '';
        for (let n = 0; n < action.times; n++) {
          const line = `${me.nick}!PUBLIC!hp2 ${++count} ${'x'.repeat(action.size)}`;
          bytes += encodeEnvelope(687, line);
          for (const other of others) other.due.push({ type: 687, from: me.nick, line });
        }
        me.peer.say(bytes);
        break;
      }
      case 'send': {
        const target = seats[action.to];
        if (!target || target === me) break;
        const line = `${me.nick}!${target.nick}!fill ${++count} ${'y'.repeat(action.size)}`;
        me.peer.say(encodeEnvelope(685, line));
        const own = `${DN_NICK};${OWN[target.home.via]}`;
        const isNamed = isInTwo && target.home.via === me.home.via;
        const entry = isNamed ? `${entryFor(target, me)},${own}` : own;
        target.due.push({ type: 685, from: me.nick, line, entry });
        break;
      }
      case 'drain':
        me.peer.drain(action.bytes);
        break;
    }
  }
  clock.advance(300);
  // One round for each remaining write; each takes all queued bytes.
  for (let round = 0; round < 400; round++) for (const { peer } of present()) peer.drain();
  for (const modelled of present()) check(modelled, true);
  for (const { peer } of present()) peer.leave();
  if (directory.connectionCount !== 0) throw new Error('connections are left');
  if (clock.pending !== CLUSTER_TIMERS) throw new Error('timers are left');
}

/** Three nodes, each time anew, take longer than one. */
const RUNS = CLUSTER_TIMERS > 0 ? 6 : 150;

void t.test('every peer gets exactly its messages, those of a sender in order', async (t) => {
  const steps = fc.array(step, { minLength: 20, maxLength: 120 });
  for (const isInTwo of [false, true]) {
    for (const windows of WINDOWS) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await fc.assert(
        fc.asyncProperty(steps, (list) => play(list, windows, isInTwo)),
        { numRuns: RUNS },
      );
      const where = isInTwo ? 'through two overlays' : 'through one overlay';
      const { publicWindowMs, flushWindowMs } = windows;
      t.pass(
        `${RUNS} random interleavings, windows ${publicWindowMs} and ${flushWindowMs} ms, ${where}`,
      );
    }
  }
});

/** A public message, or a private one with its entry. */
function message(line: string, entry?: string): Message {
  const [from = ''] = line.split('!');
  return entry === undefined ? { type: 687, from, line } : { type: 685, from, line, entry };
}

void t.test(
  'the model detects a lost, a doubled and a swapped line',
  oneProcess('a test of the model of this file'),
  (t) => {
    const peer = memoryPeer();
    const say = (line: string): void => peer.connection.write(Buffer.from(line));
    const base = { peer, nick: 'J5a', leaves: [], home: NOWHERE };
    say(encodeEnvelope(795, '{}') + encodeEnvelope(687, 'b!1'));
    say(encodeEnvelope(685, 'c!2') + encodeEnvelope(789, 'dn') + encodeEnvelope(687, 'b!3'));
    for (let write = 0; write < 2; write++) peer.drain();
    const [one, two, three, four] = [
      message('b!1'),
      message('c!2', 'dn'),
      message('b!3'),
      message('b!4'),
    ];
    const wrong = (due: Message[], all = true, leaves: string[] = []): void =>
      check({ ...base, due, leaves }, all);
    wrong([one, two, three]);
    wrong([one, three, two]);
    wrong([one, two, three, four], false);
    t.throws(() => wrong([one, two, three, four]), /2 lines of 3 of 687/);
    t.throws(() => wrong([one, three]), /1 lines of 0 of 685/);
    t.throws(() => wrong([one, two]), /2 lines of 1 of 687/);
    t.throws(() => wrong([three, two, one], false), /of 687, first difference at 0/);
    t.throws(() => wrong([one, message('c!2', 'x'), three]), /of 685, first difference at 0/);
    t.throws(() => wrong([one, two, three], true, ['J5x']), /is missing/);
    t.end();
  },
);

void t.test('the log', oneProcess('a data structure of a node'), (t) => {
  const log = createBroadcastLog();
  let all = '';
  for (let n = 0; n < 100; n++) {
    const frame = `${n}:${'z'.repeat((n * 997) % 40_000)}\n`;
    t.equal(log.append(frame), frame.length);
    all += frame;
  }
  t.equal(log.end, all.length);
  t.equal(log.size, all.length);
  let read = '';
  while (read.length < all.length)
    read += Buffer.from(log.slice(read.length, all.length)).toString();
  t.ok(read === all, 'the slices add up to the log, across chunks');
  t.equal(Buffer.from(log.slice(3, 7)).toString(), all.slice(3, 7));
  t.equal(log.slice(3, 7), log.slice(3, 7), 'the same slice is made once');

  const kept = log.slice(0, 100);
  log.trim(log.end);
  t.ok(log.size <= 262_144, 'only the chunk being written is kept');
  t.equal(Buffer.from(kept).toString(), all.slice(0, 100), 'an earlier slice does not change');
  t.throws(() => log.slice(0, 1), RangeError);
  log.append('next\n');
  t.equal(Buffer.from(log.slice(log.end - 5, log.end)).toString(), 'next\n');
  t.end();
});

void t.test('the flush window', oneProcess('a data structure of a node'), (t) => {
  const clock = createTestClock();
  const flushed: number[] = [];
  const timer = createFlushTimer({
    clock,
    windows: { publicMs: 0, burstMs: 25 },
    peers: () => 1_000,
    flush: () => flushed.push(clock.now()),
  });
  timer.schedule();
  t.strictSame(flushed, [], 'nothing to flush');
  timer.touch(180);
  timer.schedule();
  t.strictSame(flushed, [1_000], 'at once when quiet');
  for (let n = 0; n < 10; n++) {
    timer.touch(180);
    timer.schedule();
    clock.advance(10);
  }
  t.strictSame(flushed, [1_000, 1_025, 1_050, 1_075, 1_100], 'together under load');
  clock.advance(1_000);
  t.equal(clock.pending, 0);
  timer.touch(180);
  timer.schedule();
  t.equal(flushed.at(-1), 2_100, 'and at once again');
  timer.touch(180);
  timer.schedule();
  timer.cancel();
  t.equal(clock.pending, 0);
  clock.advance(100);
  t.equal(flushed.length, 6);
  t.end();
});

void t.test('the window of public frames', oneProcess('a data structure of a node'), (t) => {
  const clock = createTestClock();
  const start = clock.now();
  let flushed: number[] = [];
  const timer = createFlushTimer({
    clock,
    windows: { publicMs: 250, burstMs: 25 },
    peers: () => 9,
    flush: () => flushed.push(clock.now() - start),
  });
  const at = (ms: number, bytes: number): void => {
    clock.advance(start + ms - clock.now());
    timer.touch(bytes);
    timer.schedule();
  };
  at(0, 180);
  at(200, 180);
  at(249, 180);
  t.strictSame(flushed, [], 'few wait for each other');
  clock.advance(1_000);
  t.strictSame(flushed, [250], 'until the first has waited for the window');
  t.equal(clock.pending, 0, 'no timer without frames');

  flushed = [];
  for (let n = 0; n < 22; n++) at(2_000 + 10 * n, 180);
  t.strictSame(flushed, [], '3,960 bytes wait');
  at(2_230, 180);
  t.strictSame(flushed, [2_230], 'eight cells leave at once');
  at(2_240, 1_200);
  at(2_260, 1_200);
  t.strictSame(flushed, [2_230, 2_255], 'a burst goes on at the short interval');
  clock.advance(start + 2_280 - clock.now());
  t.strictSame(flushed, [2_230, 2_255, 2_280]);
  at(2_290, 180);
  clock.advance(start + 2_305 - clock.now());
  t.strictSame(flushed, [2_230, 2_255, 2_280, 2_305], 'also with its last frame');
  at(2_310, 180);
  clock.advance(1_000);
  t.equal(flushed.at(-1), 2_560, 'and after it frames wait again');

  flushed = [];
  at(3_400, 40_000);
  at(3_430, 180);
  t.strictSame(
    flushed,
    [3_400, 3_430],
    'one frame that fills eight cells, and the end of the burst',
  );
  flushed = [];
  at(3_500, 3_900);
  t.strictSame(flushed, [], 'one frame is no burst');
  clock.advance(start + 3_800 - clock.now());
  flushed = [];
  for (let n = 0; n < 11; n++) at(3_800 + n, 180);
  t.strictSame(flushed, [], 'less than four cells within 25 ms');
  at(3_811, 180);
  t.strictSame(flushed, [3_811], 'more of them are a burst');
  at(3_900, 180);
  t.strictSame(flushed, [3_811, 3_900], 'which ends with a small flush');

  flushed = [];
  for (let n = 0; n < 100; n++) at(4_000 + n, 1_000);
  t.strictSame(flushed, [4_003, 4_028, 4_053, 4_078], 'never more often than the short interval');
  timer.cancel();
  t.equal(clock.pending, 0);
  t.end();
});

/** The types of all lines after the answer to the handshake. */
function typesOf(peer: MemoryPeer): readonly string[] {
  peer.drain();
  return peer.received
    .split('\r\n')
    .slice(1, -1)
    .map((line) => line.slice(9, 12));
}

void t.test('frames for one peer take along what waits for it, and only for it', async (t) => {
  const clock = createTestClock();
  const windows = { publicWindowMs: 250, flushWindowMs: 25 };
  const directory = await openDirectory((more) => testDirectory({ ...windows, ...more }), clock);
  const join = (nick: string): MemoryPeer => {
    const peer = connectPeer(directory);
    peer.say(encodeEnvelope(793, hello(nick, NOWHERE)));
    peer.drain();
    return peer;
  };
  const [alice, bob, carol] = [join('J5alice'), join('J5bob'), join('J5carol')];
  alice.say(encodeEnvelope(687, 'J5alice!PUBLIC!hp2 one'));
  t.strictSame([typesOf(bob), typesOf(carol)], [[], []], 'a public message waits');
  alice.say(encodeEnvelope(685, 'J5alice!J5bob!fill two'));
  t.strictSame(typesOf(bob), ['687', '685', '789'], 'before the private one of the same sender');
  t.strictSame(typesOf(carol), [], 'others wait on');
  carol.say(encodeEnvelope(685, 'J5carol!J5nobody!fill three'));
  t.strictSame(typesOf(carol), ['789', '687'], 'a gone notice overtakes the public one');
  const queued = (): number => directory.queuedBytes().reduce((sum, bytes) => sum + bytes, 0);
  alice.say(encodeEnvelope(687, 'J5alice!PUBLIC!hp2 four'));
  t.equal(queued(), 0, 'what waits for others is not behind');
  clock.advance(250);
  t.ok(queued() > 0, 'what was written and not taken is');
  t.strictSame([typesOf(bob).length, typesOf(carol).length], [4, 3], 'each once');
  for (const peer of [alice, bob, carol]) peer.leave();
  t.equal(clock.pending, CLUSTER_TIMERS);
});

void t.test(
  'one write per flush, zero-copy and shared',
  oneProcess('writes and memory of one process'),
  (t) => {
    const clock = createTestClock();
    const tally = createTally();
    const log = createBroadcastLog();
    const outboxes = new Outboxes({ log, clock, tally });
    const writes: Uint8Array[] = [];
    const peers = Array.from({ length: 3 }, () => memoryPeer());
    const boxes = peers.map(({ connection }) =>
      outboxes.open({
        ...connection,
        write(bytes: Uint8Array, done?: () => void) {
          writes.push(bytes);
          connection.write(bytes, done);
        },
      }),
    );
    for (const box of boxes) outboxes.begin(box);
    for (let n = 0; n < 200; n++) log.append(`message ${n}\n`);
    for (const box of boxes) {
      box.due = log.end;
      outboxes.pump(box);
    }
    t.equal(writes.length, 3, '200 messages, one write each');
    t.ok(
      writes.every((bytes) => bytes === writes[0]),
      'all from the same memory',
    );
    log.append('later\n');
    for (const box of boxes) {
      box.due = log.end;
      outboxes.pump(box);
    }
    t.equal(writes.length, 3, 'no further write while one is pending');
    for (const peer of peers) peer.drain();
    t.equal(writes.length, 6, 'the rest follows when it is done');
    for (const peer of peers) peer.drain();
    t.ok(
      boxes.every((box) => outboxes.lag(box) === 0),
      'no bytes are unsent',
    );
    t.equal(tally.writes, 6);

    const [box] = boxes;
    if (!box) throw new Error('no outbox');
    const mine = log.append('my own\n');
    outboxes.cutOut(box, mine);
    t.equal(outboxes.lag(box), 0, 'its own messages are no lag');
    log.append('foreign\n');
    for (let n = 0; n < 3; n++) outboxes.cutOut(box, log.append('my own\n'));
    outboxes.direct(box, Buffer.from('direct\n'));
    t.equal(outboxes.lag(box), 'foreign\ndirect\n'.length + 2 * 96, 'bytes, and two splices');
    outboxes.pump(box);
    peers[0]?.drain();
    t.match(peers[0]?.received, /later\nforeign\ndirect\n$/);
    t.equal(outboxes.lag(box), 0);
    t.end();
  },
);

void t.test(
  'the MOTD of deployed directories',
  oneProcess('a function without a directory'),
  (t) => {
    t.equal(
      directoryMotd('abc.onion:5222', '1.2.3', 'Greetings\r\nand more\u0007'),
      'DIRECTORY NODE: abc.onion:5222\nJOINMARKET VERSION: onionmc/1.2.3\nGreetings\nand more ',
    );
    t.equal(directoryMotd('l', 'v', 'x'.repeat(10_000)).length, 4_096);
    t.end();
  },
);

t.test(
  'queued bytes are written at once, and in a batch when the outermost batch ends',
  oneProcess('writes of one process'),
  async (t) => {
    const clock = createTestClock();
    const registry = createRegistry();
    const tally = createTally();
    const fanout = new Fanout({
      registry,
      reachable: new Set(['loopback']),
      clock,
      random: () => 0,
      tally,
      publicWindowMs: 0,
      flushWindowMs: 25,
      limits: DEFAULT_LIMITS,
      drop: () => t.fail('no peer lags'),
    });
    const [alice, bob] = ['J5aliceOOOOOOOOO', 'J5bobOOOOOOOOOOO'].map((nick) => {
      const wire = memoryPeer();
      const peer = createPeer(wire.connection, fanout.outboxes.open(wire.connection), undefined, 0);
      peer.nick = nick;
      registry.add(peer);
      registry.makeReady(peer);
      return { wire, peer };
    });
    if (!alice || !bob) throw new Error('two peers');
    const heard = (): readonly [string, number] => {
      bob.wire.drain();
      return [bob.wire.received, tally.writes];
    };

    fanout.direct(bob.peer, 'one ');
    t.same(heard(), ['one ', 1]);
    fanout.broadcast('two ', 'alice', alice.peer);
    t.same(heard(), ['one two ', 2]);

    const result = fanout.batch(() => {
      fanout.direct(bob.peer, 'three ');
      fanout.batch(() => fanout.direct(bob.peer, 'four '));
      t.same(heard(), ['one two ', 2], 'not yet');
      return 'done';
    });
    t.equal(result, 'done');
    t.same(heard(), ['one two three four ', 3], 'in one write');
    t.throws(() =>
      fanout.batch(() => {
        fanout.direct(bob.peer, 'five');
        throw new Error('in a batch');
      }),
    );
    t.same(heard(), ['one two three four five', 4], 'also when the batch throws');
    t.equal(clock.pending, 0);
  },
);
