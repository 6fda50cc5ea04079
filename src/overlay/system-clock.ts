import { performance } from 'node:perf_hooks';
import type { Clock } from '../channel/ports.js';

/** Longest delay of a platform timer; a longer one would fire at once. */
const MAX_DELAY_MS = 2_147_483_647;

/**
 * The clock of a running program: monotonic, independent of changes of the system time. Its timers do
 * not keep the process alive.
 */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(Math.max(ms, 0), MAX_DELAY_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
