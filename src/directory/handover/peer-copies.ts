/**
 * Copies of ready peers for another process, made while this directory still serves. When it stops,
 * only the peers that have changed since must be written again.
 */
import type { Peer } from '../peer.js';
import type { PeerSnapshot, WaitingSnapshot } from '../snapshot.js';
import { snapshotPeer } from './peer-state.js';

const NOTHING = new Uint8Array(0);

/** The fields of a record that change, as they were when it was copied. */
type Mark = Pick<
  Peer,
  'heardAt' | 'pingedAt' | 'probedAt' | 'verified' | 'provenKey' | 'meters'
> & {
  readonly addressed: number;
  readonly mutual: number;
};

function markOf(peer: Peer): Mark {
  const { heardAt, pingedAt, probedAt, verified, provenKey, meters, partners } = peer;
  const addressed = partners?.addressed.size ?? 0;
  const mutual = partners?.mutual.size ?? 0;
  return { heardAt, pingedAt, probedAt, verified, provenKey, meters, addressed, mutual };
}

/**
 * Compares marks instead of records, because thousands are compared while peers wait. Each line of a peer
 * changes `heardAt`. Full meters are freed after a while. A message of another peer can make a
 * conversation mutual.
 */
export class PeerCopies {
  readonly #marks = new Map<Peer, Mark>();

  /** Copies a ready peer, without queued bytes and waiting messages. */
  take(peer: Peer, now: number): PeerSnapshot {
    this.#marks.set(peer, markOf(peer));
    return snapshotPeer(peer, NOTHING, [], now);
  }

  /** Whether the copy of a peer is all that the other process needs. */
  isCurrent(peer: Peer, owed: Uint8Array, waits: readonly WaitingSnapshot[]): boolean {
    const mark = this.#marks.get(peer);
    if (mark === undefined || peer.state !== 'ready') return false;
    if (owed.length + waits.length + peer.framer.pendingBytes > 0) return false;
    return (
      mark.heardAt === peer.heardAt &&
      mark.pingedAt === peer.pingedAt &&
      mark.probedAt === peer.probedAt &&
      mark.verified === peer.verified &&
      mark.provenKey === peer.provenKey &&
      mark.meters === peer.meters &&
      mark.addressed === (peer.partners?.addressed.size ?? 0) &&
      mark.mutual === (peer.partners?.mutual.size ?? 0)
    );
  }
}
