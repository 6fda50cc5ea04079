/** The waits between attempts to reach a directory (protocol document, section 4.4). */
import type { Random } from './ports.js';
import type { ChannelTimings } from './channel-settings.js';

const JITTER_FROM_MS = -1_000;
const JITTER_SPAN_MS = 6_000;
const LEAST_MS = 1_000;

export interface Backoff {
  /** The next wait in milliseconds; each is longer than the one before, up to the most. */
  next(): number;
  /** A session ended that was stable: the waits begin anew. */
  reset(): void;
}

type BackoffTimings = Pick<ChannelTimings, 'backoffFirstMs' | 'backoffFactor' | 'backoffMaxMs'>;

/** 4, 6, 9, 13.5 ... 3,600 s by default, each with a jitter of -1 to +5 s, never below 1 s. */
export function createBackoff(timings: BackoffTimings, random: Random): Backoff {
  let delay = timings.backoffFirstMs;
  return {
    next() {
      const wait = delay + JITTER_FROM_MS + random() * JITTER_SPAN_MS;
      delay = Math.min(timings.backoffMaxMs, delay * timings.backoffFactor);
      return Math.round(Math.max(LEAST_MS, wait));
    },
    reset() {
      delay = timings.backoffFirstMs;
    },
  };
}
