/** The counters of a cluster. Numbers only, each from the start. */
import { DROP_REASONS, type ClusterCounters, type ClusterDropReason } from './api.js';

export type ClusterTally = {
  -readonly [K in Exclude<keyof ClusterCounters, 'dropped'>]: number;
} & { readonly dropped: Record<ClusterDropReason, number> };

export function createClusterTally(): ClusterTally {
  // Object.fromEntries has no type for known names.
  // oxlint-disable-next-line no-unsafe-type-assertion
  const dropped = Object.fromEntries(DROP_REASONS.map((name) => [name, 0])) as Record<
    ClusterDropReason,
    number
  >;
  return {
    dropped,
    packetsIn: 0,
    packetsOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    lost: 0,
    unsent: 0,
    snapshots: 0,
    cutOffs: 0,
    deaths: 0,
    nicksLost: 0,
    copies: 0,
  };
}

export function copyClusterTally(tally: ClusterTally): ClusterCounters {
  return { ...tally, dropped: { ...tally.dropped } };
}
