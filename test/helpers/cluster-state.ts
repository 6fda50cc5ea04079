/** A cluster that a test only looks at: its state, and a cluster that does nothing else. */
import type { Cluster, ClusterDropReason, ClusterState } from '../../src/cluster/api.js';
import { DROP_REASONS } from '../../src/cluster/api.js';
import { NO_DIFFERENCES } from '../../src/cluster/facts.js';
import type { Neighbours } from '../../src/directory/neighbours.js';

/** Every reason for which nothing was dropped. */
export function noDrops(): Readonly<Record<ClusterDropReason, number>> {
  const [first, ...more] = DROP_REASONS;
  return more.reduce<Record<string, number>>((all, reason) => ({ ...all, [reason]: 0 }), {
    [first]: 0,
    // Every key of the list is set.
    // oxlint-disable-next-line no-unsafe-type-assertion
  }) as Record<ClusterDropReason, number>;
}

/** Node `a` of three: `b` is heard, `c` is not. */
export const CLUSTER_STATE: ClusterState = {
  name: 'pit',
  node: 'a',
  connected: true,
  detail: undefined,
  sinceMs: 61_000,
  nodes: [
    {
      name: 'b',
      life: 'alive',
      peers: 1200,
      inSync: true,
      isOver: false,
      heardMs: 900,
      version: '0.1.0',
      ...NO_DIFFERENCES,
      clockAheadMs: -2_400,
      sameMotd: false,
    },
    {
      name: 'c',
      life: 'dead',
      peers: 0,
      inSync: false,
      isOver: false,
      heardMs: 42_000,
      version: '0.0.9\u001b[31m',
      ...NO_DIFFERENCES,
    },
  ],
  peers: 2400,
  share: { deliveries: 0.5, requests: 0.5 },
  counters: {
    dropped: { ...noDrops(), signature: 3 },
    packetsIn: 10,
    packetsOut: 20,
    bytesIn: 3000,
    bytesOut: 4000,
    lost: 1,
    unsent: 2,
    snapshots: 1,
    cutOffs: 0,
    deaths: 1,
    nicksLost: 0,
    copies: 5,
  },
};

/** The neighbours of a node that is alone. */
export const NO_NEIGHBOURS: Neighbours = {
  attach() {},
  peers: [],
  version: 0,
  connections: 0,
  byNick: () => undefined,
  share: () => 1,
  place: () => 'free',
  ratePart: () => 1,
  receives: () => true,
  used() {},
  standing: () => 'free',
  claim() {},
  withdraw() {},
  answer() {},
  entered() {},
  left: () => false,
  mayRelay: () => true,
  publish() {},
  isNew: () => true,
  send: () => false,
  snapshot: () => null,
  restore() {},
};

/** Shows this state, and is alone. */
export function clusterOf(state: () => ClusterState): Cluster {
  return {
    neighbours: NO_NEIGHBOURS,
    start: () => Promise.resolve(),
    state,
    close: () => Promise.resolve(),
    leave: () => Promise.resolve(),
  };
}
