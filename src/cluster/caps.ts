/**
 * Holds each other node to what it may publish for its peers (`allowance.ts`), because a node that was taken over
 * obeys no limit. What is over it is dropped and counted. Nodes are told apart by their signatures.
 */
import type { Log } from '../channel/log.js';
import type { Clock } from '../kit/clock.js';
import { refill, type Bucket } from '../kit/rate-limit.js';
import { parseRoute } from '../protocol/message.js';
import {
  allowancesOf,
  MEAN_MESSAGE_CHARS,
  mostPeers,
  newcomerGrants,
  type Allowance,
  type AllowanceFigures,
  type AllowanceKind,
  type Allowances,
} from './allowance.js';
import type { ClusterTally } from './counters.js';
import { RecentMost } from './recent-most.js';
import type { ClusterRecord, Entry } from './record.js';

/** Time after the last drop until a node counts as within its budgets. */
const CALM_MS = 60_000;
/** An allowance is computed again after this time, and when the number of peers changes. */
const FRESH_MS = 250;

/** Besides `records`; the others need a closer look, or have no other limit. */
const KINDS: Partial<Record<ClusterRecord['type'], AllowanceKind>> = {
  private: 'private',
  undelivered: 'notices',
  claim: 'claims',
  yield: 'claims',
  probe: 'claims',
};

export interface CapsOptions {
  readonly nodes: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly tally: ClusterTally;
  /** Undefined: no directory is attached yet. */
  readonly figures: (node: string) => AllowanceFigures | undefined;
  readonly has: (node: string, nick: string) => boolean;
}

/** A bucket with the highest allowance of the last seconds: the node may not know yet what made it lower. */
interface Cap {
  readonly bucket: Bucket;
  readonly perSecond: RecentMost;
  readonly burst: RecentMost;
}

interface NodeCaps {
  readonly caps: Map<AllowanceKind, Cap>;
  computedAt: number;
  peers: number;
  isOver: boolean;
  overAt: number;
  dropped: number;
}

/** For the status. */
export interface CapState {
  readonly isOver: boolean;
  readonly dropped: number;
}

export class Caps {
  readonly #options: CapsOptions;
  readonly #nodes: ReadonlyMap<string, NodeCaps>;

  constructor(options: CapsOptions) {
    this.#options = options;
    this.#nodes = new Map(
      options.nodes.map((name) => [
        name,
        {
          caps: new Map<AllowanceKind, Cap>(),
          computedAt: -Infinity,
          peers: -1,
          isOver: false,
          overAt: -Infinity,
          dropped: 0,
        },
      ]),
    );
  }

  state(node: string): CapState {
    const { isOver = false, dropped = 0 } = this.#nodes.get(node) ?? {};
    return { isOver, dropped };
  }

  /** Counts a record that came; false: it is over what its node may publish. */
  take(node: string, record: ClusterRecord): boolean {
    const held = this.#nodes.get(node);
    const figures = this.#options.figures(node);
    // No more peers leave than joined, and one that left and stays in the lists helps nobody.
    if (!held || !figures || record.type === 'leave') return true;
    this.#refresh(held, figures);
    if (!this.#spend(node, held, 'records')) return false;
    if (record.type === 'public') return this.#takePublic(node, held, figures, record.payload);
    if (record.type === 'join') return this.#takeJoin(node, held, figures, record.entry.nick);
    const kind = KINDS[record.type];
    return kind === undefined || this.#spend(node, held, kind);
  }

  /** The part of a list of all peers of a node that it may announce now; the rest may be in the next one. */
  takeList(node: string, entries: ReadonlyMap<string, Entry>): ReadonlyMap<string, Entry> {
    const held = this.#nodes.get(node);
    const figures = this.#options.figures(node);
    if (!held || !figures) return entries;
    this.#refresh(held, figures);
    const most = mostPeers(figures.limits);
    const taken = new Map<string, Entry>();
    for (const [nick, entry] of entries) {
      if (taken.size >= most) this.#drop(node, held, 'joins');
      else if (this.#options.has(node, nick) || this.#newcomer(node, held, figures)) {
        taken.set(nick, entry);
      }
    }
    return taken;
  }

  sweep(): void {
    const { clock, log } = this.#options;
    const now = clock.now();
    for (const [node, held] of this.#nodes) {
      if (!held.isOver || now - held.overAt < CALM_MS) continue;
      held.isOver = false;
      log.info('cluster: a node keeps to the budgets again', { node, dropped: held.dropped });
    }
  }

  #takePublic(node: string, held: NodeCaps, figures: AllowanceFigures, payload: string): boolean {
    const { pubmsgPerMinute, orderbookPerMinute } = figures.limits;
    const route = parseRoute(payload);
    const isRequest = route.ok && route.value.text.includes('orderbook');
    if ((isRequest ? orderbookPerMinute : pubmsgPerMinute) === 0) return true;
    if (!this.#spend(node, held, isRequest ? 'peer-requests' : 'peer-messages')) return false;
    if (isRequest && !this.#spend(node, held, 'requests')) return false;
    // Long lines leave a half to others, so that a peer that sends them stops no other peer of its node.
    const isLong = payload.length > MEAN_MESSAGE_CHARS;
    if (!this.#spend(node, held, 'bytes', payload.length, isLong ? 0.5 : 0)) return false;
    return this.#spend(node, held, 'messages');
  }

  #takeJoin(node: string, held: NodeCaps, figures: AllowanceFigures, nick: string): boolean {
    // It takes the place of the one that is there.
    const isNew = !this.#options.has(node, nick);
    if (isNew && figures.peers >= mostPeers(figures.limits)) {
      return this.#drop(node, held, 'joins');
    }
    return isNew ? this.#newcomer(node, held, figures) : this.#spend(node, held, 'joins');
  }

  /** A newcomer may say what its node lets it say: its buckets are full. */
  #newcomer(node: string, held: NodeCaps, { limits }: AllowanceFigures): boolean {
    if (!this.#spend(node, held, 'joins')) return false;
    for (const [kind, cap] of held.caps) cap.bucket.tokens += newcomerGrants(limits)[kind] ?? 0;
    return true;
  }

  #refresh(held: NodeCaps, figures: AllowanceFigures): void {
    const now = this.#options.clock.now();
    if (figures.peers === held.peers && now - held.computedAt < FRESH_MS) return;
    held.peers = figures.peers;
    held.computedAt = now;
    const allowances = allowancesOf(figures);
    for (const [kind, { perSecond, burst }] of entriesOf(allowances)) {
      let cap = held.caps.get(kind);
      if (!cap) {
        // Full at the start.
        const bucket = { tokens: Infinity, filledAt: now };
        cap = { bucket, perSecond: new RecentMost(), burst: new RecentMost() };
        held.caps.set(kind, cap);
      }
      cap.perSecond.add(perSecond, now);
      cap.burst.add(burst, now);
    }
  }

  /** @param keep part of the burst that stays */
  #spend(node: string, held: NodeCaps, kind: AllowanceKind, cost = 1, keep = 0): boolean {
    const cap = held.caps.get(kind);
    const perSecond = cap?.perSecond.value ?? Infinity;
    if (!cap || !Number.isFinite(perSecond)) return true;
    const { bucket, burst } = cap;
    refill(bucket, perSecond, burst.value, this.#options.clock.now());
    if (bucket.tokens - keep * burst.value < cost) return this.#drop(node, held, kind);
    bucket.tokens -= cost;
    return true;
  }

  #drop(node: string, held: NodeCaps, kind: AllowanceKind): false {
    const { clock, log, tally } = this.#options;
    tally.dropped['over-budget']++;
    held.dropped++;
    held.overAt = clock.now();
    if (!held.isOver) {
      held.isOver = true;
      log.warn('cluster: a node sends more than the budgets allow; the rest is dropped', {
        node,
        kind,
      });
    }
    return false;
  }
}

function entriesOf(allowances: Allowances): readonly (readonly [AllowanceKind, Allowance])[] {
  // Object.entries has no type for known names.
  // oxlint-disable-next-line no-unsafe-type-assertion
  return Object.entries(allowances) as readonly (readonly [AllowanceKind, Allowance])[];
}
