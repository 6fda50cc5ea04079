/**
 * Dials our own onion until it answers: this shows that it is reachable when Tor does not report it.
 */
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';

/** Resolves when the onion was reached through Tor; rejects otherwise. Must respect the signal. */
export type SelfTest = (host: string, signal: AbortSignal) => Promise<void>;

/** Tor needs some seconds to publish an onion. */
const FIRST_MS = 5_000;
/** Tor may wait minutes for a circuit to an old descriptor; another try is quicker. */
const TRY_MS = 40_000;
/** Growth of the pause between two tries, and the longest pause. */
const FACTOR = 1.5;
const LONGEST_MS = 60_000;

export interface SelfTestOptions {
  readonly selfTest: SelfTest;
  readonly host: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Called at most once. */
  readonly onReached: () => void;
}

/** Tries, one at a time, until one succeeds or the returned function is called. */
export function startSelfTest(options: SelfTestOptions): () => void {
  const { selfTest, host, clock, log } = options;
  const stop = new AbortController();
  let delay = FIRST_MS;
  let cancel: (() => void) | undefined;

  function later(): void {
    cancel = clock.after(delay, () => void once());
    delay = Math.min(delay * FACTOR, LONGEST_MS);
  }
  async function once(): Promise<void> {
    const tooLong = new AbortController();
    const cancelLimit = clock.after(TRY_MS, () => tooLong.abort());
    try {
      await selfTest(host, AbortSignal.any([stop.signal, tooLong.signal]));
    } catch (error) {
      if (stop.signal.aborted) return;
      const reason = errorText(error);
      log.debug('self-test: the onion cannot be reached yet', { reason });
      later();
      return;
    } finally {
      cancelLimit();
    }
    if (!stop.signal.aborted) options.onReached();
  }

  later();
  return () => {
    cancel?.();
    stop.abort();
  };
}
