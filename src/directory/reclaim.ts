/**
 * A nick that is asked for by a second connection. The holder is probed; while that takes, the
 * newcomer gets no answer. A holder that proves life keeps the nick, a dead one loses it.
 *
 * Proof of life is any line. A peer that cannot be pinged owes us no line, so for it the proof is
 * that its connection takes bytes.
 */
import type { Clock } from '../channel/ports.js';
import type { DirectoryLimits } from './limits.js';
import type { Peer } from './peer.js';
import type { CloseReason } from './stats.js';

/** A holder's time to prove life, at most: with a sweep's delay a dead one loses the nick in 30 s. */
const MAX_WAIT_MS = 25_000;

export interface Reclaims {
  /** A newcomer, state `new`, whose nick `holder` has. Answers it now or keeps it `waiting`. */
  claim(newcomer: Peer, holder: Peer): void;
  /** A ready peer with `claimed` set said something. */
  holderAlive(holder: Peer): void;
  /** A ready peer with `claimed` set is gone, and out of the registry. */
  holderGone(holder: Peer): void;
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
  /** Sends the holder something that a live one answers or at least takes. */
  readonly probe: (holder: Peer) => void;
}

interface Claim {
  readonly newcomer: Peer;
  readonly holder: Peer;
  readonly deadline: number;
}

export function createReclaims(options: ReclaimsOptions): Reclaims {
  const { limits, clock, admit, refuse, drop, probe } = options;
  /** By nick; one claim at a time. */
  const claims = new Map<string, Claim>();

  function end(claim: Claim): void {
    claims.delete(claim.holder.nick);
    claim.holder.claimed = false;
  }

  function holderAlive(holder: Peer): void {
    const claim = claims.get(holder.nick);
    if (claim?.holder !== holder) return;
    end(claim);
    refuse(claim.newcomer);
  }

  return {
    get pending() {
      return claims.size;
    },
    claim(newcomer, holder) {
      if (claims.has(holder.nick)) {
        refuse(newcomer);
        return;
      }
      const wait = Math.min(limits().heartbeatPongWaitMs || MAX_WAIT_MS, MAX_WAIT_MS);
      claims.set(holder.nick, { newcomer, holder, deadline: clock.now() + wait });
      newcomer.state = 'waiting';
      holder.claimed = true;
      probe(holder);
    },
    holderAlive,
    holderGone(holder) {
      const claim = claims.get(holder.nick);
      if (claim?.holder !== holder) return;
      end(claim);
      admit(claim.newcomer);
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
        const { holder } = claim;
        const { inFlight, splices } = holder.outbox;
        if (!holder.canPing && inFlight === 0 && splices === undefined) holderAlive(holder);
        else if (now >= claim.deadline) drop(holder, 'nick-reclaimed');
      }
    },
  };
}
