/** The other nodes, as the directory of this node sees them. */
import type {
  Claimant,
  ClaimAnswer,
  LocalPeer,
  LocalSide,
  Neighbours,
  PlaceAnswer,
  RemotePeer,
  SharedBudget,
  Standing,
} from '../directory/neighbours.js';
import type { Clock } from '../kit/clock.js';
import type { ClusterTally } from './counters.js';
import type { Exchange } from './exchange.js';
import type { Inbox } from './inbox.js';
import { formatMoved, parseMoved, type Moved } from './moved.js';
import type { Members } from './members.js';
import type { RecordOutbox } from './outbox.js';
import { MAX_RANK } from './record.js';
import { shareOf } from './shares.js';

export interface ClusterNeighboursOptions {
  readonly node: string;
  readonly others: readonly string[];
  /** Of the configuration. */
  readonly nodeCount: number;
  readonly clock: Clock;
  readonly exchange: Exchange;
  readonly members: Members;
  readonly outbox: RecordOutbox;
  readonly inbox: Inbox;
  readonly tally: ClusterTally;
  /** The state of another process was taken over, or there was none that could be. */
  readonly onRestored: () => void;
}

/** What all connections of a peer except the first may use of its rate, together. */
const TWINS_PART = 0.1;

export class ClusterNeighbours implements Neighbours {
  readonly #options: ClusterNeighboursOptions;
  /** The totals that were asked for last, for `shares`. */
  readonly #totals: Record<SharedBudget, number> = { deliveries: 0, requests: 0 };

  constructor(options: ClusterNeighboursOptions) {
    this.#options = options;
  }

  get peers(): readonly RemotePeer[] {
    return this.#options.exchange.view.peers;
  }

  get version(): number {
    return this.#options.exchange.view.version;
  }

  get connections(): number {
    return this.#options.exchange.view.connections;
  }

  /** For the status. */
  get shares(): { readonly deliveries: number; readonly requests: number } {
    return {
      deliveries: this.share('deliveries', this.#totals.deliveries),
      requests: this.share('requests', this.#totals.requests),
    };
  }

  attach(local: LocalSide): void {
    this.#options.exchange.attach(local);
  }

  byNick(nick: string): RemotePeer | undefined {
    return this.#options.exchange.view.byNick(nick);
  }

  share(budget: SharedBudget, total: number): number {
    const { members, exchange, others, nodeCount, node } = this.#options;
    this.#totals[budget] = total;
    if (!members.connected) return 1 / nodeCount;
    const of = (name: string): number => {
      const [deliveries, requests] = exchange.heartbeat.demands.get(name) ?? [0, 0];
      return budget === 'deliveries' ? deliveries : requests;
    };
    const counted = others.filter((name) => !members.isDead(name));
    return shareOf([of(node), ...counted.map(of)], total);
  }

  place(): PlaceAnswer {
    return this.#options.exchange.places.ask();
  }

  ratePart(nick: string): number {
    const { exchange } = this.#options;
    if (exchange.twins.isSpeaker(nick)) return 1;
    return TWINS_PART / Math.max(1, exchange.view.presences(nick).size);
  }

  receives(nick: string): boolean {
    return this.#options.exchange.twins.receivesHere(nick);
  }

  used(budget: SharedBudget, cost: number): void {
    this.#options.exchange.heartbeat.demand[budget].add(cost);
  }

  standing(claimant: Claimant): Standing {
    const { exchange, members } = this.#options;
    const present = exchange.view.presences(claimant.nick);
    if (present.size === 0) return 'free';
    if (exchange.holders(claimant).length === 0) return 'same';
    // They cannot be asked; after the partition the conflict is decided.
    if (!members.connected) return 'free';
    if (claimant.provenKey === undefined) return 'held';
    const proven = [...present.values()].some(
      (holder) =>
        holder.entry.key !== claimant.provenKey && exchange.proofs.verdict(holder) === 'proven',
    );
    return proven ? 'refused' : 'wins';
  }

  claim(claimant: Claimant): void {
    this.#options.exchange.claims.begin(claimant);
  }

  withdraw(nick: string): void {
    this.#options.exchange.claims.withdraw(nick);
  }

  answer(node: string, nick: string, answer: ClaimAnswer): void {
    this.#options.outbox.push(node, { type: 'answer', nick, granted: answer === 'granted' });
  }

  entered(peer: LocalPeer): void {
    const { exchange, clock, node, outbox } = this.#options;
    const { nick } = peer;
    let rank = 0;
    for (const { entry } of exchange.view.presences(nick).values()) {
      rank = Math.min(MAX_RANK, Math.max(rank, entry.rank + 1));
    }
    exchange.copies.fresh(nick, node);
    const entry = exchange.own.add(peer, rank, clock.now());
    outbox.push(undefined, { type: 'join', entry });
    exchange.view.refresh(nick);
    exchange.places.entered();
    exchange.conflicts.check(nick);
  }

  left(nick: string): boolean {
    const { exchange, outbox } = this.#options;
    if (!exchange.own.delete(nick)) return false;
    outbox.push(undefined, { type: 'leave', nick });
    exchange.held.take(nick);
    exchange.view.refresh(nick);
    return exchange.view.presences(nick).size > 0;
  }

  mayRelay(nick: string, payload: string): boolean {
    const { exchange, node, tally } = this.#options;
    const { copies, held, view } = exchange;
    if (view.presences(nick).size === 0 && !copies.knows(nick)) return true;
    if (exchange.twins.isSpeaker(nick)) {
      if (copies.take(nick, payload, node) === 'new') return true;
      tally.copies++;
      return false;
    }
    const ordinal = copies.hold(nick, payload, node);
    if (ordinal === undefined) tally.copies++;
    else held.add(nick, payload, ordinal);
    return false;
  }

  publish(nick: string, payload: string): void {
    const { outbox, members } = this.#options;
    if (this.#options.exchange.own.get(nick) && members.connected) {
      outbox.push(undefined, { type: 'public', payload });
    }
  }

  isNew(nick: string, payload: string): boolean {
    return this.#options.exchange.privates.isNew(nick, payload, this.#options.node);
  }

  send(nick: string, to: string, payload: string): boolean {
    const { exchange, outbox, members } = this.#options;
    const { view, own } = exchange;
    if (!own.get(nick) || !members.connected) return false;
    // To all: each node knows whether its connection receives.
    for (const node of view.presences(to).keys()) outbox.push(node, { type: 'private', payload });
    if (own.get(to) && !exchange.twins.receivesHere(to)) {
      exchange.kept.add(to, { from: nick, payload, node: this.#options.node });
    }
    return view.presences(to).size > 0;
  }

  snapshot(): unknown {
    const { outbox, exchange, inbox, others, clock } = this.#options;
    const now = clock.now();
    const { epoch, toAll, toNodes } = outbox.handOver();
    return formatMoved({
      epoch,
      toAll,
      toNodes,
      own: exchange.own.entries(now),
      nodes: others.map((name) => ({
        name,
        sender: inbox.stateOf(name) ?? { epoch: undefined, toAll: 0, toUs: 0 },
        entries: exchange.view
          .entries(name)
          .map(({ entry, since }) => ({ ...entry, ageMs: Math.max(0, now - since) })),
      })),
    });
  }

  restore(state: unknown): void {
    const moved = parseMoved(state);
    if (moved) this.#continue(moved);
    this.#readOwn(new Map(moved?.own.map((entry) => [entry.nick, entry.rank])));
    this.#options.onRestored();
  }

  #continue({ epoch, toAll, toNodes, nodes }: Moved): void {
    const { outbox, inbox, exchange, members, clock, others } = this.#options;
    outbox.restore({ epoch, toAll, toNodes });
    inbox.adoptOwn(epoch, toAll);
    members.resume();
    for (const { name, sender, entries } of nodes) {
      if (!others.includes(name)) continue;
      inbox.restore(name, sender);
      if (entries.length > 0) members.heard(name);
      for (const entry of entries) exchange.view.set(name, entry, clock.now());
    }
  }

  /** The peers that the other process had announced, and whatever changed at its end. */
  #readOwn(announced: ReadonlyMap<string, number>): void {
    const { exchange, outbox, clock } = this.#options;
    const present = exchange.local?.present() ?? [];
    const nicks = new Set(present.map(({ nick }) => nick));
    for (const nick of announced.keys()) {
      if (!nicks.has(nick)) outbox.push(undefined, { type: 'leave', nick });
    }
    for (const peer of present) {
      const rank = announced.get(peer.nick);
      const entry = exchange.own.add(peer, rank ?? 0, clock.now());
      if (rank === undefined) outbox.push(undefined, { type: 'join', entry });
      exchange.view.refresh(peer.nick);
    }
    exchange.places.connected();
  }
}
