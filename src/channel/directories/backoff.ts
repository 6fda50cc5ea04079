/** The waits between attempts to reach a directory (docs/protocol.md, section 4.4). */
import type { Random } from '../ports.js';
import type { ChannelTimings } from '../channel-settings.js';

const JITTER_FROM_MS = -1_000;
const JITTER_SPAN_MS = 6_000;
const LEAST_MS = 1_000;

export interface Backoff {
  /** The next wait in milliseconds; each is longer than the one before, up to the most. */
  next(): number;
  /** Likewise, without making the one after it longer. */
  same(): number;
  /** What went wrong before says nothing any more: the waits begin anew. */
  reset(): void;
}

type BackoffTimings = Pick<ChannelTimings, 'backoffFirstMs' | 'backoffFactor' | 'backoffMaxMs'>;

/** 4, 6, 9, 13.5 ... 3,600 s by default, each with a jitter of -1 to +5 s, never below 1 s. */
export function createBackoff(timings: BackoffTimings, random: Random): Backoff {
  let delay = timings.backoffFirstMs;
  const same = (): number =>
    Math.round(Math.max(LEAST_MS, delay + JITTER_FROM_MS + random() * JITTER_SPAN_MS));
  return {
    next() {
      const wait = same();
      delay = Math.min(timings.backoffMaxMs, delay * timings.backoffFactor);
      return wait;
    },
    same,
    reset() {
      delay = timings.backoffFirstMs;
    },
  };
}
