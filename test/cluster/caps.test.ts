/** A node that was taken over floods, and the others hold it to its budgets; a node that obeys is never held. */
import t, { type Test } from 'tap';
import type { Log, LogFields } from '../../src/channel/log.js';
import { silentLog } from '../../src/channel/log.js';
import type { LocalPeer } from '../../src/directory/neighbours.js';
import type { DirectoryLimits } from '../../src/directory/limits.js';
import { formatDirectorySnapshot, parseDirectorySnapshot } from '../../src/directory/snapshot.js';
import { createWorld, linesOf, type World, type WorldPeer } from './world.js';

const ABC = ['a', 'b', 'c'];
/** The limits of `[DIRECTORY]` in small. */
const LIMITS: Partial<DirectoryLimits> = {
  maxPeers: 4_000,
  pubmsgPerMinute: 60,
  orderbookPerMinute: 6,
  privmsgPerSecond: 100,
  deliveriesPerSecond: 2_000,
  orderbookPerSecond: 10,
};

interface LogLine {
  readonly text: string;
  readonly fields: LogFields | undefined;
}

/** A log that keeps what is about budgets. */
function budgetLog(): { readonly log: Log; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const keep = (text: string, fields?: LogFields): void => {
    if (text.includes('budgets')) lines.push({ text, fields });
  };
  return { log: { ...silentLog, info: keep, warn: keep }, lines };
}

const localPeer = (nick: string): LocalPeer => ({
  nick,
  location: { kind: 'not-serving' },
  features: [],
  provenKey: undefined,
  carriedProof: undefined,
  acceptedAt: 0,
});

const overBudget = (world: World, name: string): number =>
  world.node(name).cluster.state().counters.dropped['over-budget'];

const stateOf = (world: World, at: string, of: string) =>
  world
    .node(at)
    .cluster.state()
    .nodes.find(({ name }) => name === of);

const isOver = (world: World, at: string, of: string): boolean | undefined =>
  stateOf(world, at, of)?.isOver;

t.test('messages of a node that obeys no limit are held to its budgets', async (t) => {
  const { log, lines } = budgetLog();
  const world = await createWorld(ABC, { limits: LIMITS, log });
  const z = world.node('b').join('J5z');
  const x = world.node('a').join('J5x');
  const { neighbours } = world.node('c').cluster;
  for (let i = 0; i < 20; i++) neighbours.entered(localPeer(`J5c${i}`));
  world.pass(1_000);
  z.take();
  // The parts of c are used without the directory, whose limits are what it left out.
  const flood = (seconds: number, text: string): number => {
    let heard = 0;
    for (let i = 0; i < seconds * 10; i++) {
      for (let k = 0; k < 40; k++)
        neighbours.publish(`J5c${k % 20}`, `J5c${k % 20}!PUBLIC!${text}`);
      world.pass(100);
      heard += linesOf(z.take(), 687).length;
    }
    return heard;
  };
  flood(6, 'hello');
  const heard = flood(10, 'hello');
  // 22 connections: 2,000 deliveries a second are 39 messages; its 20 peers have one a second each.
  t.ok(heard > 200 && heard <= 10 * 1.25 * 20 + 1, `${heard} of 4,000 in 10 s`);
  const requests = flood(10, 'orderbook');
  t.ok(requests > 0 && requests <= 10 * 2.5 + 201, `${requests} requests of 4,000 in 10 s`);
  t.ok(overBudget(world, 'b') > 7_000);
  t.equal(isOver(world, 'b', 'c'), true);
  t.equal(isOver(world, 'b', 'a'), false, 'of the others nothing is dropped');
  t.equal(overBudget(world, 'c'), 0);
  t.strictSame(
    lines.map(({ text, fields }) => [text, fields?.['node']]),
    ['a', 'b'].map(() => [
      'cluster: a node sends more than the budgets allow; the rest is dropped',
      'c',
    ]),
    'one line at each node that dropped something',
  );
  x.send(687, 'J5x!PUBLIC!still heard');
  world.pass(100);
  t.strictSame(linesOf(z.take(), 687), ['J5x!PUBLIC!still heard']);
  world.pass(61_000);
  t.equal(isOver(world, 'b', 'c'), false);
  t.equal(lines.length, 4);
  t.equal(lines.at(-1)?.text, 'cluster: a node keeps to the budgets again');
});

t.test('invented peers of a node are no more than a directory may have', async (t) => {
  const world = await createWorld(ABC, { limits: { ...LIMITS, maxPeers: 1_000 } });
  const { neighbours } = world.node('c').cluster;
  for (let i = 0; i < 3_000; i++) neighbours.entered(localPeer(`J5c${i}`));
  for (let i = 0; i < 5; i++) {
    world.pass(1_000);
    for (const name of ['a', 'b']) {
      const { peers } = world.node(name).cluster.state();
      t.ok(peers <= 2_000, `${peers} at ${name}, also after its lists`);
    }
  }
  t.equal(isOver(world, 'a', 'c'), true);
});

t.test('peers that come and leave without end give a node no more than its records', async (t) => {
  const world = await createWorld(ABC, { limits: { ...LIMITS, privmsgPerSecond: 10 } });
  const target = world.node('b').join('J5target');
  const { neighbours } = world.node('c').cluster;
  world.pass(1_000);
  target.take();
  const [seconds, atOnce, each] = [5, 20, 250];
  let heard = 0;
  let sent = 0;
  let peers = atOnce;
  for (let i = 0; i < seconds * 10; i++) {
    const nicks = Array.from({ length: atOnce }, (_, n) => `J5c${i}x${n}`);
    for (const nick of nicks) neighbours.entered(localPeer(nick));
    for (let n = 0; n < each; n++) {
      for (const nick of nicks) {
        // As many as the buckets of so many newcomers hold.
        neighbours.send(nick, 'J5target', `${nick}!J5target!${n}`);
        sent++;
      }
    }
    for (const nick of nicks) neighbours.left(nick);
    world.pass(100);
    heard += linesOf(target.take(), 685).length;
    peers = Math.max(peers, stateOf(world, 'b', 'c')?.peers ?? 0);
  }
  // Joins and claims, heartbeats, private messages, and 66 public messages a second; docs/cluster.md.
  const burst = 3 * 8_000 + 40_000 + ((peers + 1) * (200 + 400) + 22 * 66) * 1.25;
  const perSecond = 3 * 200 + 2_000 + ((peers + 1) * 20 + 66) * 1.25;
  const most = burst + (seconds + 1) * perSecond;
  t.ok(
    sent > 1.5 * most && heard > 1_000 && heard <= most,
    `${heard} of ${sent}, at most ${most}; ${peers} peers`,
  );
  t.equal(peers, atOnce, 'no leave is dropped');
  t.equal(isOver(world, 'b', 'c'), true);
});

/** Each of these peers sends whatever it can, and some more, for so long. */
function shout(world: World, peers: readonly WorldPeer[], seconds: number): void {
  for (let i = 0; i < seconds * 4; i++) {
    for (const [n, peer] of peers.entries()) {
      peer.send(687, `${peer.nick}!PUBLIC!sw0reloffer ${i}`);
      if (i % 4 === 0) peer.send(687, `${peer.nick}!PUBLIC!orderbook`);
      // More of them would leave nothing of the budget for public messages.
      if (i % 4 === n % 20) peer.send(685, `${peer.nick}!J5target!hello ${i}`);
    }
    world.pass(250);
  }
}

const nobodyIsOver = (t: Test, world: World, when: string): void => {
  for (const { name } of world.nodes) t.equal(overBudget(world, name), 0, `${name}: ${when}`);
};

t.test('a node that obeys its limits is never held', async (t) => {
  const world = await createWorld(ABC, { limits: LIMITS });
  const target = world.node('a').join('J5target');
  const others = ['a', 'b', 'c'].flatMap((name) =>
    Array.from({ length: 10 }, (_, i) => world.node(name).join(`J5${name}${i}`)),
  );
  const peers = [
    ...others,
    ...Array.from({ length: 20 }, (_, i) => world.node('b').join(`J5d${i}`)),
  ];
  world.pass(500);
  shout(world, peers, 10);
  const heard = linesOf(target.take(), 687).length;
  t.ok(heard > 100, `${heard} messages of all nodes`);
  nobodyIsOver(t, world, 'at full load');

  // What was sent in the last seconds before comes at once.
  world.hub.power(false);
  shout(world, peers, 5);
  world.hub.power(true);
  shout(world, peers, 5);
  nobodyIsOver(t, world, 'after NATS was away');

  const { neighbours } = world.node('c').cluster;
  for (let i = 0; i < 3_000; i++) neighbours.entered(localPeer(`J5storm${i}`));
  shout(world, peers, 2);
  t.ok(world.node('a').cluster.state().peers > 3_000);
  for (let i = 0; i < 3_000; i++) neighbours.left(`J5storm${i}`);
  shout(world, peers, 2);
  nobodyIsOver(t, world, '3,000 peers came at once');

  for (const name of ABC) {
    const old = world.node(name);
    // oxlint-disable-next-line no-await-in-loop -- node by node
    const next = await world.restart(name, { limits: LIMITS, inherits: true });
    const moved = old.directory.snapshot(() => new Uint8Array(0));
    const state = parseDirectorySnapshot(
      JSON.parse(JSON.stringify(formatDirectorySnapshot(moved.state))),
    );
    if (!state.ok) throw new Error(state.reason);
    shout(world, peers, 1);
    old.kill();
    next.directory.restore(
      state.value,
      moved.peers.map((peer) => ({
        ...peer,
        connection: world.stray('J5moved').memory.connection,
      })),
    );
    shout(world, peers, 3);
  }
  nobodyIsOver(t, world, 'each node was upgraded');
});
