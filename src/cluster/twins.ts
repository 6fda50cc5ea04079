/**
 * Peers that are connected to several nodes: which of the connections with one nick speaks in public, and which
 * receive private messages. Pure.
 */
import type { Members } from './members.js';
import type { OwnPeers } from './own-peers.js';
import type { ProofChecks } from './proof-checks.js';
import { isBefore, type Presence, type RemoteView } from './remote-view.js';

export interface TwinsOptions {
  readonly node: string;
  readonly own: OwnPeers;
  readonly view: RemoteView;
  readonly proofs: ProofChecks;
  readonly members: Pick<Members, 'connected'>;
}

export class Twins {
  readonly #options: TwinsOptions;

  constructor(options: TwinsOptions) {
    this.#options = options;
  }

  /** Whether this node relays what a peer here says in public. */
  isSpeaker(nick: string): boolean {
    const { own, view, node, members } = this.#options;
    const entry = own.get(nick);
    if (!entry || !members.connected) return true;
    const here = { node, entry };
    return [...view.presences(nick).values()].every(
      (other) => isBefore(here, other) || !this.maySpeak(other),
    );
  }

  /** A peer that proved its key is not spoken for by a node that has no proof of it. */
  maySpeak(presence: Presence): boolean {
    const { own, view, proofs } = this.#options;
    const { nick } = presence.entry;
    const present = view.presences(nick);
    const here = own.get(nick);
    if (!here && present.size <= 1) return true;
    // Not yet verified is not proven: a node that announces many proofs gains nothing.
    if (proofs.verdict(presence) === 'proven') return true;
    return here?.key === undefined && !this.#isProvenElsewhere(nick);
  }

  /**
   * Whether private messages to a peer go to its connection here: it proved the key of its nick, or it is the first
   * of the connections with this nick, none of which did. So a stranger that declares what a peer declares gets no
   * messages of that peer.
   */
  receivesHere(nick: string): boolean {
    const { own, members } = this.#options;
    const here = own.get(nick);
    if (!here || here.key !== undefined || !members.connected) return true;
    return !this.#isProvenElsewhere(nick) && this.isSpeaker(nick);
  }

  #isProvenElsewhere(nick: string): boolean {
    const { view, proofs } = this.#options;
    return [...view.presences(nick).values()].some(
      (presence) => proofs.verdict(presence) === 'proven',
    );
  }
}
