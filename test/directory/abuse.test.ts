/**
 * Readers that freeze, read slowly, half-close or fall silent, on real loopback sockets: their cost for other
 * peers, and how they end. The first test runs the program itself in its own process.
 */
import t from 'tap';
import { createTestClock } from '../helpers/test-clock.js';
import { startDirectoryProcess } from '../helpers/directory-process.js';
import { joinMany, nickOf, NO_RATES_CONFIG, type Mass, type OnLine } from './many.js';
import {
  hello,
  onion,
  passTime,
  startDirectory,
  turn,
  until,
  type Client,
  type Line,
} from './wire.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

const MESSAGES = 2_000;
const BODY = 'x'.repeat(37_900);
const SEND_QUEUE_BYTES = 4_194_304;
/** Messages by which the sender may be ahead of the slowest healthy reader; far less than a send queue. */
const AHEAD = 20;

/** The next peer list line; pings and other lines before it are skipped. */
async function nextLeave(client: Client): Promise<Line> {
  for (;;) {
    const line = await client.next();
    if (line.type === 789) return line;
  }
}

async function nextPrivmsg(client: Client): Promise<string> {
  for (;;) {
    const { type, line } = await client.next();
    if (type === 685) return line;
  }
}

function say(client: Client, from: string, to: string, text: string): void {
  client.send(685, `${from}!${to}!${text}`);
}

void t.test('one frozen reader among twenty, 2,000 messages of 38 kB', async (t) => {
  const statusPort = await freePort();
  const directory = await startDirectoryProcess(t, statusPort, NO_RATES_CONFIG);
  const sent: number[] = [];
  const all = Array.from({ length: 20 }, () => ({
    arrivals: [] as number[],
    disorder: 0,
    leaves: 0,
  }));
  const frozenNick = nickOf('Frozen', 0);
  const leave = `${frozenNick};${onion(1)};D`;
  let leftAt = 0;
  const counting =
    (reader: (typeof all)[number]): OnLine =>
    (line) => {
      const head = line.toString('latin1', 0, 160);
      const number = /!hp2 (\d+) /.exec(head)?.[1];
      if (number === undefined) {
        if (!head.includes(leave)) return;
        reader.leaves++;
        leftAt ||= performance.now();
        return;
      }
      if (Number(number) !== reader.arrivals.length || line.length < BODY.length) reader.disorder++;
      reader.arrivals.push(performance.now());
    };
  const sender = joinMany(directory.port, nickOf('Sender', 0));
  const healthy = all.map((reader, n) =>
    joinMany(directory.port, nickOf('Healthy', n), counting(reader)),
  );
  const frozen = joinMany(directory.port, frozenNick, undefined, { location: onion(1) });
  t.teardown(() => {
    for (const { socket } of [sender, frozen, ...healthy]) socket.destroy();
  });
  const accepted = await Promise.all([sender, frozen, ...healthy].map((peer) => peer.accepted));
  t.notOk(accepted.includes(false), 'all are accepted');

  const slowest = (): number => Math.min(...all.map(({ arrivals }) => arrivals.length));
  const publish = async (): Promise<void> => {
    await until(() => sent.length - slowest() < AHEAD);
    const number = sent.length;
    sent.push(performance.now());
    sender.send(687, `${sender.nick}!PUBLIC!hp2 ${number} ${BODY}`);
  };
  // All peers read here, so the memory for such traffic is not attributed to the frozen peer.
  while (sent.length < 300) await publish();
  await until(() => slowest() === sent.length);
  const before = await directory.rss();
  let peak = before;

  frozen.socket.pause();
  const frozenAt = performance.now();
  while (sent.length < 300 + MESSAGES) {
    await publish();
    await turn();
    if (sent.length % 20 === 0) peak = Math.max(peak, await directory.rss());
  }
  await until(() => slowest() === sent.length);
  await until(() => all.every(({ leaves }) => leaves > 0));
  peak = Math.max(peak, await directory.rss());

  for (const reader of all) {
    t.strictSame(
      { got: reader.arrivals.length, disorder: reader.disorder, leaves: reader.leaves },
      { got: 300 + MESSAGES, disorder: 0, leaves: 1 },
      'all messages in order, and the leave of the frozen peer',
    );
  }
  const growth = peak - before;
  t.ok(
    growth < 20_000_000 + SEND_QUEUE_BYTES,
    `the process grew by ${(growth / 1e6).toFixed(1)} MB, less than 20 MB and a send queue`,
  );

  const again = joinMany(directory.port, frozenNick);
  t.teardown(() => void again.socket.destroy());
  t.ok(await again.accepted, 'its nick is free at once');
  const { peers, closed } = await directory.status();
  t.equal(peers, 22);
  t.match(closed, { lag: 1 }, 'it was ended for its lag, before the stall timeout');

  let gap = 0;
  for (const { arrivals } of all) {
    for (let n = 301; n < sent.length; n++) {
      const between = (times: readonly number[]): number => (times[n] ?? 0) - (times[n - 1] ?? 0);
      gap = Math.max(gap, between(arrivals) - between(sent));
    }
  }
  const pace = ((sent.at(-1) ?? 0) - frozenAt) / MESSAGES;
  t.comment(
    `pace ${pace.toFixed(1)} ms; largest gap beyond it ${gap.toFixed(0)} ms; ` +
      `frozen peer ended after ${((leftAt - frozenAt) / 1_000).toFixed(1)} s; ` +
      `growth ${(growth / 1e6).toFixed(1)} MB`,
  );
});

void t.test(
  'a frozen reader behind by less than a send queue is ended within the timeout',
  async (t) => {
    const clock = createTestClock();
    const limits = {
      heartbeatIntervalMs: 0,
      writeStallTimeoutMs: 7_000,
      sendQueueBytes: 64_000_000,
    };
    const { join, directory } = await startDirectory(t, { clock, limits });
    const sender = await join(nickOf('Sender', 0));
    const reader = await join(nickOf('Reader', 0));
    const frozen = await join(nickOf('Frozen', 0), { features: { ping: true } });
    frozen.socket.pause();
    while (directory.stats().logBytes < 2_000_000) {
      sender.send(687, `${nickOf('Sender', 0)}!PUBLIC!hp2 ${BODY}`);
      await reader.nextRaw();
    }
    await passTime(clock, 6_500);
    t.equal(directory.peerCount, 3, 'connected half a second before the timeout');
    await passTime(clock, 1_500);
    t.equal(directory.stats().closed['write-stall'], 1, 'closed a second after the timeout');
    t.strictSame(await reader.next(), {
      type: 789,
      line: `${nickOf('Frozen', 0)};NOT-SERVING-ONION;D`,
    });
    t.ok(directory.stats().logBytes <= 524_288, 'its unsent bytes are freed');
  },
);

void t.test('a slow reader that drains stays, and gets every message', async (t) => {
  const clock = createTestClock();
  const limits = {
    heartbeatIntervalMs: 0,
    writeStallTimeoutMs: 30_000,
    sendQueueBytes: 64_000_000,
  };
  const { join, directory } = await startDirectory(t, { clock, limits });
  const sender = await join(nickOf('Sender', 0));
  const reader = await join(nickOf('Reader', 0));
  const slow = await join(nickOf('Slow', 0));
  slow.socket.pause();
  let sent = 0;
  while (directory.stats().logBytes < 20_000_000) {
    sender.send(687, `${nickOf('Sender', 0)}!PUBLIC!hp2 ${sent++} ${BODY}`);
    await reader.nextRaw();
  }
  // Every 20 seconds it reads only until its kernel lets the kernel of the sender accept more.
  const reads: number[] = [];
  const mostOfIt = sent * BODY.length * 0.75;
  while (slow.bytes < mostOfIt) {
    const { bytesOut } = directory.stats();
    const before = slow.bytes;
    slow.socket.resume();
    await until(() => directory.stats().bytesOut > bytesOut);
    slow.socket.pause();
    reads.push(slow.bytes - before);
    await passTime(clock, 20_000);
  }
  t.ok(reads.length >= 3, `${reads.length} rounds of 20 s`);
  t.comment(`read per round: ${reads.map((bytes) => (bytes / 1e6).toFixed(1)).join(', ')} MB`);
  t.equal(directory.peerCount, 3, 'it was never ended');
  slow.socket.resume();
  for (let n = 0; n < sent; n++) {
    if (!(await slow.nextRaw()).includes(`!hp2 ${n} `)) t.fail(`message ${n} is out of order`);
  }
  t.equal(directory.stats().closed['write-stall'], 0);
  t.equal(directory.stats().closed.lag, 0);
});

void t.test('half-closed, half-open and silent', async (t) => {
  const clock = createTestClock();
  const { join, dial, directory } = await startDirectory(t, { clock });
  const watch = await join(nickOf('Watch', 0), { features: { ping: true } });
  watch.socket.on('data', () => watch.send(799, ''));
  const closes = async (
    reason: 'closed-by-peer' | 'handshake-timeout' | 'no-pong',
    count: number,
  ) => {
    await until(() => directory.stats().closed[reason] === count);
    t.equal(directory.stats().closed[reason], count, reason);
  };

  await t.test('a peer that half-closes its connection has left', async (t) => {
    const half = await join(nickOf('Half', 0), { location: onion(1) });
    half.socket.end();
    t.match(await watch.next(), { type: 789, line: `${nickOf('Half', 0)};${onion(1)};D` });
    await half.closed;
    await closes('closed-by-peer', 1);
  });

  await t.test('a connection that ends in its handshake leaves no state', async (t) => {
    const half = await dial();
    half.write('{"type": 793, "li');
    await until(() => directory.connectionCount === 2);
    half.socket.end();
    await half.closed;
    await closes('closed-by-peer', 2);
    t.equal(directory.connectionCount, 1);
  });

  await t.test(
    'a connection that sends its handshake slowly has 30 s from accept, not from its last byte',
    async (t) => {
      const slow = await dial();
      const line = `{"type": 793, "line": ${JSON.stringify(hello(nickOf('Trickle', 0)))}}`;
      for (let n = 0; n < 30; n++) {
        slow.write(line.charAt(n));
        await passTime(clock, 1_000);
      }
      await closes('handshake-timeout', 1);
      await slow.closed;
      t.equal(slow.bytes, 0, 'without an answer');
    },
  );

  await t.test('a peer that vanished silently is ended by its unanswered ping', async (t) => {
    // A socket that is no longer read looks to the other side like a cut cable.
    const vanished = await join(nickOf('Vanish', 0), { features: { ping: true } });
    vanished.socket.pause();
    await passTime(clock, 629_000);
    t.equal(directory.stats().closed['no-pong'], 0);
    // 600 s of silence, at most 60 until the next liveness probe, 30 for the pong.
    await passTime(clock, 62_000);
    await closes('no-pong', 1);
    t.match(await nextLeave(watch), { line: `${nickOf('Vanish', 0)};NOT-SERVING-ONION;D` });
  });

  await t.test(
    'a silent peer that answers stays, and so does one that cannot be pinged',
    async (t) => {
      const silent = await join(nickOf('Silent', 0), { features: { ping: true } });
      silent.socket.on('data', () => silent.send(799, ''));
      await join(nickOf('Taker', 0));
      await passTime(clock, 7_200_000);
      t.equal(directory.peerCount, 3, 'after two hours');
      t.equal(directory.stats().closed['no-pong'], 1);
    },
  );
});

void t.test('no peer can push another one out by writing to it', async (t) => {
  const sendQueueBytes = 262_144;
  const { directory, join } = await startDirectory(t, {
    limits: { privmsgPerSecond: 0, sendQueueBytes },
  });
  const taker = await join('J5TakerOOOOOOOOO');
  const maker = await join('J5MakerOOOOOOOOO');
  const flooder = await join('J5FloodOOOOOOOOO');
  // The two peers exchange messages.
  say(taker, 'J5TakerOOOOOOOOO', 'J5MakerOOOOOOOOO', 'fill 0');
  await maker.next();
  say(maker, 'J5MakerOOOOOOOOO', 'J5TakerOOOOOOOOO', 'pubkey 1');
  await taker.next();

  const before = directory.stats().messagesOut.privmsg;
  maker.socket.pause();
  let sent = 0;
  while (directory.stats().dropped['target-busy'] === 0) {
    say(flooder, 'J5FloodOOOOOOOOO', 'J5MakerOOOOOOOOO', `fill ${sent++} ${BODY}`);
    await turn();
  }
  const gone = await flooder.next();
  t.match(gone, { type: 789, line: 'J5MakerOOOOOOOOO;NOT-SERVING-ONION;D' });
  const relayed = directory.stats().messagesOut.privmsg - before;
  t.ok(sent > relayed && relayed > 0, `${relayed} of ${sent} were relayed`);

  say(taker, 'J5TakerOOOOOOOOO', 'J5MakerOOOOOOOOO', 'auth 2');
  await until(() => directory.stats().messagesOut.privmsg === before + relayed + 1);
  t.equal(directory.peerCount, 3, 'it is still connected');
  maker.socket.resume();
  for (let n = 0; n < relayed; n++) {
    t.ok((await nextPrivmsg(maker)).startsWith(`J5FloodOOOOOOOOO!J5MakerOOOOOOOOO!fill ${n} `));
  }
  t.equal(await nextPrivmsg(maker), 'J5TakerOOOOOOOOO!J5MakerOOOOOOOOO!auth 2');
});

void t.test('200 attackers ask for the orderbook 50 times a second each', async (t) => {
  const statusPort = await freePort();
  const directory = await startDirectoryProcess(t, statusPort, '');
  const connected = new Set<Mass>();
  let attack: ReturnType<typeof setInterval> | undefined;
  t.teardown(() => {
    clearInterval(attack);
    for (const { socket } of connected) socket.destroy();
  });
  const add = (nick: string, onLine?: OnLine): Mass => {
    const peer = joinMany(directory.port, nick, onLine);
    connected.add(peer);
    return peer;
  };

  // A running coinjoin, and fifty peers that ask once; the maker receives all requests.
  const delays = new Map<string, number>();
  const answers: string[] = [];
  const asks: string[] = [];
  let askedAt = 0;
  let requests = 0;
  const maker = add(nickOf('Maker', 0), (line, peer) => {
    const text = line.toString('latin1');
    const from = /"line": "(\w+)!/.exec(text)?.[1] ?? '';
    if (text.includes('!PUBLIC!orderbook')) {
      requests++;
      if (from.startsWith('J5Honest')) delays.set(from, performance.now() - askedAt);
    }
    const step = /!tx (\d+)"/.exec(text)?.[1];
    if (step === undefined) return;
    asks.push(step);
    peer.send(685, `${peer.nick}!${from}!sig ${step}`);
  });
  const taker = add(nickOf('Taker', 0), (line) => {
    const step = /!sig (\d+)"/.exec(line.toString('latin1'))?.[1];
    if (step !== undefined) answers.push(step);
  });
  const honest = Array.from({ length: 50 }, (_, n) => add(nickOf('Honest', n)));
  const accepted = await Promise.all([maker, taker, ...honest].map((peer) => peer.accepted));
  t.notOk(accepted.includes(false), 'all are accepted');

  const ask = (step: number): void => taker.send(685, `${taker.nick}!${maker.nick}!tx ${step}`);
  ask(0);
  await until(() => answers.length === 1);

  // Every fifth of a second, ten requests of each attacker; a closed attacker connects again.
  let fresh = 0;
  let sent = 0;
  const attackers = Array.from({ length: 200 }, () => add(nickOf('Bad', fresh++)));
  await Promise.all(attackers.map((peer) => peer.accepted));
  attack = setInterval(() => {
    attackers.forEach((attacker, n) => {
      if (attacker.socket.closed) {
        connected.delete(attacker);
        attackers[n] = add(nickOf('Bad', fresh++));
        return;
      }
      for (let k = 0; k < 10; k++) attacker.send(687, `${attacker.nick}!PUBLIC!orderbook`);
      sent += 10;
    });
  }, 200);
  await until(() => requests >= 20);
  askedAt = performance.now();
  for (const peer of honest) peer.send(687, `${peer.nick}!PUBLIC!orderbook`);
  const STEPS = 50;
  for (let step = 1; step < STEPS; step++) {
    ask(step);
    await until(() => answers.length === step + 1);
  }
  await until(() => delays.size === honest.length);
  clearInterval(attack);

  const inOrder = Array.from({ length: STEPS }, (_, step) => String(step));
  t.strictSame(asks, inOrder, 'no message of the coinjoin is lost, doubled or out of order');
  t.strictSame(answers, inOrder, 'no answer either');
  t.ok(requests < sent / 2, 'most of the flood is dropped');
  const sorted = [...delays.values()].toSorted((a, b) => a - b);
  t.comment(
    `${sent} requests of attackers, ${requests} relayed; honest peers heard after ` +
      `${sorted[24]?.toFixed(0)} ms in the median, p95 ${sorted[47]?.toFixed(0)} ms`,
  );
});
