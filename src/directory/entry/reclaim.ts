/**
 * A nick that is asked for by a second connection. The holder is probed; while that takes, the
 * newcomer gets no answer. A holder that proves life keeps the nick, a dead one loses it.
 *
 * A newcomer whose location was dialled and answered by this nick displaces even a living holder, if
 * that one has proved nothing (see `dial-back.ts`), unless it is in the middle of a conversation:
 * nobody loses a running coinjoin to a stranger who serves an onion under its nick.
 *
 * A peer that proved the key of its nick (see `nick-proofs.ts`) has no part in this: it gets the nick
 * at once, and loses it only when it is dead or proves the key on another connection.
 *
 * Proof of life is any line. A peer that cannot be pinged owes us no line, so for it the proof is
 * that its connection takes bytes. So it is for one whose ping waits behind other bytes: else whoever
 * fills a queue with private messages could take the nick at its end.
 */
import type { Clock } from '../../channel/ports.js';
import { sameLocation } from '../../protocol/location.js';
import { inConversation } from '../relay/conversations.js';
import type { Verdict } from './dial-back.js';
import type { DirectoryLimits } from '../limits.js';
import type { Peer } from '../peer.js';
import type { CloseReason } from '../stats.js';

/** A holder's time to prove life, at most: with a sweep's delay a dead one loses the nick in 30 s. */
const MAX_WAIT_MS = 25_000;

export interface Reclaims {
  /** A newcomer, state `new`, whose nick `holder` has. Answers it now or keeps it `waiting`. */
  claim(newcomer: Peer, holder: Peer): void;
  /** A ready peer with `claimed` set said something. */
  holderAlive(holder: Peer): void;
  /** A ready peer is about to lose its nick to one that proved its key; who waits for it is refused. */
  yield(holder: Peer): void;
  /** A ready peer with `claimed` set is gone, and out of the registry. */
  holderGone(holder: Peer): void;
  /** A dial-back is over: some peer may be verified now. */
  verdictsChanged(): void;
  /** A `waiting` newcomer is gone. */
  newcomerGone(newcomer: Peer): void;
  /** Decides what is due. */
  sweep(now: number): void;
  /** Forgets all claims, without an answer to anybody. */
  clear(): void;
  readonly pending: number;
}

export interface ReclaimsOptions {
  readonly limits: () => DirectoryLimits;
  readonly clock: Clock;
  /** Makes the newcomer ready: the nick is free. */
  readonly admit: (newcomer: Peer) => void;
  readonly refuse: (newcomer: Peer) => void;
  readonly drop: (holder: Peer, reason: CloseReason) => void;
  /** What is known of a peer's location, see `DialBack.check`; `unknown` where nobody dials back. */
  readonly check: (peer: Peer) => Verdict;
  /** Sends the holder something that a live one answers or at least takes. */
  readonly probe: (holder: Peer) => void;
  /** When the holder's connection was last seen to take bytes, see `Outboxes.movedAt`. */
  readonly movedAt: (holder: Peer) => number;
}

interface Claim {
  readonly newcomer: Peer;
  readonly holder: Peer;
  readonly deadline: number;
  readonly askedAt: number;
  /** The probe went behind bytes that were on their way already. */
  readonly behind: boolean;
  /** The holder proved life, and the newcomer may yet prove more. */
  alive: boolean;
}

export function createReclaims(options: ReclaimsOptions): Reclaims {
  const { limits, clock, admit, refuse, drop, probe, movedAt, check } = options;
  /** By nick; one claim at a time. */
  const claims = new Map<string, Claim>();

  function end(claim: Claim): void {
    claims.delete(claim.holder.nick);
    claim.holder.claimed = false;
  }

  function giveUp(claim: Claim): void {
    end(claim);
    refuse(claim.newcomer);
  }

  /** Whether the newcomer wins over a living holder; `later` while a dial decides. */
  function displaces({ newcomer, holder }: Claim): boolean | 'later' {
    const same = sameLocation(newcomer.location, holder.location);
    if (holder.verified || holder.provenKey !== undefined || same) return false;
    if (inConversation(holder, clock.now())) return false;
    const verdict = check(newcomer);
    if (verdict !== 'verified') return verdict === 'pending' && 'later';
    // The holder's own claim is looked at first.
    const holders = check(holder);
    return holders === 'pending' ? 'later' : holders !== 'verified';
  }

  /** Whether bytes moved that were on their way before the probe. */
  function isDraining({ holder, behind, askedAt }: Claim): boolean {
    return behind && movedAt(holder) > askedAt;
  }

  /** The holder lives: decides, or waits for the dial that does. */
  function decide(claim: Claim): void {
    const wins = displaces(claim);
    if (wins === 'later') claim.alive = true;
    else if (wins) drop(claim.holder, 'nick-displaced');
    else giveUp(claim);
  }

  function holderAlive(holder: Peer): void {
    const claim = claims.get(holder.nick);
    if (claim?.holder === holder && !claim.alive) decide(claim);
  }

  return {
    get pending() {
      return claims.size;
    },
    claim(newcomer, holder) {
      const earlier = claims.get(holder.nick);
      if (earlier) {
        if (check(newcomer) !== 'verified' || check(earlier.newcomer) === 'verified') {
          refuse(newcomer);
          return;
        }
        giveUp(earlier);
      }
      const wait = Math.min(limits().heartbeatPongWaitMs || MAX_WAIT_MS, MAX_WAIT_MS);
      const askedAt = clock.now();
      // Looked at now, so that later only what moves after this counts.
      const behind = holder.outbox.inFlight > 0 && movedAt(holder) <= askedAt;
      const deadline = askedAt + wait;
      const claim = { newcomer, holder, deadline, askedAt, behind, alive: false };
      claims.set(holder.nick, claim);
      newcomer.state = 'waiting';
      holder.claimed = true;
      if (displaces(claim) === true) drop(holder, 'nick-displaced');
      else probe(holder);
    },
    holderAlive,
    yield(holder) {
      const claim = claims.get(holder.nick);
      if (claim?.holder === holder) giveUp(claim);
    },
    holderGone(holder) {
      const claim = claims.get(holder.nick);
      if (claim?.holder !== holder) return;
      end(claim);
      admit(claim.newcomer);
    },
    verdictsChanged() {
      for (const claim of claims.values()) {
        if (displaces(claim) === true) drop(claim.holder, 'nick-displaced');
        else if (claim.alive) decide(claim);
      }
    },
    newcomerGone(newcomer) {
      const claim = claims.get(newcomer.nick);
      if (claim?.newcomer === newcomer) end(claim);
    },
    clear() {
      claims.clear();
    },
    sweep(now) {
      for (const claim of claims.values()) {
        const { holder, alive } = claim;
        const { inFlight, splices } = holder.outbox;
        if (alive && now >= claim.deadline) giveUp(claim);
        else if (!holder.canPing && inFlight === 0 && splices === undefined) holderAlive(holder);
        else if (alive || now < claim.deadline) continue;
        else if (isDraining(claim)) decide(claim);
        else drop(holder, 'nick-reclaimed');
      }
    },
  };
}
