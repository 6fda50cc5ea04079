/**
 * Nick claims: a second connection asks for a nick that has a holder. The holder is pinged; meanwhile
 * the newcomer gets no answer. A holder that shows life keeps the nick, a dead one loses it.
 *
 * A newcomer whose location was dialled and answered with this nick displaces even a living holder
 * without such a verdict (see `dial-back.ts`), unless the holder is in the middle of a conversation: no
 * coinjoin may fail because another peer serves an onion under the same nick.
 *
 * A peer that proved the key of its nick (see `nick-proofs.ts`) makes no claim: it gets the nick at
 * once, and loses it only when it is dead or proves the key on another connection.
 *
 * Any line shows life. A peer that cannot be pinged need not send one, so for it the sign is that its
 * connection takes bytes. The same holds when the ping waits behind other bytes; otherwise a peer that
 * fills a queue with private messages could take the nick of its owner.
 */
import type { Clock } from '../../channel/ports.js';
import { sameLocation } from '../../protocol/location.js';
import { inConversation } from '../relay/conversations.js';
import type { DialBack, Verdict } from './dial-back.js';
import type { Fanout } from '../fanout/fanout.js';
import type { DirectoryLimits } from '../limits.js';
import type { Liveness } from './liveness.js';
import type { Claimant, ClaimAnswer, Neighbours } from '../neighbours.js';
import type { Peer } from '../peer.js';
import type { CloseReason } from '../stats.js';

/**
 * Longest time for a holder to show life: with the delay of a sweep a dead one loses the nick in 30 s.
 */
const MAX_WAIT_MS = 25_000;

/** Admission's decisions about a newcomer. */
export interface NewcomerDecisions {
  /** Makes it ready: the nick is free. */
  admit(newcomer: Peer): void;
  refuseNick(newcomer: Peer): void;
}

export interface NickClaimsOptions {
  readonly limits: DirectoryLimits;
  readonly clock: Clock;
  readonly fanout: Fanout;
  readonly admission: NewcomerDecisions;
  readonly liveness: Liveness;
  /** Absent when locations are not dialled. */
  readonly dialBack: DialBack | undefined;
  readonly neighbours: Neighbours | undefined;
  drop(holder: Peer, reason: CloseReason): void;
}

/** A newcomer, here or at another node. */
interface Newcomer {
  readonly claimant: Pick<Claimant, 'nick' | 'location'>;
  /** The record of the one here, or the name of the node of the other. */
  readonly from: Peer | string;
  /** Its nick is free now, or stays with its holder. */
  answer(answer: ClaimAnswer): void;
}

interface Claim {
  readonly newcomer: Newcomer;
  readonly holder: Peer;
  readonly deadline: number;
  readonly askedAt: number;
  /** The ping was queued behind bytes that were being written already. */
  readonly behind: boolean;
  /** The holder showed life, and a dial of the newcomer's location is still pending. */
  alive: boolean;
}

export class NickClaims {
  readonly #options: NickClaimsOptions;
  /** By nick; one claim at a time. */
  readonly #claims = new Map<string, Claim>();

  constructor(options: NickClaimsOptions) {
    this.#options = options;
  }

  get pending(): number {
    return this.#claims.size;
  }

  /** A newcomer in state `new` asks for the nick of `holder`. Answers it now or keeps it `waiting`. */
  claim(newcomer: Peer, holder: Peer): void {
    const { admission } = this.#options;
    newcomer.state = 'waiting';
    this.#begin(
      {
        claimant: newcomer,
        from: newcomer,
        answer(answer) {
          if (answer === 'granted') admission.admit(newcomer);
          else admission.refuseNick(newcomer);
        },
      },
      holder,
    );
  }

  /** A newcomer of another node asks for it; answered through `Neighbours.answer`. */
  claimFrom(node: string, claimant: Claimant, holder: Peer): void {
    const { neighbours } = this.#options;
    const answer = (result: ClaimAnswer): void => neighbours?.answer(node, claimant.nick, result);
    this.#begin({ claimant, from: node, answer }, holder);
  }

  /** A ready peer with `claimed` set sent a line. */
  holderAlive(holder: Peer): void {
    const claim = this.#claims.get(holder.nick);
    if (claim?.holder === holder && !claim.alive) this.#decide(claim);
  }

  /** A ready peer is about to lose its nick to one that proved its key; the newcomer is refused. */
  yield(holder: Peer): void {
    const claim = this.#claims.get(holder.nick);
    if (claim?.holder === holder) this.#giveUp(claim);
  }

  /** A ready peer with `claimed` set has ended and left the registry. */
  holderGone(holder: Peer): void {
    const claim = this.#claims.get(holder.nick);
    if (claim?.holder !== holder) return;
    this.#end(claim);
    claim.newcomer.answer('granted');
  }

  /** A dial-back has ended: a peer may be verified now. */
  verdictsChanged(): void {
    for (const claim of this.#claims.values()) {
      if (this.#displaces(claim) === true) this.#options.drop(claim.holder, 'nick-displaced');
      else if (claim.alive) this.#decide(claim);
    }
  }

  /** A newcomer in state `waiting` has ended. */
  newcomerGone(newcomer: Peer): void {
    this.#withdraw(newcomer.nick, newcomer);
  }

  /** A newcomer of another node has ended. */
  unclaimed(node: string, nick: string): void {
    this.#withdraw(nick, node);
  }

  /** Removes all claims without an answer. */
  clear(): void {
    this.#claims.clear();
  }

  /** Decides the claims that are due. */
  sweep(now: number): void {
    for (const claim of this.#claims.values()) {
      const { holder, alive } = claim;
      const { inFlight, splices } = holder.outbox;
      if (alive && now >= claim.deadline) this.#giveUp(claim);
      else if (!holder.canPing && inFlight === 0 && splices === undefined) this.holderAlive(holder);
      else if (alive || now < claim.deadline) continue;
      else if (this.#isDraining(claim)) this.#decide(claim);
      else this.#options.drop(holder, 'nick-reclaimed');
    }
  }

  #begin(newcomer: Newcomer, holder: Peer): void {
    const { limits, clock, liveness } = this.#options;
    const earlier = this.#claims.get(holder.nick);
    if (earlier) {
      if (
        this.#check(newcomer.claimant) !== 'verified' ||
        this.#check(earlier.newcomer.claimant) === 'verified'
      ) {
        newcomer.answer('kept');
        return;
      }
      this.#giveUp(earlier);
    }
    const wait = Math.min(limits.heartbeatPongWaitMs || MAX_WAIT_MS, MAX_WAIT_MS);
    const askedAt = clock.now();
    // Read now, so that later only bytes that move after this count.
    const behind = holder.outbox.inFlight > 0 && this.#movedAt(holder) <= askedAt;
    const deadline = askedAt + wait;
    const claim = { newcomer, holder, deadline, askedAt, behind, alive: false };
    this.#claims.set(holder.nick, claim);
    holder.claimed = true;
    if (this.#displaces(claim) === true) this.#options.drop(holder, 'nick-displaced');
    else liveness.probe(holder);
  }

  #end(claim: Claim): void {
    this.#claims.delete(claim.holder.nick);
    claim.holder.claimed = false;
  }

  #giveUp(claim: Claim): void {
    this.#end(claim);
    claim.newcomer.answer('kept');
  }

  #withdraw(nick: string, from: Newcomer['from']): void {
    const claim = this.#claims.get(nick);
    if (claim?.newcomer.from === from) this.#end(claim);
  }

  /** The verdict on a peer's location. */
  #check(peer: Pick<Peer, 'nick' | 'location'>): Verdict {
    return this.#options.dialBack?.check(peer, true) ?? 'unknown';
  }

  /** When the holder's connection was last seen to take bytes. */
  #movedAt(holder: Peer): number {
    const { fanout, clock } = this.#options;
    return fanout.outboxes.movedAt(holder.outbox, clock.now());
  }

  /** Whether the newcomer wins over a living holder; `later` while a dial is pending. */
  #displaces({ newcomer, holder }: Claim): boolean | 'later' {
    const same = sameLocation(newcomer.claimant.location, holder.location);
    if (holder.verified || holder.provenKey !== undefined || same) return false;
    if (inConversation(holder, this.#options.clock.now())) return false;
    const verdict = this.#check(newcomer.claimant);
    if (verdict !== 'verified') return verdict === 'pending' && 'later';
    // The holder's own location is dialled first.
    const holders = this.#check(holder);
    return holders === 'pending' ? 'later' : holders !== 'verified';
  }

  /** Whether bytes moved that were queued before the ping. */
  #isDraining({ holder, behind, askedAt }: Claim): boolean {
    return behind && this.#movedAt(holder) > askedAt;
  }

  /** The holder lives: decides, or waits for the pending dial. */
  #decide(claim: Claim): void {
    const wins = this.#displaces(claim);
    if (wins === 'later') claim.alive = true;
    else if (wins) this.#options.drop(claim.holder, 'nick-displaced');
    else this.#giveUp(claim);
  }
}
