/**
 * Liveness: leaves, frozen and slow readers, liveness probes, nick claims, and the state that is left when
 * all peers are gone. Loopback sockets, unless a test must control how fast bytes drain; the clock is the
 * test's, except where a figure is taken.
 */
import t from 'tap';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { DEFAULT_LIMITS } from '../../src/directory/directory.js';
import { createTestClock } from '../helpers/test-clock.js';
import { memoryPeer } from './memory-connection.js';
import {
  CLUSTER_TIMERS,
  DN_NICK,
  hello,
  NO_RATES,
  onion,
  OWN_ENTRY,
  passTime,
  startDirectory,
  testDirectory,
  turn,
  until,
} from './wire.js';

const BIG = 'x'.repeat(38_000);

/** Claims between nodes have tests of their own (`test/cluster/nicks.test.ts`): a peer may be at two of them. */
const AT_ONE_NODE = { oneNode: true };

void t.test('a peer that leaves without a message', async (t) => {
  const { join, directory } = await startDirectory(t, { clock: systemClock, flushWindowMs: 25 });
  const watch = await join('J5watch');
  const peer = await join('J5gone', { location: onion(1) });
  const since = performance.now();
  peer.socket.resetAndDestroy();
  t.strictSame(await watch.next(), { type: 789, line: `J5gone;${onion(1)};D` });
  t.comment(`leave notice after ${(performance.now() - since).toFixed(1)} ms`);
  t.equal(directory.connectionCount, 1);
  await join('J5gone');
});

void t.test('a peer that stops reading harms only itself', async (t) => {
  const clock = createTestClock();
  const { join, directory } = await startDirectory(t, {
    clock,
    limits: { heartbeatIntervalMs: 0 },
  });
  const sender = await join('J5sender');
  const healthy = await Promise.all(Array.from({ length: 20 }, (_, n) => join(`J5healthy${n}`)));
  const frozen = await join('J5frozen', { location: onion(1) });
  frozen.socket.pause();

  let sent = 0;
  let bytes = 0;
  // Until the kernel accepts no more for the frozen peer and the log has to keep its unsent bytes.
  while (directory.stats().logBytes < 700_000 || directory.stats().closed['write-stall'] > 0) {
    sender.send(687, `J5sender!PUBLIC!hp2 ${BIG}`);
    await Promise.all(healthy.map((peer) => peer.nextRaw()));
    sent++;
    bytes += BIG.length;
  }
  t.equal(directory.stats().closed.lag, 0);
  await passTime(clock, 29_000);
  t.equal(directory.peerCount, 22, 'connected a second before the timeout');
  await passTime(clock, 2_000);
  t.equal(directory.stats().closed['write-stall'], 1, 'closed at most a second after it');
  await Promise.all(
    healthy.map(async (peer) => {
      t.strictSame(await peer.next(), { type: 789, line: `J5frozen;${onion(1)};D` });
    }),
  );
  t.comment(`evicted after ${sent} messages, ${(bytes / 1e6).toFixed(1)} MB; 20 others got all`);

  const again = await join('J5frozen');
  sender.send(687, 'J5sender!PUBLIC!orderbook');
  for (const peer of [...healthy, again]) {
    t.strictSame(await peer.next(), { type: 687, line: 'J5sender!PUBLIC!orderbook' });
  }
  t.ok(directory.stats().logBytes < 300_000, 'no bytes are kept for it');
  t.equal(directory.stats().leavesAnnounced, 1);
});

void t.test('a reader that is too far behind is ended before any timeout', async (t) => {
  const { join, directory } = await startDirectory(t, { limits: { sendQueueBytes: 1_000_000 } });
  const sender = await join('J5sender');
  const frozen = await join('J5frozen');
  const other = await join('J5other');
  frozen.socket.pause();
  while (directory.stats().closed.lag === 0) {
    sender.send(687, `J5sender!PUBLIC!hp2 ${BIG}`);
    await other.nextRaw();
  }
  t.strictSame(await other.next(), { type: 789, line: 'J5frozen;NOT-SERVING-ONION;D' });
  t.equal(directory.peerCount, 2);
});

void t.test('slow and stalled readers, and a queue read in part', async (t) => {
  const clock = createTestClock();
  const directory = testDirectory({ limits: { ...DEFAULT_LIMITS, ...NO_RATES }, clock });
  const join = (nick: string) => {
    const peer = memoryPeer();
    directory.accept(peer.connection);
    peer.say(encodeEnvelope(793, hello(nick)));
    peer.drain();
    return peer;
  };
  const sender = join('J5sender');
  const slow = join('J5slow');
  const stalled = join('J5stalled');
  for (let n = 0; n < 50; n++) sender.say(encodeEnvelope(687, `J5sender!PUBLIC!hp2 ${BIG}`));
  stalled.drain(100_000);
  for (let second = 0; second < 29; second++) {
    clock.advance(1_000);
    if (second % 20 === 0) slow.drain(10);
  }
  t.equal(directory.peerCount, 3);
  clock.advance(2_000);
  t.equal(directory.stats().closed['write-stall'], 1, 'no byte drained in 30 s');
  t.ok(stalled.closed);
  for (let minute = 0; minute < 20; minute++) {
    slow.drain(10);
    clock.advance(29_000);
  }
  t.notOk(slow.closed, 'ten bytes in 29 s are enough');
  clock.advance(32_000);
  t.ok(slow.closed);
  sender.leave();
  t.equal(directory.peerCount, 0);
  stalled.drain();
  slow.drain();
  t.equal(directory.connectionCount, 0);
  t.equal(clock.pending, 0, 'no timer');
});

void t.test('liveness probes', async (t) => {
  const clock = createTestClock();
  const { join, directory } = await startDirectory(t, { clock });
  const modern = await join('J5modern', { features: { ping: true } });
  const dead = await join('J5dead', { features: { ping: true } });
  const maker = await join('J5maker', { location: onion(1) });
  const deaf = await join('J5deaf', { location: onion(2) });
  const taker = await join('J5taker');

  await passTime(clock, 590_000);
  t.equal(directory.stats().heartbeatProbes, 0, 'no probe before 600 s of silence');
  await passTime(clock, 20_000);
  t.equal(await modern.nextRaw(), '{"type": 798, "line": ""}');
  t.equal(await dead.nextRaw(), '{"type": 798, "line": ""}');
  const probe = { type: 687, line: `${DN_NICK}!PUBLIC!orderbook` };
  t.strictSame(await maker.next(), probe, 'a maker that cannot be pinged is asked for offers');
  t.strictSame(await deaf.next(), probe);
  modern.send(799, '');
  maker.send(685, `J5maker!${DN_NICK}!sw0reloffer 0 1 2 3 0.1 key sig`);
  await until(() => directory.stats().messagesIn.pong === 1);
  await until(() => directory.stats().dropped['to-directory'] === 1);
  await passTime(clock, 30_500);
  await dead.closed;
  t.equal(directory.stats().closed['no-pong'], 1, 'no answer to a ping in 30 s');
  for (const peer of [modern, maker, deaf, taker]) {
    t.strictSame(await peer.next(), { type: 789, line: 'J5dead;NOT-SERVING-ONION;D' });
  }

  // From here on the peers that can answer do so, each in its own way.
  modern.socket.on('data', () => modern.send(799, ''));
  maker.socket.on('data', () => maker.send(687, 'J5maker!PUBLIC!hp2 x'));
  await passTime(clock, 14 * 60_000);
  t.equal(directory.stats().closed['silent-maker'], 0);
  await passTime(clock, 120_000);
  await deaf.closed;
  t.equal(directory.stats().closed['silent-maker'], 1, 'probes ignored for 1,500 s');
  await passTime(clock, 3_600_000);
  t.strictSame(
    [modern, maker, taker].map((peer) => peer.socket.closed),
    [false, false, false],
    'after an hour the silent taker is still there',
  );
  t.equal(directory.peerCount, 3);
});

void t.test('liveness probes switched off', async (t) => {
  const clock = createTestClock();
  const { join, directory } = await startDirectory(t, {
    clock,
    limits: { heartbeatIntervalMs: 0 },
  });
  await join('J5modern', { features: { ping: true } });
  await join('J5maker', { location: onion(1) });
  await passTime(clock, 3_600_000);
  t.equal(directory.peerCount, 2);
  t.equal(directory.stats().heartbeatProbes, 0);
});

void t.test('a nick claim: the holder answers', async (t) => {
  const clock = createTestClock();
  const { join, dial, directory } = await startDirectory(t, { clock, ...AT_ONE_NODE });
  const holder = await join('J5nick', { features: { ping: true } });
  const newcomer = await dial();
  newcomer.send(793, hello('J5nick'));
  t.equal(await holder.nextRaw(), '{"type": 798, "line": ""}', 'the holder is pinged');
  t.equal(newcomer.bytes, 0, 'the newcomer has no answer yet');
  newcomer.send(687, 'J5nick!PUBLIC!orderbook');
  await until(() => directory.stats().dropped['before-handshake'] === 1);
  const third = await dial();
  third.send(793, hello('J5nick'));
  t.match((await third.next()).line, /"accepted": false.*nick is in use/, 'one claim at a time');
  holder.send(799, '');
  t.match((await newcomer.next()).line, /"accepted": false.*Rejected: nick is in use/);
  await newcomer.closed;
  await passTime(clock, 60_000);
  t.notOk(holder.socket.closed);
  t.equal(directory.stats().handshakesRejected['nick-in-use'], 2);
  t.equal(directory.stats().nickClaims, 0);
});

void t.test('a nick claim: the holder is dead', async (t) => {
  const clock = createTestClock();
  const { join, dial, directory } = await startDirectory(t, { clock, ...AT_ONE_NODE });
  const watch = await join('J5watch');
  const holder = await join('J5nick', { location: onion(1), features: { ping: true } });
  const newcomer = await dial();
  newcomer.send(793, hello('J5nick', { location: onion(2) }));
  await until(() => directory.stats().nickClaims === 1);
  await passTime(clock, 24_500);
  t.equal(newcomer.bytes, 0);
  await passTime(clock, 1_000);
  t.match((await newcomer.next()).line, /"accepted": true/, 'within 30 s the nick is handed over');
  await holder.closed;
  t.equal(directory.stats().closed['nick-reclaimed'], 1);
  t.strictSame(await watch.next(), { type: 789, line: `J5nick;${onion(1)};D` });
  await turn();
  watch.send(685, 'J5watch!J5nick!fill 0');
  t.strictSame(
    await newcomer.next(),
    { type: 685, line: 'J5watch!J5nick!fill 0' },
    'the late close of the old connection does not affect its successor',
  );
  t.equal(directory.peerCount, 2);
});

void t.test('a nick claim: other endings', async (t) => {
  const clock = createTestClock();
  const { join, dial, directory } = await startDirectory(t, { clock, ...AT_ONE_NODE });

  await t.test('the holder leaves', async (t) => {
    const holder = await join('J5a', { features: { ping: true } });
    const newcomer = await dial();
    newcomer.send(793, hello('J5a'));
    await holder.nextRaw();
    holder.socket.destroy();
    t.match((await newcomer.next()).line, /"accepted": true/, 'at once');
    newcomer.socket.destroy();
    await until(() => directory.connectionCount === 0);
  });

  await t.test('the newcomer gives up', async (t) => {
    const holder = await join('J5a', { features: { ping: true } });
    const newcomer = await dial();
    newcomer.send(793, hello('J5a'));
    await holder.nextRaw();
    newcomer.socket.destroy();
    await until(() => directory.stats().nickClaims === 0);
    await passTime(clock, 29_000);
    t.notOk(holder.socket.closed);
    holder.send(799, '');
    await until(() => directory.stats().messagesIn.pong === 1);
    holder.socket.destroy();
    await until(() => directory.connectionCount === 0);
  });

  await t.test('a holder that cannot be pinged is alive if it takes bytes', async (t) => {
    const holder = await join('J5a');
    const newcomer = await dial();
    newcomer.send(793, hello('J5a'));
    await until(() => directory.stats().nickClaims === 1);
    t.strictSame(await holder.next(), { type: 789, line: OWN_ENTRY }, 'a harmless write');
    await passTime(clock, 500);
    t.match((await newcomer.next()).line, /"accepted": false/);
    holder.socket.destroy();
    await until(() => directory.connectionCount === 0);
  });
  t.equal(clock.pending, CLUSTER_TIMERS);
});

void t.test('a nick claim: a holder without ping whose bytes do not drain', async (t) => {
  const clock = createTestClock();
  const { join, dial, directory } = await startDirectory(t, { clock, ...AT_ONE_NODE });
  const sender = await join('J5sender');
  const frozen = await join('J5frozen');
  frozen.socket.pause();
  const other = await join('J5other');
  while (directory.stats().logBytes < 700_000) {
    sender.send(687, `J5sender!PUBLIC!hp2 ${BIG}`);
    await other.nextRaw();
  }
  const newcomer = await dial();
  newcomer.send(793, hello('J5frozen'));
  await until(() => directory.stats().nickClaims === 1);
  await passTime(clock, 25_500);
  t.match((await newcomer.next()).line, /"accepted": true/);
  t.equal(directory.stats().closed['nick-reclaimed'], 1);
});

void t.test('many claims on one nick: no pong of the holder is counted as too many', (t) => {
  const clock = createTestClock();
  const directory = testDirectory({ limits: DEFAULT_LIMITS, clock });
  const dial = () => {
    const peer = memoryPeer();
    directory.accept(peer.connection);
    peer.say(encodeEnvelope(793, hello('J5nick', { features: { ping: true } })));
    peer.drain();
    return peer;
  };
  const holder = dial();
  // More than ten times the pongs allowed in a minute, each in answer to a ping.
  for (let n = 0; n < 700; n++) {
    const thief = dial();
    holder.drain();
    holder.say(encodeEnvelope(799, ''));
    thief.drain();
  }
  t.equal(directory.stats().messagesOut.ping, 700);
  t.equal(directory.stats().handshakesRejected['nick-in-use'], 700);
  t.notOk(holder.closed);
  t.equal(directory.stats().dropped['rate-ping'], 0);
  holder.say(encodeEnvelope(799, '').repeat(61));
  t.equal(directory.stats().dropped['rate-ping'], 1, 'a pong without a ping counts');
  t.end();
});

void t.test('a ping behind bytes that drain slowly', async (t) => {
  const clock = createTestClock();
  const directory = testDirectory({
    limits: { ...DEFAULT_LIMITS, ...NO_RATES, heartbeatIntervalMs: 1_000, heartbeatIdleMs: 60_000 },
    clock,
  });
  const dial = (nick: string, features: Record<string, boolean> = {}) => {
    const peer = memoryPeer();
    directory.accept(peer.connection);
    peer.say(encodeEnvelope(793, hello(nick, { features })));
    return peer;
  };
  const sender = dial('J5sender');
  const slow = dial('J5slow', { ping: true });
  const silent = dial('J5silent');
  for (const peer of [sender, slow, silent]) peer.drain();
  for (let n = 0; n < 20; n++) {
    sender.say(encodeEnvelope(685, `J5sender!J5slow!fill ${BIG}`));
    sender.say(encodeEnvelope(685, `J5sender!J5silent!fill ${BIG}`));
  }
  /** Advances the clock by seconds; in each one the two take a few bytes. */
  const pass = (seconds: number): void => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1_000);
      slow.drain(1_000);
      silent.drain(1_000);
    }
  };

  const thieves = [dial('J5slow', { ping: true }), dial('J5silent')];
  t.equal(directory.stats().nickClaims, 2);
  pass(26);
  for (const thief of thieves) {
    thief.drain();
    t.match(thief.received, /"accepted.": false/, 'a holder that takes bytes keeps its nick');
  }
  pass(120);
  t.equal(directory.peerCount, 3, 'no answer is due to a ping that has not arrived');
  slow.drain();
  slow.drain();
  t.match(slow.received, /"type": 798/);
  pass(31);
  t.ok(slow.closed, 'it is due now');
  t.equal(directory.stats().closed['no-pong'], 1);
  t.equal(directory.stats().closed['nick-reclaimed'], 0);

  silent.drain();
  for (let n = 0; n < 20; n++) sender.say(encodeEnvelope(685, `J5sender!J5silent!fill ${BIG}`));
  const owner = dial('J5silent');
  clock.advance(26_000);
  owner.drain();
  t.match(owner.received, /"accepted.": true/, 'a holder that takes none loses it');
});

void t.test('1,000 times connect, handshake, leave: no state is left', async (t) => {
  const clock = createTestClock();
  const { join, dial, directory } = await startDirectory(t, { clock });
  const since = performance.now();
  for (let round = 0; round < 20; round++) {
    const peers = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const features = n % 2 === 0 ? { ping: true, peerlist_features: true } : {};
        const location = n % 3 === 0 ? onion(n) : 'NOT-SERVING-ONION';
        const peer = await join(`J5r${round}n${n}`, { features, location });
        peer.send(687, `J5r${round}n${n}!PUBLIC!orderbook`);
        peer.send(685, `J5r${round}n${n}!J5r${round}n${(n + 1) % 50}!fill 0`);
        peer.send(791, '');
        return peer;
      }),
    );
    const rejected = await dial();
    rejected.send(793, hello('J5x', { with: { network: 'mainnet' } }));
    peers.forEach((peer, n) => {
      if (n % 2 === 0) peer.socket.destroy();
      else peer.socket.resetAndDestroy();
    });
    await until(() => directory.connectionCount === 0);
    t.equal(clock.pending, CLUSTER_TIMERS, 'no timer');
  }
  const { peers, connections, unhandshaked, nickClaims, handshakesAccepted } = directory.stats();
  t.strictSame(
    { peers, connections, unhandshaked, nickClaims, handshakesAccepted },
    { peers: 0, connections: 0, unhandshaked: 0, nickClaims: 0, handshakesAccepted: 1_000 },
  );
  t.ok(directory.stats().logBytes <= 262_144, 'no more than the chunk being written');
  t.comment(`${((performance.now() - since) / 1_000).toFixed(2)} ms per cycle`);
  await join('J5r0n0');
});

void t.test('stopping', async (t) => {
  const { join, dial, directory } = await startDirectory(t, { clock: systemClock });
  const reading = await join('J5reading');
  const silent = await dial();
  await until(() => directory.connectionCount === 2);
  const waiting = await dial();
  waiting.send(793, hello('J5reading'));
  directory.stopAccepting();
  const late = await dial();
  await late.closed;
  t.equal(late.bytes, 0);
  const since = performance.now();
  await directory.close();
  await Promise.all([reading.closed, silent.closed, waiting.closed]);
  t.notMatch(reading.unread, [/"type": 801/], 'no 801: the original stops at it');
  t.equal(directory.connectionCount, 0);
  t.ok(directory.stats().closed.shutdown >= 2);
  t.comment(`closed in ${(performance.now() - since).toFixed(1)} ms`);
  await directory.close();
  t.pass('a second close is harmless');
});

void t.test('stopping does not wait for a peer that does not read', async (t) => {
  const clock = createTestClock();
  const directory = testDirectory({ clock });
  const peer = memoryPeer();
  directory.accept(peer.connection);
  peer.say(encodeEnvelope(793, hello('J5a')));
  const closing = directory.close();
  clock.advance(3_000);
  await closing;
  t.ok(peer.closed);
  t.equal(directory.connectionCount, 0);
  t.equal(clock.pending, 0);
});

void t.test('new limits apply at once', async (t) => {
  const { join, dial, directory } = await startDirectory(t);
  await join('J5a');
  directory.setLimits({ ...DEFAULT_LIMITS, maxPeers: 1, junkPerMinute: 1 });
  const full = await dial();
  full.send(793, hello('J5b'));
  t.match((await full.next()).line, /directory is full/);
  t.equal(directory.peerCount, 1, 'no peer is dropped for them');
});
