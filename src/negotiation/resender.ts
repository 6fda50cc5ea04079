/**
 * Sends the messages of running negotiations, and sends them again when they may have been lost: there
 * was no route to the nick, the directory that carried them was lost, or the peer left and came back.
 * Receivers drop copies, and both state machines accept repeated messages.
 */
import type { OnionMessageChannel, MessageChannelEvents, Route } from '../channel/channel-api.js';
import { ChannelError } from '../channel/channel-error.js';
import type { Clock } from '../channel/ports.js';
import type { CommandName } from '../protocol/commands.js';
import { sameLocation, type Location } from '../protocol/location.js';

/** The part of the message channel that a negotiation needs. */
export type NegotiationChannel = Pick<OnionMessageChannel, 'on' | 'off' | 'send'>;

/** Interval between two attempts to send a message without a route. */
const RETRY_MS = 2_000;

interface StepMessages {
  readonly nick: string;
  readonly words: readonly Words[];
  readonly by: Location | undefined;
}

interface Words {
  readonly command: CommandName;
  readonly args: string;
  route: Route | undefined;
}

export interface Resender {
  /**
   * The messages of a new step; those of the step before need not arrive any more. Parallel
   * negotiations with one nick have topics of their own. An answer to a message from a directory is
   * also sent `by` that directory, because another peer may use the same nick elsewhere.
   */
  sendStep(
    nick: string,
    words: readonly { readonly command: CommandName; readonly args: string }[],
    topic?: string,
    by?: Location,
  ): void;
  /** Sends once, whether it arrives or not. */
  sendOnce(nick: string, command: CommandName, args: string, by?: Location): void;
  /** Stops sending to this nick about the topic. */
  forget(nick: string, topic?: string): void;
  /** Nicks with messages that are not sent yet or may be sent again. */
  readonly open: number;
  close(): void;
}

const nameOf = (nick: string, topic = ''): string => `${nick} ${topic}`;

export function createResender(channel: NegotiationChannel, clock: Clock): Resender {
  // By nick and topic.
  const unfinished = new Map<string, StepMessages>();
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
      // A nick that cannot be addressed, or a message too long for one line: it is not sent.
      if (error instanceof ChannelError) return undefined;
      throw error;
    }
  }

  function trySend({ nick, words, by }: StepMessages): void {
    for (const word of words) word.route ??= send(nick, word.command, word.args, by);
  }

  const isUnsent = ({ words }: StepMessages): boolean =>
    words.some(({ route }) => route === undefined);

  function retrySoon(): void {
    cancelRetry ??= clock.after(RETRY_MS, () => {
      cancelRetry = undefined;
      retryAll();
    });
  }

  function retryAll(): void {
    for (const messages of unfinished.values()) trySend(messages);
    if ([...unfinished.values()].some(isUnsent)) retrySoon();
  }

  function markUnsent(
    isAffected: (nick: string) => boolean,
    isLost: (route: Route) => boolean,
  ): void {
    for (const messages of unfinished.values()) {
      if (!isAffected(messages.nick)) continue;
      for (const word of messages.words) {
        if (word.route !== undefined && isLost(word.route)) word.route = undefined;
      }
      if (isUnsent(messages)) retrySoon();
    }
  }

  const onGone: MessageChannelEvents['peer-gone'] = (gone) =>
    markUnsent(
      (nick) => nick === gone,
      () => true,
    );
  const onDown: MessageChannelEvents['directory-down'] = ({ location }) =>
    markUnsent(
      () => true,
      (route) => route.kind === 'directory' && sameLocation(route.location, location),
    );
  channel.on('peer-gone', onGone);
  channel.on('directory-down', onDown);

  return {
    sendStep(nick, words, topic, by) {
      const messages: StepMessages = {
        nick,
        words: words.map(({ command, args }) => ({ command, args, route: undefined })),
        by,
      };
      unfinished.set(nameOf(nick, topic), messages);
      trySend(messages);
      if (isUnsent(messages)) retrySoon();
    },
    sendOnce: (nick, command, args, by) => void send(nick, command, args, by),
    forget(nick, topic) {
      unfinished.delete(nameOf(nick, topic));
      if (unfinished.size > 0) return;
      cancelRetry?.();
      cancelRetry = undefined;
    },
    get open() {
      return unfinished.size;
    },
    close() {
      channel.off('peer-gone', onGone);
      channel.off('directory-down', onDown);
      unfinished.clear();
      cancelRetry?.();
      cancelRetry = undefined;
    },
  };
}
