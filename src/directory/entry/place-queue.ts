/**
 * Newcomers that wait for a place of `max_peers`, which the nodes of one directory divide. They have no handshake yet,
 * so the limit of connections without one bounds them.
 */
import type { DirectoryLimits } from '../limits.js';
import type { Neighbours, PlaceAnswer } from '../neighbours.js';
import type { Peer } from '../peer.js';
import type { Registry } from '../registry.js';
import type { NickProofs } from './nick-proofs.js';

export interface PlaceQueueOptions {
  readonly limits: DirectoryLimits;
  readonly registry: Registry;
  readonly neighbours: Neighbours | undefined;
  /** Nicks of the canary, which other nodes do not learn. */
  readonly ownNicks: ReadonlySet<string>;
  readonly admission: { join(newcomer: Peer): void };
  readonly proofs: Pick<NickProofs, 'recheck'>;
}

export class PlaceQueue {
  readonly #options: PlaceQueueOptions;
  readonly #newcomers = new Set<Peer>();

  constructor(options: PlaceQueueOptions) {
    this.#options = options;
  }

  /** Whether there is a place for a newcomer. `asked`: it may `wait`. */
  answer({ nick }: Pick<Peer, 'nick'>): PlaceAnswer {
    const { limits, registry, neighbours, ownNicks } = this.#options;
    const { maxPeers } = limits;
    if (maxPeers <= 0) return 'free';
    if (!neighbours) return registry.ready.length < maxPeers ? 'free' : 'full';
    return ownNicks.has(nick) ? 'free' : neighbours.place();
  }

  /** A newcomer in state `new` or `waiting`, or one in state `proving` that proved its key. */
  wait(newcomer: Peer): void {
    if (newcomer.state !== 'proving') newcomer.state = 'waiting';
    this.#newcomers.add(newcomer);
  }

  /** Looks at all that wait, in the order in which they came. */
  decided(): void {
    const { admission, proofs } = this.#options;
    const newcomers = [...this.#newcomers];
    this.#newcomers.clear();
    for (const newcomer of newcomers) {
      if (newcomer.state === 'waiting') admission.join(newcomer);
      else if (newcomer.state === 'proving') proofs.recheck(newcomer);
    }
  }

  newcomerGone(newcomer: Peer): void {
    this.#newcomers.delete(newcomer);
  }

  clear(): void {
    this.#newcomers.clear();
  }
}
