/**
 * Messages on a direct link that may still be lost. The operating system and Tor take bytes of a dead
 * link for a while. So where the peer answers pings, a ping after the message confirms its arrival,
 * because lines are handled in order. Elsewhere a message counts as arrived when the operating system
 * has taken it.
 */
import type { Clock } from '../ports.js';

export interface UnconfirmedMessagesOptions {
  readonly clock: Clock;
  /** Longest wait for a pong. */
  readonly waitMs: number;
  /** Most characters kept; above it the oldest messages count as arrived. */
  readonly most: number;
  /** Sends a ping. */
  readonly ping: () => void;
  /** A ping stayed unanswered after an earlier one was answered. */
  readonly onSilence: () => void;
  /** The first ping stayed unanswered; from now on the operating system decides. */
  readonly onNoPings: () => void;
}

export interface UnconfirmedMessages {
  /** The peer lists `ping`. */
  usePings(on: boolean): void;
  /** Adds a message that is about to be written. */
  track(payload: string): Tracked;
  /** The messages added so far were written. */
  written(): void;
  /** The peer sent a pong. */
  pong(): void;
  /**
   * The end of this link counts as the peer from now on, also for earlier pongs. Before that, even a
   * confirmed message may be lost.
   */
  trust(): void;
  /** Offers each message to another route, and removes those that it took. */
  handOver(took: (payload: string) => boolean): void;
  /** Stops waiting; returns the messages that may not have arrived, in order. */
  close(): string[];
}

interface Waiting {
  readonly payload: string;
  /** According to pongs or the operating system. */
  arrived: boolean;
}

export interface Tracked {
  /** The operating system has taken it. */
  taken(): void;
  /** It was not written at all. */
  withdraw(): void;
}

export function createUnconfirmedMessages(
  options: UnconfirmedMessagesOptions,
): UnconfirmedMessages {
  const { clock, waitMs, most } = options;
  let messages: Waiting[] = [];
  let length = 0;
  let pings = false;
  let trusted = false;
  let answersPings = false;
  /** The last message before the open ping. */
  let covered: Waiting | undefined;
  let cancelWait: (() => void) | undefined;

  function forget(message: Waiting): void {
    const index = messages.indexOf(message);
    if (index === -1) return;
    messages.splice(index, 1);
    length -= message.payload.length;
  }

  function arrived(message: Waiting): void {
    message.arrived = true;
    if (trusted) forget(message);
  }

  function trust(): void {
    trusted = true;
    for (const message of messages.filter((each) => each.arrived)) forget(message);
  }

  function askIfNeeded(): void {
    if (!pings || cancelWait) return;
    covered = messages.findLast((message) => !message.arrived);
    if (!covered) return;
    cancelWait = clock.after(waitMs, silence);
    options.ping();
  }

  function silence(): void {
    if (answersPings) return options.onSilence();
    cancelWait = undefined;
    pings = false;
    options.onNoPings();
    for (const message of messages.slice()) arrived(message);
  }

  return {
    usePings(on) {
      pings = on;
    },
    track(payload) {
      const message: Waiting = { payload, arrived: false };
      messages.push(message);
      length += payload.length;
      while (length > most && messages[0]) forget(messages[0]);
      return {
        taken() {
          if (!pings) arrived(message);
        },
        withdraw: () => forget(message),
      };
    },
    written: askIfNeeded,
    pong() {
      if (!cancelWait) return;
      cancelWait();
      cancelWait = undefined;
      answersPings = true;
      // A message that was removed for lack of room was followed only by later ones.
      const last = covered ? messages.indexOf(covered) : -1;
      for (const message of messages.slice(0, last + 1)) arrived(message);
      askIfNeeded();
    },
    trust,
    handOver(took) {
      for (const message of messages.slice()) if (took(message.payload)) forget(message);
    },
    close() {
      cancelWait?.();
      const unsent = messages.map(({ payload }) => payload);
      messages = [];
      return unsent;
    },
  };
}
