import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { ChannelError } from '../../src/channel/message-channel.js';
import type { Connection, Overlay, ServeOptions, ServiceState } from '../../src/channel/ports.js';
import { DEFAULT_LIMITS } from '../../src/directory/directory.js';
import type { Location } from '../../src/protocol/location.js';
import { SocksError } from '../../src/tor/socks/error.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { formatPrivmsg } from '../../src/protocol/message.js';
import {
  anyPort,
  keyOf,
  openTestChannel,
  type TestChannel,
  type TestChannelOptions,
} from '../helpers/test-channel.js';
import {
  directoryAnswer,
  FAKE_DIRECTORY_NICK,
  startFakeDirectory,
  type FakeDirectory,
  type FakeSession,
} from '../helpers/fake-directory.js';

const ALICE = keyOf(2);
const BOB = keyOf(3);
/** Says what only shows that lines arrive. */
const MARKER = keyOf(4).nick;

async function fakeDirectory(test: Test): Promise<FakeDirectory> {
  const directory = await startFakeDirectory();
  test.teardown(() => directory.close());
  return directory;
}

function probe(
  test: Test,
  directories: readonly FakeDirectory[],
  options?: TestChannelOptions,
): TestChannel {
  const channel = openTestChannel(
    directories.map(({ location }) => location),
    options,
  );
  test.teardown(() => channel.close());
  return channel;
}

/** One fake directory and a channel that is connected to it. */
async function welcomed(
  test: Test,
  options?: TestChannelOptions & { readonly features?: readonly string[] },
): Promise<{ directory: FakeDirectory; channel: TestChannel; session: FakeSession }> {
  const directory = await fakeDirectory(test);
  const channel = probe(test, [directory], options);
  const session = await directory.acceptHandshake({ features: options?.features ?? [] });
  await channel.next('directory-up');
  return { directory, channel, session };
}

/** The same with two directories. */
async function two(test: Test, options?: TestChannelOptions) {
  const [a, b] = [await fakeDirectory(test), await fakeDirectory(test)];
  const channel = probe(test, [a, b], options);
  const [first, second] = await Promise.all([a.acceptHandshake(), b.acceptHandshake()]);
  await channel.next('welcome');
  return { a, b, channel, first, second };
}

/** The first word of an `!error` payload. */
function textOf(line: string): string {
  return line.split('!error ')[1]?.split(' ')[0] ?? '';
}

/** A line that must arrive shows that the lines before were read and had no effect. */
async function stillListens(
  channel: TestChannel,
  session: FakeSession,
  mark: string,
): Promise<void> {
  session.pubmsg(MARKER, `hp2 ${mark}`);
  for (;;) {
    const { text } = await channel.next('pubmsg');
    if (text === `hp2 ${mark}`) return;
  }
}

t.test('the handshake', async (t) => {
  t.test('793 goes first, with every key as the original writes it', async (t) => {
    const directory = await fakeDirectory(t);
    const channel = probe(t, [directory]);
    const peer = await directory.accept();
    const { type, line } = await peer.next();
    t.equal(type, 793);
    t.strictSame(JSON.parse(line), {
      'app-name': 'joinmarket',
      directory: false,
      'location-string': 'NOT-SERVING-ONION',
      'proto-ver': 5,
      features: { neutrino_compat: true, nick_auth: true, peerlist_features: true, ping: true },
      nick: channel.nick,
      network: 'signet',
    });
    t.strictSame(channel.directories()[0]?.state, 'handshaking');
    peer.send(795, directoryAnswer({ motd: 'a\u001b[31m\nb\u0000' }));
    const up = await channel.next('directory-up');
    t.equal(up.nick, FAKE_DIRECTORY_NICK);
    t.equal(
      up.motd,
      String.raw`a\u001b[31m` + '\n' + String.raw`b\u0000`,
      'control characters of a MOTD are escaped',
    );
    t.strictSame(await channel.next('welcome'), { directories: 1, late: false });
    t.strictSame(channel.directories()[0]?.state, 'up');
    t.strictSame(peer.unread(), [], 'only the handshake is sent unasked');
  });

  const refusals: readonly [string, string, RegExp][] = [
    [
      'accepted:false',
      directoryAnswer({ accepted: false, motd: 'full\nsorry' }),
      /^refused us: full$/,
    ],
    [
      'a reason that must be escaped, and is too long',
      directoryAnswer({ accepted: false, motd: `full\u001b[2J${'x'.repeat(300)}` }),
      /^refused us: full\\u001b\[2Jx{184}\.\.\.$/,
    ],
    ['another network', directoryAnswer({ network: 'mainnet' }), /another network/],
    [
      'another version',
      directoryAnswer().replace('"proto-ver-max": 5', '"proto-ver-max": 4'),
      /version/,
    ],
    ['not JSON', '{', /not JSON/],
    ['no nick', directoryAnswer({ nick: '' }), /lacks a field/],
    ['another application', directoryAnswer().replace('"joinmarket"', '"x"'), /not a JoinMarket/],
  ];
  for (const [name, answer, reason] of refusals) {
    t.test(`refused: ${name}`, async (t) => {
      const directory = await fakeDirectory(t);
      const channel = probe(t, [directory]);
      const peer = await directory.accept();
      await peer.nextOf(793);
      peer.send(795, answer);
      const down = await channel.next('directory-down');
      t.match(down.reason, reason);
      t.equal(down.retryInMs, 3_000, '4 s, and the least jitter of -1 s');
      await peer.over;
      channel.clock.advance(3_000);
      await directory.acceptHandshake();
      await channel.next('directory-up');
    });
  }

  t.test('an ordinary peer at a directory address', async (t) => {
    const directory = await fakeDirectory(t);
    const channel = probe(t, [directory]);
    const peer = await directory.accept();
    peer.send(793, (await peer.nextOf(793)).line);
    t.match((await channel.next('directory-down')).reason, /a peer, not a directory/);
  });

  t.test('silence: closed after 60 s', async (t) => {
    const directory = await fakeDirectory(t);
    const channel = probe(t, [directory]);
    const peer = await directory.accept();
    await peer.nextOf(793);
    channel.clock.advance(59_999);
    t.equal(channel.waiting('directory-down'), 0);
    channel.clock.advance(1);
    t.match((await channel.next('directory-down')).reason, /did not answer our handshake/);
    await peer.over;
  });

  t.test('end of the connection instead of an answer', async (t) => {
    const directory = await fakeDirectory(t);
    const channel = probe(t, [directory]);
    (await directory.accept()).end();
    t.match((await channel.next('directory-down')).reason, /closed by the other side/);
  });

  t.test('lines before the 795 are not acted on', async (t) => {
    const directory = await fakeDirectory(t);
    const channel = probe(t, [directory]);
    const peer = await directory.accept();
    await peer.nextOf(793);
    peer.send(687, `${ALICE.nick}!PUBLIC!hp2 early`);
    peer.send(798, '');
    peer.send(795, directoryAnswer());
    await channel.next('directory-up');
    peer.send(687, `${ALICE.nick}!PUBLIC!hp2 late`);
    t.equal((await channel.next('pubmsg')).text, 'hp2 late');
    t.strictSame(peer.unread(), [], 'also not on the ping');
  });
});

t.test('reconnecting', async (t) => {
  t.test('waits grow by half, up to an hour', async (t) => {
    const directory = await fakeDirectory(t);
    const channel = probe(t, [directory], { random: () => 1 / 6 });
    await directory.close();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 20; attempt++) {
      const { retryInMs = 0 } = await channel.next('directory-down');
      waits.push(retryInMs / 1_000);
      channel.clock.advance(retryInMs);
    }
    t.strictSame(waits.slice(0, 4), [4, 6, 9, 13.5]);
    t.equal(Math.max(...waits), 3_600);
  });

  t.test('a stable session resets the waits, a short one does not', async (t) => {
    const { directory, channel, session } = await welcomed(t, { random: () => 1 / 6 });
    channel.clock.advance(59_999);
    session.cut();
    t.equal((await channel.next('directory-down')).retryInMs, 4_000);
    channel.clock.advance(4_000);
    const second = await directory.acceptHandshake();
    await channel.next('directory-up');
    second.cut();
    t.equal((await channel.next('directory-down')).retryInMs, 6_000);
    channel.clock.advance(6_000);
    const third = await directory.acceptHandshake();
    await channel.next('directory-up');
    channel.clock.advance(60_000);
    third.cut();
    t.equal((await channel.next('directory-down')).retryInMs, 4_000);
  });

  t.test('30 forced drops in a row', async (t) => {
    for (const [name, upForMs, last] of [
      ['each at once: the waits grow, until a session was stable', 0, 3_600_000],
      ['each after a stable session: at most ten seconds every time', 60_000, 4_000],
    ] as const) {
      // The most jitter there is.
      const { directory, channel, session } = await welcomed(t, { random: () => 1 - 1e-9 });
      let current = session;
      const waits: number[] = [];
      for (let drop = 0; drop < 30; drop++) {
        channel.clock.advance(upForMs);
        current.cut();
        const { retryInMs = 0 } = await channel.next('directory-down');
        waits.push(retryInMs);
        channel.clock.advance(retryInMs);
        current = await directory.acceptHandshake();
        await channel.next('directory-up');
      }
      t.equal(Math.max(...waits), last + 5_000, name);
      channel.clock.advance(60_000);
      current.cut();
      const { retryInMs = 0 } = await channel.next('directory-down');
      t.equal(retryInMs, 9_000, 'after a stable session, at most ten seconds');
      await channel.close();
    }
  });

  t.test('a dial after a session is given up sooner, and no circuit is used twice', async (t) => {
    const dials: (string | undefined)[] = [];
    let hang = false;
    const real = anyPort();
    const overlay: Overlay = {
      ...real,
      dial(location, options) {
        dials.push(options.isolation);
        if (!hang) return real.dial(location, options);
        return new Promise((_, reject) => {
          options.signal.addEventListener('abort', () => reject(new Error('aborted')));
        });
      },
    };
    const { channel, session } = await welcomed(t, { overlay, random: () => 1 / 6 });
    hang = true;
    session.cut();
    await channel.next('directory-down');
    for (const seconds of [30, 60, 120, 120]) {
      channel.clock.advance(channel.directories()[0]?.retryInMs ?? 0);
      // The dial begins in a later turn.
      await new Promise(setImmediate);
      channel.clock.advance(seconds * 1_000);
      t.match((await channel.next('directory-down')).reason, `no connection within ${seconds} s`);
    }
    t.equal(dials.length, 5);
    t.equal(new Set(dials).size, 5, 'each may use another circuit');
  });

  t.test('our own Tor is down: the waits stay short, and one line is logged', async (t) => {
    const told: string[] = [];
    const log = { ...silentLog, info: (text: string) => void told.push(text) };
    let fault: Error = new SocksError('proxy-unreachable', 'nothing listens');
    const overlay: Overlay = { ...anyPort(), dial: () => Promise.reject(fault) };
    const channel = openTestChannel([{ kind: 'loopback', host: '127.0.0.1', port: 1 }], {
      overlay,
      log,
      random: () => 1 / 6,
    });
    t.teardown(() => channel.close());
    async function waitsOf(attempts: number): Promise<number[]> {
      const waits: number[] = [];
      for (let attempt = 0; attempt < attempts; attempt++) {
        const { retryInMs = 0 } = await channel.next('directory-down');
        waits.push(retryInMs);
        channel.clock.advance(retryInMs);
      }
      return waits;
    }
    t.strictSame(new Set(await waitsOf(30)), new Set([4_000]));
    t.strictSame(told, ['directory not reached'], 'one line, not thirty');
    fault = new SocksError('host-unreachable', 'not online');
    // The first of these was on its way already.
    t.strictSame(await waitsOf(4), [4_000, 4_000, 6_000, 9_000], 'the directory is down');
  });

  t.test('our own Tor is back: the directories are dialled at once', async (t) => {
    let tell: ServeOptions['onState'];
    const overlay: Overlay = {
      ...anyPort(),
      serve(_, { onState }) {
        tell = onState;
        const location: Location = { kind: 'loopback', host: '127.0.0.1', port: 9 };
        return Promise.resolve({ locations: [location], close: () => Promise.resolve() });
      },
    };
    const { directory, channel, session } = await welcomed(t, {
      overlay,
      serve: true,
      random: () => 1 / 6,
    });
    const { port } = directory.location;
    session.cut();
    await directory.close();
    let retryInMs = 0;
    for (let attempt = 0; attempt < 15; attempt++) {
      channel.clock.advance(retryInMs);
      ({ retryInMs = 0 } = await channel.next('directory-down'));
    }
    t.ok(retryInMs > 1_000_000, `the next attempt is ${retryInMs} ms away`);
    tell?.({ state: 'lost', detail: 'a test' }, 'loopback');
    t.equal(channel.directories()[0]?.retryInMs, retryInMs);
    const again = await startFakeDirectory(port);
    t.teardown(() => again.close());
    tell?.({ state: 'reachable' }, 'loopback');
    const third = await again.acceptHandshake();
    await channel.next('directory-up');
    tell?.({ state: 'reachable' }, 'loopback');
    t.equal(channel.directories()[0]?.state, 'up', 'an open session is kept');
    third.cut();
    t.equal((await channel.next('directory-down')).retryInMs, 4_000, 'the waits start again');
    await channel.close();
    t.equal(channel.clock.pending, 0, 'no timer is left');
  });

  t.test('every handshake names our onion, in any state of the service', async (t) => {
    let tell: ServeOptions['onState'];
    const host = `${'a'.repeat(56)}.onion`;
    let refusals = 2;
    const overlay: Overlay = {
      ...anyPort(),
      serve(_, { onState }) {
        if (refusals-- > 0) return Promise.reject(new Error('Tor is away'));
        tell = onState;
        const location: Location = { kind: 'onion', host, port: 5222 };
        return Promise.resolve({ locations: [location], close: () => Promise.resolve() });
      },
    };
    const directory = await fakeDirectory(t);
    const channel = probe(t, [directory], { overlay, serve: true });
    for (let failed = 0; failed < 2; failed++) {
      const { retryInMs } = await channel.next('serve-failed');
      t.equal(directory.accepted, 0, 'no directory is dialled before there is a location');
      channel.clock.advance(retryInMs);
    }
    const states: readonly (ServiceState | undefined)[] = [
      undefined,
      { state: 'starting', detail: 'a test' },
      { state: 'reachable' },
      { state: 'lost', detail: 'Tor was restarted' },
      { state: 'lost', detail: 'Tor is still away' },
      { state: 'reachable' },
    ];
    for (const state of states) {
      if (state) tell?.(state, 'onion');
      const session = await directory.acceptHandshake();
      await channel.next('directory-up');
      t.equal(session.handshake['location-string'], `${host}:5222`, state?.state ?? 'served');
      session.cut();
      channel.clock.advance((await channel.next('directory-down')).retryInMs ?? 0);
    }
  });

  t.test('a slow dial is given up', async (t) => {
    const never = {
      reachable: new Set(['loopback'] as const),
      dial: (_: unknown, { signal }: { signal: AbortSignal }) =>
        new Promise<never>((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')));
        }),
      serve: () => Promise.reject(new Error('not used')),
      close: () => Promise.resolve(),
    };
    const channel = openTestChannel([{ kind: 'loopback', host: '127.0.0.1', port: 1 }], {
      overlay: never,
    });
    await Promise.resolve();
    await Promise.resolve();
    channel.clock.advance(120_000);
    t.match((await channel.next('directory-down')).reason, /no connection within 120 s/);
    await channel.close();
    t.equal(channel.clock.pending, 0, 'no timer is left');
  });
});

t.test('welcome', async (t) => {
  t.test('when all directories are up', async (t) => {
    const [a, b] = [await fakeDirectory(t), await fakeDirectory(t)];
    const channel = probe(t, [a, b, a]);
    t.equal(channel.directories().length, 2, 'a duplicate counts once');
    await a.acceptHandshake();
    await channel.next('directory-up');
    t.equal(channel.waiting('welcome'), 0);
    await b.acceptHandshake();
    t.strictSame(await channel.next('welcome'), { directories: 2, late: false });
  });

  t.test('after 60 s with one of two', async (t) => {
    const [a, b] = [await fakeDirectory(t), await fakeDirectory(t)];
    const channel = probe(t, [a, b]);
    await a.acceptHandshake();
    await channel.next('directory-up');
    channel.clock.advance(60_000);
    t.strictSame(await channel.next('welcome'), { directories: 1, late: false });
    (await b.accept()).cut();
  });

  t.test('late, when the first one comes after 60 s', async (t) => {
    const [a, b] = [await fakeDirectory(t), await fakeDirectory(t)];
    const channel = probe(t, [a, b], { timings: { directoryHandshakeMs: 120_000 } });
    const [first] = await Promise.all([a.accept(), b.accept()]);
    await first.nextOf(793);
    channel.clock.advance(60_000);
    t.equal(channel.waiting('welcome'), 0);
    first.send(795, directoryAnswer());
    t.strictSame(await channel.next('welcome'), { directories: 1, late: true });
  });
});

t.test('what a directory may send', async (t) => {
  t.test('pubmsg: reported with its commands; our echo and junk are not', async (t) => {
    const { channel, session } = await welcomed(t);
    session.pubmsg(channel.nick, 'orderbook');
    for (const payload of [
      '',
      '!',
      '!!',
      'x!PUBLIC!',
      `${ALICE.nick}!PUBLIC`,
      `a b!PUBLIC!hp2 x`,
    ]) {
      session.send(687, payload);
    }
    session.send(687, `${ALICE.nick}!${channel.nick}!fill 0 1 2 3`);
    session.pubmsg(ALICE.nick, '!!absoffer 0 1 2 3 4!cancel 1');
    const message = await channel.next('pubmsg');
    t.strictSame(message, {
      from: ALICE.nick,
      text: 'absoffer 0 1 2 3 4!cancel 1',
      commands: [
        { name: 'absoffer', args: ['0', '1', '2', '3', '4'] },
        { name: 'cancel', args: ['1'] },
      ],
      directory: channel.directories()[0]?.location,
    });
  });

  t.test('privmsg: only with the right signature, nick and addressee', async (t) => {
    const { channel, session } = await welcomed(t);
    const good = formatPrivmsg(ALICE, channel.nick, 'pubkey', 'abc');
    const bad = [
      formatPrivmsg(ALICE, BOB.nick, 'pubkey', 'abc'),
      good.replace(ALICE.nick, BOB.nick),
      good.replace('abc', 'abd'),
      good.replace('pubkey', 'unknown'),
      good.replace(channel.nick, 'PUBLIC'),
      `${ALICE.nick}!${channel.nick}!pubkey abc`,
      formatPrivmsg(channel.key, channel.nick, 'pubkey', 'abc'),
      'no separators',
    ];
    for (const payload of bad) session.send(685, payload);
    session.send(687, good);
    session.send(685, good);
    const message = await channel.next('privmsg');
    t.match(message, {
      from: ALICE.nick,
      to: channel.nick,
      commands: [{ name: 'pubkey', args: ['abc'] }],
      route: { kind: 'directory', location: channel.directories()[0]?.location },
    });
    await stillListens(channel, session, 'end');
    t.equal(channel.waiting('privmsg'), 0);
    t.strictSame(
      channel.peers().map(({ nick }) => nick),
      [ALICE.nick, MARKER],
      'an unverified message changes nothing',
    );
  });

  t.test('ping is answered, and only ping', async (t) => {
    const { channel, session } = await welcomed(t);
    for (const type of [785, 787, 791, 793, 795, 797, 799, 801, 803, 805, 807, 9999, -1, 0]) {
      session.send(type, '');
      session.send(type, `${ALICE.nick};127.0.0.1:1`);
    }
    session.send(798, '');
    t.strictSame(await session.next(), { type: 799, line: '' });
    await stillListens(channel, session, 'alive');
    t.strictSame(session.unread(), []);
    t.equal(channel.waiting('directory-down'), 0);
  });

  t.test('ten junk lines a minute are tolerated, the eleventh closes the link', async (t) => {
    const { channel, session } = await welcomed(t);
    const junk = ['', 'hello', '[]', '{}', '{"type": "687", "line": ""}', '{"type": 687}'];
    for (let n = 0; n < 10; n++) session.raw(`${junk[n % junk.length]}\r\n`);
    await stillListens(channel, session, 'one');
    channel.clock.advance(60_000);
    for (let n = 0; n < 10; n++) session.raw('hello\n');
    await stillListens(channel, session, 'two');
    session.raw('hello\n');
    t.match((await channel.next('directory-down')).reason, /meaningless/);
  });

  const fatal: readonly [string, Uint8Array, RegExp][] = [
    ['40,001 bytes', Buffer.alloc(40_001, 0x61), /40,000 bytes/],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0x0a]), /UTF-8/],
  ];
  for (const [name, bytes, reason] of fatal) {
    t.test(`closes: ${name}`, async (t) => {
      const { channel, session } = await welcomed(t);
      session.raw(bytes);
      session.raw('\n');
      t.match((await channel.next('directory-down')).reason, reason);
      await session.over;
    });
  }

  t.test('a line of exactly 40,000 bytes, byte by byte or whole', async (t) => {
    const { channel, session } = await welcomed(t);
    const empty = encodeEnvelope(687, `${ALICE.nick}!PUBLIC!hp2 `).length - 2;
    const text = `hp2 ${'x'.repeat(40_000 - empty)}`;
    session.pubmsg(ALICE.nick, text);
    t.equal((await channel.next('pubmsg')).text, text);
  });
});

t.test('messages to a directory', async (t) => {
  t.test('publish: one 687 line, paced below the limits of deployed directories', async (t) => {
    const { channel, session } = await welcomed(t);
    t.strictSame(channel.publish('orderbook'), { sentTo: 1 });
    t.strictSame(await session.next(), { type: 687, line: `${channel.nick}!PUBLIC!orderbook` });
    for (let n = 0; n < 5; n++) channel.publish('orderbook');
    for (let n = 0; n < 40; n++) t.equal(channel.publish(`hp2 ${n}`).sentTo, 1);
    const sent: string[] = [];
    const receive = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) sent.push((await session.next()).line.split('!')[2] ?? '');
    };
    await receive(24);
    t.strictSame(session.unread(), [], '25 in the first window');
    channel.clock.advance(75_000);
    await receive(19);
    t.equal(sent.filter((text) => text === 'orderbook').length, 3, 'one of the repetitions waited');
    t.strictSame(
      sent.filter((text) => text !== 'orderbook'),
      Array.from({ length: 40 }, (_, n) => `hp2 ${n}`),
      'all others arrived in order',
    );
  });

  t.test('private messages above the rate of a directory wait, and are not lost', async (t) => {
    const { channel, session } = await welcomed(t, {
      limits: { privmsgPerSecond: 2, privmsgQueueLength: 600 },
    });
    session.pubmsg(ALICE.nick, 'hp2 x');
    await channel.next('pubmsg');
    const texts = ['1', '2', '3', '4'];
    for (const text of texts) t.match(channel.send(ALICE.nick, 'error', text), { sent: true });
    t.match(channel.send(ALICE.nick, 'error', 'x'.repeat(600)), { reason: 'no-route' });
    for (const [index, text] of texts.entries()) {
      if (index >= 2) {
        t.strictSame(session.unread(), []);
        channel.clock.advance(500);
      }
      t.match((await session.next()).line, `!error ${text} `);
    }
  });

  t.test('private messages sent in 3 s may arrive at once: a directory relays all', async (t) => {
    const { channel, session } = await welcomed(t);
    session.pubmsg(ALICE.nick, 'hp2 x');
    await channel.next('pubmsg');
    for (let n = 0; n < 160; n++) {
      t.match(channel.send(ALICE.nick, 'error', `${n}`), { sent: true });
    }
    channel.clock.advance(3_000);
    // The answer comes after all messages that were sent.
    session.send(798, '');
    let arrived = 0;
    while ((await session.next()).type === 685) arrived++;
    t.ok(arrived < 160, 'the others still wait');
    t.ok(arrived <= DEFAULT_LIMITS.privmsgPerSecond, `${arrived} in 3 s`);
  });

  t.test('private messages wait when a directory with ping does not read on', async (t) => {
    const { channel, session } = await welcomed(t, {
      features: ['ping'],
      limits: { privmsgQueueLength: 1_000_000 },
    });
    session.pubmsg(ALICE.nick, 'hp2 x');
    await channel.next('pubmsg');
    for (let n = 0; n < 1_400; n++) {
      t.match(channel.send(ALICE.nick, 'error', `${n}`), { sent: true });
    }
    const types: number[] = [];
    const texts: string[] = [];
    const read = async (lines: number): Promise<void> => {
      for (let n = 0; n < lines; n++) {
        const { type, line } = await session.next();
        types.push(type);
        if (type === 685) texts.push(textOf(line));
      }
    };
    // Time moves in steps that are shorter than the wait for a peer that does not read.
    channel.clock.advance(20_000);
    await read(526);
    channel.clock.advance(20_000);
    await read(902 - 526);
    t.same(
      types.flatMap((type, at) => (type === 798 ? [at] : [])),
      [450, 901],
      'a ping after 450 and after 900 messages',
    );
    await stillListens(channel, session, 'no answer yet');
    t.same(session.unread(), [], 'and no further message');
    session.send(799, '');
    await stillListens(channel, session, 'after the answer');
    channel.clock.advance(20_000);
    await read(451);
    t.equal(texts.length, 1_350, 'the answer allows those before its ping again');
    session.send(799, '');
    await stillListens(channel, session, 'after the second answer');
    channel.clock.advance(20_000);
    await read(50);
    t.same(
      texts,
      Array.from({ length: 1_400 }, (_, n) => `${n}`),
      'all arrived, in order',
    );
  });

  t.test('a directory that answers no ping while messages wait is closed', async (t) => {
    const { channel, session } = await welcomed(t, { features: ['ping'] });
    session.pubmsg(ALICE.nick, 'hp2 x');
    await channel.next('pubmsg');
    for (let n = 0; n < 1_000; n++) channel.send(ALICE.nick, 'error', `${n}`);
    for (const seconds of [18, 18, 20, 20, 20, 20, 20, 18]) {
      channel.clock.advance(seconds * 1_000);
      // oxlint-disable-next-line no-await-in-loop
      await stillListens(channel, session, `it still sends at ${channel.clock.now()}`);
    }
    t.equal(channel.waiting('directory-down'), 0);
    channel.clock.advance(2_000);
    t.match((await channel.next('directory-down')).reason, /did not answer our pings/);
  });

  t.test('publish: a full queue refuses; waiting messages outlive the session', async (t) => {
    const { directory, channel, session } = await welcomed(t, { limits: { publishQueue: 2 } });
    for (let n = 0; n < 27; n++) channel.publish(`hp2 ${n}`);
    t.strictSame(channel.publish('hp2 27'), { sentTo: 0 });
    session.cut();
    const { retryInMs = 0 } = await channel.next('directory-down');
    t.strictSame(channel.publish('hp2 28'), { sentTo: 0 });
    channel.clock.advance(retryInMs);
    const again = await directory.acceptHandshake();
    await channel.next('directory-up');
    channel.publish('hp2 29');
    for (const text of ['hp2 25', 'hp2 26', 'hp2 29']) {
      t.ok((await again.next()).line.endsWith(`!${text}`), text);
    }
  });

  t.test('publish: a waiting orderbook does not outlive a long absence', async (t) => {
    const { directory, channel, session } = await welcomed(t, { limits: { pubmsgPerMinute: 4 } });
    for (const text of ['orderbook', 'orderbook', 'orderbook', 'hp2 a', 'orderbook', 'hp2 b']) {
      t.strictSame(channel.publish(text), { sentTo: 1 });
    }
    session.cut();
    const { retryInMs = 0 } = await channel.next('directory-down');
    channel.clock.advance(retryInMs);
    const again = await directory.accept();
    await again.nextOf(793);
    channel.clock.advance(59_000);
    again.send(795, directoryAnswer());
    await channel.next('directory-up');
    channel.publish('hp2 c');
    t.match((await again.next()).line, /hp2 b$/);
    t.match((await again.next()).line, /hp2 c$/);
  });

  t.test('misuse is a ChannelError with a code', async (t) => {
    const { channel } = await welcomed(t);
    const wrong: readonly [string, () => unknown][] = [
      ['command', () => channel.publish('')],
      ['command', () => channel.publish('!orderbook')],
      ['command', () => channel.publish('fill 0')],
      ['command', () => channel.publish('absoffer 0 1 2 3 4!tbond x')],
      ['command', () => channel.publish('unheard')],
      ['characters', () => channel.publish('hp2 a\nb')],
      ['characters', () => channel.publish('hp2 a ')],
      ['too-long', () => channel.publish(`hp2 ${'x'.repeat(40_000)}`)],
      ['args-empty', () => channel.send(ALICE.nick, 'error', '')],
      ['args-empty', () => channel.send(ALICE.nick, 'orderbook', '  ')],
      ['command', () => channel.send(ALICE.nick, 'tbond', 'x')],
      ['characters', () => channel.send(ALICE.nick, 'error', 'a\r\nb')],
      ['too-long', () => channel.send(ALICE.nick, 'error', 'é'.repeat(7_000))],
      ['nick', () => channel.send('a!b', 'error', 'x')],
      ['nick', () => channel.send('', 'error', 'x')],
    ];
    for (const [code, act] of wrong) t.throws(act, { name: 'ChannelError', code }, code);
    t.throws(() => openTestChannel([]), ChannelError);
    const onion = { kind: 'onion' as const, host: 'x.onion', port: 5222 };
    t.throws(() => openTestChannel([onion]), { code: 'directories' });
    t.strictSame(channel.send(channel.nick, 'error', 'x'), { sent: false, reason: 'self' });
    t.strictSame(channel.send(ALICE.nick, 'error', 'x'), { sent: false, reason: 'no-route' });
  });

  t.test('peer lists are requested only with the feature, at most once a minute', async (t) => {
    const features = ['peerlist_features'];
    const { directory, channel, session } = await welcomed(t, { features });
    t.strictSame(await session.next(), { type: 791, line: '' });
    session.cut();
    const { retryInMs = 0 } = await channel.next('directory-down');
    channel.clock.advance(retryInMs);
    const again = await directory.acceptHandshake({ features });
    await channel.next('directory-up');
    await stillListens(channel, again, 'again');
    t.strictSame(again.unread(), [], 'asked a moment ago');
    channel.clock.advance(300_000);
    t.strictSame(await again.next(), { type: 791, line: '' });
  });

  t.test('a silent directory with ping is pinged, and closed without an answer', async (t) => {
    const { channel, session } = await welcomed(t, { features: ['ping'] });
    channel.clock.advance(300_000);
    t.strictSame(await session.next(), { type: 798, line: '' });
    session.send(799, '');
    await stillListens(channel, session, 'pong');
    channel.clock.advance(300_000);
    t.strictSame(await session.next(), { type: 798, line: '' });
    channel.clock.advance(30_000);
    t.match((await channel.next('directory-down')).reason, /ping/);
  });

  t.test('a directory that never offered ping is never pinged', async (t) => {
    const { channel, session } = await welcomed(t);
    channel.clock.advance(3_000_000);
    await stillListens(channel, session, 'later');
    t.strictSame(session.unread(), []);
  });

  t.test('a directory that does not read is closed before the queue grows', async (t) => {
    const { channel, session } = await welcomed(t, {
      limits: { sendQueueBytes: 100_000, privmsgPerSecond: 1_000 },
    });
    session.pubmsg(ALICE.nick, 'hp2 x');
    await channel.next('pubmsg');
    session.pause();
    const args = 'x'.repeat(38_000);
    while (channel.waiting('directory-down') === 0) {
      const result = channel.send(ALICE.nick, 'error', args);
      if (!result.sent) break;
    }
    t.match((await channel.next('directory-down')).reason, /does not read/);
  });
});

t.test('several directories', async (t) => {
  t.test('a copy by another route is dropped, a repetition by the same one is not', async (t) => {
    const { channel, first, second } = await two(t);
    const privmsg = formatPrivmsg(ALICE, channel.nick, 'error', 'x');
    for (const session of [first, second]) {
      session.pubmsg(ALICE.nick, 'orderbook');
      session.pubmsg(ALICE.nick, 'orderbook');
      session.send(685, privmsg);
      await stillListens(channel, session, session === first ? 'one' : 'two');
    }
    t.equal(channel.waiting('pubmsg'), 0);
    t.equal(channel.waiting('privmsg'), 1);
    channel.clock.advance(30_000);
    second.send(685, privmsg);
    await channel.next('privmsg');
    await channel.next('privmsg');
  });

  t.test(
    'a message goes to the directory that relayed the nick, else to one that lists it',
    async (t) => {
      const { a, b, channel, first, second } = await two(t);
      first.pubmsg(ALICE.nick, 'hp2 x');
      second.send(789, `${ALICE.nick};NOT-SERVING-ONION,${BOB.nick};NOT-SERVING-ONION;F:ping`);
      await channel.next('pubmsg');
      await stillListens(channel, second, 'listed');
      t.match(channel.send(ALICE.nick, 'error', 'x'), { route: { location: a.location } });
      t.match(channel.send(BOB.nick, 'error', 'x'), { route: { location: b.location } });
      const { line } = await first.next();
      t.equal(line, formatPrivmsg(channel.key, ALICE.nick, 'error', 'x'));
      t.match((await second.next()).line, new RegExp(`^${channel.nick}!${BOB.nick}!error x `));
      first.cut();
      await channel.next('directory-down');
      t.match(channel.send(ALICE.nick, 'error', 'y'), { route: { location: b.location } });
    },
  );

  t.test('after a gone notice the message goes through the other directory', async (t) => {
    const { a, channel, first, second } = await two(t);
    first.pubmsg(ALICE.nick, 'hp2 x');
    await channel.next('pubmsg');
    second.send(789, `${ALICE.nick};NOT-SERVING-ONION`);
    await stillListens(channel, second, 'listed');
    t.match(channel.send(ALICE.nick, 'error', 'x'), { route: { location: a.location } });
    first.send(789, `${ALICE.nick};NOT-SERVING-ONION;D`);
    t.equal((await second.next()).line, (await first.next()).line);
    t.equal(channel.waiting('peer-gone'), 0);
    second.send(789, `${ALICE.nick};NOT-SERVING-ONION;D`);
    t.equal(await channel.next('peer-gone'), ALICE.nick);
  });

  t.test('a message to a directory that is lost at once goes through the other one', async (t) => {
    const { channel, first, second } = await two(t);
    first.pubmsg(ALICE.nick, 'hp2 x');
    second.send(789, `${ALICE.nick};NOT-SERVING-ONION`);
    await channel.next('pubmsg');
    await stillListens(channel, second, 'listed');
    channel.send(ALICE.nick, 'error', 'x');
    first.cut();
    t.match((await second.next()).line, /!error x /);
  });

  t.test('messages that wait long are not lost with their directory', async (t) => {
    const { a, channel, first, second } = await two(t, { limits: { privmsgPerSecond: 1 } });
    first.pubmsg(ALICE.nick, 'hp2 x');
    await channel.next('pubmsg');
    const texts = Array.from({ length: 20 }, (_, n) => `${n + 1}`);
    for (const text of texts) {
      t.match(channel.send(ALICE.nick, 'error', text), { route: { location: a.location } });
    }
    t.equal(textOf((await first.next()).line), '1');
    for (let n = 2; n <= 15; n++) {
      channel.clock.advance(1_000);
      t.equal(textOf((await first.next()).line), `${n}`);
    }
    second.pubmsg(ALICE.nick, 'hp2 y');
    await channel.next('pubmsg');
    first.cut();
    await channel.next('directory-down');
    const again: string[] = [];
    while (again.at(-1) !== '20') {
      again.push(textOf((await second.next()).line));
      channel.clock.advance(1_000);
    }
    t.strictSame(again, texts.slice(4), 'written in the last ten seconds, or not at all');
  });

  t.test('a public message to one directory, and a private one through some', async (t) => {
    const { a, b, channel, first, second } = await two(t);
    t.strictSame(channel.publish('hp2 x', a.location), { sentTo: 1 });
    t.equal((await first.next()).line, `${channel.nick}!PUBLIC!hp2 x`);
    const both = [a.location, b.location, a.location];
    t.strictSame(channel.sendThrough(ALICE.nick, 'error', 'y', both), { copies: 2 });
    const { line } = await first.next();
    t.equal(line, formatPrivmsg(channel.key, ALICE.nick, 'error', 'y'));
    t.equal((await second.next()).line, line, 'the second got no line before');
    const unknownDirectory = { ...a.location, port: 1 };
    for (const misuse of [
      () => channel.publish('hp2 x', unknownDirectory),
      () => channel.sendThrough(ALICE.nick, 'error', 'y', [unknownDirectory]),
    ]) {
      t.throws(misuse, {
        code: 'directories',
        message: /127\.0\.0\.1:1 is not a directory of this channel/,
      });
    }
    first.cut();
    await channel.next('directory-down');
    t.strictSame(channel.publish('hp2 z', a.location), { sentTo: 0 });
    t.strictSame(channel.sendThrough(ALICE.nick, 'error', 'z', [a.location]), { copies: 0 });
  });

  t.test('a nick is gone when each directory that listed it is lost or reports it', async (t) => {
    const { channel, first, second } = await two(t);
    for (const session of [first, second]) {
      session.pubmsg(ALICE.nick, 'hp2 a');
      session.pubmsg(BOB.nick, 'hp2 b');
      await stillListens(channel, session, session === first ? 'one' : 'two');
    }
    first.send(789, `${ALICE.nick};NOT-SERVING-ONION;D,${channel.nick};NOT-SERVING-ONION;D`);
    first.send(789, `${ALICE.nick};NOT-SERVING-ONION;D`);
    await stillListens(channel, first, 'three');
    t.equal(channel.waiting('peer-gone'), 0);
    second.send(789, `${ALICE.nick};NOT-SERVING-ONION;D`);
    t.equal(await channel.next('peer-gone'), ALICE.nick);
    t.strictSame(
      channel.peers().map(({ nick }) => nick),
      [BOB.nick, MARKER],
    );
    first.cut();
    await channel.next('directory-down');
    t.equal(channel.waiting('peer-gone'), 0);
    second.cut();
    t.equal(await channel.next('peer-gone'), BOB.nick);
    t.equal(await channel.next('peer-gone'), MARKER);
    t.strictSame(channel.peers(), []);
  });
});

t.test('close', async (t) => {
  const { channel, session } = await welcomed(t);
  channel.publish('hp2 last');
  const closing = channel.close();
  t.equal(channel.close(), closing, 'the same promise');
  t.match((await session.next()).line, /hp2 last$/, 'queued messages are still sent');
  await session.over;
  await closing;
  t.match(await channel.next('directory-down'), { retryInMs: undefined });
  await channel.next('stopped');
  t.strictSame(channel.send(ALICE.nick, 'error', 'x'), { sent: false, reason: 'closed' });
  t.strictSame(channel.publish('orderbook'), { sentTo: 0 });
  t.equal(await channel.connectTo(ALICE.nick), false);
  t.equal(channel.clock.pending, 0, 'no timer is left');
});

t.test('close does not wait for a directory without an answer to the handshake', async (t) => {
  let over: (() => void) | undefined;
  const asked: string[] = [];
  const mute: Connection = {
    remote: 'mute',
    via: 'loopback',
    queuedBytes: 0,
    closed: false,
    attach: (handler) => (over = () => handler.closed()),
    write: () => asked.push('write'),
    pause() {},
    resume() {},
    end: () => asked.push('end'),
    destroy() {
      asked.push('destroy');
      over?.();
    },
  };
  const overlay: Overlay = { ...anyPort(), dial: () => Promise.resolve(mute) };
  const channel = openTestChannel([{ kind: 'loopback', host: '127.0.0.1', port: 1 }], { overlay });
  while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const closing = channel.close();
  t.strictSame(asked, ['write', 'destroy'], 'no message has to arrive');
  over?.();
  await closing;
  t.equal(channel.clock.pending, 0, 'no timer is left');
});

t.test('a listener that throws does not stop the channel', async (t) => {
  const { channel, session } = await welcomed(t);
  const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
  channel.once('pubmsg', () => {
    throw new Error('a bug of the owner');
  });
  session.pubmsg(ALICE.nick, 'hp2 1');
  t.match(await thrown, { message: 'a bug of the owner' });
  await stillListens(channel, session, '2');
});
