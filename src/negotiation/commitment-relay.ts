/**
 * Tells the world that a commitment is used (`!hp2`), for ourselves and for makers that asked us to in
 * private (protocol document, section 8.4). Each announcement costs fresh circuits, so they come one
 * after the other, few at a time, and each commitment once, by however many directories it came.
 */
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import { createTokenBucket } from '../channel/rate.js';
import { createRecent } from './door.js';

export interface RelayLimits {
  /** Announcements per minute for others, and for ourselves: neither takes from the other. */
  readonly perMinute: number;
  /** Announcements that wait for their turn; further ones are dropped. */
  readonly waiting: number;
  /** Commitments remembered as announced. */
  readonly remembered: number;
}

export const DEFAULT_RELAY_LIMITS: RelayLimits = { perMinute: 6, waiting: 20, remembered: 10_000 };

export interface CommitmentRelayOptions {
  /**
   * Says `hp2 <commitment>` to every directory under a name that nobody has seen, over circuits of its
   * own. May reject.
   */
  readonly announce: (commitment: string, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<RelayLimits>;
}

export interface CommitmentRelay {
  /** False when it was announced before, or is too much now. */
  relay(commitment: string, from: 'us' | 'others'): boolean;
  readonly waiting: number;
  /** Drops what waits and ends the announcement under way. */
  close(): void;
}

export function createCommitmentRelay(options: CommitmentRelayOptions): CommitmentRelay {
  const { announce, clock, log } = options;
  const limits = { ...DEFAULT_RELAY_LIMITS, ...options.limits };
  const bucket = () => createTokenBucket(clock, limits.perMinute / 60, limits.perMinute);
  const budgets = { us: bucket(), others: bucket() };
  const announced = createRecent<{ done: boolean }>(limits.remembered);
  const queue: string[] = [];
  const abort = new AbortController();
  let working = false;

  async function work(): Promise<void> {
    working = true;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      try {
        // One after the other: each takes a circuit to every directory.
        // oxlint-disable-next-line no-await-in-loop
        await announce(next, abort.signal);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (!abort.signal.aborted) log.debug('a commitment was not announced', { reason });
      }
    }
    working = false;
  }

  return {
    relay(commitment, from) {
      const entry = announced.get(commitment, () => ({ done: false }));
      if (abort.signal.aborted || entry.done || queue.length >= limits.waiting) return false;
      if (!budgets[from].take()) return false;
      entry.done = true;
      queue.push(commitment);
      if (!working) void work();
      return true;
    },
    get waiting() {
      return queue.length;
    },
    close() {
      queue.length = 0;
      abort.abort();
    },
  };
}
