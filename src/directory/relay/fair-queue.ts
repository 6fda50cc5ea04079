/**
 * Messages that wait for their turn. Every source (a peer, or a Tor circuit with all its streams)
 * has few places and is served once a round, so that many messages of one delay nobody else. Within
 * the queue verified sources come first, then old ones; each fourth turn goes the other way round,
 * so that newcomers never starve. Every operation is O(1) in the number of waiting sources.
 */
import type { Peer } from '../peer.js';

/** Ranks in order of service. */
export const RANKS = ['verified', 'settled', 'new'] as const;
export type Rank = (typeof RANKS)[number];

const UPWARDS = RANKS.toReversed();
/** Each so many turns the lowest rank comes first. */
const TURNS_PER_LOW_TURN = 4;

export interface Waiting {
  readonly peer: Peer;
  readonly frame: string;
}

/**
 * - `waiting`: took a place
 * - `replaced`: took the place of an earlier message of the same peer, which is lost
 * - `full`: found none
 */
export type PushResult = 'waiting' | 'replaced' | 'full';

export interface FairQueue {
  /** Messages that wait. */
  readonly size: number;
  push(source: object, rank: Rank, message: Waiting): PushResult;
  /** The next in turn, out of the queue. */
  shift(): Waiting | undefined;
  /** A peer is gone: so is what it had here. */
  forget(source: object, peer: Peer): void;
  /** All that waits; the messages of one peer in their order. */
  all(): readonly Waiting[];
  clear(): void;
}

export interface FairQueueOptions {
  /** Places of one source. With one place a later message replaces an earlier one. */
  readonly placesPerSource: number;
  /** Most characters that wait, all sources together. */
  readonly maxLength: number;
}

type Ring = Map<object, Waiting[]>;

export function createFairQueue({ placesPerSource, maxLength }: FairQueueOptions): FairQueue {
  const rings: Readonly<Record<Rank, Ring>> = {
    verified: new Map(),
    settled: new Map(),
    new: new Map(),
  };
  let size = 0;
  let length = 0;
  let turn = 0;

  function added({ frame }: Waiting, sign: 1 | -1): void {
    size += sign;
    length += sign * frame.length;
  }

  /** The messages of a source, and the ring it stands in. A rank may have changed since. */
  function find(source: object): readonly [Ring, Waiting[]] | undefined {
    for (const rank of RANKS) {
      const list = rings[rank].get(source);
      if (list) return [rings[rank], list];
    }
    return undefined;
  }

  function takeFrom(ring: Ring): Waiting | undefined {
    for (const [source, list] of ring) {
      // To the end of the round, unless that was all.
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
      // Never another peer's message, where several share a source.
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
