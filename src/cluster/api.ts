/**
 * One directory on several machines: what the program that runs a node of it needs. A cluster is created
 * before its directory, which gets `neighbours`.
 */
import type { KeyObject } from 'node:crypto';
import type { Clock } from '../kit/clock.js';
import type { Log } from '../channel/log.js';
import type { Neighbours } from '../directory/neighbours.js';
import type { Network } from '../protocol/constants.js';
import type { Bus } from './bus.js';
import type { Differences, OwnFacts } from './facts.js';
import type { Seals } from './seals.js';

/** The options of a node. */
export interface ClusterOptions {
  /** The name of the cluster, part of each subject: letters, digits, `-` and `_`. */
  readonly name: string;
  /** The bitcoin network; nodes of other networks do not hear this one. */
  readonly network: Network;
  /** The name of this node, one of `nodes`. */
  readonly node: string;
  /** All nodes, this one included: name and ed25519 public key, 64 hex digits. */
  readonly nodes: ReadonlyMap<string, string>;
  /** The ed25519 private key of this node. */
  readonly key: KeyObject;
  /** Signs and verifies packets; default: ed25519 with `key` and `nodes`. */
  readonly seals?: Seals;
  /** Carries the records; see `natsBus`. The cluster opens and closes it. */
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  /** Text that the other nodes show: the version of this program. */
  readonly version: string;
  /** What the other nodes compare with theirs, for their operators; absent: nothing. */
  readonly facts?: () => OwnFacts;
  /** Milliseconds since 1970, for the other nodes' operators; default: the clock of this machine. */
  readonly wallClock?: () => number;
  /** Whether the state of another process follows with `Neighbours.restore`; until then it only listens. */
  readonly inherits?: boolean;
  /** Called when `state().connected` or the state of a node changes. */
  readonly onChange?: () => void;
}

/** A node of a cluster. */
export interface Cluster {
  /** For `DirectoryOptions.neighbours`. */
  readonly neighbours: Neighbours;
  /**
   * Starts after the directory was created. Resolves at once when the bus can be used at all, whether or
   * not its server answers; rejects with a ClusterError when it never can.
   */
  start(): Promise<void>;
  /** For status, `/healthz`, metrics and doctor. */
  state(): ClusterState;
  /** Tells the other nodes that this one stops, and closes the bus. Called before the directory closes. */
  close(): Promise<void>;
  /** Closes the bus after another process took over. */
  leave(): Promise<void>;
}

/** A node cannot take part in a cluster; one line for the operator. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError';
  /** The exit code of a program for it: a setting or a package is missing, so a restart does not help. */
  readonly exitCode = 2;
}

/**
 * - `alive`: heard within the last seconds
 * - `dead`: not heard any more, or it said that it stops; its peers are gone
 * - `unknown`: not heard since this node started, or since it was cut off
 */
export type NodeLife = 'alive' | 'dead' | 'unknown';

/** Another node of the cluster. */
export interface NodeState extends Differences {
  readonly name: string;
  readonly life: NodeLife;
  /** Ready peers that it announced. */
  readonly peers: number;
  /** Whether its peers are all known here; false while a snapshot is on its way. */
  readonly inSync: boolean;
  /** Whether it sent more than its peers may, in the last minute; the rest was dropped. */
  readonly isOver: boolean;
  /** Milliseconds since it was heard; undefined: never. */
  readonly heardMs: number | undefined;
  /** The version of its program, as it says; untrusted text. */
  readonly version: string | undefined;
}

/** The state of a node and its view of the others. */
export interface ClusterState {
  readonly name: string;
  readonly node: string;
  /** Whether this node hears its own heartbeats through the bus. */
  readonly connected: boolean;
  /** Why it does not, for a person. */
  readonly detail: string | undefined;
  /** Milliseconds in this state. */
  readonly sinceMs: number;
  /** The other nodes, in the order of the configuration. */
  readonly nodes: readonly NodeState[];
  /** Peers of the whole cluster, each nick once. */
  readonly peers: number;
  /** Part of the budgets that this node uses now, 0 to 1. */
  readonly share: { readonly deliveries: number; readonly requests: number };
  readonly counters: ClusterCounters;
}

/** Why a packet or a record of the bus was dropped. */
export const DROP_REASONS = [
  /** Not a packet. */
  'malformed',
  /** For another cluster, network or node. */
  'misdirected',
  /** Its sender is not in `nodes`. */
  'unknown-node',
  /** Not signed by the key of its sender. */
  'signature',
  /** Of an earlier start of its sender, or of one that did not answer our question yet. */
  'epoch',
  /** Its number is not higher than that of an earlier packet. */
  'replayed',
  /** Says something about a peer that its sender does not have. */
  'not-its-peer',
  /** Announces a peer with a proof that the key of the nick did not sign. */
  'proof',
  /** A record that this program cannot read. */
  'record',
  /** More than the limits of the directory allow the peers of its sender. */
  'over-budget',
] as const;
export type ClusterDropReason = (typeof DROP_REASONS)[number];

/** Since the start. */
export interface ClusterCounters {
  readonly dropped: Readonly<Record<ClusterDropReason, number>>;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Packets of other nodes that did not arrive, by their numbers. */
  readonly lost: number;
  /** Own packets that were not sent: the bus was away, or too many bytes waited. */
  readonly unsent: number;
  /** Snapshots of other nodes that were taken in. */
  readonly snapshots: number;
  /** How often the bus was lost. */
  readonly cutOffs: number;
  /** Nodes that were declared dead. */
  readonly deaths: number;
  /** Nicks that peers here lost to peers of other nodes. */
  readonly nicksLost: number;
  /** Public messages that another connection of the same peer brought. */
  readonly copies: number;
}
