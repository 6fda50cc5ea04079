/**
 * Checks at intervals whether Tor still has our service. A filter, a tunnel or a machine between us and
 * Tor may keep our side of the control connection open when Tor has stopped or restarted, and then
 * nothing else shows the loss.
 */
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import type { Presence } from './service-presence.js';
import { TorError } from '../tor-error.js';

export interface WatchTimings {
  /** Interval between two requests to Tor. */
  readonly askMs: number;
  /** Longest wait for an answer; without one the service counts as lost. */
  readonly answerMs: number;
  /**
   * Interval when only the existence of an answer has a meaning, because a filter refuses the command.
   */
  readonly blindAskMs: number;
  /**
   * Least time between two additions of the service when a loss cannot be seen: clients with the old
   * descriptor may need minutes to find the new one.
   */
  readonly readdMs: number;
}

export const WATCH_TIMINGS: WatchTimings = {
  askMs: 30_000,
  answerMs: 30_000,
  blindAskMs: 300_000,
  readdMs: 900_000,
};

export interface ServiceWatchOptions {
  readonly ask: (options: { readonly timeoutMs: number }) => Promise<Presence>;
  readonly timings: WatchTimings;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the service gets the same address when it is added again. */
  readonly canReturn: () => boolean;
  /** The service is lost, or counts as lost. Called at most once. */
  readonly onGone: (reason: string) => void;
  /** The result of the first request; called at most once. */
  readonly onFirst?: (ended: 'answered' | 'cut') => void;
}

export interface ServiceWatch {
  /** The service was found unreachable from outside: asks at once. */
  reportUnreachable(): void;
  /** Stops asking. The result of a running request is ignored. */
  stop(): void;
}

/**
 * Called when Tor has just added the service: its answer now shows whether answers can be trusted,
 * because a filter may refuse the command or change the answer.
 */
export function watchService(options: ServiceWatchOptions): ServiceWatch {
  const { ask, timings, clock, log, onGone } = options;
  const startedAt = clock.now();
  let trusted: boolean | undefined;
  let asking = false;
  let over = false;
  let cancelNext: (() => void) | undefined;

  function stop(): void {
    over = true;
    cancelNext?.();
  }

  function gone(reason: string): void {
    stop();
    onGone(reason);
  }

  function later(): void {
    cancelNext = clock.after(trusted === true ? timings.askMs : timings.blindAskMs, look);
  }

  function judge(presence: Presence): void {
    if (trusted === undefined) {
      options.onFirst?.('answered');
      trusted = presence === 'there';
      if (!trusted)
        log.debug('it is unknown whether Tor still has the onion service', { presence });
    } else if (trusted && presence === 'gone') {
      gone('Tor does not have the onion service any more');
    }
  }

  async function question(): Promise<void> {
    asking = true;
    try {
      const presence = await ask({ timeoutMs: timings.answerMs });
      if (!over) judge(presence);
    } catch (error) {
      // All other faults end the connection, which reports them itself.
      const isSilent = error instanceof TorError && error.code === 'timeout';
      if (isSilent && !over) gone('Tor does not answer on the control connection');
      else {
        if (trusted === undefined && !over) options.onFirst?.('cut');
        stop();
      }
    }
    asking = false;
    if (!over) later();
  }

  function look(): void {
    if (over || asking) return;
    cancelNext?.();
    void question();
  }

  look();
  return {
    reportUnreachable() {
      if (over) return;
      if (trusted !== false) look();
      else if (options.canReturn() && clock.now() - startedAt >= timings.readdMs) {
        gone(
          'the onion cannot be reached from outside, and it is unknown whether Tor still has it',
        );
      }
    },
    stop,
  };
}
