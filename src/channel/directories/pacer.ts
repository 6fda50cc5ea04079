/**
 * Sends public messages to one directory below the rates at which deployed directories disconnect
 * (docs/protocol.md, section 14, quirk Q15).
 */
import type { ChannelLimits, ChannelTimings } from '../channel-settings.js';
import type { Clock } from '../ports.js';
import { SlidingWindow } from '../../kit/rate-limit.js';

/**
 * The directory counts arrivals in 60 s. Messages may arrive closer together than they were sent, so
 * fewer are sent in a longer time.
 */
const WINDOW_MS = 75_000;

export interface Pacer {
  /** A session began: the directory counts from zero, and the queue continues. */
  begin(): void;
  /**
   * Sends now, or queues. A text equal to the last queued one, and a second `!orderbook`, are not
   * queued again. False without a session, when the queue is full, or when the connection did not take
   * it.
   */
  publish(text: string): boolean;
  /** The session ended. The queue is kept for the next one, unless that begins too late. */
  pause(): void;
  /** Empties the queue. */
  close(): void;
}

export interface PacerOptions {
  readonly clock: Clock;
  readonly limits: Pick<ChannelLimits, 'pubmsgPerMinute' | 'orderbookPerMinute' | 'publishQueue'>;
  readonly timings: Pick<ChannelTimings, 'publishKeepMs' | 'orderbookKeepMs'>;
  readonly send: (text: string) => boolean;
}

/** Whether a directory counts this text as a request for the orderbook. */
function asksOrderbook(text: string): boolean {
  return /^!*orderbook\b/i.test(text);
}

/** One per directory; it outlives sessions. */
export function createPacer({ clock, limits, timings, send }: PacerOptions): Pacer {
  const newWindow = (most: number): SlidingWindow => new SlidingWindow(clock, most, WINDOW_MS);
  let all = newWindow(limits.pubmsgPerMinute);
  let orderbook = newWindow(limits.orderbookPerMinute);
  let queue: string[] = [];
  let running = false;
  let pausedAt = clock.now();
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

  /** Sends what the rates allow; a queued `!orderbook` delays only itself. */
  function drain(): void {
    cancelTimer = undefined;
    for (const text of queue.splice(0)) {
      if (!running || waitMs(text) > 0) queue.push(text);
      else if (!sendNow(text)) {
        // The connection has ended, and its end is about to be reported.
        running = false;
        pausedAt = clock.now();
        queue.push(text);
      }
    }
    schedule();
  }

  function schedule(): void {
    cancelTimer?.();
    cancelTimer = undefined;
    if (running && queue.length > 0)
      cancelTimer = clock.after(Math.min(...queue.map(waitMs)), drain);
  }

  function keepMs(text: string): number {
    return asksOrderbook(text) ? timings.orderbookKeepMs : timings.publishKeepMs;
  }

  function stop(): void {
    if (running) pausedAt = clock.now();
    running = false;
    cancelTimer?.();
    cancelTimer = undefined;
  }

  return {
    begin() {
      const awayMs = clock.now() - pausedAt;
      queue = queue.filter((text) => awayMs <= keepMs(text));
      all = newWindow(limits.pubmsgPerMinute);
      orderbook = newWindow(limits.orderbookPerMinute);
      running = true;
      drain();
    },
    publish(text) {
      if (!running) return false;
      const overtakes = queue.some((queued) => !asksOrderbook(queued));
      if (waitMs(text) === 0 && !overtakes) return sendNow(text);
      if (queue.at(-1) === text || (asksOrderbook(text) && queue.includes(text))) return true;
      if (queue.length >= limits.publishQueue) return false;
      queue.push(text);
      schedule();
      return true;
    },
    pause: stop,
    close() {
      stop();
      queue = [];
    },
  };
}
