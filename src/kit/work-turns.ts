/** Keeps the event loop free: expensive work is done a little at a time. */
import type { Clock } from './clock.js';

export interface Turns {
  /** Asked before each piece of work: 0 when it may be done in this turn, else milliseconds to wait. */
  delayMs(): number;
}

/** Long enough for the loop to go round. */
const PAUSE_MS = 1;

/** @param turnMs once work has taken this long, the rest waits until others had their turn */
export function createTurns(clock: Clock, turnMs: number): Turns {
  let startedAt: number | undefined;

  return {
    delayMs() {
      const now = clock.now();
      if (startedAt === undefined) {
        startedAt = now;
        // The first comes when this turn is over, however long it took; but maybe together with those
        // who wait, who would fill the very next turn. The second comes when others had theirs.
        clock.after(PAUSE_MS, () => {
          clock.after(PAUSE_MS, () => {
            startedAt = undefined;
          });
        });
      }
      return now - startedAt < turnMs ? 0 : PAUSE_MS;
    },
  };
}
