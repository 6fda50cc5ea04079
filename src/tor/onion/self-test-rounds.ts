/**
 * Repeats the self-test: the program dials its own onion through Tor, each time over a new circuit. Tor
 * may report that an onion is published while peers cannot reach it.
 */
import { isOurs } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { Clock, Random } from '../../channel/ports.js';
import type { SelfTest } from './self-test.js';

export interface RoundTimings {
  /**
   * From the moment at which Tor reports the onion as published to the first test; up to twice as long.
   */
  readonly firstMs: number;
  /** Interval between two tests, varied by a fifth. */
  readonly everyMs: number;
  /** Longest duration of a test. */
  readonly limitMs: number;
  /** The pause before the second attempt, which must fail too before an alarm. */
  readonly confirmMs: number;
}

/** For a maker, which peers also reach through directories: a loss is noticed within some minutes. */
export const ROUND_TIMINGS: RoundTimings = {
  firstMs: 15_000,
  everyMs: 600_000,
  limitMs: 60_000,
  confirmMs: 5_000,
};

const JITTER = 0.2;

export interface SelfTestRoundsOptions {
  readonly selfTest: SelfTest;
  readonly host: string;
  readonly timings: RoundTimings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The log lines when the onion is lost and when it is back; default those of an onion service. */
  readonly lines?: { readonly lost: string; readonly back: string };
  /** Two tests in a row failed; called again after each further round that fails. */
  readonly onUnreachable: () => void;
  /** Called with the result of each round; not for a single failure, which is tested again first. */
  readonly onVerdict?: (verdict: Verdict) => void;
}

/** `untested`: the dial failed on this machine, which says nothing about the onion. */
export type Verdict = 'reached' | 'unreachable' | 'untested';

const LINES = {
  lost: 'self-test: our onion cannot be reached, although Tor has published it',
  back: 'self-test: our onion can be reached again',
};

/** Tests, one at a time, until the returned function is called. */
export function startSelfTestRounds(options: SelfTestRoundsOptions): () => void {
  const { selfTest, host, timings, clock, random, log, lines = LINES } = options;
  const stop = new AbortController();
  let cancelNext: (() => void) | undefined;
  /** Logged once, not after each round. */
  let alarmed = false;

  async function test(): Promise<Verdict> {
    const attempt = new AbortController();
    const abort = (): void => attempt.abort();
    stop.signal.addEventListener('abort', abort, { once: true });
    const cancelLimit = clock.after(timings.limitMs, abort);
    try {
      await selfTest(host, attempt.signal);
      return 'reached';
    } catch (error) {
      return isOurs(error) ? 'untested' : 'unreachable';
    } finally {
      cancelLimit();
      stop.signal.removeEventListener('abort', abort);
    }
  }

  function conclude(verdict: Verdict): void {
    if (verdict === 'untested') {
      log.debug('self-test: not possible now');
    } else if (verdict === 'reached') {
      if (alarmed) log.info(lines.back);
      alarmed = false;
    } else {
      if (!alarmed) log.warn(lines.lost);
      alarmed = true;
      options.onUnreachable();
    }
    options.onVerdict?.(verdict);
  }

  function later(ms: number, isConfirmation: boolean): void {
    cancelNext = clock.after(ms, () => void round(isConfirmation));
  }

  async function round(isConfirmation: boolean): Promise<void> {
    const verdict = await test();
    if (stop.signal.aborted) return;
    // A single lost circuit is not an alarm.
    if (verdict === 'unreachable' && !isConfirmation && !alarmed) {
      later(timings.confirmMs, true);
      return;
    }
    conclude(verdict);
    // The callback may have ended this.
    if (!stop.signal.aborted) later(timings.everyMs * (1 - JITTER + 2 * JITTER * random()), false);
  }

  later(timings.firstMs * (1 + random()), false);
  return () => {
    cancelNext?.();
    stop.abort();
  };
}
