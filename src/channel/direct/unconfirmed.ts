/**
 * Messages on a direct link that may still be lost. The operating system (and Tor behind it) takes
 * bytes of a dead link for a while, so where the peer answers pings, a ping behind the message proves
 * its arrival: lines are handled in order. Where it does not, the word of the operating system must do.
 */
import type { Clock } from '../ports.js';

export interface UnconfirmedOptions {
  readonly clock: Clock;
  /** Longest wait for the answer to a ping. */
  readonly waitMs: number;
  /** Characters kept; above it the oldest messages are taken as arrived. */
  readonly most: number;
  /** Sends a ping. */
  readonly ping: () => void;
  /** A ping stayed unanswered, and an earlier one did not. */
  readonly onSilence: () => void;
  /** The first ping stayed unanswered; from now on the word of the operating system must do. */
  readonly onNoPings: () => void;
}

export interface Unconfirmed {
  /** The peer advertises `ping`. */
  usePings(on: boolean): void;
  /** Notes a message that is about to be written. */
  track(payload: string): Tracked;
  /** The messages tracked so far were written. */
  written(): void;
  /** The peer answered a ping. */
  pong(): void;
  /**
   * From now on, and looking back, who answers on this link is taken for the peer. Until then even
   * an answered message counts as one that may be lost.
   */
  trust(): void;
  /** Offers each message to another way, and forgets those it took. */
  handOver(took: (payload: string) => boolean): void;
  /** Stops waiting; returns what may not have arrived, in order. */
  close(): string[];
}

interface Waiting {
  readonly payload: string;
  /** As far as pongs, or the operating system, tell. */
  arrived: boolean;
}

export interface Tracked {
  /** The operating system has it. */
  taken(): void;
  /** It was not written at all. */
  withdraw(): void;
}

export function createUnconfirmed(options: UnconfirmedOptions): Unconfirmed {
  const { clock, waitMs, most } = options;
  let messages: Waiting[] = [];
  let length = 0;
  let pings = false;
  let trusted = false;
  let answersPings = false;
  /** The last message before the ping that is under way. */
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
      // One that left the list for lack of room was followed only by later ones.
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
