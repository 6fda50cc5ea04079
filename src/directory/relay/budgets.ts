/**
 * What all peers together may ask of the directory. Its bottleneck is the fan-out: a public message
 * costs one delivery for each peer, a private one a line's work. So there is one budget of deliveries
 * per second, and each class of messages may draw it down to a floor of its own: whatever the lower
 * classes do, the part below their floor is left to the higher ones. `!orderbook` has a second
 * budget, in requests, because every one of them makes every maker answer.
 *
 * Public messages over the budget wait in a queue that is fair between peers (between circuits where
 * they are known). A private message of a running conversation always passes.
 */
import type { Clock } from '../../channel/ports.js';
import { createFairQueue, type FairQueue, type Rank, type Waiting } from './fair-queue.js';
import type { DirectoryLimits } from '../limits.js';
import { sourceOf, type Peer } from '../peer.js';
import type { Tally } from '../stats.js';

/** Classes that pass at once or not at all, in order of priority. */
export type DirectClass = 'conversation' | 'privmsg' | 'peerlist';
/** Classes that can wait, in order of priority; `other` is all that is neither. */
export type PublicClass = 'offer' | 'orderbook' | 'other';

/** Part of a full budget that a class leaves untouched. */
const FLOORS: Readonly<Record<DirectClass | PublicClass, number>> = {
  conversation: -Infinity,
  privmsg: 0,
  peerlist: 0.1,
  offer: 0.25,
  orderbook: 0.5,
  other: 0.75,
};
const PUBLIC_CLASSES = ['offer', 'orderbook', 'other'] as const satisfies readonly PublicClass[];

/** Reading, checking and encoding one line costs about as much as so many deliveries. */
const LINE_COST = 30;
/** The budgets hold what comes in so long. */
const BURST_MS = 1_000;
const MIN_WAIT_MS = 5;
const MAX_WAIT_MS = 1_000;
/** A peer that has been here this long comes before those that have just come. */
const SETTLED_MS = 300_000;
/** Characters that may wait in one class. */
const MAX_WAITING_LENGTH = 8_388_608;

export interface Budgets {
  /** Whether a message of this class with so many deliveries may pass; takes it out of the budget. */
  spend(kind: DirectClass, deliveries: number): boolean;
  /**
   * Relays a public message of a ready peer, now or in its turn. False when there is no place for it
   * to wait.
   */
  relay(kind: PublicClass, peer: Peer, frame: string): boolean;
  /** Messages that wait. */
  readonly waiting: number;
  /** A ready peer is gone: nothing of it is relayed any more. */
  forget(peer: Peer): void;
  /** Nobody is left: nothing waits, no timer is left. */
  clear(): void;
  /** What is left, and all that waits; for another process to go on with. */
  snapshot(): BudgetsSnapshot;
  /** The buckets of a snapshot; to be called before anything is relayed. */
  restore(levels: Pick<BudgetsSnapshot, 'deliveries' | 'requests'>): void;
  /** A message that waited, of a ready peer. */
  wait(kind: PublicClass, peer: Peer, frame: string): void;
}

export interface BudgetsSnapshot {
  /** Undefined: full. */
  readonly deliveries: number | undefined;
  readonly requests: number | undefined;
  readonly waiting: readonly (Waiting & { readonly kind: PublicClass })[];
}

export interface BudgetsOptions {
  readonly limits: () => DirectoryLimits;
  readonly clock: Clock;
  readonly tally: Tally;
  /** Ready peers. */
  readonly peerCount: () => number;
  /** Hands a message to all but its sender. */
  readonly broadcast: (kind: PublicClass, peer: Peer, frame: string) => void;
  /** The end of a turn in which something was handed over out of turn. */
  readonly settle: () => void;
}

interface Bucket {
  level: number;
  filledAt: number;
}

/** Adds what came since, up to a full bucket. An overdraft is bounded, too. */
function refill(bucket: Bucket, perSecond: number, now: number): void {
  const full = (perSecond * BURST_MS) / 1_000;
  const level = bucket.level + ((now - bucket.filledAt) * perSecond) / 1_000;
  bucket.level = Math.max(-full, Math.min(full, level));
  bucket.filledAt = now;
}

/** What is left in a bucket; undefined: it is full, as at the start. */
function levelOf({ level }: Bucket): number | undefined {
  return Number.isFinite(level) ? level : undefined;
}

function rankOf(peer: Peer, now: number): Rank {
  if (peer.verified) return 'verified';
  return now - peer.acceptedAt >= SETTLED_MS ? 'settled' : 'new';
}

function newQueue(placesPerSource: number): FairQueue {
  return createFairQueue({ placesPerSource, maxLength: MAX_WAITING_LENGTH });
}

export function createBudgets(options: BudgetsOptions): Budgets {
  const { limits, clock, tally, peerCount } = options;
  const deliveries: Bucket = { level: Infinity, filledAt: clock.now() };
  const requests: Bucket = { level: Infinity, filledAt: clock.now() };
  const queues: Readonly<Record<PublicClass, FairQueue>> = {
    // A maker says what it offers in a handful of messages.
    offer: newQueue(4),
    // A second request would bring the same answers as the first.
    orderbook: newQueue(1),
    other: newQueue(2),
  };
  let cancelTimer: (() => void) | undefined;

  /** A kind whose own rate is switched off is not limited at all. */
  function isLimited(kind: DirectClass | PublicClass): boolean {
    const { privmsgPerSecond, getpeerlistPerMinute, orderbookPerMinute, pubmsgPerMinute } =
      limits();
    switch (kind) {
      case 'conversation':
      case 'privmsg':
        return privmsgPerSecond > 0;
      case 'peerlist':
        return getpeerlistPerMinute > 0;
      case 'orderbook':
        return orderbookPerMinute > 0;
      case 'offer':
      case 'other':
        return pubmsgPerMinute > 0;
    }
  }

  /** Milliseconds until a message of this class may pass; 0 when it may now. */
  function waitMs(kind: DirectClass | PublicClass, now: number): number {
    const { deliveriesPerSecond, orderbookPerSecond } = limits();
    let wait = 0;
    if (deliveriesPerSecond > 0) {
      refill(deliveries, deliveriesPerSecond, now);
      const floor = (FLOORS[kind] * deliveriesPerSecond * BURST_MS) / 1_000;
      // Above the floor is enough, so that one message may cost more than the whole budget.
      if (deliveries.level <= floor) {
        wait = Math.max(1, ((floor - deliveries.level) * 1_000) / deliveriesPerSecond);
      }
    }
    if (kind === 'orderbook' && orderbookPerSecond > 0) {
      refill(requests, orderbookPerSecond, now);
      if (requests.level < 1) {
        wait = Math.max(wait, ((1 - requests.level) * 1_000) / orderbookPerSecond);
      }
    }
    return wait;
  }

  function charge(kind: DirectClass | PublicClass, count: number): void {
    deliveries.level -= LINE_COST + count;
    if (kind === 'orderbook') requests.level--;
  }

  function pass(kind: PublicClass, peer: Peer, frame: string): void {
    charge(kind, peerCount() - 1);
    options.broadcast(kind, peer, frame);
  }

  /** Relays what may pass by now, the higher classes first. */
  function drain(): void {
    for (const kind of PUBLIC_CLASSES) {
      const queue = queues[kind];
      while (queue.size > 0 && waitMs(kind, clock.now()) === 0) {
        const next = queue.shift();
        if (next) pass(kind, next.peer, next.frame);
      }
    }
  }

  function arm(): void {
    if (cancelTimer) return;
    const now = clock.now();
    const waits = PUBLIC_CLASSES.filter((kind) => queues[kind].size > 0).map((kind) =>
      waitMs(kind, now),
    );
    if (waits.length === 0) return;
    const wait = Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, Math.ceil(Math.min(...waits))));
    cancelTimer = clock.after(wait, () => {
      cancelTimer = undefined;
      drain();
      arm();
      options.settle();
    });
  }

  function stopIfIdle(): void {
    if (PUBLIC_CLASSES.some((kind) => queues[kind].size > 0)) return;
    cancelTimer?.();
    cancelTimer = undefined;
  }

  return {
    get waiting() {
      return PUBLIC_CLASSES.reduce((sum, kind) => sum + queues[kind].size, 0);
    },
    spend(kind, count) {
      if (isLimited(kind)) {
        if (waitMs(kind, clock.now()) > 0) return false;
        charge(kind, count);
      }
      return true;
    },
    relay(kind, peer, frame) {
      if (!isLimited(kind)) {
        options.broadcast(kind, peer, frame);
        return true;
      }
      const queue = queues[kind];
      const now = clock.now();
      if (queue.size === 0 && waitMs(kind, now) === 0) {
        pass(kind, peer, frame);
        return true;
      }
      const result = queue.push(sourceOf(peer), rankOf(peer, now), { peer, frame });
      if (result === 'full') return false;
      if (result === 'waiting') tally.delayed++;
      else tally.dropped.repeated++;
      peer.waits = true;
      arm();
      return true;
    },
    forget(peer) {
      if (!peer.waits) return;
      const source = sourceOf(peer);
      for (const kind of PUBLIC_CLASSES) queues[kind].forget(source, peer);
      stopIfIdle();
    },
    clear() {
      for (const kind of PUBLIC_CLASSES) queues[kind].clear();
      stopIfIdle();
    },
    snapshot() {
      return {
        deliveries: levelOf(deliveries),
        requests: levelOf(requests),
        waiting: PUBLIC_CLASSES.flatMap((kind) =>
          queues[kind].all().map((message) => ({ ...message, kind })),
        ),
      };
    },
    restore(levels) {
      deliveries.level = levels.deliveries ?? Infinity;
      requests.level = levels.requests ?? Infinity;
    },
    wait(kind, peer, frame) {
      queues[kind].push(sourceOf(peer), rankOf(peer, clock.now()), { peer, frame });
      peer.waits = true;
      arm();
    },
  };
}
