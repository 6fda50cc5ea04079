/**
 * One directory on several machines, here as processes of one machine with a real nats-server: the cost of a
 * delivery, bytes on the bus, a storm of joins, and how long failures last; then a model checked against it.
 */
import { ClusterFleet } from './cluster-fleet.js';
import { LIST_ENTRY_BYTES, needsOf, type Costs } from './cluster-model.js';
import { sleep } from './fleet.js';
import { printTable, quantile, spread } from './table.js';

const MESSAGES = 100;
const QUIET_MS = 3_000;
const PACE = 20;
/**
 * Microseconds of Tor for one delivery at the pace of the rounds, 20 messages a second, on a quiet machine: the row of
 * docs/performance.md. At 50 messages a second it is 4.5, since cells are fuller, so the model of large pits is careful.
 */
const TOR_MICROS = 8;

interface Scale {
  readonly peers: readonly number[];
  readonly nodes: readonly number[];
  readonly rounds: number;
  readonly failovers: number;
}

const FULL: Scale = { peers: [300, 3000], nodes: [1, 2, 3], rounds: 3, failovers: 3 };
const QUICK: Scale = { peers: [60, 300], nodes: [1, 2], rounds: 2, failovers: 1 };

interface Totals {
  readonly relayMicros: number;
  readonly natsMicros: number;
  readonly busBytes: number;
  readonly lines: number;
}

async function totalsOf(fleet: ClusterFleet): Promise<Totals> {
  const reports = await fleet.reports();
  const clients = await fleet.clientReports();
  return {
    relayMicros: reports.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0),
    natsMicros: await fleet.nats.cpuMicros(),
    busBytes: reports.reduce((sum, { bytesOut }) => sum + bytesOut, 0),
    lines: clients.reduce((sum, { lines }) => sum + lines, 0),
  };
}

interface Round {
  readonly relayMicros: number;
  readonly natsMicros: number;
  readonly busBytes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** The first peer of the first node speaks at a steady pace; throws when a delivery is missing. */
async function round(fleet: ClusterFleet, peers: number): Promise<Round> {
  const before = await totalsOf(fleet);
  const idleFrom = performance.now();
  await sleep(1_000);
  const idle = await totalsOf(fleet);
  const beatsPerMs = (idle.busBytes - before.busBytes) / (performance.now() - idleFrom);
  const began = performance.now();
  await fleet.nodes[0]?.peers.ask('paced', PACE, MESSAGES);
  const expected = MESSAGES * (peers - 1);
  const latencies: number[] = [];
  let lines = 0;
  let movedAt = performance.now();
  while (lines < expected && performance.now() - movedAt < QUIET_MS) {
    await sleep(50);
    const reports = await fleet.clientReports();
    for (const report of reports) for (const one of report.latencies) latencies.push(one);
    const now = reports.reduce((sum, report) => sum + report.lines, 0) - idle.lines;
    if (now > lines) movedAt = performance.now();
    lines = now;
  }
  const after = await totalsOf(fleet);
  const tookMs = performance.now() - began;
  if (lines !== expected) throw new Error(`${lines} deliveries instead of ${expected}`);
  return {
    relayMicros: (after.relayMicros - idle.relayMicros) / expected,
    natsMicros: (after.natsMicros - idle.natsMicros) / MESSAGES,
    busBytes: (after.busBytes - idle.busBytes - beatsPerMs * tookMs) / MESSAGES,
    p50Ms: quantile(latencies, 0.5) / 1000,
    p99Ms: quantile(latencies, 0.99) / 1000,
  };
}

interface Measured {
  readonly nodes: number;
  readonly peers: number;
  readonly joinMs: number;
  readonly joinBytes: number;
  readonly joinMicros: number;
  readonly beatBytes: number;
  readonly rounds: readonly Round[];
}

async function measure(nodes: number, wanted: number, rounds: number): Promise<Measured> {
  const peers = Math.floor(wanted / nodes) * nodes;
  const fleet = await ClusterFleet.start(nodes);
  try {
    const quiet = await totalsOf(fleet);
    await sleep(2_000);
    const start = await totalsOf(fleet);
    const joinMs = await fleet.join(peers);
    const joined = await totalsOf(fleet);
    // What reached the peers while they joined is not part of the rounds.
    await sleep(1_000);
    const all: Round[] = [];
    while (all.length < rounds) all.push(await round(fleet, peers));
    return {
      nodes,
      peers,
      joinMs,
      joinBytes: (joined.busBytes - start.busBytes) / peers,
      joinMicros: (joined.relayMicros - start.relayMicros) / peers,
      beatBytes: (start.busBytes - quiet.busBytes) / 2 / nodes,
      rounds: all,
    };
  } finally {
    await fleet.stop();
  }
}

interface Failover {
  readonly nodeMs: number;
  readonly cutOffMs: number;
  readonly backMs: number;
}

/** Two nodes: NATS is killed and started again, then a node is killed. */
async function failover(peers: number): Promise<Failover> {
  const fleet = await ClusterFleet.start(2);
  try {
    await fleet.join(peers);
    const half = peers / 2;
    await fleet.nats.kill();
    const cutOffMs = await fleet.until(({ connected }) => !connected);
    await sleep(1_000);
    await fleet.nats.start();
    const backMs = await fleet.until(
      ({ connected, inSync, clusterPeers }) => connected && inSync === 1 && clusterPeers === peers,
    );
    const [, second] = fleet.nodes;
    if (!second) throw new Error('there is no second node');
    await second.relay.stop();
    second.isKilled = true;
    const nodeMs = await fleet.until(({ clusterPeers }) => clusterPeers === half);
    await second.peers.stop();
    return { nodeMs, cutOffMs, backMs };
  } finally {
    await fleet.stop();
  }
}

function printDeliveries(all: readonly Measured[]): void {
  const rows = all.map(({ nodes, peers, rounds }) => {
    const column = (pick: (one: Round) => number, digits: number): string =>
      spread(rounds.map(pick), digits);
    return [
      String(nodes),
      String(peers),
      column(({ relayMicros }) => relayMicros, 2),
      column(({ natsMicros }) => natsMicros, 0),
      column(({ busBytes }) => busBytes, 0),
      column(({ p50Ms }) => p50Ms, 1),
      column(({ p99Ms }) => p99Ms, 1),
    ];
  });
  printTable(
    [
      'nodes',
      'peers',
      'relays, µs per delivery',
      'NATS, µs per message',
      'bus bytes per message',
      'p50 ms',
      'p99 ms',
    ],
    rows,
  );
}

function printJoins(all: readonly Measured[]): void {
  const rows = all.map(({ nodes, peers, joinMs, joinBytes, joinMicros, beatBytes }) => [
    String(nodes),
    String(peers),
    (joinMs / 1000).toFixed(1),
    joinMicros.toFixed(0),
    joinBytes.toFixed(0),
    beatBytes.toFixed(0),
  ]);
  printTable(
    [
      'nodes',
      'peers that join at once',
      'seconds until all nodes know all',
      'relays, µs per join',
      'bus bytes per join',
      'heartbeats, bytes per second and node',
    ],
    rows,
  );
}

const middle = (values: readonly number[]): number => quantile(values, 0.5);

/** Figures of the largest cluster. */
function costsOf(all: readonly Measured[]): Costs {
  const last = all.at(-1);
  if (!last) throw new Error('nothing was measured');
  return {
    relayMicros: middle(last.rounds.map(({ relayMicros }) => relayMicros)),
    torMicros: TOR_MICROS,
    busBytesPerMessage: middle(last.rounds.map(({ busBytes }) => busBytes)),
    busBytesPerJoin: last.joinBytes,
    beatBytesPerSecond: last.beatBytes,
  };
}

/** The model with the costs of fewer peers, against the figures of more. */
function printCheck(all: readonly Measured[]): void {
  const last = all.at(-1);
  const less = all.find(({ nodes, peers }) => nodes === last?.nodes && peers !== last.peers);
  if (!last || !less) return;
  const costs = costsOf([less]);
  const rows = [
    ['bus bytes per message', costs.busBytesPerMessage, costsOf([last]).busBytesPerMessage],
    ['bus bytes per join', costs.busBytesPerJoin, last.joinBytes],
    ['relays, µs per delivery', costs.relayMicros, costsOf([last]).relayMicros],
  ] as const;
  printTable(
    [
      `of ${last.nodes} nodes`,
      `model (from ${less.peers} peers)`,
      `measured (${last.peers} peers)`,
      'ratio',
    ],
    rows.map(([name, model, measured]) => [
      name,
      model.toFixed(2),
      measured.toFixed(2),
      (measured / model).toFixed(2),
    ]),
  );
}

const round1 = (value: number): string =>
  value.toLocaleString('en-US', { maximumFractionDigits: 1 });

function printModel(costs: Costs): void {
  const loads = [
    { peers: 3_000, messagesPerSecond: 5, joinsPerSecond: 1 },
    { peers: 10_000, messagesPerSecond: 17, joinsPerSecond: 3 },
    { peers: 30_000, messagesPerSecond: 50, joinsPerSecond: 8 },
    { peers: 100_000, messagesPerSecond: 167, joinsPerSecond: 28 },
  ];
  const rows = loads.map((load) => {
    const needs = needsOf(costs, load);
    return [
      round1(load.peers),
      round1(load.messagesPerSecond),
      round1(needs.deliveriesPerSecond),
      round1(needs.cores),
      round1(needs.nodes),
      round1(needs.busMegabits),
      round1(needs.listBytes / 1e6),
      round1(needs.listMegabits),
      round1(needs.peerMegabits),
    ];
  });
  printTable(
    [
      'peers',
      'public messages/s',
      'deliveries/s',
      'cores',
      'nodes of 2 cores',
      'bus, Mbit/s',
      'list of all peers, MB',
      'lists for newcomers, Mbit/s',
      'messages to peers, Mbit/s',
    ],
    rows,
  );
  console.log(
    `One public message per peer in 10 minutes, one join per peer in an hour, ${LIST_ENTRY_BYTES} bytes per entry of a list, ` +
      `${costs.relayMicros.toFixed(1)} + ${costs.torMicros} µs per delivery for relay and Tor.\n`,
  );
}

/** `scripts/bench cluster` */
export async function benchCluster(quick: boolean): Promise<void> {
  const scale = quick ? QUICK : FULL;
  const all: Measured[] = [];
  for (const peers of scale.peers) {
    for (const nodes of scale.nodes) all.push(await measure(nodes, peers, scale.rounds));
  }
  printDeliveries(all);
  printJoins(all);
  const failovers: Failover[] = [];
  while (failovers.length < scale.failovers) {
    failovers.push(await failover(scale.peers[0] ?? 2));
  }
  const seconds = (pick: (one: Failover) => number): string =>
    spread(
      failovers.map((one) => pick(one) / 1000),
      1,
    );
  printTable(
    ['what fails', 'until', 'seconds'],
    [
      ['NATS is killed', 'each node says that it is cut off', seconds(({ cutOffMs }) => cutOffMs)],
      ['NATS is started again', 'both know all peers again', seconds(({ backMs }) => backMs)],
      ['a node is killed', 'its peers are announced as gone', seconds(({ nodeMs }) => nodeMs)],
    ],
  );
  printCheck(all);
  printModel(costsOf(all));
}
