/**
 * Token buckets per source (connection, or Tor circuit if known) and kind of message (docs/protocol.md,
 * section 14). A bucket is created at the first message of its kind.
 */
import { countInWindow, refill, type Bucket, type CountWindow } from '../kit/rate-limit.js';
import type { DirectoryLimits } from './limits.js';
import type { RateClass } from './message-classes.js';

interface Meter extends Bucket {
  /** How many came in the current minute. */
  readonly minute: CountWindow;
}

export type Meters = Partial<Record<RateClass, Meter>>;

/** `over`: drop and count; `flood`: ten times over for a minute, close. */
export type RateVerdict = 'pass' | 'over' | 'flood';

const MINUTE_MS = 60_000;
const FLOOD_FACTOR = 10;
/**
 * Most pings answered and unsolicited pongs accepted, together. Deployed clients send a few a minute.
 */
const PINGS_PER_MINUTE = 60;

/** Most requests for the list of directories or a chunk of it: the longest list twice. */
const LIST_REQUESTS_PER_MINUTE = 48;

/**
 * A path through Tor may hold messages back and deliver them at once: a burst has the messages of this many
 * seconds. joinmarket-ng takes 1,000 at once, too.
 */
const PRIVMSG_BURST_SECONDS = 10;

interface Rate {
  /** Tokens added per period. */
  readonly count: number;
  readonly periodMs: number;
  /** Size of the burst; default `count`. */
  readonly burst?: number;
}

function rateOf(kind: RateClass, limits: DirectoryLimits): Rate {
  switch (kind) {
    case 'pubmsg':
      return { count: limits.pubmsgPerMinute, periodMs: MINUTE_MS };
    case 'orderbook':
      return { count: limits.orderbookPerMinute, periodMs: MINUTE_MS };
    case 'privmsg':
    // A bucket of its own: a maker that answers a flood of requests does not lose a coinjoin by it.
    case 'conversation':
      return {
        count: limits.privmsgPerSecond,
        periodMs: 1_000,
        burst: PRIVMSG_BURST_SECONDS * limits.privmsgPerSecond,
      };
    case 'getpeerlist':
      return { count: limits.getpeerlistPerMinute, periodMs: MINUTE_MS };
    case 'getdirlist':
      return { count: LIST_REQUESTS_PER_MINUTE, periodMs: MINUTE_MS };
    case 'ping':
      return { count: PINGS_PER_MINUTE, periodMs: MINUTE_MS };
    case 'junk':
      return { count: limits.junkPerMinute, periodMs: MINUTE_MS };
  }
}

/**
 * Counts one message of a kind and returns what to do with it. With a limit of 0 everything passes.
 * @param part of the rate that this source may use, above 0 and up to 1
 */
export function meter(
  source: { meters: Meters | undefined },
  kind: RateClass,
  limits: DirectoryLimits,
  now: number,
  part = 1,
): RateVerdict {
  const { count, periodMs, burst: whole = count } = rateOf(kind, limits);
  if (count === 0) return 'pass';
  // At least one message, however small the part.
  const burst = Math.max(1, whole * part);
  source.meters ??= {};
  const m = (source.meters[kind] ??= {
    tokens: burst,
    filledAt: now,
    minute: { since: now, count: 0 },
  });
  const inMinute = countInWindow(m.minute, MINUTE_MS, now);
  refill(m, (count * part * 1_000) / periodMs, burst, now);
  if (m.tokens >= 1) {
    m.tokens -= 1;
    return 'pass';
  }
  return inMinute > (FLOOD_FACTOR * count * MINUTE_MS) / periodMs ? 'flood' : 'over';
}
