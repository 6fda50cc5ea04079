/** A node of a cluster in a process of its own, over a real NATS server: a directory without limits. */
import { createPrivateKey } from 'node:crypto';
import { silentLog } from '../../src/channel/log.js';
import { createCluster } from '../../src/cluster/cluster.js';
import { natsBus } from '../../src/cluster/nats/nats-bus.js';
import { createDirectory, DEFAULT_LIMITS } from '../../src/directory/directory.js';
import { smallYoungGeneration } from '../../src/ops/young-generation.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock as clock } from '../../src/overlay/system-clock.js';
import { answerQuestions } from './process.js';

/** The report of a node. */
export interface NodeReport {
  readonly peers: number;
  /** Of the whole cluster, as this node knows it. */
  readonly clusterPeers: number;
  readonly connected: boolean;
  /** Other nodes that are heard and whose peers are all known. */
  readonly inSync: number;
  readonly bytesOut: number;
  readonly lost: number;
  /** Of all its threads, since its start. */
  readonly cpuMicros: number;
  readonly rssBytes: number;
}

const [, , node = '', natsPort = '', keyText = '', nodesText = ''] = process.argv;
const unlimited = Object.fromEntries(
  Object.keys(DEFAULT_LIMITS)
    .filter((key) => /Per(Second|Minute)$/.test(key))
    .map((key) => [key, 0]),
);

smallYoungGeneration();
const cluster = createCluster({
  name: 'bench',
  network: 'signet',
  node,
  nodes: new Map(
    nodesText.split(',').map((pair) => [pair.split(':')[0] ?? '', pair.split(':')[1] ?? '']),
  ),
  key: createPrivateKey({ key: Buffer.from(keyText, 'base64'), format: 'der', type: 'pkcs8' }),
  bus: natsBus({
    servers: [{ host: '127.0.0.1', port: Number(natsPort) }],
    tls: false,
    name: node,
    clock,
  }),
  clock,
  log: silentLog,
  version: 'bench',
});
const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0, clock });
const directory = createDirectory({
  network: 'signet',
  nick: `J5Bench${node}`.padEnd(16, 'O'),
  location: () => ({ kind: 'loopback', host: '127.0.0.1', port: 1 }),
  reachable: overlay.reachable,
  motd: () => 'bench',
  limits: { ...DEFAULT_LIMITS, ...unlimited },
  clock,
  random: Math.random,
  log: silentLog,
  neighbours: cluster.neighbours,
});
await cluster.start();
const { locations } = await overlay.serve((connection) => directory.accept(connection), {
  signal: new AbortController().signal,
});

function report(): NodeReport {
  const { user, system } = process.cpuUsage();
  const { peers, connected, nodes, counters } = cluster.state();
  return {
    peers: directory.peerCount,
    clusterPeers: peers,
    connected,
    inSync: nodes.filter(({ life, inSync }) => life === 'alive' && inSync).length,
    bytesOut: counters.bytesOut,
    lost: counters.lost,
    cpuMicros: user + system,
    rssBytes: process.memoryUsage().rss,
  };
}

answerQuestions((name) => (name === 'port' ? locations[0].port : report()));
