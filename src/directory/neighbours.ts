/**
 * What a directory knows of other machines that are one directory together with it, and what they ask of
 * it. `src/cluster` implements it; without it a directory is alone.
 */
import type { DeclaredLocation } from '../protocol/location.js';
import type { CarriedProof } from '../protocol/nick-auth.js';
import type { DirectoryLimits } from './limits.js';
import type { Partners } from './peer.js';

/** What peer lists and private messages show of a peer, wherever it is connected. */
export interface ListedPeer {
  readonly nick: string;
  readonly location: DeclaredLocation;
  /** Features it listed, sorted. */
  readonly features: readonly string[];
  /** Different for each peer, and for each time that it arrived. */
  readonly arrival: number;
}

/** A peer that is connected to other nodes only. */
export interface RemotePeer extends ListedPeer {
  /** Its conversations with peers of this node. */
  partners: Partners | undefined;
}

/** A peer of this node, as the other nodes learn it. */
export interface LocalPeer {
  readonly nick: string;
  readonly location: DeclaredLocation;
  readonly features: readonly string[];
  /** The key of its nick, if proved; 66 hex digits. */
  readonly provenKey: string | undefined;
  /** The proof of that key; undefined also when an earlier program took it. */
  readonly carriedProof: CarriedProof | undefined;
  /** When its connection was accepted; clock milliseconds. */
  readonly acceptedAt: number;
}

/** A peer that asks for a nick. */
export type Claimant = Pick<LocalPeer, 'nick' | 'location' | 'provenKey'>;

/**
 * - `free`: no other node has a peer with this nick
 * - `same`: the same peer is connected to other nodes
 * - `wins`: another peer has the nick, and loses it to this one, which proved its key
 * - `held`: another peer has the nick; its node is asked with `claim`
 * - `refused`: another peer proved the key of the nick
 */
export type Standing = 'free' | 'same' | 'wins' | 'held' | 'refused';

/** The answer to a claim: the nick is free now, or another peer keeps it. */
export type ClaimAnswer = 'granted' | 'kept';

/** `asked`: the other nodes are asked, and `LocalSide.placesDecided` is called later. */
export type PlaceAnswer = 'free' | 'full' | 'asked';

/** The budgets that the nodes share. */
export type SharedBudget = 'deliveries' | 'requests';

/** The other nodes, as a directory sees them. */
export interface Neighbours {
  /** Called once, before anything else. */
  attach(local: LocalSide): void;
  /** Peers that are connected to other nodes only, in no order. */
  readonly peers: readonly RemotePeer[];
  /** Changes whenever `peers` does. */
  readonly version: number;
  /** Connections of peers to other nodes: deliveries of a public message there. */
  readonly connections: number;
  /** A peer that is connected to other nodes only. */
  byNick(nick: string): RemotePeer | undefined;
  /**
   * The part of a budget of all nodes that this node may use now: 0 to 1.
   * @param total of the budget, per second
   */
  share(budget: SharedBudget, total: number): number;
  /** Whether `maxPeers` of all nodes together, the canary not counted, leaves room for a newcomer here. */
  place(): PlaceAnswer;
  /**
   * The part of the rate of one peer that its connection here may use, above 0 and up to 1: the connections of one
   * peer may use a tenth more than the rate together.
   */
  ratePart(nick: string): number;
  /** Something was relayed or waits that costs so much of a budget. */
  used(budget: SharedBudget, cost: number): void;
  /** What a newcomer that asks for a nick without a holder here may do. */
  standing(claimant: Claimant): Standing;
  /**
   * Asks the nodes whose peers have the nick; answered by `LocalSide.decided`, or never after `withdraw`.
   */
  claim(claimant: Claimant): void;
  withdraw(nick: string): void;
  /** The answer to `LocalSide.claimed`. */
  answer(node: string, nick: string, answer: ClaimAnswer): void;
  /** A peer became ready. */
  entered(peer: LocalPeer): void;
  /** A ready peer has ended. True: it is still connected to another node. */
  left(nick: string): boolean;
  /**
   * A ready peer sent a public message. True: relay it. False: another node does that, now or when the
   * peer sends it there; or it was relayed already.
   */
  mayRelay(nick: string, payload: string): boolean;
  /** A public message of a peer of this node is relayed now. */
  publish(nick: string, payload: string): void;
  /** Whether a private message of a peer of this node is none that another connection of it brought before. */
  isNew(nick: string, payload: string): boolean;
  /**
   * Whether private messages to a peer go to its connection here. False: another connection has its nick, and the
   * one here may be that of a stranger.
   */
  receives(nick: string): boolean;
  /** Sends a private message to all nodes that have the addressee; false when there is none. */
  send(nick: string, to: string, payload: string): boolean;
  /** JSON for the process that continues. */
  snapshot(): unknown;
  /** Continues with the JSON of another process; `present` peers are ready here. */
  restore(state: unknown): void;
}

/** The limits that hold for the peers of all nodes, and so for what a node may publish. */
export type ClusterLimits = Pick<
  DirectoryLimits,
  | 'maxPeers'
  | 'pubmsgPerMinute'
  | 'orderbookPerMinute'
  | 'privmsgPerSecond'
  | 'deliveriesPerSecond'
  | 'orderbookPerSecond'
  | 'sendQueueBytes'
>;

/** The result of a private message for a peer of this node. */
export type Delivery = 'delivered' | 'absent' | 'busy' | 'dropped';

/** This directory, as the other nodes see it. */
export interface LocalSide {
  /** Runs `work`; everything that it queues is written together. */
  batch<T>(work: () => T): T;
  /** The limits in force; `maxPeers` is that of all nodes, 0: none. */
  readonly limits: ClusterLimits;
  /** The ready peers, without the canary. */
  present(): readonly LocalPeer[];
  /** Whether a peer of this nick is ready here. */
  has(nick: string): boolean;
  /** Delivers a public message to all peers here, except a connection of its sender. Checked before. */
  publish(from: string, payload: string): void;
  /** Delivers a private message of a peer of another node. Checked before. */
  deliver(from: string, to: string, payload: string): Delivery;
  /** A private message of a peer here to `to` did not arrive. */
  undelivered(from: string, to: string): void;
  /** A peer has left all nodes. */
  gone(peer: Pick<ListedPeer, 'nick' | 'location'>): void;
  /** Relays a public message that waited for another node. */
  relay(nick: string, payload: string): void;
  /** A peer of another node asks for a nick; answered by `Neighbours.answer`. */
  claimed(node: string, claimant: Claimant): void;
  /** The claim of that node ended without an answer. */
  unclaimed(node: string, nick: string): void;
  /** The answer to a `claim`. */
  decided(nick: string, answer: ClaimAnswer): void;
  /** Newcomers that wait for a place can have another answer of `Neighbours.place` now. */
  placesDecided(): void;
  /** A peer here loses its nick to a peer of another node: tells it and ends it. */
  giveUp(nick: string): void;
  /** Looks whether the connection of a peer here is alive. */
  probe(nick: string): void;
}
