/**
 * A fair queue of messages. Every source (a peer, or a Tor circuit with all its streams) has few places
 * and is served once per round, so that many messages of one source delay no other. Verified sources
 * come first, then old ones; each fourth turn has the reverse order, so that newcomers are served too.
 * Every operation is O(1) in the number of waiting sources.
 */
import type { Peer } from '../peer.js';

/** Ranks in the order of service. */
export const RANKS = ['verified', 'established', 'new'] as const;
export type Rank = (typeof RANKS)[number];

const UPWARDS = RANKS.toReversed();
/** In each turn with this number the lowest rank comes first. */
const TURNS_PER_LOW_TURN = 4;

export interface Waiting {
  readonly peer: Peer;
  readonly frame: string;
}

/**
 * - `waiting`: took a place
 * - `replaced`: took the place of an earlier message of the same peer, which is lost
 * - `full`: there was no place
 */
export type PushResult = 'waiting' | 'replaced' | 'full';

export interface FairQueue {
  /** Number of waiting messages. */
  readonly size: number;
  push(source: object, rank: Rank, message: Waiting): PushResult;
  /** Removes and returns the next message. */
  shift(): Waiting | undefined;
  /** Removes all messages of a peer that has left. */
  forget(source: object, peer: Peer): void;
  /** All waiting messages; those of one peer in their order. */
  all(): readonly Waiting[];
  clear(): void;
}

export interface FairQueueOptions {
  /** Places of one source. With one place, a later message replaces an earlier one. */
  readonly placesPerSource: number;
  /** Most characters that wait, for all sources together. */
  readonly maxLength: number;
}

type Ring = Map<object, Waiting[]>;

export function createFairQueue({ placesPerSource, maxLength }: FairQueueOptions): FairQueue {
  const rings: Readonly<Record<Rank, Ring>> = {
    verified: new Map(),
    established: new Map(),
    new: new Map(),
  };
  let size = 0;
  let length = 0;
  let turn = 0;

  function added({ frame }: Waiting, sign: 1 | -1): void {
    size += sign;
    length += sign * frame.length;
  }

  /** The messages of a source, and the ring it is in. Its rank may have changed since. */
  function find(source: object): readonly [Ring, Waiting[]] | undefined {
    for (const rank of RANKS) {
      const list = rings[rank].get(source);
      if (list) return [rings[rank], list];
    }
    return undefined;
  }

  function takeFrom(ring: Ring): Waiting | undefined {
    for (const [source, list] of ring) {
      // Back to the end of the round, unless it has no more messages.
      ring.delete(source);
      const message = list.shift();
      if (list.length > 0) ring.set(source, list);
      if (message) return message;
    }
    return undefined;
  }

  return {
    get size() {
      return size;
    },
    push(source, rank, message) {
      const list = find(source)?.[1];
      const first = list?.[0];
      // Never the message of another peer of the same source.
      const replaces = placesPerSource === 1 && first?.peer === message.peer ? first : undefined;
      if (message.frame.length > maxLength - length + (replaces?.frame.length ?? 0)) return 'full';
      if (list && replaces) {
        added(replaces, -1);
        added(message, 1);
        list[0] = message;
        return 'replaced';
      }
      if (list && list.length >= placesPerSource) return 'full';
      added(message, 1);
      if (list) list.push(message);
      else rings[rank].set(source, [message]);
      return 'waiting';
    },
    shift() {
      if (size === 0) return undefined;
      turn = (turn + 1) % TURNS_PER_LOW_TURN;
      for (const rank of turn === 0 ? UPWARDS : RANKS) {
        const message = takeFrom(rings[rank]);
        if (!message) continue;
        added(message, -1);
        return message;
      }
      return undefined;
    },
    forget(source, peer) {
      const found = find(source);
      if (!found) return;
      const [ring, list] = found;
      const kept = list.filter((message) => message.peer !== peer);
      for (const message of list) if (message.peer === peer) added(message, -1);
      if (kept.length === 0) ring.delete(source);
      else list.splice(0, list.length, ...kept);
    },
    all: () => RANKS.flatMap((rank) => [...rings[rank].values()].flat()),
    clear() {
      for (const rank of RANKS) rings[rank].clear();
      size = 0;
      length = 0;
    },
  };
}
