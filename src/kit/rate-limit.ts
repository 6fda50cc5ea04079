/** Counting in time: budgets for what peers send us and for what we send. */
import type { Clock } from './clock.js';

const MINUTE_MS = 60_000;

export interface MinuteCounter {
  /** Counts one; false when that is more than the budget of this minute. */
  take(): boolean;
}

/** A budget per minute that begins anew at the first event after the last minute has passed. */
export function createMinuteCounter(clock: Clock, budget: number): MinuteCounter {
  let startedAt: number | undefined;
  let count = 0;
  return {
    take() {
      const now = clock.now();
      if (startedAt === undefined || now - startedAt >= MINUTE_MS) {
        startedAt = now;
        count = 0;
      }
      count++;
      return count <= budget;
    },
  };
}

export interface TokenBucket {
  /** Takes one token; false when that would leave fewer than `keep` (default 0). */
  take(keep?: number): boolean;
  /**
   * Takes one token, of the future if need be: milliseconds until it is there. Who waits that long
   * gets its turn in the order of the calls.
   */
  reserve(): number;
  /** Gives one token back. */
  giveBack(): void;
  /** Milliseconds until there is a token; 0 when there is one. */
  waitMs(): number;
}

/** @param perSecond tokens that come back each second, up to `burst` */
export function createTokenBucket(clock: Clock, perSecond: number, burst: number): TokenBucket {
  let tokens = burst;
  let filledAt = clock.now();

  function refill(): void {
    const now = clock.now();
    tokens = Math.min(burst, tokens + ((now - filledAt) / 1_000) * perSecond);
    filledAt = now;
  }

  function untilMs(wanted: number): number {
    return Math.max(0, Math.ceil(((wanted - tokens) / perSecond) * 1_000));
  }

  return {
    take(keep = 0) {
      refill();
      // A wait is rounded, so a hair less than a token must do.
      if (tokens < keep + 1 - 1e-6) return false;
      tokens--;
      return true;
    },
    reserve() {
      refill();
      tokens--;
      return untilMs(0);
    },
    giveBack() {
      tokens++;
    },
    waitMs() {
      refill();
      return untilMs(1);
    },
  };
}

export interface SlidingWindow {
  /** Milliseconds until one more fits; 0 when it fits now. */
  waitMs(): number;
  /** Records one now. */
  record(): void;
}

/** At most `most` events in any `windowMs`. Remembers only those. */
export function createSlidingWindow(clock: Clock, most: number, windowMs: number): SlidingWindow {
  const times: number[] = [];
  return {
    waitMs() {
      const oldest = times.length < most ? undefined : times[0];
      return oldest === undefined ? 0 : Math.max(0, oldest + windowMs - clock.now());
    },
    record() {
      times.push(clock.now());
      if (times.length > most) times.shift();
    },
  };
}
