/**
 * Private messages between nodes. Each node that has a connection of the addressee gets one, and the node with the
 * first connection delivers it; another one keeps it for the death of that node.
 */
import type { LocalSide } from '../directory/neighbours.js';
import { parseRoute } from '../protocol/message.js';
import type { Copies } from './copies.js';
import type { ClusterTally } from './counters.js';
import type { KeptMessage, KeptPrivate } from './kept-private.js';
import type { OwnPeers } from './own-peers.js';
import type { ClusterRecord } from './record.js';
import type { RemoteView } from './remote-view.js';
import type { Twins } from './twins.js';

type Undelivered = Extract<ClusterRecord, { readonly type: 'undelivered' }>;

export interface PrivatesOptions {
  readonly own: OwnPeers;
  readonly view: RemoteView;
  readonly twins: Twins;
  readonly copies: Copies;
  readonly kept: KeptPrivate;
  readonly tally: ClusterTally;
  readonly local: () => LocalSide | undefined;
  /** Whether a node may speak for a peer. */
  readonly maySpeak: (node: string, nick: string) => boolean;
  readonly send: (to: string, record: ClusterRecord) => void;
}

export class Privates {
  readonly #options: PrivatesOptions;

  constructor(options: PrivatesOptions) {
    this.#options = options;
  }

  /** A private message came from a node. */
  receive(node: string, payload: string): void {
    const { tally, twins, kept, view, local, maySpeak, send } = this.#options;
    const route = parseRoute(payload);
    if (!route.ok || route.value.to === undefined) {
      tally.dropped.record++;
      return;
    }
    const { from, to } = route.value;
    if (!maySpeak(node, from)) return;
    if (!twins.receivesHere(to)) {
      kept.add(to, { from, payload, node });
      return;
    }
    if (!this.isNew(from, payload, node)) return;
    const result = local()?.deliver(from, to, payload);
    // At another node it may have arrived.
    if (result === 'delivered' || result === 'dropped' || view.presences(to).size > 0) return;
    send(node, { type: 'undelivered', from, to });
  }

  /** A node says that a private message of a peer here did not arrive. Of a peer elsewhere it cannot know that. */
  undelivered(node: string, { from, to }: Pick<Undelivered, 'from' | 'to'>): void {
    const { own, view, local } = this.#options;
    const isElsewhere = [...view.presences(to).keys()].some((name) => name !== node);
    if (!isElsewhere && !own.get(to)) local()?.undelivered(from, to);
  }

  /** What was kept for the peers of a node that is dead, by nick. */
  takeKept(node: string): ReadonlyMap<string, readonly KeptMessage[]> {
    const { kept, view } = this.#options;
    const nicks = kept.nicks().filter((nick) => view.has(node, nick));
    return new Map(nicks.map((nick) => [nick, kept.take(nick)]));
  }

  /** The node that had the first connection of these peers is dead. */
  deliverKept(kept: ReadonlyMap<string, readonly KeptMessage[]>): void {
    const { twins, local } = this.#options;
    for (const [to, messages] of kept) {
      if (!twins.receivesHere(to)) continue;
      for (const { from, payload, node } of messages) {
        if (this.isNew(from, payload, node)) local()?.deliver(from, to, payload);
      }
    }
  }

  /** Whether a private message, which each node sends that has a connection of its peer, is none of a copy. */
  isNew(nick: string, payload: string, node: string): boolean {
    const { view, own, copies, tally } = this.#options;
    const connections = view.presences(nick).size + (own.get(nick) ? 1 : 0);
    if (connections <= 1 && !copies.knows(nick)) return true;
    if (copies.take(nick, payload, node) === 'new') return true;
    tally.copies++;
    return false;
  }
}
