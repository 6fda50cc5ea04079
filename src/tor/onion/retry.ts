/** The waits between two attempts to restore an onion service. */
import type { Random } from '../../channel/ports.js';

const FIRST_RETRY_MS = 500;
const RETRY_FACTOR = 1.5;
const LAST_RETRY_MS = 15_000;

/** 0.5 s, growing by half up to 15 s; the wait is a random part of that between half and all. */
export function retryDelays(random: Random): { next(): number; reset(): void } {
  let delay = FIRST_RETRY_MS;
  return {
    next() {
      const ms = delay * (0.5 + random() / 2);
      delay = Math.min(delay * RETRY_FACTOR, LAST_RETRY_MS);
      return ms;
    },
    reset() {
      delay = FIRST_RETRY_MS;
    },
  };
}
