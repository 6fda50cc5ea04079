/** Keeps the event loop free: spreads expensive work over several turns. */
import type { Clock } from './clock.js';

export interface Turns {
  /** Called before each piece of work: 0 when it may run in this turn, else milliseconds to wait. */
  delayMs(): number;
}

/** Long enough for one turn of the loop. */
const PAUSE_MS = 1;

/** @param turnMs after work has taken this long, the rest waits until other work had a turn */
export function createTurns(clock: Clock, turnMs: number): Turns {
  let startedAt: number | undefined;

  return {
    delayMs() {
      const now = clock.now();
      if (startedAt === undefined) {
        startedAt = now;
        // The first timer fires when this turn is over, but perhaps together with the waiting callers,
        // who would then fill the next turn. The second fires after other work had a turn.
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
