/**
 * What a node may publish for its peers: what the limits of the directory let these peers do there, and slack. A node
 * that keeps to the limits stays below, also when its packets come late and together. Pure.
 */
import type { ClusterLimits } from '../directory/neighbours.js';
import { shareOf } from './shares.js';

/**
 * - `messages`, `requests`: public messages by `deliveries_per_second`, and `!orderbook` by `orderbook_per_second`
 * - `peer-messages`, `peer-requests`: the same by the rates of its peers
 * - `bytes`: characters of public messages
 * - `private`: private messages
 * - `notices`: private messages of peers here that did not arrive there
 * - `joins`: new peers, also in lists of all peers
 * - `claims`: questions about nicks of peers here
 * - `records`: all records but leaves
 */
export type AllowanceKind =
  | 'messages'
  | 'requests'
  | 'peer-messages'
  | 'peer-requests'
  | 'bytes'
  | 'private'
  | 'notices'
  | 'joins'
  | 'claims'
  | 'records';

/** Infinity: no limit. */
export interface Allowance {
  readonly perSecond: number;
  /** Most at once. */
  readonly burst: number;
}

export type Allowances = Readonly<Record<AllowanceKind, Allowance>>;

/** The state on which it depends, as it is known here. */
export interface AllowanceFigures {
  readonly limits: ClusterLimits;
  /** What this node demands of the two shared budgets, per second. */
  readonly demand: readonly [deliveries: number, requests: number];
  /** Peers of the node. */
  readonly peers: number;
  /** Peers here. */
  readonly ownPeers: number;
}

/** For rounding, budgets that hold within a tenth, and second connections of a peer. */
const SLACK = 1.25;
/**
 * Seconds for which packets can be held up and come at once: a node is dead after 7 s without any, and a process that
 * continues another one reads what came meanwhile.
 */
const LATE_SECONDS = 20;
/** A private message counts in one of two buckets, each of ten seconds; see `directory/rates.ts`. */
const PRIVATE_BUCKETS = 2;
const PRIVATE_BURST_SECONDS = 10;
/** Cost of a line, in deliveries; see `directory/relay/budgets.ts`. */
const LINE_COST = 30;
/** Characters of a public message on average; deployed offers have a quarter of it. */
export const MEAN_MESSAGE_CHARS = 1_024;
/** Least for `bytes`: a few of the longest lines. */
const LEAST_BYTES: Allowance = { perSecond: 16_384, burst: 131_072 };
/** Peers, where `max_peers` is 0. */
const PEERS_WITHOUT_LIMIT = 200_000;
/** Least for the number of peers. */
const LEAST_PEERS = 1_000;
/**
 * For `joins` and `claims`. Each peer that joins leaves, and all peers here are told of that: 17 kB a second to each
 * of them, which a circuit of Tor takes. A Tor that serves an onion lets fewer in.
 */
const JOINS_PER_SECOND = 200;
/** Most at once, of a directory with a small `max_peers`. */
const LEAST_JOIN_BURST = 8_000;
/** Heartbeats, answers, and whatever else a node says without a message of a peer. */
const CONTROL: Allowance = { perSecond: 2_000, burst: 40_000 };

const UNLIMITED: Allowance = { perSecond: Infinity, burst: Infinity };

/** At that rate, after a burst, and late. */
function steady(perSecond: number, burst = 0): Allowance {
  if (!Number.isFinite(perSecond)) return UNLIMITED;
  return { perSecond: perSecond * SLACK, burst: (burst + perSecond * LATE_SECONDS) * SLACK };
}

/** A rate of so many peers, each with a full bucket; 0: none. */
function ofPeers(peers: number, perSecond: number, burst: number): Allowance {
  return perSecond === 0 ? UNLIMITED : steady(peers * perSecond, peers * burst);
}

/**
 * What this node leaves of a budget that all share. It does not depend on what other nodes state, so no node can make
 * this one drop what a third one publishes.
 */
function leftOf(total: number, demand: number): number {
  return total * shareOf([total, demand], total);
}

/** Of a budget: at the start of a node it does not know the demand of the others, and uses all for a second or two. */
function ofBudget(total: number, demand: number, cost: number, least: number): Allowance {
  if (total === 0) return UNLIMITED;
  const whole = Math.max(least, total / cost);
  return steady(Math.max(least, leftOf(total, demand) / cost), 2 * whole);
}

/** A burst that fills the send queue of each peer would close them all. */
function bytesOf(messages: Allowance, sendQueueBytes: number): Allowance {
  const { perSecond, burst } = messages;
  return {
    perSecond: Math.max(LEAST_BYTES.perSecond, perSecond * MEAN_MESSAGE_CHARS),
    burst: Math.max(
      LEAST_BYTES.burst,
      Math.min(burst * MEAN_MESSAGE_CHARS, Number.isFinite(perSecond) ? sendQueueBytes / 2 : burst),
    ),
  };
}

/** All peers come at once, twice. */
function joinsOf(maxPeers: number): Allowance {
  const peers = maxPeers === 0 ? PEERS_WITHOUT_LIMIT : maxPeers;
  return { perSecond: JOINS_PER_SECOND, burst: Math.max(LEAST_JOIN_BURST, 2 * peers) };
}

function sum(...parts: readonly Allowance[]): Allowance {
  return {
    perSecond: parts.reduce((all, { perSecond }) => all + perSecond, 0),
    burst: parts.reduce((all, { burst }) => all + burst, 0),
  };
}

/**
 * Most peers that a node may have. The nodes together keep to `max_peers` exactly, but those that came before it was
 * lowered stay.
 */
export function mostPeers({ maxPeers }: Pick<ClusterLimits, 'maxPeers'>): number {
  return maxPeers === 0 ? Infinity : Math.max(LEAST_PEERS, 2 * maxPeers);
}

/** What the bucket of a newcomer holds, by kind. */
export function newcomerGrants(
  limits: ClusterLimits,
): Readonly<Partial<Record<AllowanceKind, number>>> {
  return {
    'peer-messages': limits.pubmsgPerMinute * SLACK,
    'peer-requests': limits.orderbookPerMinute * SLACK,
    private: limits.privmsgPerSecond * PRIVATE_BUCKETS * PRIVATE_BURST_SECONDS * SLACK,
  };
}

/** What a node may publish now. */
export function allowancesOf(figures: AllowanceFigures): Allowances {
  const { limits, demand, peers, ownPeers } = figures;
  const { pubmsgPerMinute, orderbookPerMinute, privmsgPerSecond } = limits;
  // Peers of third nodes do not count: only these nodes know them for certain. Also a message that costs more than
  // the whole budget passes about once a second.
  const messages = ofBudget(
    limits.deliveriesPerSecond,
    demand[0],
    LINE_COST + Math.max(0, peers + ownPeers - 1),
    1,
  );
  const requests = ofBudget(limits.orderbookPerSecond, demand[1], 1, 0);
  const perSecond = privmsgPerSecond * PRIVATE_BUCKETS;
  const privates = ofPeers(peers, perSecond, perSecond * PRIVATE_BURST_SECONDS);
  const notices = ofPeers(ownPeers, perSecond, perSecond * PRIVATE_BURST_SECONDS);
  const joins = joinsOf(limits.maxPeers);
  const isExempt = pubmsgPerMinute === 0 || orderbookPerMinute === 0;
  return {
    messages,
    requests,
    'peer-messages': ofPeers(peers, pubmsgPerMinute / 60, pubmsgPerMinute),
    'peer-requests': ofPeers(peers, orderbookPerMinute / 60, orderbookPerMinute),
    bytes: bytesOf(messages, limits.sendQueueBytes),
    private: privates,
    notices,
    joins,
    claims: joins,
    // A claim is withdrawn or answered.
    records: sum(isExempt ? UNLIMITED : messages, privates, notices, joins, joins, joins, CONTROL),
  };
}
