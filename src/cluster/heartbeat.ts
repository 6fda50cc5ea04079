/**
 * Heartbeats: what a node states of itself each second, and what follows from those of the others. Whether they live
 * is decided in `members.ts`.
 */
import type { Clock } from '../kit/clock.js';
import { differences, type NodeFacts } from './facts.js';
import { BEAT_MS, type Members } from './members.js';
import type { RecordOutbox } from './outbox.js';
import type { OwnPeers } from './own-peers.js';
import type { Places } from './places.js';
import type { ClusterRecord } from './record.js';
import type { RemoteView } from './remote-view.js';
import { Demand } from './shares.js';

/** The demand for the two shared budgets. */
export type Demands = readonly [deliveries: number, requests: number];

export type Beat = Extract<ClusterRecord, { readonly type: 'beat' }>;

export interface HeartbeatOptions {
  readonly node: string;
  readonly clock: Clock;
  readonly version: string;
  /** What this node says of itself now. */
  readonly facts: () => NodeFacts;
  readonly own: OwnPeers;
  readonly view: RemoteView;
  readonly members: Members;
  readonly places: Places;
  readonly outbox: RecordOutbox;
  /** Asks a node for the list of its peers: they are not all known. */
  readonly want: (node: string) => void;
}

export class Heartbeat {
  readonly demand: { readonly deliveries: Demand; readonly requests: Demand };
  /** What each node stated last, the own one included. */
  readonly demands = new Map<string, Demands>();
  readonly #options: HeartbeatOptions;
  #at = -Infinity;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    const now = options.clock.now();
    this.demand = { deliveries: new Demand(now), requests: new Demand(now) };
  }

  /** Sends one now. */
  send(): void {
    const { clock, version, node, outbox, facts, own, places } = this.#options;
    const now = clock.now();
    this.#at = now;
    const demand: Demands = [this.demand.deliveries.read(now), this.demand.requests.read(now)];
    this.demands.set(node, demand);
    const { size: count, digest } = own;
    outbox.push(undefined, {
      type: 'beat',
      count,
      digest,
      demand,
      version,
      facts: facts(),
      places: places.statement,
    });
    outbox.flushSoon();
  }

  /** Sends one when it is due. */
  sweep(): void {
    if (this.#options.clock.now() - this.#at >= BEAT_MS) this.send();
  }

  /** One of another node came. */
  receive(node: string, beat: Beat): void {
    const { view, members, places, facts, want } = this.#options;
    const { count, digest, demand, version } = beat;
    this.demands.set(node, demand);
    const inSync = view.count(node) === count && view.digest(node) === digest;
    members.beat(node, { version, inSync, differences: differences(facts(), beat.facts) });
    places.stated(node, beat.places);
    if (!inSync) want(node);
  }

  /** A node is dead. */
  forget(node: string): void {
    this.demands.delete(node);
  }
}
