/** The small parts of the peer side, one by one. */
import * as fc from 'fast-check';
import t from 'tap';
import { createBackoff } from '../../src/channel/directories/backoff.js';
import { DEFAULT_LIMITS, DEFAULT_TIMINGS } from '../../src/channel/channel-settings.js';
import { createDialLimit } from '../../src/channel/link/dial-limit.js';
import { createInbox } from '../../src/channel/messages/inbox.js';
import { LinePeer } from '../../src/channel/link/line-peer.js';
import { PacedQueue } from '../../src/channel/link/paced-queue.js';
import { createPeerBook } from '../../src/channel/peer-book.js';
import type { Connection, ConnectionHandler } from '../../src/channel/ports.js';
import { TokenBucket } from '../../src/kit/rate-limit.js';
import { createSeenMessages } from '../../src/channel/messages/seen-messages.js';
import { createUnconfirmedMessages } from '../../src/channel/direct/unconfirmed-messages.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { NOT_SERVING, type Location } from '../../src/protocol/location.js';
import { formatPrivmsg, verifyPrivmsg } from '../../src/protocol/message.js';
import { unicodeText } from '../helpers/unicode-text.js';
import { keyOf } from '../helpers/test-channel.js';
import { createTestClock } from '../helpers/test-clock.js';

const at = (port: number): Location => ({ kind: 'loopback', host: '127.0.0.1', port });

const entry = (nick: string, location: Location | typeof NOT_SERVING, features: string[] = []) => ({
  nick,
  location,
  features,
  left: false,
});

function unconfirmedProbe(most = 10) {
  const clock = createTestClock();
  const told = { pings: 0, silent: 0, noPings: 0 };
  const unconfirmed = createUnconfirmedMessages({
    clock,
    waitMs: 100,
    most,
    ping: () => void told.pings++,
    onSilence: () => void told.silent++,
    onNoPings: () => void told.noPings++,
  });
  return { clock, told, unconfirmed };
}

t.test('backoff: jitter of -1 to +5 s, never below 1 s, and a reset', (t) => {
  for (const [random, first] of [
    [0, 3_000],
    [0.5, 6_000],
    [0.999_999, 9_000],
  ] as const) {
    const backoff = createBackoff(DEFAULT_TIMINGS, () => random);
    t.equal(backoff.next(), first);
    const second = backoff.next();
    t.equal(second, first + 2_000);
    backoff.reset();
    t.equal(backoff.next(), first);
  }
  const quick = createBackoff({ ...DEFAULT_TIMINGS, backoffFirstMs: 10 }, () => 0);
  t.equal(quick.next(), 1_000);
  t.end();
});

function pacedQueue(burst: number) {
  const clock = createTestClock();
  const written: string[] = [];
  const state = { takes: true };
  const queue = new PacedQueue<string>({
    clock,
    pace: new TokenBucket(clock, 1, burst),
    most: 10,
    lengthOf: (message) => message.length,
    write(message) {
      if (state.takes) written.push(message);
      return state.takes;
    },
  });
  return { clock, written, state, queue };
}

t.test('a paced queue', (t) => {
  t.test('messages leave in order, one for each token', (t) => {
    const { clock, written, queue } = pacedQueue(2);
    for (const message of ['a', 'b', 'c', 'd']) t.ok(queue.push(message));
    t.strictSame(written, ['a', 'b']);
    clock.advance(1_000);
    t.strictSame(written, ['a', 'b', 'c']);
    clock.advance(1_000);
    t.strictSame(written, ['a', 'b', 'c', 'd']);
    t.ok(queue.isEmpty);
    t.equal(clock.pending, 0);
    t.end();
  });

  t.test('the bound counts waiting messages, not sent ones', (t) => {
    const { clock, queue } = pacedQueue(1);
    t.ok(queue.push('first'), 'sent at once');
    t.ok(queue.push('0123456789'));
    t.notOk(queue.push('x'), 'eleven characters are too many');
    clock.advance(1_000);
    t.ok(queue.push('x'));
    t.end();
  });

  t.test(
    'a refused message stays, with all after it; a flush writes them in spite of the rate',
    (t) => {
      const { clock, written, state, queue } = pacedQueue(5);
      state.takes = false;
      t.ok(queue.push('a'));
      t.ok(queue.push('b'));
      state.takes = true;
      t.equal(clock.pending, 0, 'no automatic retry');
      queue.flush();
      t.strictSame(written, ['a', 'b']);
      t.end();
    },
  );

  t.test('closing returns the waiting messages and leaves no timer', (t) => {
    const { clock, written, queue } = pacedQueue(0);
    t.ok(queue.push('a'));
    t.ok(queue.push('b'));
    t.strictSame(queue.close(), ['a', 'b']);
    t.equal(clock.pending, 0);
    t.strictSame(written, []);
    t.end();
  });
  t.end();
});

t.test(
  'the limit of simultaneous dials: bounded, directories first, room is given back once',
  async (t) => {
    const dialLimit = createDialLimit({ pendingDials: 3, pendingPeerDials: 2, waitingDials: 2 });
    const { signal } = new AbortController();
    const order: string[] = [];
    const enter = async (name: string, kind: 'directory' | 'peer', abort = signal) => {
      const leave = await dialLimit.enter(kind, abort);
      order.push(name);
      return leave;
    };
    const first = await enter('peer 1', 'peer');
    await enter('peer 2', 'peer');
    const third = enter('peer 3', 'peer');
    const aborted = new AbortController();
    const fourth = enter('peer 4', 'peer', aborted.signal);
    await t.rejects(dialLimit.enter('peer', signal), { message: /too many peers/ });
    const leaveDirectory = await enter('directory 1', 'directory');
    const directory = enter('directory 2', 'directory');
    aborted.abort();
    await t.rejects(fourth, { message: 'dial aborted' });
    first();
    first();
    await directory;
    leaveDirectory();
    await third;
    t.strictSame(order, ['peer 1', 'peer 2', 'directory 1', 'directory 2', 'peer 3']);
    await t.rejects(dialLimit.enter('peer', AbortSignal.abort(new Error('stopped'))), {
      message: 'stopped',
    });
  },
);

t.test('seen messages', (t) => {
  t.test('bounded, and forgotten after the window', (t) => {
    const clock = createTestClock();
    const seen = createSeenMessages(clock, 100, 10);
    for (let n = 0; n < 100; n++) seen.arrived(`${n}`, 'a');
    t.equal(seen.size, 10);
    t.equal(seen.arrived('99', 'b'), 'copy');
    t.equal(seen.arrived('0', 'b'), 'first', 'the oldest were forgotten');
    clock.advance(100);
    t.equal(seen.arrived('99', 'b'), 'first');
    t.equal(seen.size, 1);
    t.end();
  });

  t.test('for any order, a message sent n times is delivered n times', (t) => {
    const arrivals = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 60 });
    fc.assert(
      fc.property(arrivals, (ways) => {
        const seen = createSeenMessages(createTestClock(), 100, 10);
        const told = ways.filter((way) => seen.arrived('x', way) !== 'copy').length;
        const counts = ['a', 'b', 'c'].map((way) => ways.filter((other) => other === way).length);
        return told === Math.max(...counts);
      }),
    );
    t.end();
  });
  t.end();
});

t.test('the peer book', (t) => {
  t.test('is bounded; the peer heard of longest ago goes first', (t) => {
    const book = createPeerBook(3);
    for (const nick of ['a', 'b', 'c', 'a', 'd']) book.relayed(nick, 'D1');
    t.strictSame(
      book.all().map(({ nick }) => nick),
      ['c', 'a', 'd'],
    );
    t.equal(book.size, 3);
    t.end();
  });

  t.test('a directory that invents nicks does not displace those of another one', (t) => {
    const book = createPeerBook(3);
    book.relayed('x', 'honest');
    book.listed(entry('y', at(1)), 'honest');
    for (let n = 0; n < 10; n++) book.listed(entry(`invented${n}`, at(2)), 'hostile');
    book.relayed('x', 'hostile');
    for (let n = 0; n < 3; n++) book.relayed(`more${n}`, 'hostile');
    t.strictSame(
      book.all().map(({ nick, shownBy }) => [nick, ...shownBy]),
      [
        ['y', 'honest'],
        ['x', 'honest'],
        ['more0', 'hostile'],
        ['more1', 'hostile'],
        ['more2', 'hostile'],
      ],
    );
    t.end();
  });

  t.test('merges the reports of directories', (t) => {
    const book = createPeerBook(10);
    book.listed(entry('x', at(1), ['ping']), 'D1');
    book.relayed('x', 'D1');
    book.listed(entry('x', at(2)), 'D2');
    t.strictSame(book.get('x'), {
      nick: 'x',
      location: at(1),
      locations: [at(1)],
      features: ['ping'],
      relayedBy: ['D1'],
      shownBy: ['D1', 'D2'],
    });
    book.listed(entry('x', at(2)), 'D3');
    t.strictSame(book.get('x')?.location, at(2), 'the majority counts');
    book.listed(entry('x', NOT_SERVING), 'D1');
    t.strictSame(book.get('x')?.relayedBy, ['D1'], 'a listing does not undo a relayed message');
    t.end();
  });

  t.test('gone only with the last directory', (t) => {
    const book = createPeerBook(10);
    for (const directory of ['D1', 'D2']) book.relayed('x', directory);
    book.relayed('y', 'D2');
    t.equal(book.left('x', 'D3'), false);
    t.equal(book.left('x', 'D1'), false);
    t.equal(book.left('x', 'D1'), false, 'reported twice');
    t.strictSame(book.directoryLost('D2'), ['x', 'y']);
    t.equal(book.size, 0);
    t.equal(book.left('x', 'D2'), false, 'no peer leaves twice');
    t.end();
  });

  t.test('the number of features is bounded', (t) => {
    const book = createPeerBook(10);
    for (let n = 0; n < 100; n++) book.listed(entry('x', at(1), [`f${n}`]), 'D1');
    t.equal(book.get('x')?.features.length, 32);
    t.end();
  });
  t.end();
});

t.test('unconfirmed messages', (t) => {
  t.test('without pings the operating system decides', (t) => {
    const { told, unconfirmed, clock } = unconfirmedProbe();
    unconfirmed.trust();
    const [a, b, c] = ['a', 'b', 'c'].map((text) => unconfirmed.track(text));
    unconfirmed.written();
    b?.taken();
    c?.withdraw();
    t.strictSame(unconfirmed.close(), ['a']);
    a?.taken();
    t.strictSame(unconfirmed.close(), []);
    t.strictSame([told.pings, clock.pending], [0, 0]);
    t.end();
  });

  t.test('with pings only an answer decides', (t) => {
    const { told, unconfirmed, clock } = unconfirmedProbe(2);
    unconfirmed.trust();
    unconfirmed.usePings(true);
    unconfirmed.pong();
    unconfirmed.track('a').taken();
    unconfirmed.written();
    for (const text of ['b', 'c']) unconfirmed.track(text).taken();
    unconfirmed.written();
    t.equal(told.pings, 1, 'one at a time');
    unconfirmed.pong();
    t.equal(told.pings, 2);
    clock.advance(100);
    t.equal(told.silent, 1);
    t.strictSame(unconfirmed.close(), ['b', 'c'], 'the bound took the oldest');
    t.end();
  });

  t.test('a first ping without an answer is the last', (t) => {
    const { told, unconfirmed, clock } = unconfirmedProbe();
    unconfirmed.usePings(true);
    unconfirmed.track('a').taken();
    unconfirmed.written();
    clock.advance(100);
    t.strictSame(told, { pings: 1, silent: 0, noPings: 1 });
    unconfirmed.track('b').taken();
    unconfirmed.track('c');
    unconfirmed.written();
    unconfirmed.trust();
    t.strictSame([told.pings, clock.pending], [1, 0]);
    t.strictSame(unconfirmed.close(), ['c'], 'the operating system decides now');
    t.end();
  });

  t.test('an answer counts only from a peer that is trusted, then or later', (t) => {
    for (const pings of [true, false]) {
      const { told, unconfirmed, clock } = unconfirmedProbe();
      unconfirmed.usePings(pings);
      unconfirmed.track('a').taken();
      unconfirmed.written();
      unconfirmed.pong();
      t.equal(clock.pending, 0, 'answered: nothing to wait for');
      const offered: string[] = [];
      unconfirmed.track('b');
      unconfirmed.handOver((payload) => {
        offered.push(payload);
        return false;
      });
      t.strictSame(offered, ['a', 'b']);
      t.equal(told.pings, pings ? 1 : 0);
      unconfirmed.trust();
      t.strictSame(unconfirmed.close(), ['b'], 'no other route took them, and one was confirmed');
    }
    const { unconfirmed } = unconfirmedProbe();
    unconfirmed.track('a').taken();
    t.strictSame(unconfirmed.close(), ['a']);
    const other = unconfirmedProbe().unconfirmed;
    other.track('a');
    other.handOver(() => true);
    t.strictSame(other.close(), [], 'another route took it');
    t.end();
  });
  t.end();
});

/** A connection in memory; the test holds its other end. */
function memoryConnection() {
  let handler: ConnectionHandler | undefined;
  let closed = false;
  const written: Uint8Array[] = [];
  const close = (): void => {
    if (closed) return;
    closed = true;
    handler?.closed();
  };
  const connection: Connection = {
    remote: 'memory',
    via: 'loopback',
    queuedBytes: 0,
    get closed() {
      return closed;
    },
    attach(theHandler) {
      handler = theHandler;
    },
    write: (bytes) => void written.push(bytes),
    pause() {},
    resume() {},
    end: close,
    destroy: close,
  };
  return { connection, written, push: (bytes: Uint8Array) => handler?.data(bytes) };
}

t.test('lines', (t) => {
  t.test('for any bytes and cuts it never throws, and reports nothing after its end', (t) => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .constantFrom('{}', '[]', '\n', '{"type": 685, "line": "a"}\r\n', 'x\n')
        .map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 60 }), (chunks) => {
        const { connection, push } = memoryConnection();
        let ended = 0;
        let late = 0;
        const peer = new LinePeer({
          connection,
          clock: createTestClock(),
          limits: DEFAULT_LIMITS,
          timings: DEFAULT_TIMINGS,
          onEnvelope: () => void (late += ended),
          onClosed: () => void ended++,
        });
        for (const chunk of chunks) push(chunk);
        return ended <= 1 && late === 0 && peer.open === (ended === 0);
      }),
    );
    t.end();
  });

  t.test('a peer that reads no byte for 30 s is closed', (t) => {
    const clock = createTestClock();
    const { connection } = memoryConnection();
    const reasons: string[] = [];
    const line = new LinePeer({
      connection,
      clock,
      limits: DEFAULT_LIMITS,
      timings: DEFAULT_TIMINGS,
      onEnvelope: () => {},
      onClosed: (reason) => reasons.push(reason),
    });
    t.equal(line.send(685, 'a'), true);
    clock.advance(29_999);
    t.equal(line.open, true);
    clock.advance(1);
    t.strictSame(reasons, ['does not read its connection']);
    t.equal(line.send(685, 'b'), false);
    t.equal(clock.pending, 0);
    t.end();
  });

  t.test(
    'lines after one that waits are not processed before their turn, and keep their order',
    (t) => {
      const clock = createTestClock();
      const { connection, push } = memoryConnection();
      const told: string[] = [];
      let looks = 0;
      const peer = new LinePeer({
        connection,
        clock,
        limits: DEFAULT_LIMITS,
        timings: DEFAULT_TIMINGS,
        delayMs() {
          looks++;
          return 1;
        },
        onEnvelope: ({ line }) => void told.push(line),
        onClosed: () => {},
      });
      const lines = Array.from({ length: 1_000 }, (_, n) => String(n));
      push(Buffer.from(lines.map((line) => encodeEnvelope(685, line)).join('')));
      t.strictSame([looks, told], [1, []]);
      clock.advance(1);
      t.strictSame([looks, told], [2, ['0']]);
      clock.advance(999);
      t.strictSame([looks, told], [1_000, lines]);
      t.ok(peer.open);
      t.equal(clock.pending, 0);
      t.end();
    },
  );

  t.test('a line is sent as one write of at most 40,000 bytes, or not at all', (t) => {
    const { connection, written } = memoryConnection();
    const line = new LinePeer({
      connection,
      clock: createTestClock(),
      limits: DEFAULT_LIMITS,
      timings: DEFAULT_TIMINGS,
      onEnvelope: () => {},
      onClosed: () => {},
    });
    const room = 40_000 - encodeEnvelope(685, '').length;
    t.equal(line.send(685, 'x'.repeat(room)), true);
    t.equal(line.send(685, 'x'.repeat(room + 1)), false);
    t.equal(line.open, true);
    t.strictSame(
      written.map(({ length }) => length),
      [40_000],
    );
    t.end();
  });
  t.end();
});

t.test('the inbox', (t) => {
  const me = keyOf(1);
  const other = keyOf(2);
  const settings = { timings: DEFAULT_TIMINGS, limits: { ...DEFAULT_LIMITS, rememberedProofs: 2 } };

  t.test('a valid payload is verified once; a forged one is never kept', (t) => {
    let checks = 0;
    const inbox = createInbox(me.nick, settings, createTestClock(), (...args) => {
      checks++;
      return verifyPrivmsg(...args);
    });
    const payload = formatPrivmsg(other, me.nick, 'error', 'x');
    t.equal(inbox.private(payload, 'a', keyOf(3).nick).verdict, 'junk', 'not from its nick');
    t.equal(checks, 0);
    const first = inbox.private(payload, 'a', other.nick);
    t.match(first, { verdict: 'fresh', neverHeard: true, id: /^[0-9a-f]{64}$/ });
    const id = first.verdict === 'fresh' && first.id;
    for (const way of ['a', 'b', 'direct']) {
      t.strictSame(inbox.private(payload, way), { verdict: 'copy', from: other.nick, id });
    }
    t.equal(checks, 1);
    const forged = payload.replace('!error x', '!error y');
    for (const way of ['a', 'b']) t.equal(inbox.private(forged, way).verdict, 'junk');
    t.equal(checks, 3);
    t.end();
  });

  t.test('a flood of public messages does not make a private copy look new', (t) => {
    const limits = { ...settings.limits, rememberedMessages: 3 };
    const inbox = createInbox(me.nick, { ...settings, limits }, createTestClock());
    const payload = formatPrivmsg(other, me.nick, 'error', 'x');
    t.equal(inbox.private(payload, 'a').verdict, 'fresh');
    for (let n = 0; n < 10; n++) inbox.public(`J5other!PUBLIC!hp2 ${n}`, 'hostile');
    t.equal(inbox.private(payload, 'b').verdict, 'copy');
    t.end();
  });

  t.test('a message heard before is delivered again after the window, but is not new', (t) => {
    const clock = createTestClock();
    const inbox = createInbox(me.nick, settings, clock);
    const say = (text: string) =>
      inbox.private(formatPrivmsg(other, me.nick, 'error', text), 'direct');
    t.match(say('1'), { verdict: 'fresh', neverHeard: true });
    clock.advance(30_000);
    t.match(say('1'), { verdict: 'fresh', neverHeard: false });
    say('2');
    say('3');
    clock.advance(30_000);
    t.match(say('1'), { verdict: 'fresh', neverHeard: true }, 'the memory is bounded');
    t.end();
  });
  t.end();
});

t.test('the inbox never throws and never accepts a forged private message', (t) => {
  const me = keyOf(1);
  const payload = fc.oneof(
    unicodeText({ maxLength: 300 }),
    fc
      .tuple(fc.constantFrom(me.nick, 'PUBLIC', 'x', ''), fc.string({ maxLength: 100 }))
      .map(([to, text]) => `${keyOf(2).nick}!${to}!${text}`),
  );
  fc.assert(
    fc.property(fc.array(payload), (payloads) => {
      const settings = { timings: DEFAULT_TIMINGS, limits: DEFAULT_LIMITS };
      const inbox = createInbox(me.nick, settings, createTestClock());
      return payloads.every((text) => {
        inbox.public(text, 'a');
        return inbox.private(text, 'a').verdict === 'junk';
      });
    }),
  );
  t.end();
});
