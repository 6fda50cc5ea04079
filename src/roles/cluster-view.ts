/** What a node of a cluster shows of the cluster: `/status`, the remark of `/healthz`, metrics. Counts only. */
import type { ClusterState, NodeState } from '../cluster/api.js';
import { shownLine } from '../kit/shown-text.js';
import type { Metrics } from '../ops/metrics.js';

/** A node in `cluster.nodes` of `/status`. */
export interface ClusterNodeJson {
  readonly name: string;
  /** `this`: the node whose page it is. */
  readonly state: 'this' | NodeState['life'];
  /** Ready peers that are connected to it. */
  readonly peers: number;
  readonly inSync: boolean;
  readonly heardSecondsAgo?: number;
  readonly version?: string;
  /** Its clock minus the one of this machine. */
  readonly clockAheadMs?: number;
  /** Whether its `motd` and its limits are those of this node. */
  readonly sameMotd?: boolean;
  readonly sameLimits?: boolean;
  /** It sent more than its peers may, in the last minute; the rest was dropped. */
  readonly overBudget?: true;
  /** Whether its canary reaches its onion. */
  readonly reached?: boolean;
}

/** `cluster` of `/status`. */
export interface ClusterJson {
  readonly name: string;
  readonly node: string;
  readonly bus: { readonly connected: boolean; readonly seconds: number; readonly detail?: string };
  /** Peers of all nodes, each nick once. */
  readonly peers: number;
  readonly nodes: readonly ClusterNodeJson[];
  /** Part of the limits for all peers together that this node may use now, 0 to 1. */
  readonly share: ClusterState['share'];
  readonly counters: ClusterState['counters'];
}

/** This node as a row of the list. */
export interface OwnNode {
  readonly peers: number;
  readonly version: string;
}

const MAX_TEXT = 40;
const LIVES = ['alive', 'dead', 'unknown'] as const;

const seconds = (ms: number): number => Math.round(ms / 1000);

function nodeJson(state: NodeState): ClusterNodeJson {
  const { name, life, peers, inSync, heardMs, version } = state;
  const { clockAheadMs, sameMotd, sameLimits, reached, isOver } = state;
  return {
    name,
    state: life,
    peers,
    inSync,
    ...(heardMs === undefined ? {} : { heardSecondsAgo: seconds(heardMs) }),
    ...(version === undefined ? {} : { version: shownLine(version, MAX_TEXT) }),
    ...(clockAheadMs === undefined ? {} : { clockAheadMs }),
    ...(sameMotd === undefined ? {} : { sameMotd }),
    ...(sameLimits === undefined ? {} : { sameLimits }),
    ...(isOver ? { overBudget: true as const } : {}),
    ...(reached === undefined ? {} : { reached }),
  };
}

/** The cluster for `/status`. */
export function clusterJson(state: ClusterState, own: OwnNode): ClusterJson {
  const { name, node, connected, detail, sinceMs, peers, share, counters } = state;
  return {
    name,
    node,
    bus: {
      connected,
      seconds: seconds(sinceMs),
      ...(detail === undefined ? {} : { detail: shownLine(detail, 200) }),
    },
    peers,
    nodes: [{ name: node, state: 'this', inSync: true, ...own }, ...state.nodes.map(nodeJson)],
    share,
    counters,
  };
}

/**
 * What is wrong with the cluster, for a node that serves its own peers nevertheless; undefined when
 * nothing is.
 */
export function clusterRemark({ connected, detail, nodes }: ClusterState): string | undefined {
  if (!connected) {
    const why = detail === undefined ? '' : ` (${shownLine(detail, 120)})`;
    return `cut off from the cluster${why}: serves its own peers only`;
  }
  const missing = nodes.filter(({ life }) => life !== 'alive').map(({ name }) => name);
  if (missing.length > 0) return `nodes of the cluster that are not heard: ${missing.join(', ')}`;
  const behind = nodes.filter(({ inSync }) => !inSync).map(({ name }) => name);
  if (behind.length > 0) return `learns the peers of ${behind.join(', ')}`;
  const over = nodes.filter(({ isOver }) => isOver).map(({ name }) => name);
  return over.length === 0
    ? undefined
    : `drops what nodes send over the budgets of their peers: ${over.join(', ')}`;
}

const TOTALS = [
  ['packetsIn', 'cluster_packets_received_total', 'Packets of other nodes.'],
  ['packetsOut', 'cluster_packets_sent_total', 'Packets sent to other nodes.'],
  ['bytesIn', 'cluster_received_bytes_total', 'Bytes of packets of other nodes.'],
  ['bytesOut', 'cluster_sent_bytes_total', 'Bytes of packets sent to other nodes.'],
  ['lost', 'cluster_packets_lost_total', 'Packets of other nodes that did not arrive.'],
  ['unsent', 'cluster_packets_unsent_total', 'Packets that could not be sent to NATS.'],
  [
    'snapshots',
    'cluster_snapshots_total',
    'Lists of all peers of another node that were taken in.',
  ],
  ['cutOffs', 'cluster_cut_offs_total', 'How often the connection to NATS was lost.'],
  ['deaths', 'cluster_node_deaths_total', 'How often another node was given up.'],
  ['nicksLost', 'cluster_nicks_lost_total', 'Nicks that peers lost to peers of other nodes.'],
  [
    'copies',
    'cluster_copies_total',
    'Public messages that another connection of the same peer had brought already.',
  ],
] as const;

/** Registers the metrics of a cluster; they are read on each request. */
export function registerClusterMetrics(metrics: Metrics, state: () => ClusterState): void {
  metrics.gauge('cluster_connected', '1 while this node is connected to the cluster, else 0.', () =>
    Number(state().connected),
  );
  metrics.gauge(
    'cluster_peers',
    'Peers of all nodes together, each nick once.',
    () => state().peers,
  );
  metrics.gauges('cluster_node_peers', 'Ready peers of each other node.', 'node', () =>
    Object.fromEntries(state().nodes.map(({ name, peers }) => [name, peers])),
  );
  metrics.gauges('cluster_node_alive', '1 while the other node is heard, else 0.', 'node', () =>
    Object.fromEntries(state().nodes.map(({ name, life }) => [name, Number(life === 'alive')])),
  );
  metrics.gauges(
    'cluster_node_over_budget',
    '1 while records of the other node are dropped because its peers may not send so many, and a minute longer, else 0.',
    'node',
    () => Object.fromEntries(state().nodes.map(({ name, isOver }) => [name, Number(isOver)])),
  );
  metrics.gauges('cluster_nodes', 'Other nodes by state.', 'state', () =>
    Object.fromEntries(
      LIVES.map((life) => [life, state().nodes.filter((node) => node.life === life).length]),
    ),
  );
  metrics.gauge(
    'cluster_share',
    'Part of deliveries_per_second that this node may use now, 0 to 1.',
    () => state().share.deliveries,
  );
  metrics.totals(
    'cluster_dropped_total',
    'Packets and records of the cluster that were dropped.',
    'reason',
    () => state().counters.dropped,
  );
  for (const [key, name, help] of TOTALS) metrics.total(name, help, () => state().counters[key]);
}
