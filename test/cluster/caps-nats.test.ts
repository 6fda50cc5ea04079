/** Nodes over a real nats-server: one has left out its limits, and the others hold it to its budgets. */
import { generateKeyPairSync } from 'node:crypto';
import t, { type Test } from 'tap';
import { createCluster, type Cluster } from '../../src/cluster/cluster.js';
import { natsBus } from '../../src/cluster/nats/nats-bus.js';
import { clusterKeyHex } from '../../src/cluster/packet.js';
import { silentLog } from '../../src/channel/log.js';
import type { DirectoryLimits } from '../../src/directory/limits.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { parseLine, runDirectory, until, type Client, type Running } from '../directory/wire.js';
import { startNatsServer, type NatsServer } from '../helpers/nats-server.js';

const keys = new Map(
  ['a', 'b', 'c'].map((name) => [name, generateKeyPairSync('ed25519').privateKey]),
);
const nodes = new Map([...keys].map(([name, key]) => [name, clusterKeyHex(key)]));
const LIMITS: Partial<DirectoryLimits> = {
  maxPeers: 1_000,
  pubmsgPerMinute: 60,
  orderbookPerMinute: 6,
  deliveriesPerSecond: 1_000,
};

const SENT = 3_000;
/** As many as its part of the budget lets pass at once. */
const TRUE = 4;

interface Node extends Running {
  readonly cluster: Cluster;
}

async function startNode(
  test: Test,
  { port }: NatsServer,
  node: string,
  limits: Partial<DirectoryLimits>,
): Promise<Node> {
  const key = keys.get(node);
  if (!key) throw new Error('unreachable');
  const cluster = createCluster({
    name: 'pit',
    network: 'signet',
    node,
    nodes,
    key,
    bus: natsBus({
      servers: [{ host: '127.0.0.1', port }],
      tls: false,
      name: `onionmc ${node}`,
      clock: systemClock,
    }),
    clock: systemClock,
    log: silentLog,
    version: '1.0',
  });
  const running = await runDirectory({
    clock: systemClock,
    neighbours: cluster.neighbours,
    limits,
  });
  await cluster.start();
  test.teardown(async () => {
    await cluster.close();
    await running.stop();
  });
  return { ...running, cluster };
}

const overBudget = ({ cluster }: Node): number => cluster.state().counters.dropped['over-budget'];

/** Public messages among the unread lines, by sender. */
function publicFrom(client: Client, nick: string): number {
  return client.unread
    .map(parseLine)
    .filter(({ type, line }) => type === 687 && line.startsWith(`${nick}!`)).length;
}

void t.test('a node that obeys no limit, beside one that does', async (t) => {
  const server = await startNatsServer(t);
  const [a, b, c] = await Promise.all([
    startNode(t, server, 'a', LIMITS),
    startNode(t, server, 'b', LIMITS),
    startNode(t, server, 'c', { deliveriesPerSecond: 0, orderbookPerSecond: 0, maxPeers: 0 }),
  ]);
  await until(() =>
    [a, b, c].every(({ cluster }) =>
      cluster.state().nodes.every(({ life, inSync }) => life === 'alive' && inSync),
    ),
  );
  const observer = await a.join('J5observer');
  const good = await b.join('J5good');
  const bad = await c.join('J5bad');
  const atOwnNode = await c.join('J5near');
  await until(() => a.cluster.state().peers === 4);

  for (let i = 0; i < SENT; i++) bad.send(687, `J5bad!PUBLIC!lie ${i}`);
  for (let i = 0; i < TRUE; i++) good.send(687, `J5good!PUBLIC!sw0reloffer ${i}`);
  await until(() => publicFrom(atOwnNode, 'J5bad') === SENT);
  await until(() => publicFrom(observer, 'J5good') === TRUE);
  // What c sends later comes after all of it.
  bad.send(685, 'J5bad!J5observer!last');
  await until(() => observer.unread.some((line) => line.includes('!last')));
  const heard = publicFrom(observer, 'J5bad');
  t.ok(heard >= 60 && heard <= 250, `${heard} of ${SENT} messages of one peer, which may send 60`);
  t.equal(overBudget(a), SENT - heard, 'each of the others is counted');
  t.equal(overBudget(b), SENT - heard, 'at each node');
  t.strictSame(
    a.cluster.state().nodes.map(({ name, isOver }) => [name, isOver]),
    [
      ['b', false],
      ['c', true],
    ],
    'the node that obeys is not held',
  );

  const before = overBudget(a);
  for (let i = 0; i < 3_000; i++) {
    c.cluster.neighbours.entered({
      nick: `J5invented${i}`,
      location: { kind: 'not-serving' },
      features: [],
      provenKey: undefined,
      carriedProof: undefined,
      acceptedAt: 0,
    });
  }
  await until(() => overBudget(a) > before && overBudget(b) > before);
  const [peers] = a.cluster
    .state()
    .nodes.filter(({ name }) => name === 'c')
    .map((node) => node.peers);
  t.equal(peers, 2_000, 'twice `max_peers`, of 3,000');
});
