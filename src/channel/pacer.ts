/**
 * Pubmsgs to one directory, kept below the rates at which deployed directories disconnect
 * (protocol document, section 14, quirk Q15).
 */
import type { ChannelLimits } from './channel-settings.js';
import type { Clock } from './ports.js';
import { createSlidingWindow } from './rate.js';

/**
 * The directory counts arrivals in 60 s; ours may arrive closer together than they left, so fewer
 * leave in a longer time.
 */
const WINDOW_MS = 75_000;

export interface Pacer {
  /**
   * Sends now, or queues. A text equal to the last that waits, and a second `!orderbook`, are not
   * queued again. False when the queue is full or the connection did not take it.
   */
  publish(text: string): boolean;
  /** Forgets what waits. */
  close(): void;
}

export interface PacerOptions {
  readonly clock: Clock;
  readonly limits: Pick<ChannelLimits, 'pubmsgPerMinute' | 'orderbookPerMinute' | 'publishQueue'>;
  readonly send: (text: string) => boolean;
}

/** Whether a directory counts this text as a request for the orderbook. */
function asksOrderbook(text: string): boolean {
  return /^!*orderbook\b/i.test(text);
}

/** One per session: a new session starts with a clean sheet at the directory too. */
export function createPacer({ clock, limits, send }: PacerOptions): Pacer {
  const all = createSlidingWindow(clock, limits.pubmsgPerMinute, WINDOW_MS);
  const orderbook = createSlidingWindow(clock, limits.orderbookPerMinute, WINDOW_MS);
  const queue: string[] = [];
  let cancelTimer: (() => void) | undefined;

  function waitMs(text: string): number {
    return Math.max(all.waitMs(), asksOrderbook(text) ? orderbook.waitMs() : 0);
  }

  function sendNow(text: string): boolean {
    if (!send(text)) return false;
    all.record();
    if (asksOrderbook(text)) orderbook.record();
    return true;
  }

  /** Sends what may go; a waiting `!orderbook` holds up nothing but itself. */
  function drain(): void {
    cancelTimer = undefined;
    for (const text of queue.splice(0)) {
      if (waitMs(text) > 0) queue.push(text);
      else sendNow(text);
    }
    schedule();
  }

  function schedule(): void {
    cancelTimer?.();
    cancelTimer = undefined;
    if (queue.length > 0) cancelTimer = clock.after(Math.min(...queue.map(waitMs)), drain);
  }

  return {
    publish(text) {
      const overtakes = queue.some((queued) => !asksOrderbook(queued));
      if (waitMs(text) === 0 && !overtakes) return sendNow(text);
      if (queue.at(-1) === text || (asksOrderbook(text) && queue.includes(text))) return true;
      if (queue.length >= limits.publishQueue) return false;
      queue.push(text);
      schedule();
      return true;
    },
    close() {
      cancelTimer?.();
      cancelTimer = undefined;
      queue.length = 0;
    },
  };
}
