/** Three nodes over a real nats-server: its death, a partition, packets of a stranger, a slow reader. */
import { generateKeyPairSync } from 'node:crypto';
import t, { type Test } from 'tap';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { createCluster, type Cluster } from '../../src/cluster/cluster.js';
import { natsBus } from '../../src/cluster/nats/nats-bus.js';
import { clusterKeyHex, sealPacket } from '../../src/cluster/packet.js';
import { keySeals } from '../../src/cluster/seals.js';
import { silentLog } from '../../src/channel/log.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import {
  parseLine,
  runDirectory,
  until,
  type Client,
  type Line,
  type Running,
} from '../directory/wire.js';
import {
  startCuttingProxy,
  startNatsServer,
  type CuttingProxy,
  type NatsServer,
} from '../helpers/nats-server.js';

const NAMES = ['a', 'b', 'c'] as const;
type Name = (typeof NAMES)[number];
const keys = new Map(NAMES.map((name) => [name, generateKeyPairSync('ed25519').privateKey]));
const nodes = new Map([...keys].map(([name, key]) => [name as string, clusterKeyHex(key)]));

interface Node extends Running {
  readonly cluster: Cluster;
  readonly proxy: CuttingProxy;
}

async function startNode(test: Test, server: NatsServer, name: Name): Promise<Node> {
  const key = keys.get(name);
  if (!key) throw new Error('unreachable');
  const proxy = await startCuttingProxy(test, server.port);
  const cluster = createCluster({
    name: 'pit',
    network: 'signet',
    node: name,
    nodes,
    key,
    bus: natsBus({
      servers: [{ host: '127.0.0.1', port: proxy.port }],
      tls: false,
      name: 'onionmc a',
      clock: systemClock,
    }),
    clock: systemClock,
    log: silentLog,
    version: '1.0',
  });
  const running = await runDirectory({ clock: systemClock, neighbours: cluster.neighbours });
  await cluster.start();
  test.teardown(async () => {
    await cluster.close();
    await running.stop();
  });
  return { ...running, cluster, proxy };
}

const isWhole = (cluster: Cluster): boolean => {
  const { connected, nodes: others } = cluster.state();
  return connected && others.every(({ life, inSync }) => life === 'alive' && inSync);
};

/** The lines of a type that arrived and were not taken, all taken now. */
function takeAll(client: Client, type: number): readonly string[] {
  const lines: Line[] = [];
  while (client.unread.length > 0) {
    const [text] = client.unread;
    void client.nextRaw();
    lines.push(parseLine(text ?? ''));
  }
  return lines.filter((line) => line.type === type).map(({ line }) => line);
}

async function nextOf(client: Client, type: number): Promise<string> {
  for (;;) {
    const line = await client.next();
    if (line.type === type) return line.line;
  }
}

void t.test('a node that may not publish says so, and does not ask again and again', async (t) => {
  const user = { user: 'a', password: 'x' };
  const server = await startNatsServer(
    t,
    'authorization { users: [ { user: a, password: x, permissions: { publish: "none", subscribe: ">" } } ] }\n',
  );
  let published = 0;
  const bus = natsBus({
    servers: [{ host: '127.0.0.1', port: server.port }],
    tls: false,
    name: 'onionmc a',
    clock: systemClock,
    credentials: { kind: 'password', ...user },
  });
  const key = keys.get('a');
  if (!key) throw new Error('unreachable');
  const cluster = createCluster({
    name: 'pit',
    network: 'signet',
    node: 'a',
    nodes,
    key,
    bus: {
      open: (prefix, node, handler) => bus.open(prefix, node, handler),
      publish(to, bytes) {
        published++;
        return bus.publish(to, bytes);
      },
      close: () => bus.close(),
    },
    clock: systemClock,
    log: silentLog,
    version: '1.0',
  });
  await cluster.start();
  await until(() => /permissions violation/i.test(cluster.state().detail ?? ''));
  const [before, since] = [published, performance.now()];
  await until(() => published >= before + 2);
  t.ok(performance.now() - since > 900, 'a heartbeat a second');
  t.notOk(cluster.state().connected);
  await cluster.close();
});

void t.test('three nodes over a nats-server', async (t) => {
  const server = await startNatsServer(t, 'max_pending: 1MB\nwrite_deadline: "1s"\n');
  const [a, b, c] = await Promise.all(NAMES.map((name) => startNode(t, server, name)));
  if (!a || !b || !c) throw new Error('unreachable');
  const all = [a, b, c];
  const whole = (): boolean => all.every(({ cluster }) => isWhole(cluster));
  await until(whole);
  const x = await a.join('J5x');
  const y = await b.join('J5y');
  const z = await c.join('J5z');
  const peersEverywhere = (count: number) => (): boolean =>
    all.every(({ cluster }) => cluster.state().peers === count);
  await until(peersEverywhere(3));

  await t.test('public and private messages arrive', async (t) => {
    x.send(687, 'J5x!PUBLIC!hello');
    t.equal(await nextOf(y, 687), 'J5x!PUBLIC!hello');
    t.equal(await nextOf(z, 687), 'J5x!PUBLIC!hello');
    y.send(685, 'J5y!J5z!fill 1');
    t.equal(await nextOf(z, 685), 'J5y!J5z!fill 1');
  });

  await t.test('another one publishes under the name of a node, and replays', async (t) => {
    const stranger: NatsConnection = await connect({ servers: server.url });
    const seen: Uint8Array[] = [];
    stranger.subscribe('onionmc.pit.signet.>', {
      callback: (_error, { data }) => void seen.push(data),
    });
    await stranger.flush();
    x.send(687, 'J5x!PUBLIC!once');
    t.equal(await nextOf(z, 687), 'J5x!PUBLIC!once');
    await until(() => seen.some((bytes) => Buffer.from(bytes).includes('J5x!PUBLIC!once')));
    const before = c.cluster.state().counters.dropped;
    const forged = sealPacket(
      { cluster: 'pit.signet', node: 'a', epoch: 'ab', to: undefined, seq: 9_999 },
      ['{"t":"m","p":"J5x!PUBLIC!lie"}'],
      keySeals(generateKeyPairSync('ed25519').privateKey, new Map()),
    );
    const { length } = seen;
    stranger.publish('onionmc.pit.signet.all', forged);
    for (const bytes of seen.slice(0, length)) stranger.publish('onionmc.pit.signet.all', bytes);
    await stranger.flush();
    await until(() => {
      const { signature, replayed } = c.cluster.state().counters.dropped;
      return signature === before.signature + 1 && replayed > before.replayed;
    });
    x.send(687, 'J5x!PUBLIC!twice');
    t.equal(await nextOf(z, 687), 'J5x!PUBLIC!twice', 'nothing of it came in between');
    await stranger.close();
  });

  await t.test('the server dies and comes back', async (t) => {
    await server.kill();
    await until(() => all.every(({ cluster }) => !cluster.state().connected));
    const w = await a.join('J5w');
    x.send(687, 'J5x!PUBLIC!to my own node');
    t.equal(await nextOf(w, 687), 'J5x!PUBLIC!to my own node');
    await server.start();
    await until(() => whole() && peersEverywhere(4)());
    for (const client of [y, z]) t.strictSame(takeAll(client, 789), [], 'nobody was announced');
    w.socket.destroy();
    t.equal(await nextOf(z, 789), 'J5w;NOT-SERVING-ONION;D');
    t.equal(await nextOf(y, 789), 'J5w;NOT-SERVING-ONION;D');
    t.equal(await nextOf(x, 789), 'J5w;NOT-SERVING-ONION;D');
  });

  await t.test('a partition that nobody is told of, and its end', async (t) => {
    const cutAt = performance.now();
    a.proxy.set('cut');
    t.equal(await nextOf(z, 789), 'J5x;NOT-SERVING-ONION;D');
    t.ok(performance.now() - cutAt < 10_000, 'within ten seconds');
    t.notOk(a.cluster.state().connected, 'the node that is cut off judges nobody');
    t.strictSame(takeAll(x, 789), []);
    a.proxy.set('open');
    await until(() => whole() && peersEverywhere(3)());
    x.send(687, 'J5x!PUBLIC!back');
    t.equal(await nextOf(z, 687), 'J5x!PUBLIC!back');
    t.strictSame(takeAll(x, 789), []);
  });

  await t.test(
    'a node that does not read: the server cuts it off, and it catches up',
    async (t) => {
      const stranger: NatsConnection = await connect({ servers: server.url });
      a.proxy.set('stall');
      const junk = new Uint8Array(500_000);
      for (let i = 0; i < 60; i++) stranger.publish('onionmc.pit.signet.to.a', junk);
      await stranger.flush();
      await until(() => server.log.includes('Slow Consumer'));
      const w = await b.join('J5w');
      await until(() => !a.cluster.state().connected);
      a.proxy.set('open');
      await until(() => whole() && peersEverywhere(4)());
      t.strictSame(takeAll(x, 789), []);
      w.socket.destroy();
      t.equal(await nextOf(x, 789), 'J5w;NOT-SERVING-ONION;D');
      await stranger.close();
    },
  );

  await t.test('a node that stops says so', async (t) => {
    await b.cluster.close();
    t.equal(await nextOf(x, 789), 'J5y;NOT-SERVING-ONION;D');
  });
});
