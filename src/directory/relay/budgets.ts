/**
 * The budgets that all peers share. The bottleneck of a directory is the fan-out: a public message
 * costs one delivery for each peer, a private one the work for a line. So there is one budget of
 * deliveries per second, and each class of messages may use it down to a floor of its own: what is
 * below the floor of a class stays for classes with a higher priority. `!orderbook` has a second
 * budget, in requests, because each request makes every maker answer.
 *
 * Several nodes that are one directory share the budgets. A node charges the deliveries of all nodes, and
 * the others charge nothing for what it sends them.
 *
 * Public messages over the budget wait in a queue that is fair between peers (between circuits if
 * known). A private message of a running conversation always passes.
 */
import { decodeEnvelope } from '../../protocol/envelope.js';
import { refill, untilMs, type Bucket } from '../../kit/rate-limit.js';
import type { Clock } from '../../channel/ports.js';
import {
  createFairQueue,
  type FairQueue,
  type PushResult,
  type Rank,
  type Waiting,
} from './fair-queue.js';
import type { Fanout } from '../fanout/fanout.js';
import type { DirectoryLimits } from '../limits.js';
import type { Neighbours } from '../neighbours.js';
import { PUBLIC_CLASSES, type DirectClass, type PublicClass } from '../message-classes.js';
import { sourceOf, type Peer } from '../peer.js';
import type { Registry } from '../registry.js';
import type { Tally } from '../stats.js';

/** The floor of a class, as a part of the full budget. */
const FLOORS: Readonly<Record<DirectClass | PublicClass, number>> = {
  conversation: -Infinity,
  privmsg: 0,
  peerlist: 0.1,
  offer: 0.25,
  orderbook: 0.5,
  other: 0.75,
};

/** Reading, checking and encoding one line costs about as much as this many deliveries. */
const LINE_COST = 30;
/** The budgets are this many seconds of their rate. */
const BURST_MS = 1_000;
const MIN_WAIT_MS = 5;
const MAX_WAIT_MS = 1_000;
/** A peer that has been ready this long has priority over newer ones. */
const ESTABLISHED_MS = 300_000;
/** Most characters that wait in one class. */
const MAX_WAITING_LENGTH = 8_388_608;

export interface BudgetsSnapshot {
  /** Undefined: full. */
  readonly deliveries: number | undefined;
  readonly requests: number | undefined;
  readonly waiting: readonly (Waiting & { readonly kind: PublicClass })[];
}

export interface BudgetsOptions {
  readonly limits: DirectoryLimits;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly tally: Tally;
  readonly neighbours: Neighbours | undefined;
}

/**
 * Adds the tokens since the last call, up to a full bucket. An overdraft is bounded too.
 * @param least of a full bucket: what one message needs, however small the part of this node
 */
function refillBudget(bucket: Bucket, perSecond: number, now: number, least = 0): void {
  const full = Math.max(least, (perSecond * BURST_MS) / 1_000);
  refill(bucket, perSecond, full, now);
  bucket.tokens = Math.max(-full, bucket.tokens);
}

/** The rest of a bucket; undefined: full, as at the start. */
function levelOf({ tokens }: Bucket): number | undefined {
  return Number.isFinite(tokens) ? tokens : undefined;
}

function rankOf(peer: Peer, now: number): Rank {
  if (peer.verified) return 'verified';
  return now - peer.acceptedAt >= ESTABLISHED_MS ? 'established' : 'new';
}

/** The payload of a frame that this directory encoded. */
function payloadOf(frame: string): string {
  const envelope = decodeEnvelope(Buffer.from(frame.trimEnd(), 'latin1'));
  return envelope.ok ? envelope.value.line : '';
}

function newQueue(placesPerSource: number): FairQueue {
  return createFairQueue({ placesPerSource, maxLength: MAX_WAITING_LENGTH });
}

/** A kind without a rate of its own is not limited at all. */
function isLimited(kind: DirectClass | PublicClass, limits: DirectoryLimits): boolean {
  switch (kind) {
    case 'conversation':
    case 'privmsg':
      return limits.privmsgPerSecond > 0;
    case 'peerlist':
      return limits.getpeerlistPerMinute > 0;
    case 'orderbook':
      return limits.orderbookPerMinute > 0;
    case 'offer':
    case 'other':
      return limits.pubmsgPerMinute > 0;
  }
}

export class Budgets {
  readonly #options: BudgetsOptions;
  readonly #deliveries: Bucket;
  readonly #requests: Bucket;
  readonly #queues: Readonly<Record<PublicClass, FairQueue>> = {
    // A maker announces its offers in a few messages.
    offer: newQueue(4),
    // A second request would bring the same answers as the first.
    orderbook: newQueue(1),
    other: newQueue(2),
  };
  #cancelTimer: (() => void) | undefined;

  constructor(options: BudgetsOptions) {
    this.#options = options;
    const filledAt = options.clock.now();
    this.#deliveries = { tokens: Infinity, filledAt };
    this.#requests = { tokens: Infinity, filledAt };
  }

  /** Number of waiting messages. */
  get waiting(): number {
    return PUBLIC_CLASSES.reduce((sum, kind) => sum + this.#queues[kind].size, 0);
  }

  /** Whether a message of this class with this many deliveries may pass; charges the budget. */
  spend(kind: DirectClass, deliveries: number): boolean {
    const { limits, clock } = this.#options;
    if (isLimited(kind, limits)) {
      this.#options.neighbours?.used('deliveries', LINE_COST + deliveries);
      if (this.#waitMs(kind, clock.now()) > 0) return false;
      this.#charge(kind, deliveries);
    }
    return true;
  }

  /**
   * Relays a public message of a ready peer, now or later. False when there is no room for it to wait.
   */
  relay(kind: PublicClass, peer: Peer, frame: string): boolean {
    const { limits, clock, tally } = this.#options;
    if (!isLimited(kind, limits)) {
      this.#broadcast(kind, peer, frame);
      return true;
    }
    this.#demand(kind);
    const now = clock.now();
    if (this.#queues[kind].size === 0 && this.#waitMs(kind, now) === 0) {
      this.#pass(kind, peer, frame);
      return true;
    }
    const result = this.#push(kind, peer, frame);
    if (result === 'full') return false;
    if (result === 'waiting') tally.delayed++;
    else tally.dropped.repeated++;
    this.#arm();
    return true;
  }

  /** A ready peer has left: none of its messages is relayed any more. */
  forget(peer: Peer): void {
    if (!peer.waits) return;
    const source = sourceOf(peer);
    for (const kind of PUBLIC_CLASSES) this.#queues[kind].forget(source, peer);
    this.#stopIfIdle();
  }

  /** The last peer has left: empties the queues and clears the timer. */
  clear(): void {
    for (const kind of PUBLIC_CLASSES) this.#queues[kind].clear();
    this.#stopIfIdle();
  }

  /** The rest of the budgets and all waiting messages, for another process. */
  snapshot(): BudgetsSnapshot {
    return {
      deliveries: levelOf(this.#deliveries),
      requests: levelOf(this.#requests),
      waiting: PUBLIC_CLASSES.flatMap((kind) =>
        this.#queues[kind].all().map((message) => ({ ...message, kind })),
      ),
    };
  }

  /** Restores the buckets of a snapshot; called before anything is relayed. */
  restore(levels: Pick<BudgetsSnapshot, 'deliveries' | 'requests'>): void {
    this.#deliveries.tokens = levels.deliveries ?? Infinity;
    this.#requests.tokens = levels.requests ?? Infinity;
  }

  /** Restores a message of a ready peer that waited in another process. */
  wait(kind: PublicClass, peer: Peer, frame: string): void {
    this.#push(kind, peer, frame);
    this.#arm();
  }

  #push(kind: PublicClass, peer: Peer, frame: string): PushResult {
    const rank = rankOf(peer, this.#options.clock.now());
    const result = this.#queues[kind].push(sourceOf(peer), rank, { peer, frame });
    if (result !== 'full') peer.waits = true;
    return result;
  }

  /** Milliseconds until a message of this class may pass; 0 when it may now. */
  #waitMs(kind: DirectClass | PublicClass, now: number): number {
    const { limits, neighbours } = this.#options;
    const { deliveriesPerSecond: allDeliveries, orderbookPerSecond: allRequests } = limits;
    const deliveriesPerSecond =
      allDeliveries * (neighbours?.share('deliveries', allDeliveries) ?? 1);
    const orderbookPerSecond = allRequests * (neighbours?.share('requests', allRequests) ?? 1);
    const deliveries = this.#deliveries;
    const requests = this.#requests;
    let wait = 0;
    if (deliveriesPerSecond > 0) {
      refillBudget(deliveries, deliveriesPerSecond, now);
      const floor = (FLOORS[kind] * deliveriesPerSecond * BURST_MS) / 1_000;
      // More than the floor is enough, so that one message may cost more than the whole budget.
      if (deliveries.tokens <= floor) {
        wait = Math.max(1, untilMs(deliveries, floor, deliveriesPerSecond));
      }
    }
    if (kind === 'orderbook' && orderbookPerSecond > 0) {
      refillBudget(requests, orderbookPerSecond, now, 1);
      if (requests.tokens < 1) {
        wait = Math.max(wait, untilMs(requests, 1, orderbookPerSecond));
      }
    }
    return wait;
  }

  #charge(kind: DirectClass | PublicClass, deliveries: number): void {
    this.#deliveries.tokens -= LINE_COST + deliveries;
    if (kind === 'orderbook') this.#requests.tokens--;
  }

  #pass(kind: PublicClass, peer: Peer, frame: string): void {
    this.#charge(kind, this.#receivers);
    this.#broadcast(kind, peer, frame);
  }

  /** Sends a message to all peers except its sender. */
  #broadcast(kind: PublicClass, peer: Peer, frame: string): void {
    const { registry, fanout, tally, neighbours } = this.#options;
    tally.messagesOut[kind === 'orderbook' ? kind : 'pubmsg'] += registry.ready.length - 1;
    fanout.broadcast(frame, peer.nick, peer);
    neighbours?.publish(peer.nick, payloadOf(frame));
  }

  /** Deliveries of a public message of a peer here, at all nodes. */
  get #receivers(): number {
    const { registry, neighbours } = this.#options;
    return registry.ready.length - 1 + (neighbours?.connections ?? 0);
  }

  #demand(kind: PublicClass): void {
    const { neighbours } = this.#options;
    neighbours?.used('deliveries', LINE_COST + this.#receivers);
    if (kind === 'orderbook') neighbours?.used('requests', 1);
  }

  /** Relays the waiting messages that may pass now, by priority. */
  #drain(): void {
    for (const kind of PUBLIC_CLASSES) {
      const queue = this.#queues[kind];
      while (queue.size > 0 && this.#waitMs(kind, this.#options.clock.now()) === 0) {
        const next = queue.shift();
        if (next) this.#pass(kind, next.peer, next.frame);
      }
    }
  }

  #arm(): void {
    if (this.#cancelTimer) return;
    const { clock, fanout } = this.#options;
    const now = clock.now();
    const waits = PUBLIC_CLASSES.filter((kind) => this.#queues[kind].size > 0).map((kind) =>
      this.#waitMs(kind, now),
    );
    if (waits.length === 0) return;
    const wait = Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, Math.ceil(Math.min(...waits))));
    this.#cancelTimer = clock.after(wait, () => {
      this.#cancelTimer = undefined;
      fanout.batch(() => this.#drain());
      this.#arm();
    });
  }

  #stopIfIdle(): void {
    if (this.waiting > 0) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}
