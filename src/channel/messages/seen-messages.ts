/**
 * Recognises messages that were received before, mostly from another directory (docs/protocol.md,
 * section 6.3 and quirk Q30).
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Clock } from '../ports.js';

export type Arrival =
  /** Not received within the window. */
  | 'first'
  /** Received, and more often from this source than from any other: it was sent again. */
  | 'repeated'
  /** Received as often from another source. */
  | 'copy';

/** One payload, hashed once. */
export interface Sighting {
  /** Identifies the payload. */
  readonly key: string;
  /** Recorded within the window. */
  readonly known: boolean;
  /** Records one arrival; `source` names the directory or link. */
  arrived(source: string): Arrival;
}

export interface SeenMessages {
  /** Looks a payload up without recording it. */
  look(payload: string): Sighting;
  /**
   * Records one arrival of a payload from a directory or link. Only for payloads that have a meaning.
   */
  arrived(payload: string, source: string): Arrival;
  /** Payloads remembered. */
  readonly size: number;
}

interface Seen {
  readonly firstAt: number;
  /** Arrivals from each source. */
  readonly sources: Map<string, number>;
}

/** Payloads can have 40,000 bytes; only their hashes are kept. */
function keyOf(payload: string): string {
  return bytesToHex(sha256(utf8ToBytes(payload)));
}

/** @param windowMs counted from the first arrival; `most` payloads are remembered */
export function createSeenMessages(clock: Clock, windowMs: number, most: number): SeenMessages {
  // In the order of the first arrival, so the expired ones are at the front.
  const messages = new Map<string, Seen>();

  function forgetOld(): void {
    for (const [key, { firstAt }] of messages) {
      if (messages.size <= most && clock.now() - firstAt < windowMs) return;
      messages.delete(key);
    }
  }

  function recent(key: string): Seen | undefined {
    const seen = messages.get(key);
    return seen && clock.now() - seen.firstAt < windowMs ? seen : undefined;
  }

  function record(key: string, source: string): Arrival {
    const seen = recent(key);
    if (!seen) {
      messages.delete(key);
      messages.set(key, { firstAt: clock.now(), sources: new Map([[source, 1]]) });
      forgetOld();
      return 'first';
    }
    const heardBefore = Math.max(...seen.sources.values());
    const count = (seen.sources.get(source) ?? 0) + 1;
    seen.sources.set(source, count);
    return count > heardBefore ? 'repeated' : 'copy';
  }

  return {
    look(payload) {
      const key = keyOf(payload);
      return { key, known: recent(key) !== undefined, arrived: (source) => record(key, source) };
    },
    arrived: (payload, source) => record(keyOf(payload), source),
    get size() {
      return messages.size;
    },
  };
}
