/**
 * Wire scenarios over loopback sockets: admission (handshakes) and the relay. The clock is the test's, and
 * every turn is flushed at its end, so no result depends on time.
 */
import t, { type Test } from 'tap';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import {
  DN_NICK,
  hello,
  onion,
  OWN_ENTRY,
  parseLine,
  startDirectory,
  until,
  type Client,
  type Hello,
  type RunOptions,
} from './wire.js';
import { createTestClock } from '../helpers/test-clock.js';

/** So many entries of a list, which comes in lines of any length, sorted. */
async function listed(peer: Client, count: number): Promise<readonly string[]> {
  const all: string[] = [];
  while (all.length < count) all.push(...(await peer.next()).line.split(','));
  return all.toSorted();
}

let syncs = 0;

/** Asserts that `target` received no line since its last one: the message that `prober` sends now is next. */
async function quiet(test: Test, prober: [Client, string], target: [Client, string]) {
  const text = `${prober[1]}!${target[1]}!sync ${++syncs}`;
  prober[0].send(685, text);
  test.strictSame(await target[0].next(), { type: 685, line: text }, 'no line in between');
  test.strictSame(await target[0].next(), { type: 789, line: OWN_ENTRY });
}

void t.test('an accepted handshake', async (t) => {
  const { dial, directory } = await startDirectory(t, { motd: () => 'line 1\nline 2' });
  const peer = await dial();
  peer.send(793, hello('J5aaaaaaaaaaaaaa', { features: { x: true }, with: { extra: 'y' } }));
  t.equal(
    await peer.nextRaw(),
    '{"type": 795, "line": "{\\"app-name\\": \\"joinmarket\\", \\"directory\\": true, ' +
      '\\"proto-ver-min\\": 5, \\"proto-ver-max\\": 5, \\"features\\": {\\"peerlist_features\\": true, ' +
      `\\"ping\\": true}, \\"accepted\\": true, \\"nick\\": \\"${DN_NICK}\\", ` +
      '\\"network\\": \\"signet\\", \\"motd\\": \\"line 1\\\\nline 2\\"}"}',
    'the first line, byte for byte',
  );
  t.equal(directory.peerCount, 1);
  peer.send(793, hello('J5aaaaaaaaaaaaaa'));
  await until(() => directory.stats().dropped['second-handshake'] === 1);
  t.equal(directory.peerCount, 1, 'a second 793 changes nothing');
  t.strictSame(peer.unread, [], 'it is not answered');
});

void t.test('a long MOTD still fits one line', async (t) => {
  const { dial } = await startDirectory(t, { motd: () => '\u0001'.repeat(50_000) });
  const peer = await dial();
  peer.send(793, hello('J5aaaaaaaaaaaaaa'));
  t.ok((await peer.nextRaw()).length < 39_998);
});

void t.test('refused handshakes', async (t) => {
  const { dial, directory } = await startDirectory(t);
  const nick = 'J5aaaaaaaaaaaaaa';
  const answered: [string, string, Hello][] = [
    ['another network', 'network', { with: { network: 'mainnet' } }],
    ['another version', 'proto-ver', { with: { 'proto-ver': 4 } }],
    ['another program', 'app-name', { with: { 'app-name': 'JoinMarket' } }],
    ['a directory', 'directory-flag', { with: { directory: true } }],
    ['no location', 'location', { location: '' }],
    ['a location that cannot be dialled', 'location', { location: 'foo:123' }],
    ['an onion with a wrong checksum', 'location', { location: `${'a'.repeat(56)}.onion:5222` }],
    ['a port out of range', 'location', { location: '127.0.0.1:65536' }],
    ['a location that is a number', 'location', { with: { 'location-string': 5 } }],
    ["the directory's own location", 'own-location', { location: '127.0.0.1:5222' }],
    ["the directory's own nick", 'nick-in-use', { with: { nick: DN_NICK } }],
  ];
  for (const [name, reason, options] of answered) {
    const peer = await dial();
    peer.send(793, hello(nick, options));
    const { type, line } = await peer.next();
    const body: unknown = JSON.parse(line);
    t.equal(type, 795, name);
    t.match(body, { accepted: false, nick: DN_NICK, motd: /^Rejected: /, features: {} }, name);
    await peer.closed;
    const rejected: Record<string, number> = directory.stats().handshakesRejected;
    t.ok((rejected[reason] ?? 0) > 0, `${name}: counted as ${reason}`);
  }

  const withoutKey = JSON.stringify({ 'app-name': 'joinmarket' });
  const closed: [string, string, string][] = [
    ['not JSON', 'handshake-json', encodeEnvelope(793, 'hello')],
    ['a missing key', 'handshake-keys', encodeEnvelope(793, withoutKey)],
    [
      'a version in quotes',
      'handshake-types',
      encodeEnvelope(793, hello(nick, { with: { 'proto-ver': '5' } })),
    ],
    ...['', ' ', 'a;b', 'a,b', 'a!b', 'a+b', 'PUBLIC', 'x'.repeat(65), 'é', 'a\u0007b'].map(
      (bad): [string, string, string] => [
        `nick ${JSON.stringify(bad)}`,
        'handshake-nick',
        encodeEnvelope(793, hello(bad)),
      ],
    ),
  ];
  for (const [name, reason, bytes] of closed) {
    const peer = await dial();
    peer.write(bytes);
    await peer.closed;
    t.equal(peer.bytes, 0, `${name}: closed without an answer`);
    const rejected: Record<string, number> = directory.stats().handshakesRejected;
    t.ok((rejected[reason] ?? 0) > 0, `${name}: counted as ${reason}`);
  }

  for (const bytes of [
    encodeEnvelope(687, `${nick}!PUBLIC!orderbook`),
    encodeEnvelope(798, ''),
    'GET / HTTP/1.1\r\n',
    '\r\n',
    '{"type": "793", "line": ""}\r\n',
  ]) {
    const peer = await dial();
    peer.write(bytes);
    await peer.closed;
    t.equal(peer.bytes, 0, `${JSON.stringify(bytes)} instead of a handshake closes`);
  }
  t.equal(directory.peerCount, 0);
  t.equal(directory.connectionCount, 0);
});

void t.test('connections without a handshake in time, and one too many', async (t) => {
  const clock = createTestClock();
  const { dial, join, directory } = await startDirectory(t, {
    clock,
    // Each node has these limits for itself.
    oneNode: true,
    limits: { maxUnhandshaked: 2, maxPeers: 2, handshakeTimeoutMs: 30_000 },
  });
  const first = await dial();
  const second = await dial();
  await until(() => directory.connectionCount === 2);
  clock.advance(10_000);
  const third = await dial();
  await first.closed;
  t.equal(directory.stats().closed['unhandshaked-limit'], 1, 'the oldest goes first');
  clock.advance(20_300);
  await second.closed;
  t.equal(directory.stats().closed['handshake-timeout'], 1);
  t.notOk(third.socket.closed, 'the younger one has ten seconds left');
  clock.advance(10_000);
  await third.closed;

  await join('J5aaaaaaaaaaaaaa');
  const b = await join('J5bbbbbbbbbbbbbb');
  const full = await dial();
  full.send(793, hello('J5cccccccccccccc'));
  t.match((await full.next()).line, /"accepted": false.*directory is full/);
  await full.closed;
  b.socket.destroy();
  await until(() => directory.peerCount === 1);
  await join('J5cccccccccccccc');
});

void t.test('in a rush four times as many connections may wait, for two seconds', async (t) => {
  const clock = createTestClock();
  const { dial, directory } = await startDirectory(t, {
    clock,
    // Each node has this limit for itself.
    oneNode: true,
    limits: { maxUnhandshaked: 2 },
  });
  const tooMany = (): number => directory.stats().closed['unhandshaked-limit'];
  await Promise.all(Array.from({ length: 8 }, dial));
  await until(() => directory.connectionCount === 8);
  t.equal(tooMany(), 0, 'eight, with a limit of two');
  await dial();
  await until(() => tooMany() === 1);
  t.equal(directory.connectionCount, 8, 'the ninth takes the place of the oldest');
  clock.advance(1_999);
  await dial();
  await until(() => tooMany() === 2);
  t.equal(directory.connectionCount, 8);
  clock.advance(1);
  const last = await dial();
  await until(() => tooMany() === 9);
  t.equal(directory.connectionCount, 2, 'two seconds later only the youngest two are left');
  t.notOk(last.socket.closed);
});

void t.test('public messages', async (t) => {
  const { join, dial, directory } = await startDirectory(t);
  const a = await join('J5a');
  const b = await join('J5b', { location: onion(1) });
  const c = await join('J5c');
  const unhandshaked = await dial();

  a.send(687, 'J5a!PUBLIC!orderbook');
  for (const peer of [b, c]) {
    t.equal(await peer.nextRaw(), '{"type": 687, "line": "J5a!PUBLIC!orderbook"}');
  }
  b.write(
    '{"line":"J5b!PUBLIC!sw0absoffer 0 1 2 0 10!tbond \u00e9\u4e16 =","x":[1],"type":687 }\n',
  );
  for (const peer of [a, c]) {
    t.equal(
      await peer.nextRaw(),
      '{"type": 687, "line": "J5b!PUBLIC!sw0absoffer 0 1 2 0 10!tbond \\u00e9\\u4e16 ="}',
      'the payload unchanged, the envelope in standard form',
    );
  }

  const dropped: [string, number, string][] = [
    ['spoofed-from', 687, 'J5b!PUBLIC!orderbook'],
    ['route', 687, 'J5a'],
    ['route', 687, 'J5a!PUBLIC'],
    ['route', 687, 'J5a!PUBLIC!'],
    ['route', 687, '!PUBLIC!x'],
    ['type-mismatch', 687, 'J5a!J5b!fill 0'],
    ['type-mismatch', 685, 'J5a!PUBLIC!orderbook'],
    ['spoofed-from', 685, 'J5b!J5c!fill 0'],
    ['to-self', 685, 'J5a!J5a!fill 0'],
    ['to-directory', 685, `J5a!${DN_NICK}!sw0reloffer 0 1 2 3 4`],
    ['unknown-type', 785, onion(1)],
    ['unknown-type', 787, onion(1)],
    ['unknown-type', 797, onion(1)],
    ['unknown-type', 799, ''],
    ['unknown-type', 798, ''],
    ['unknown-type', 789, `J5b;${onion(1)};D`],
    ['unknown-type', 795, '{}'],
    ['unknown-type', 803, '{}'],
    ['unknown-type', -1, ''],
    ['unknown-type', 9999, 'x'],
  ];
  for (const [reason, type, line] of dropped) {
    const before: Record<string, number> = directory.stats().dropped;
    a.send(type, line);
    await until(() => {
      const now: Record<string, number> = directory.stats().dropped;
      return now[reason] === (before[reason] ?? 0) + 1;
    });
    await quiet(t, [c, 'J5c'], [b, 'J5b']);
    await quiet(t, [c, 'J5c'], [a, 'J5a']);
  }
  unhandshaked.send(687, 'J5x!PUBLIC!orderbook');
  await unhandshaked.closed;
  await quiet(t, [c, 'J5c'], [b, 'J5b']);
  t.equal(directory.peerCount, 3, 'no peer was closed for it');
});

void t.test('private messages and the peer list after them', async (t) => {
  const { join, directory } = await startDirectory(t);
  const features = { peerlist_features: true, ping: true, neutrino_compat: true, no: false };
  const maker = await join('J5maker', { location: onion(1), features });
  const taker = await join('J5taker');
  const modern = await join('J5modern', { features: { peerlist_features: true } });
  await join('J5other');

  const text = 'J5maker!J5taker!fill  0 1!a!b  c ';
  maker.send(685, text);
  t.strictSame(await taker.next(), { type: 685, line: text }, 'bytes unchanged');
  t.strictSame(
    await taker.next(),
    { type: 789, line: `J5maker;${onion(1)},${OWN_ENTRY}` },
    'no features for a peer that did not ask for them',
  );
  maker.send(685, 'J5maker!J5modern!fill');
  t.strictSame(await modern.next(), { type: 685, line: 'J5maker!J5modern!fill' });
  t.strictSame(await modern.next(), {
    type: 789,
    line: `J5maker;${onion(1)};F:neutrino_compat+peerlist_features+ping,${OWN_ENTRY}`,
  });
  taker.send(685, 'J5taker!J5maker!fill 0 1');
  t.strictSame(await maker.next(), { type: 685, line: 'J5taker!J5maker!fill 0 1' });
  t.strictSame(await maker.next(), { type: 789, line: OWN_ENTRY }, 'a taker has no entry');

  // 791: all peers, with features only for a peer that understands them.
  const plain = 'J5taker;NOT-SERVING-ONION';
  taker.send(791, '');
  t.strictSame(await listed(taker, 4), [
    `J5maker;${onion(1)}`,
    'J5modern;NOT-SERVING-ONION',
    'J5other;NOT-SERVING-ONION',
    plain,
  ]);
  modern.send(791, '');
  t.strictSame(await listed(modern, 4), [
    `J5maker;${onion(1)};F:neutrino_compat+peerlist_features+ping`,
    'J5modern;NOT-SERVING-ONION;F:peerlist_features',
    'J5other;NOT-SERVING-ONION',
    plain,
  ]);
  t.equal(directory.stats().messagesIn.privmsg, 3);
});

void t.test('791 among 45 peers: chunks of at most 20 entries', async (t) => {
  // A node lists its own peers and those of the others in lines of their own.
  const { join } = await startDirectory(t, { oneNode: true });
  const nicks = Array.from({ length: 45 }, (_, n) => `J5peer${n}`);
  const peers = await Promise.all(nicks.map((nick, n) => join(nick, { location: onion(n) })));
  const asker = peers[7];
  if (!asker) throw new Error('no peers');
  for (const round of [1, 2]) {
    asker.send(791, '');
    const seen: string[] = [];
    const sizes: number[] = [];
    while (seen.length < 45) {
      const raw = await asker.nextRaw();
      const { type, line } = parseLine(raw);
      t.equal(type, 789);
      t.ok(raw.length <= 39_998);
      sizes.push(line.split(',').length);
      seen.push(...line.split(',').map((entry) => entry.split(';')[0] ?? ''));
    }
    t.strictSame(sizes, [20, 20, 5], `round ${round}`);
    t.strictSame(seen.toSorted(), nicks.toSorted());
  }
});

void t.test('791 while others come and go: each list has exactly the peers present', async (t) => {
  const { join, directory } = await startDirectory(t);
  const asker = await join('J5asker');
  const nicks = Array.from({ length: 400 }, (_, n) => `J5peer${n}`);
  const peers = await Promise.all(nicks.map((nick, n) => join(nick, { location: onion(n % 250) })));
  const there = new Set(['J5asker', ...nicks]);
  // One of the first, a middle and the last block; the last entry takes the place of the one that leaves.
  for (const [round, n] of [0, 170, 399, 200].entries()) {
    peers[n]?.socket.destroy();
    there.delete(`J5peer${n}`);
    await until(() => directory.peerCount === there.size);
    if (round % 2 === 1) {
      there.add(`J5late${round}`);
      await join(`J5late${round}`, { location: onion(250) });
    }
    const seen: string[] = [];
    asker.send(791, '');
    while (seen.length < there.size) {
      const { line } = await asker.next();
      if (line.endsWith(';D')) continue;
      const entries = line.split(',');
      t.ok(entries.length <= 20);
      seen.push(...entries.map((entry) => entry.split(';')[0] ?? ''));
    }
    t.strictSame(seen.toSorted(), [...there].toSorted(), `round ${round}`);
  }
});

void t.test('an absent addressee: the sender gets a notice, once in ten seconds', async (t) => {
  const clock = createTestClock();
  const { join, directory } = await startDirectory(t, {
    clock,
    limits: { heartbeatIntervalMs: 0 },
  });
  const a = await join('J5a');
  const b = await join('J5b');
  const gone = { type: 789, line: 'J5gone;NOT-SERVING-ONION;D' };
  a.send(685, 'J5a!J5gone!fill 0');
  t.strictSame(await a.next(), gone);
  a.send(685, 'J5a!J5gone!fill 0');
  a.send(685, 'J5a!J5elsewhere!fill 0');
  t.strictSame(await a.next(), { ...gone, line: 'J5elsewhere;NOT-SERVING-ONION;D' }, 'per pair');
  b.send(685, 'J5b!J5gone!fill 0');
  t.strictSame(await b.next(), gone, 'one for each sender');
  clock.advance(9_999);
  a.send(685, 'J5a!J5gone!fill 0');
  await until(() => directory.stats().dropped.absent === 5);
  clock.advance(1);
  a.send(685, 'J5a!J5gone!fill 0');
  t.strictSame(await a.next(), gone);
  t.equal(directory.stats().goneNotices, 4);
  for (const bad of ['a;b', 'a,b', 'a b', 'é', 'x'.repeat(65)]) {
    a.send(685, `J5a!${bad}!fill 0`);
  }
  await until(() => directory.stats().dropped.absent === 11);
  t.equal(directory.stats().goneNotices, 4, 'a malformed nick gets no notice');
  await quiet(t, [b, 'J5b'], [a, 'J5a']);
  for (let n = 0; n < 200; n++) a.send(685, `J5a!J5n${n}!fill 0`);
  for (let n = 0; n < 200; n++) await a.next();
  a.send(685, 'J5a!J5gone!fill 0');
  t.strictSame(await a.next(), gone, 'the record of notices is bounded');
});

void t.test('leaves: one entry each, without features, and never twice', async (t) => {
  const { join, directory } = await startDirectory(t);
  const watch = await join('J5watch');
  const maker = await join('J5maker', { location: onion(1), features: { ping: true } });
  maker.socket.destroy();
  t.strictSame(await watch.next(), { type: 789, line: `J5maker;${onion(1)};D` });
  const taker = await join('J5taker');
  taker.socket.end();
  t.strictSame(await watch.next(), { type: 789, line: 'J5taker;NOT-SERVING-ONION;D' });
  const polite = await join('J5polite');
  polite.send(801, '');
  await polite.closed;
  t.equal(polite.bytes > 0 && polite.unread.length, 0, '801 is obeyed without an answer');
  t.strictSame(await watch.next(), { type: 789, line: 'J5polite;NOT-SERVING-ONION;D' });
  const back = await join('J5maker');
  await quiet(t, [back, 'J5maker'], [watch, 'J5watch']);
  t.equal(directory.stats().leavesAnnounced, 3);
  t.equal(directory.stats().closed['disconnect-message'], 1);
});

void t.test('100 leaves at once are one or two lines', async (t) => {
  const clock = createTestClock();
  const { join, directory } = await startDirectory(t, { clock, flushWindowMs: 25 });
  const watch = await join('J5watch');
  const peers = await Promise.all(Array.from({ length: 100 }, (_, n) => join(`J5peer${n}`)));
  for (const peer of peers) peer.socket.destroy();
  await until(() => directory.peerCount === 1);
  clock.advance(25);
  const seen: string[] = [];
  let lines = 0;
  while (seen.length < 100) {
    const { line } = await watch.next();
    lines++;
    seen.push(...line.split(',').map((entry) => entry.replace(/;NOT-SERVING-ONION;D$/, '')));
  }
  t.strictSame(
    seen.toSorted(),
    Array.from({ length: 100 }, (_, n) => `J5peer${n}`).toSorted(),
    'each exactly once',
  );
  t.ok(lines <= 2, `${lines} lines`);
});

void t.test('the length of a line', async (t) => {
  const { join, directory } = await startDirectory(t);
  const b = await join('J5b');
  const overhead = '{"type": 687, "line": ""}'.length;
  const head = 'J5a!PUBLIC!hp2 ';
  const envelope = (bytes: number): string =>
    `{"type": 687, "line": "${head}${'x'.repeat(bytes - overhead - head.length)}"}`;

  const a = await join('J5a');
  a.write(envelope(39_998) + '\r\n');
  t.equal((await b.nextRaw()).length, 39_998, '39,998 bytes are relayed');
  for (const bytes of [39_999, 40_000]) {
    const before = directory.stats().dropped['too-long'];
    a.write(envelope(bytes) + '\r\n');
    await until(() => directory.stats().dropped['too-long'] === before + 1);
    t.notOk(a.socket.closed, `${bytes} bytes are read, but may not leave`);
  }
  a.write(`{"type": 687, "line": "${head}${'é'.repeat(10_000)}"}\r\n`);
  await until(() => directory.stats().dropped['too-long'] === 3);
  t.pass('a line that would grow beyond the bound by escapes may not leave either');
  a.write(`  ${envelope(39_998)}\r\n`);
  t.equal((await b.nextRaw()).length, 39_998, '40,000 bytes that shrink to 39,998 are relayed');
  a.write(`{"type": 685, "line": "J5a!J5b!${'x'.repeat(39_999 - 33)}"}\r\n`);
  await until(() => directory.stats().dropped['too-long'] === 4);
  for (const bytes of [39_999, 40_000]) {
    const before = directory.stats().dropped['too-long'];
    const privmsg = '{"type": 685, "line": "J5a!J5b!tx ';
    a.write(`${privmsg}${'x'.repeat(bytes - privmsg.length - 2)}"}\r\n`);
    await until(() => directory.stats().dropped['too-long'] === before + 1);
  }
  t.equal(directory.stats().goneNotices, 0, 'its addressee is connected');
  t.equal(directory.stats().closed.oversize, 0, 'its sender is connected');

  a.write(envelope(40_001) + '\r\n');
  await a.closed;
  t.equal(directory.stats().closed.oversize, 1, '40,001 bytes end the connection');
  t.strictSame(await b.next(), { type: 789, line: 'J5a;NOT-SERVING-ONION;D' });

  const endless = await join('J5c');
  endless.write('x'.repeat(40_002));
  await endless.closed;
  t.equal(directory.stats().closed.oversize, 2, 'with or without an end');
});

void t.test('a line split across a broadcast', async (t) => {
  const { join, directory } = await startDirectory(t);
  const a = await join('J5a');
  const b = await join('J5b');
  const c = await join('J5c');
  const line = encodeEnvelope(687, 'J5a!PUBLIC!sw0absoffer 0 1 2 0 10');
  const others = encodeEnvelope(687, 'J5b!PUBLIC!orderbook');
  for (let cut = 1; cut < line.length; cut++) {
    const { bytesIn } = directory.stats();
    a.write(line.slice(0, cut));
    await until(() => directory.stats().bytesIn === bytesIn + cut);
    b.write(others);
    t.equal((await a.nextRaw()) + '\r\n', others, `cut after ${cut} bytes: the other line first`);
    a.write(line.slice(cut));
    t.equal((await c.nextRaw()) + '\r\n', others);
    t.equal((await c.nextRaw()) + '\r\n', line, 'then the complete line');
    t.equal((await b.nextRaw()) + '\r\n', line);
  }
});

void t.test('lines that are not an envelope', async (t) => {
  const { join, directory } = await startDirectory(t, { limits: { junkPerMinute: 10 } });
  const watch = await join('J5watch');
  for (const bad of [
    'x',
    '',
    '[]',
    '{"type": 687}',
    '{"type": 687.5, "line": "x"}',
    '{"type": 687, "line": 1}',
  ]) {
    const peer = await join('J5a');
    for (let n = 0; n < 10; n++) peer.write(`${bad}\r\n`);
    peer.send(685, 'J5a!J5watch!still here');
    t.strictSame(await watch.next(), { type: 685, line: 'J5a!J5watch!still here' });
    await watch.next();
    peer.write(`${bad}\r\n`);
    await peer.closed;
    t.equal((await watch.next()).line, 'J5a;NOT-SERVING-ONION;D', `${bad}: the eleventh closes`);
  }
  t.equal(directory.stats().closed.malformed, 6);
  const peer = await join('J5a');
  peer.write(Buffer.from([0x7b, 0xff, 0x7d, 0x0d, 0x0a]));
  await peer.closed;
  t.equal(directory.stats().closed['not-utf8'], 1, 'a line that is not UTF-8 closes at once');
});

void t.test('rates: dropped and counted, and closed at ten times the rate', async (t) => {
  // How many at once, and how many a minute.
  const cases: [string, Partial<RunOptions['limits']>, number, string, number, number][] = [
    ['rate-pubmsg', { pubmsgPerMinute: 5 }, 687, 'J5a!PUBLIC!hp2 x', 5, 5],
    ['rate-orderbook', { orderbookPerMinute: 2 }, 687, 'J5a!PUBLIC!hp2 x!orderbook', 2, 2],
    ['rate-privmsg', { privmsgPerSecond: 3 }, 685, 'J5a!J5b!fill 0', 30, 180],
    ['rate-getpeerlist', { getpeerlistPerMinute: 2 }, 791, '', 2, 2],
    ['rate-ping', {}, 798, '', 60, 60],
    ['rate-ping', {}, 799, '', 60, 60],
  ];
  for (const [reason, limits, type, line, allowed, perMinute] of cases) {
    await t.test(reason, async (t) => {
      const clock = createTestClock();
      const { join, directory } = await startDirectory(t, {
        clock,
        limits: { heartbeatIntervalMs: 0, ...limits },
      });
      const b = await join('J5b');
      const a = await join('J5a', { features: { ping: true } });
      const dropped = (): number => {
        const all: Record<string, number> = directory.stats().dropped;
        return all[reason] ?? 0;
      };
      const received = (): number => {
        const { messagesIn: m } = directory.stats();
        return m.pubmsg + m.orderbook + m.privmsg + m.getpeerlist + m.ping + m.pong;
      };
      for (let n = 0; n < allowed + 2; n++) a.send(type, line);
      await until(() => received() === allowed + 2);
      t.equal(dropped(), 2);
      clock.advance(60_000 / perMinute + 1);
      a.send(type, line);
      a.send(type, line);
      await until(() => received() === allowed + 4);
      t.equal(dropped(), 3, 'one more is allowed, and only one');
      clock.advance(60_000);
      a.write(encodeEnvelope(type, line).repeat(10 * perMinute + 1));
      await a.closed;
      t.equal(directory.stats().closed.rate, 1);
      t.notOk(b.socket.closed);
    });
  }
});

void t.test('the tenth message in the name of another peer ends the connection', async (t) => {
  const { join, directory } = await startDirectory(t);
  const b = await join('J5b');
  const a = await join('J5a');
  for (let n = 0; n < 10; n++) a.send(687, 'J5b!PUBLIC!orderbook');
  await a.closed;
  t.equal(directory.stats().closed['spoofed-from'], 1);
  t.strictSame(await b.next(), { type: 789, line: 'J5a;NOT-SERVING-ONION;D' });
});

void t.test('junk: closed at ten times the rate', async (t) => {
  const { join, directory } = await startDirectory(t, { limits: { junkPerMinute: 10 } });
  const a = await join('J5a');
  a.write(encodeEnvelope(787, onion(1)).repeat(100));
  await until(() => directory.stats().dropped['unknown-type'] === 100);
  t.equal(directory.peerCount, 1);
  a.send(787, onion(1));
  await a.closed;
  t.equal(directory.stats().closed.rate, 1);
});

void t.test('pings', async (t) => {
  const { join } = await startDirectory(t);
  const a = await join('J5a', { features: { ping: true } });
  a.send(798, '');
  t.equal(await a.nextRaw(), '{"type": 799, "line": ""}');
});

void t.test('broadcasts and direct frames reach a peer in one order', async (t) => {
  const { join } = await startDirectory(t, { flushWindowMs: 25, clock: createTestClock() });
  const a = await join('J5a');
  const b = await join('J5b');
  let burst = '';
  const expected: string[] = [];
  for (let n = 0; n < 50; n++) {
    burst += encodeEnvelope(687, `J5a!PUBLIC!hp2 ${n}`);
    expected.push(`J5a!PUBLIC!hp2 ${n}`);
    if (n % 7 !== 0) continue;
    burst += encodeEnvelope(685, `J5a!J5b!fill ${n}`);
    expected.push(`J5a!J5b!fill ${n}`, OWN_ENTRY);
  }
  a.write(burst);
  const got: string[] = [];
  while (got.length < expected.length) got.push((await b.next()).line);
  t.strictSame(got, expected);
});
