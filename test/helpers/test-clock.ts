import type { Clock } from '../../src/channel/ports.js';

/** A clock that only moves when the test says so. */
export interface TestClock extends Clock {
  /**
   * Moves time on by `ms`. Timers that become due run in the order of their due time (and of their
   * creation where equal), each seeing `now()` at its own due time; timers they set run too when due.
   */
  advance(ms: number): void;
  /** Timers that are set and have neither run nor been cancelled. */
  readonly pending: number;
}

interface Timer {
  readonly due: number;
  readonly fn: () => void;
}

/** Starts at 1,000 ms, so that code which takes 0 for "never" fails. */
export function createTestClock(): TestClock {
  let now = 1_000;
  const timers = new Set<Timer>();

  function nextDue(until: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of timers) {
      if (timer.due <= until && (next === undefined || timer.due < next.due)) next = timer;
    }
    return next;
  }

  return {
    now: () => now,
    after(ms, fn) {
      const timer = { due: now + Math.max(ms, 0), fn };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    advance(ms) {
      const until = now + ms;
      for (let timer = nextDue(until); timer !== undefined; timer = nextDue(until)) {
        timers.delete(timer);
        now = timer.due;
        timer.fn();
      }
      now = until;
    },
    get pending() {
      return timers.size;
    },
  };
}
