/**
 * Says the words of running negotiations, and says them once more when they may have been lost: no
 * way to the nick yet, the directory that carried them died, or the peer left and came back. Receivers
 * drop copies, and both machines take the same words twice without harm.
 */
import type { OnionMessageChannel, MessageChannelEvents, Route } from '../channel/channel-api.js';
import { ChannelError } from '../channel/channel-error.js';
import type { Clock } from '../channel/ports.js';
import type { CommandName } from '../protocol/commands.js';
import { sameLocation } from '../protocol/location.js';

/** What a negotiation needs of the message channel. */
export type NegotiationChannel = Pick<OnionMessageChannel, 'on' | 'off' | 'send'>;

/** Between two attempts to say what could not be said. */
const RETRY_MS = 2_000;

interface Words {
  readonly command: CommandName;
  readonly args: string;
  route: Route | undefined;
}

export interface Courier {
  /** The words of a new step; those of the step before need not arrive any more. */
  say(
    nick: string,
    words: readonly { readonly command: CommandName; readonly args: string }[],
  ): void;
  /** Said once, whether it arrives or not. */
  mention(nick: string, command: CommandName, args: string): void;
  /** Nothing more is said to this nick. */
  forget(nick: string): void;
  /** Nicks that something is still to be said to, or may be. */
  readonly open: number;
  close(): void;
}

export function createCourier(channel: NegotiationChannel, clock: Clock): Courier {
  const flights = new Map<string, Words[]>();
  let cancelRetry: (() => void) | undefined;

  function send(nick: string, command: CommandName, args: string): Route | undefined {
    try {
      const result = channel.send(nick, command, args);
      return result.sent ? result.route : undefined;
    } catch (error) {
      // A name that cannot be addressed, or too long for one line: nobody gets it.
      if (error instanceof ChannelError) return undefined;
      throw error;
    }
  }

  function trySend(nick: string, flight: readonly Words[]): void {
    for (const words of flight) words.route ??= send(nick, words.command, words.args);
  }

  function retrySoon(): void {
    cancelRetry ??= clock.after(RETRY_MS, () => {
      cancelRetry = undefined;
      retryAll();
    });
  }

  function retryAll(): void {
    for (const [nick, flight] of flights) trySend(nick, flight);
    const unsaid = [...flights.values()].some((flight) =>
      flight.some(({ route }) => route === undefined),
    );
    if (unsaid) retrySoon();
  }

  function doubt(nick: string, isLost: (route: Route) => boolean): void {
    const flight = flights.get(nick);
    if (flight === undefined) return;
    for (const words of flight) {
      if (words.route !== undefined && isLost(words.route)) words.route = undefined;
    }
    if (flight.some(({ route }) => route === undefined)) retrySoon();
  }

  const onGone: MessageChannelEvents['peer-gone'] = (nick) => doubt(nick, () => true);
  const onDown: MessageChannelEvents['directory-down'] = ({ location }) => {
    for (const nick of flights.keys()) {
      doubt(nick, (route) => route.kind === 'directory' && sameLocation(route.location, location));
    }
  };
  channel.on('peer-gone', onGone);
  channel.on('directory-down', onDown);

  return {
    say(nick, words) {
      const flight = words.map(({ command, args }) => ({ command, args, route: undefined }));
      flights.set(nick, flight);
      trySend(nick, flight);
      if (flight.some(({ route }) => route === undefined)) retrySoon();
    },
    mention: (nick, command, args) => void send(nick, command, args),
    forget(nick) {
      flights.delete(nick);
      if (flights.size > 0) return;
      cancelRetry?.();
      cancelRetry = undefined;
    },
    get open() {
      return flights.size;
    },
    close() {
      channel.off('peer-gone', onGone);
      channel.off('directory-down', onDown);
      flights.clear();
      cancelRetry?.();
      cancelRetry = undefined;
    },
  };
}
