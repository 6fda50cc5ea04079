/**
 * Tells the world that a commitment is used (`!hp2`), for ourselves and for makers that asked us to in
 * private (docs/protocol.md, section 8.4). Each announcement costs fresh circuits, so they come one
 * after the other, few at a time, and each commitment once, by however many directories it came.
 */
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import { createTokenBucket } from '../../kit/rate-limit.js';
import { createRecent } from './request-limits.js';

export interface RelayLimits {
  /** Announcements per minute for others, and for ourselves: neither takes from the other. */
  readonly perMinute: number;
  /** Announcements of either kind that wait for their turn; further ones are dropped. */
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
  /** False when it was announced before, or is too much now. What is from us goes first. */
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
  // Each has its own: an announcement may take minutes, and strangers can always fill theirs.
  const queues: Readonly<Record<'us' | 'others', string[]>> = { us: [], others: [] };
  const next = (): string | undefined => queues.us.shift() ?? queues.others.shift();
  const abort = new AbortController();
  let working = false;

  async function work(): Promise<void> {
    working = true;
    for (let told = next(); told !== undefined; told = next()) {
      try {
        // One after the other: each takes a circuit to every directory.
        // oxlint-disable-next-line no-await-in-loop
        await announce(told, abort.signal);
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
