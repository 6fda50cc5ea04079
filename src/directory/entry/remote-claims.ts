/** Newcomers that ask for nicks which other peers have at other nodes. Their nodes are asked. */
import type { ClaimAnswer, Neighbours } from '../neighbours.js';
import type { Peer } from '../peer.js';
import type { NewcomerDecisions } from './nick-claims.js';

export interface RemoteClaimsOptions {
  readonly neighbours: Neighbours | undefined;
  readonly admission: Pick<NewcomerDecisions, 'refuseNick'> & { join(newcomer: Peer): void };
}

export class RemoteClaims {
  readonly #options: RemoteClaimsOptions;
  /** By nick; each is waiting. */
  readonly #newcomers = new Map<string, Peer>();

  constructor(options: RemoteClaimsOptions) {
    this.#options = options;
  }

  get pending(): number {
    return this.#newcomers.size;
  }

  /**
   * Whether other nodes keep a newcomer without a holder here from its nick, for now or for good. It is
   * answered later, or was refused.
   */
  keeps(newcomer: Peer): boolean {
    const { neighbours, admission } = this.#options;
    const standing = neighbours?.standing(newcomer) ?? 'free';
    if (standing !== 'held' && standing !== 'refused') return false;
    if (standing === 'refused' || this.#newcomers.has(newcomer.nick)) {
      admission.refuseNick(newcomer);
      return true;
    }
    newcomer.state = 'waiting';
    this.#newcomers.set(newcomer.nick, newcomer);
    neighbours?.claim(newcomer);
    return true;
  }

  decided(nick: string, answer: ClaimAnswer): void {
    const newcomer = this.#newcomers.get(nick);
    if (!newcomer) return;
    this.#newcomers.delete(nick);
    if (answer === 'granted') this.#options.admission.join(newcomer);
    else this.#options.admission.refuseNick(newcomer);
  }

  /** A newcomer in state `waiting` has ended. */
  newcomerGone(newcomer: Peer): void {
    if (this.#newcomers.get(newcomer.nick) !== newcomer) return;
    this.#newcomers.delete(newcomer.nick);
    this.#options.neighbours?.withdraw(newcomer.nick);
  }

  /** Forgets all without an answer. */
  clear(): void {
    for (const nick of this.#newcomers.keys()) this.#options.neighbours?.withdraw(nick);
    this.#newcomers.clear();
  }
}
