/** Rate limits for what peers send and for what this program sends. */
import type { Clock } from './clock.js';

const MINUTE_MS = 60_000;

export interface MinuteCounter {
  /** Counts one event; false when this minute's budget is used up. */
  take(): boolean;
}

/** A budget per minute. A new minute begins with the first event after the last one has passed. */
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
  /** Takes one token; false when fewer than `keep` (default 0) would be left. */
  take(keep?: number): boolean;
  /**
   * Takes one token, even one that does not exist yet, and returns the milliseconds until it exists.
   * Callers that wait that long proceed in the order of their calls.
   */
  reserve(): number;
  /** Gives one token back. */
  giveBack(): void;
  /** Milliseconds until a token is available; 0 when one is. */
  waitMs(): number;
}

/** @param perSecond tokens added each second, up to `burst` */
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
      // A wait is rounded to milliseconds, so slightly less than one token is enough.
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
  /** Milliseconds until one more event fits; 0 when it fits now. */
  waitMs(): number;
  /** Records one event now. */
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
