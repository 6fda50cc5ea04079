/**
 * The scenes `mass` and `memory` of the directory with three nodes as programs: hundreds of peers come and leave at
 * once, a node is killed, and readers that are too slow cost each node no more than the log for them.
 */
import t from 'tap';
import { joinMany, nickOf, NO_RATES_CONFIG, type Mass, type OnLine } from '../directory/many.js';
import { until } from '../directory/wire.js';
import { startNodes, type NodeProgram } from './node-programs.js';

const NAMES = ['a', 'b', 'c'];
const PEERS_OF_NODE = 120;
const OBSERVERS_OF_NODE = 2;
/** A node is dead after seven seconds without a packet of it. */
const DEATH_MS = 10_000;

/** The nicks of the leaves in one line. */
function leavesIn(line: string): readonly string[] {
  const [, payload = ''] = /^\{"type": 789, "line": "(.*)"\}$/.exec(line) ?? [];
  const left = payload.split(',').filter((entry) => entry.endsWith(';D'));
  return left.map((entry) => entry.slice(0, entry.indexOf(';')));
}

async function sum(
  nodes: readonly NodeProgram[],
  of: (node: NodeProgram) => Promise<number>,
): Promise<number> {
  return (await Promise.all(nodes.map(of))).reduce((all, each) => all + each, 0);
}

/** A condition that is looked at when a peer has read something, and at the start. */
class Watch {
  #look: () => void = () => {};

  /** A peer has read a line. */
  readonly changed = (): void => this.#look();

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (condition()) resolve();
      };
      this.#look();
    });
  }
}

/** Resolves when each of these nodes knows so many peers of all nodes. */
async function untilPeers(nodes: readonly NodeProgram[], count: number): Promise<void> {
  for (const node of nodes) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other is enough
    while ((await node.metric('cluster_peers')) !== count);
  }
}

const isStaying = (_: unknown, i: number): boolean => i % 3 === 0;

void t.test('hundreds of peers come and leave at once, and a node is killed', async (t) => {
  const nodes = await startNodes(t, NAMES, NO_RATES_CONFIG);
  const [killed, ...living] = nodes;
  if (!killed) throw new Error('unreachable');
  const all: Mass[] = [];
  t.teardown(() => {
    for (const { socket } of all) socket.destroy();
  });
  const heard: Map<string, number>[] = [];
  const watch = new Watch();
  for (const [n, { port }] of living.entries()) {
    for (let i = 0; i < OBSERVERS_OF_NODE; i++) {
      const leaves = new Map<string, number>();
      heard.push(leaves);
      const count = (line: Buffer): void => {
        for (const nick of leavesIn(line.toString('latin1'))) {
          leaves.set(nick, (leaves.get(nick) ?? 0) + 1);
        }
        watch.changed();
      };
      all.push(joinMany(port, nickOf('Watch', n * OBSERVERS_OF_NODE + i), count));
    }
  }
  const observers = all.slice();
  t.ok((await Promise.all(observers.map((peer) => peer.accepted))).every(Boolean));

  // All dial in one tick.
  const crowds = nodes.map(({ port }, n) =>
    Array.from({ length: PEERS_OF_NODE }, (_, i) => joinMany(port, nickOf(`Crowd${n}`, i))),
  );
  const peers = crowds.flat();
  all.push(...peers);
  const accepted = await Promise.all(peers.map((peer) => peer.accepted));
  t.equal(accepted.filter(Boolean).length, peers.length, 'all are accepted');
  await untilPeers(nodes, all.length);

  const [speaker] = peers;
  if (!speaker) throw new Error('unreachable');
  speaker.send(687, `${speaker.nick}!PUBLIC!orderbook`);
  await until(() => all.every((peer) => peer === speaker || peer.lines > 0));
  t.equal(speaker.lines, 0, 'the speaker does not receive its own message');
  t.ok(
    all.every((peer) => peer === speaker || peer.lines === 1),
    'each other peer of the three nodes receives it once, and no other line',
  );

  // Two of three of each node leave in one tick, half of them with a reset.
  const leaving = crowds.flatMap((crowd) => crowd.filter((_, i) => !isStaying(_, i)));
  leaving.forEach(({ socket }, i) => {
    if (i % 2 === 0) socket.resetAndDestroy();
    else socket.destroy();
  });
  await watch.until(() => heard.every((leaves) => leaves.size === leaving.length));
  await untilPeers(nodes, all.length - leaving.length);

  const lost = (crowds[0] ?? []).filter(isStaying);
  const killedAt = performance.now();
  await killed.kill();
  await watch.until(() => heard.every((leaves) => leaves.size === leaving.length + lost.length));
  const tookMs = performance.now() - killedAt;
  t.ok(
    tookMs < DEATH_MS,
    `the peers of the killed node are announced after ${Math.round(tookMs)} ms`,
  );
  await untilPeers(living, all.length - leaving.length - lost.length);
  const gone = new Set([...leaving, ...lost].map(({ nick }) => nick));
  for (const leaves of heard) {
    t.ok(
      [...leaves].every(([nick, times]) => gone.has(nick) && times === 1),
      'each leave exactly once, and no other',
    );
  }
  t.equal(
    await sum(living, (node) => node.metric('cluster_dropped_total{reason="over-budget"}')),
    0,
  );
  const staying = crowds.slice(1).flatMap((crowd) => crowd.filter(isStaying));
  t.ok(
    staying.every(({ socket }) => !socket.destroyed),
    'the peers of the living nodes stay',
  );
  t.comment(`${(await sum(living, (node) => node.cpuSeconds())).toFixed(2)} s of processor of two`);
});

const MEGABYTE = 1_000_000;
const QUEUE_BYTES = 2_000_000;
const SLOW_OF_NODE = 5;
const LINE_CHARS = 10_000;
/** More than the queue and what the kernel takes for a connection. */
const FLOOD_BYTES = 40 * MEGABYTE;
/** Lines on their way at a time. */
const WINDOW = 50;
/**
 * The log of a node holds the queue of its slowest reader, and a few pieces of it. Each slow reader may have a block of
 * it on its way to the kernel.
 */
const LOG_BOUND = 2 * QUEUE_BYTES;
/** The last two pieces of the log; a line may begin a piece. */
const LOG_PIECES = 2 * 262_144;
/** Without the log for all, each of the slow readers would cost its queue in each node. */
const RSS_BOUND = 60 * MEGABYTE;

void t.test(
  'readers that are too slow at all nodes: bounded memory, and they are closed',
  async (t) => {
    const nodes = await startNodes(
      t,
      NAMES,
      `${NO_RATES_CONFIG}send_queue_bytes = ${QUEUE_BYTES}\n`,
    );
    const all: Mass[] = [];
    t.teardown(() => {
      for (const { socket } of all) socket.destroy();
    });
    const watch = new Watch();
    const add = (port: number, nick: string, onLine?: OnLine): Mass => {
      const peer = joinMany(port, nick, onLine);
      all.push(peer);
      return peer;
    };
    const heard = nodes.map(() => 0);
    for (const [n, { port }] of nodes.entries()) {
      add(port, nickOf('Quick', n), (line) => {
        if (!line.includes('"type": 687')) return;
        heard[n] = (heard[n] ?? 0) + 1;
        watch.changed();
      });
    }
    const slow = nodes.flatMap(({ port }, n) =>
      Array.from({ length: SLOW_OF_NODE }, (_, i) => add(port, nickOf(`Slow${n}`, i))),
    );
    const [first] = nodes;
    if (!first) throw new Error('unreachable');
    const speaker = add(first.port, nickOf('Speaker', 0));
    t.ok((await Promise.all(all.map((peer) => peer.accepted))).every(Boolean));
    await untilPeers(nodes, all.length);

    const line = `${speaker.nick}!PUBLIC!${'x'.repeat(LINE_CHARS)}`;
    let sent = 0;
    const flood = async (bytes: number, window = WINDOW): Promise<void> => {
      for (const end = sent + Math.ceil(bytes / LINE_CHARS); sent < end;) {
        for (let i = 0; i < window; i++) speaker.send(687, line);
        sent += window;
        // Each quick reader has them, so nothing waits on the way.
        // oxlint-disable-next-line no-await-in-loop -- a window
        await watch.until(() => heard.every((count) => count >= sent));
      }
    };
    // What the first bytes cost, for buffers that stay, is not counted.
    await flood(2 * MEGABYTE);
    const before = await Promise.all(nodes.map((node) => node.rss()));
    for (const { socket } of slow) socket.pause();
    let [log, grown, closed] = [0, 0, 0];
    for (let bytes = 0; bytes < FLOOD_BYTES && closed < slow.length; bytes += MEGABYTE) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await flood(MEGABYTE);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const looks = await Promise.all(
        nodes.map(async (node, i) => ({
          log: await node.metric('broadcast_log_bytes'),
          grown: (await node.rss()) - (before[i] ?? 0),
        })),
      );
      log = Math.max(log, ...looks.map((look) => look.log));
      grown = Math.max(grown, ...looks.map((look) => look.grown));
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      closed = await sum(nodes, (node) => node.metric('closed_total{reason="lag"}'));
    }
    t.equal(closed, slow.length, 'all slow readers are closed, and no other peer');
    t.ok(log > QUEUE_BYTES / 4, `the slow readers lag behind: the log has ${log} bytes`);
    t.ok(log <= LOG_BOUND, `the log is bounded: ${log} bytes`);
    t.ok(grown <= RSS_BOUND, `${grown} bytes more at most, in the largest node`);
    await flood(MEGABYTE);
    t.ok(
      heard.every((count) => count === sent),
      'the others have each message once',
    );
    await untilPeers(nodes, nodes.length + 1);
    // A flush keeps what the quick reader was still taking; one line later that is this line at most.
    await flood(LINE_CHARS, 1);
    const kept = await Promise.all(nodes.map((node) => node.metric('broadcast_log_bytes')));
    t.ok(
      Math.max(...kept) <= LOG_PIECES,
      `nothing is kept for the closed ones: ${kept.join(', ')}`,
    );
    t.comment(
      `${(await sum(nodes, (node) => node.cpuSeconds())).toFixed(2)} s of processor of three; ` +
        `at most ${log} bytes of log and ${grown} bytes more memory in a node`,
    );
  },
);
