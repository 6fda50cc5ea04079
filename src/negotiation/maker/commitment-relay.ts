/**
 * Announces used commitments (`!hp2`), our own and those that other makers send in private
 * (docs/protocol.md, section 8.4). Each announcement needs new circuits, so they run one after the
 * other at a low rate, and each commitment is announced once, whatever the number of directories it
 * came from.
 */
import { errorText } from '../../kit/error-text.js';
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import { TokenBucket } from '../../kit/rate-limit.js';

/** The limits of a relay. */
export interface RelayLimits {
  /** Announcements per minute for other makers, and as many for ourselves; the two are independent. */
  readonly perMinute: number;
  /** Most queued announcements of either kind; further ones are dropped. */
  readonly waiting: number;
  /** Commitments remembered as announced. */
  readonly remembered: number;
}

/** The default limits. */
export const DEFAULT_RELAY_LIMITS: RelayLimits = { perMinute: 6, waiting: 20, remembered: 10_000 };

/** Options of a relay. */
export interface CommitmentRelayOptions {
  /**
   * Sends `hp2 <commitment>` to every directory under a new nick, over circuits of its own. May reject.
   */
  readonly announce: (commitment: string, signal: AbortSignal) => Promise<void>;
  /** The time of the limits. */
  readonly clock: Clock;
  /** Receives the log lines of the relay. */
  readonly log: Log;
  /** Limits that differ from `DEFAULT_RELAY_LIMITS`. */
  readonly limits?: Partial<RelayLimits>;
}

/** Announces used commitments, one at a time. */
export interface CommitmentRelay {
  /** False when it was announced before, or the limit is reached. Our own ones have priority. */
  relay(commitment: string, from: 'us' | 'others'): boolean;
  /** Number of queued announcements. */
  readonly waiting: number;
  /** Empties the queue and aborts the running announcement. */
  close(): void;
}

/** Starts a queue of announcements; `close` ends it. */
export function createCommitmentRelay(options: CommitmentRelayOptions): CommitmentRelay {
  const { announce, clock, log } = options;
  const limits = { ...DEFAULT_RELAY_LIMITS, ...options.limits };
  const bucket = () => new TokenBucket(clock, limits.perMinute / 60, limits.perMinute);
  const budgets = { us: bucket(), others: bucket() };
  const announced = new BoundedMap<string, { done: boolean }>(limits.remembered);
  // Separate queues: an announcement may take minutes, and other peers can fill their queue at any time.
  const queues: Readonly<Record<'us' | 'others', string[]>> = { us: [], others: [] };
  const next = (): string | undefined => queues.us.shift() ?? queues.others.shift();
  const abort = new AbortController();
  let working = false;

  async function work(): Promise<void> {
    working = true;
    for (let told = next(); told !== undefined; told = next()) {
      try {
        // One after the other: each needs a circuit to every directory.
        // oxlint-disable-next-line no-await-in-loop
        await announce(told, abort.signal);
      } catch (error) {
        const reason = errorText(error);
        if (!abort.signal.aborted) log.debug('a commitment was not announced', { reason });
      }
    }
    working = false;
  }

  return {
    relay(commitment, from) {
      const entry = announced.use(commitment, () => ({ done: false }));
      const queue = queues[from];
      if (abort.signal.aborted || entry.done || queue.length >= limits.waiting) return false;
      if (!budgets[from].take()) return false;
      entry.done = true;
      queue.push(commitment);
      if (!working) void work();
      return true;
    },
    get waiting() {
      return queues.us.length + queues.others.length;
    },
    close() {
      queues.us.length = 0;
      queues.others.length = 0;
      abort.abort();
    },
  };
}
