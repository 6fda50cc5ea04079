/**
 * Nicks that different peers have at two nodes: after a partition, or when both came at the same moment. A
 * proven peer wins, and each node verifies the proof of the other. Otherwise the earlier one wins, by the ages that both
 * nodes state; then the node with the lower name decides, and tells the other, so that never both lose.
 */
import type { Clock } from '../kit/clock.js';
import { isSamePeer, type OwnPeer, type OwnPeers } from './own-peers.js';
import type { ProofChecks } from './proof-checks.js';
import type { ClusterRecord } from './record.js';
import type { Presence, RemoteView } from './remote-view.js';

/** Time between two decisions about one nick. */
const AGAIN_MS = 3_000;
/** Most nicks that are looked at; others are when their peers change. */
const MAX_WATCHED = 10_000;

export interface ConflictsOptions {
  readonly node: string;
  readonly clock: Clock;
  readonly own: OwnPeers;
  readonly view: RemoteView;
  readonly proofs: ProofChecks;
  /** Whether what is known of the peers of a node is what it says now. */
  readonly inSync: (node: string) => boolean;
  readonly send: (to: string, record: ClusterRecord) => void;
  /** Ends the peer here. */
  readonly giveUp: (nick: string) => void;
}

export class Conflicts {
  readonly #options: ConflictsOptions;
  /** Nicks in conflict, with the time of the last decision. */
  readonly #watched = new Map<string, number>();

  constructor(options: ConflictsOptions) {
    this.#options = options;
  }

  /** Looks at a nick now, and again until it has one peer. */
  check(nick: string): void {
    const { own, view } = this.#options;
    const peer = own.get(nick);
    const others = peer ? rivals(peer, view) : [];
    if (!peer || others.length === 0) {
      this.#watched.delete(nick);
      return;
    }
    if (!this.#watched.has(nick) && this.#watched.size >= MAX_WATCHED) return;
    const decidedAt = this.#watched.get(nick);
    const now = this.#options.clock.now();
    if (decidedAt !== undefined && now - decidedAt < AGAIN_MS) return;
    this.#watched.set(nick, now);
    for (const rival of others) if (this.#decide(peer, rival)) return;
  }

  /** A node says that our peer loses. */
  yielded(node: string, nick: string): void {
    const { own, view, giveUp } = this.#options;
    const peer = own.get(nick);
    const rival = view.presences(nick).get(node);
    if (!peer || !rival || isSamePeer(peer, rival.entry) || peer.key !== undefined) return;
    const verdict = this.#options.proofs.verdict(rival);
    if (verdict === 'wrong' || verdict === 'later') return;
    if (node < this.#options.node) giveUp(nick);
  }

  /** After a partition. */
  checkAll(): void {
    for (const { nick } of this.#options.own.values()) {
      if (this.#options.view.presences(nick).size > 0) this.check(nick);
    }
  }

  sweep(): void {
    for (const nick of this.#watched.keys()) this.check(nick);
  }

  /** True when the peer here was ended. */
  #decide(peer: OwnPeer, rival: Presence): boolean {
    const { send, giveUp, inSync, proofs } = this.#options;
    const { node, since } = rival;
    if (!inSync(node)) return false;
    const { nick } = peer;
    const verdict = proofs.verdict(rival);
    // A node that states a wrong proof gets nothing by it.
    if (verdict === 'wrong' || verdict === 'later') return false;
    if (peer.key !== undefined && verdict === 'none') return false;
    if (peer.key === undefined && verdict === 'proven') {
      giveUp(nick);
      return true;
    }
    if (this.#options.node > node) return false;
    if (since < peer.since) {
      giveUp(nick);
      return true;
    }
    send(node, { type: 'yield', nick });
    return false;
  }
}

function rivals(peer: OwnPeer, view: RemoteView): readonly Presence[] {
  return [...view.presences(peer.nick).values()].filter(({ entry }) => !isSamePeer(peer, entry));
}
