/** The waits between attempts to reach a directory (docs/protocol.md, section 4.4). */
import type { Random } from '../ports.js';
import type { ChannelTimings } from '../channel-settings.js';

const JITTER_FROM_MS = -1_000;
const JITTER_SPAN_MS = 6_000;
const LEAST_MS = 1_000;

export interface Backoff {
  /** The next wait in milliseconds, longer than the one before, up to the maximum. */
  next(): number;
  /** The next wait without making later ones longer. */
  same(): number;
  /** Earlier failures no longer matter: starts with the first wait again. */
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
