/**
 * Looks at intervals whether Tor still has a service of ours. A filter, a tunnel or a machine between
 * us and Tor may keep our side of the control connection open when Tor is gone or was restarted, and
 * then nothing else tells that the service is lost.
 */
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import type { Presence } from './service-presence.js';
import { TorError } from '../tor-error.js';

export interface WatchTimings {
  /** Between two questions to Tor. */
  readonly askMs: number;
  /** Longest wait for an answer; a Tor that takes longer counts as gone. */
  readonly answerMs: number;
  /** Between two questions where only that there is an answer says something: a filter refuses them. */
  readonly blindAskMs: number;
  /**
   * Least time between adding the service and adding it again where nobody tells that it is gone:
   * clients that know the descriptor from before may take minutes to find it.
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
  /** Whether the service comes back under its address when it is added again. */
  readonly canReturn: () => boolean;
  /** The service is gone, or so it must be taken. Called at most once. */
  readonly onGone: (why: string) => void;
  /** How the first question ended; called at most once. */
  readonly onFirst?: (ended: 'answered' | 'cut') => void;
}

export interface ServiceWatch {
  /** Somebody outside cannot reach the service: asks at once. */
  doubt(): void;
  /** Asks nothing more. What is asked just now tells nothing any more. */
  stop(): void;
}

/**
 * To be called when Tor has just added the service: what it answers now shows whether its answers
 * mean anything, for a filter may refuse the question or change the answer.
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

  function gone(why: string): void {
    stop();
    onGone(why);
  }

  function later(): void {
    cancelNext = clock.after(trusted === true ? timings.askMs : timings.blindAskMs, look);
  }

  function judge(presence: Presence): void {
    if (trusted === undefined) {
      options.onFirst?.('answered');
      trusted = presence === 'there';
      if (!trusted) log.debug('nobody tells whether Tor still has the onion service', { presence });
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
      // All other faults are the end of the connection, which it tells itself.
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
    doubt() {
      if (over) return;
      if (trusted !== false) look();
      else if (options.canReturn() && clock.now() - startedAt >= timings.readdMs) {
        gone('the outside cannot reach the onion, and nobody tells whether Tor still has it');
      }
    },
    stop,
  };
}
