/**
 * Says the words of running negotiations, and says them once more when they may have been lost: no
 * way to the nick yet, the directory that carried them died, or the peer left and came back. Receivers
 * drop copies, and both machines take the same words twice without harm.
 */
import type { OnionMessageChannel, MessageChannelEvents, Route } from '../channel/channel-api.js';
import { ChannelError } from '../channel/channel-error.js';
import type { Clock } from '../channel/ports.js';
import type { CommandName } from '../protocol/commands.js';
import { sameLocation, type Location } from '../protocol/location.js';

/** What a negotiation needs of the message channel. */
export type NegotiationChannel = Pick<OnionMessageChannel, 'on' | 'off' | 'send'>;

/** Between two attempts to say what could not be said. */
const RETRY_MS = 2_000;

interface Flight {
  readonly nick: string;
  readonly words: readonly Words[];
  readonly by: Location | undefined;
}

interface Words {
  readonly command: CommandName;
  readonly args: string;
  route: Route | undefined;
}

export interface Courier {
  /**
   * The words of a new step; those of the step before need not arrive any more. Negotiations with one
   * nick beside each other have topics of their own. What the nick said by a directory is answered
   * `by` that one: whoever calls itself so elsewhere must not get the answer alone.
   */
  say(
    nick: string,
    words: readonly { readonly command: CommandName; readonly args: string }[],
    topic?: string,
    by?: Location,
  ): void;
  /** Said once, whether it arrives or not. */
  mention(nick: string, command: CommandName, args: string, by?: Location): void;
  /** Nothing more is said to this nick about the topic. */
  forget(nick: string, topic?: string): void;
  /** Nicks that something is still to be said to, or may be. */
  readonly open: number;
  close(): void;
}

const nameOf = (nick: string, topic = ''): string => `${nick} ${topic}`;

export function createCourier(channel: NegotiationChannel, clock: Clock): Courier {
  // By nick and topic.
  const flights = new Map<string, Flight>();
  let cancelRetry: (() => void) | undefined;

  function send(
    nick: string,
    command: CommandName,
    args: string,
    by: Location | undefined,
  ): Route | undefined {
    try {
      const result = channel.send(nick, command, args, by);
      return result.sent ? result.route : undefined;
    } catch (error) {
      // A name that cannot be addressed, or too long for one line: nobody gets it.
      if (error instanceof ChannelError) return undefined;
      throw error;
    }
  }

  function trySend({ nick, words, by }: Flight): void {
    for (const word of words) word.route ??= send(nick, word.command, word.args, by);
  }

  const isUnsaid = ({ words }: Flight): boolean => words.some(({ route }) => route === undefined);

  function retrySoon(): void {
    cancelRetry ??= clock.after(RETRY_MS, () => {
      cancelRetry = undefined;
      retryAll();
    });
  }

  function retryAll(): void {
    for (const flight of flights.values()) trySend(flight);
    if ([...flights.values()].some(isUnsaid)) retrySoon();
  }

  function doubt(isDoubted: (nick: string) => boolean, isLost: (route: Route) => boolean): void {
    for (const flight of flights.values()) {
      if (!isDoubted(flight.nick)) continue;
      for (const word of flight.words) {
        if (word.route !== undefined && isLost(word.route)) word.route = undefined;
      }
      if (isUnsaid(flight)) retrySoon();
    }
  }

  const onGone: MessageChannelEvents['peer-gone'] = (gone) =>
    doubt(
      (nick) => nick === gone,
      () => true,
    );
  const onDown: MessageChannelEvents['directory-down'] = ({ location }) =>
    doubt(
      () => true,
      (route) => route.kind === 'directory' && sameLocation(route.location, location),
    );
  channel.on('peer-gone', onGone);
  channel.on('directory-down', onDown);

  return {
    say(nick, words, topic, by) {
      const flight: Flight = {
        nick,
        words: words.map(({ command, args }) => ({ command, args, route: undefined })),
        by,
      };
      flights.set(nameOf(nick, topic), flight);
      trySend(flight);
      if (isUnsaid(flight)) retrySoon();
    },
    mention: (nick, command, args, by) => void send(nick, command, args, by),
    forget(nick, topic) {
      flights.delete(nameOf(nick, topic));
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
