/** Claims of newcomers here to nicks that peers of other nodes have. Their nodes are asked. */
import type { Claimant, ClaimAnswer } from '../directory/neighbours.js';
import type { Clock } from '../kit/clock.js';
import { formatLocation } from '../protocol/location.js';
import type { ClusterRecord } from './record.js';

/** A node decides within 26 s, see `nick-claims.ts`. */
const ANSWER_MS = 28_000;
/** Most claims at a time; a further one is refused. */
const MAX_CLAIMS = 1_000;

export interface ClaimsOptions {
  readonly clock: Clock;
  /** The nodes whose peers keep the claimant from its nick. */
  readonly holders: (claimant: Claimant) => readonly string[];
  readonly send: (to: string, record: ClusterRecord) => void;
  readonly decided: (nick: string, answer: ClaimAnswer) => void;
}

interface Claim {
  readonly claimant: Claimant;
  readonly asked: Set<string>;
  readonly deadline: number;
}

export class Claims {
  readonly #options: ClaimsOptions;
  readonly #claims = new Map<string, Claim>();

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  begin(claimant: Claimant): void {
    const { clock, decided } = this.#options;
    const { nick } = claimant;
    if (this.#claims.has(nick) || this.#claims.size >= MAX_CLAIMS) {
      decided(nick, 'kept');
      return;
    }
    const claim = { claimant, asked: new Set<string>(), deadline: clock.now() + ANSWER_MS };
    this.#claims.set(nick, claim);
    this.#ask(claim);
  }

  /** A peer of this nick left a node or came to one. */
  changed(nick: string): void {
    const claim = this.#claims.get(nick);
    if (claim) this.#ask(claim);
  }

  answered(node: string, nick: string, granted: boolean): void {
    const claim = this.#claims.get(nick);
    if (!claim?.asked.has(node)) return;
    if (granted) claim.asked.delete(node);
    else this.#end(claim, 'kept');
  }

  /** The newcomer has gone. */
  withdraw(nick: string): void {
    const claim = this.#claims.get(nick);
    if (!claim) return;
    this.#claims.delete(nick);
    for (const node of claim.asked) this.#options.send(node, { type: 'unclaim', nick });
  }

  /** The other nodes cannot be asked: each nick is free here. */
  grantAll(): void {
    for (const claim of this.#claims.values()) this.#end(claim, 'granted');
  }

  sweep(): void {
    const now = this.#options.clock.now();
    for (const claim of this.#claims.values()) if (now >= claim.deadline) this.#end(claim, 'kept');
  }

  #ask(claim: Claim): void {
    const { claimant, asked } = claim;
    const { nick, location, provenKey } = claimant;
    const holders = this.#options.holders(claimant);
    if (holders.length === 0) {
      this.#end(claim, 'granted');
      return;
    }
    for (const node of holders) {
      if (asked.has(node)) continue;
      asked.add(node);
      this.#options.send(node, {
        type: 'claim',
        nick,
        location: formatLocation(location),
        key: provenKey,
      });
    }
  }

  #end({ claimant, asked }: Claim, answer: ClaimAnswer): void {
    const { nick } = claimant;
    this.#claims.delete(nick);
    if (answer === 'kept') {
      for (const node of asked) this.#options.send(node, { type: 'unclaim', nick });
    }
    this.#options.decided(nick, answer);
  }
}
