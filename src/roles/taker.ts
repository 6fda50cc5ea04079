/**
 * A taker without a wallet: asks for the orderbook, keeps it, and talks to makers. It never serves
 * an onion.
 */
import { EventEmitter } from 'eventemitter3';
import type { Log } from '../channel/log.js';
import type {
  MessageChannelEvents,
  OnionMessageChannel,
  Route,
} from '../channel/message-channel.js';
import type { Clock } from '../channel/ports.js';
import { createOrderbook, type Orderbook } from '../orderbook/book.js';
import type { Command, CommandName } from '../protocol/commands.js';
import { formatLocation } from '../protocol/location.js';

export interface TakerEvents {
  /** Offers came, changed or went. */
  change: (info: { maker: string; offers: number }) => void;
}

export interface Answer {
  readonly commands: readonly [Command, ...Command[]];
  /** How the answer came. */
  readonly route: Route;
  /** How the question went. */
  readonly sentBy: Route;
  /** From the question to the answer, in milliseconds. */
  readonly rttMs: number;
}

export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
  constructor(
    readonly code: 'no-route' | 'timeout' | 'closed',
    message: string,
  ) {
    super(message);
  }
}

export interface Taker {
  readonly book: Orderbook;
  readonly events: EventEmitter<TakerEvents>;
  /** Asks every maker for its offers; answers change the book as they come. */
  refresh(): void;
  /**
   * Sends one signed private message and waits for the next private message of that nick. A nick
   * that nobody has shown yet is waited for, too. Rejects with NoAnswerError when no way to it was
   * found, or no answer came in time.
   */
  ask(nick: string, command: CommandName, args: string, timeoutMs: number): Promise<Answer>;
  /** Stops listening and rejects open questions; the channel stays the caller's. */
  stop(): void;
}

export interface TakerOptions {
  readonly channel: OnionMessageChannel;
  readonly clock: Clock;
  readonly log: Log;
}

interface Question {
  readonly nick: string;
  /** Some directory relayed a public message of the nick: there is a way to it. */
  shown(): void;
  /** A verified private message of the nick came. */
  heard(commands: Answer['commands'], route: Route): void;
  fail(error: NoAnswerError): void;
}

const relayedBy = (route: Route): string | undefined =>
  route.kind === 'directory' ? formatLocation(route.location) : undefined;

export function startTaker({ channel, clock, log }: TakerOptions): Taker {
  const book = createOrderbook();
  const events = new EventEmitter<TakerEvents>();
  const questions = new Set<Question>();

  function learn(
    maker: string,
    commands: readonly Command[],
    directory: string | undefined,
    verified: boolean,
  ): void {
    const offers = book.apply(maker, commands, { directory, verified, at: clock.now() });
    if (offers > 0) events.emit('change', { maker, offers });
  }

  const onPubmsg: MessageChannelEvents['pubmsg'] = ({ from, commands, directory }) => {
    learn(from, commands, formatLocation(directory), false);
    for (const question of questions) if (question.nick === from) question.shown();
  };
  const onPrivmsg: MessageChannelEvents['privmsg'] = ({ from, commands, route }) => {
    learn(from, commands, relayedBy(route), true);
    for (const question of questions) {
      if (question.nick === from) question.heard(commands, route);
    }
  };
  const onGone: MessageChannelEvents['peer-gone'] = (nick) => {
    const offers = book.remove(nick);
    if (offers > 0) events.emit('change', { maker: nick, offers: -offers });
  };
  const refresh = (): void => {
    const { sentTo } = channel.publish('orderbook');
    log.info('asked for the orderbook', { directories: sentTo });
  };

  channel.on('welcome', refresh);
  channel.on('pubmsg', onPubmsg);
  channel.on('privmsg', onPrivmsg);
  channel.on('peer-gone', onGone);

  return {
    book,
    events,
    refresh,
    ask(nick, command, args, timeoutMs) {
      return new Promise((resolve, reject) => {
        let asked: { readonly at: number; readonly sentBy: Route } | undefined;
        const end = (): void => {
          cancel();
          questions.delete(question);
        };
        const send = (): void => {
          const sent = channel.send(nick, command, args);
          if (sent.sent) asked = { at: clock.now(), sentBy: sent.route };
        };
        const question: Question = {
          nick,
          shown() {
            if (asked === undefined) send();
          },
          heard(commands, route) {
            if (asked === undefined) {
              send();
              return;
            }
            end();
            resolve({ commands, route, sentBy: asked.sentBy, rttMs: clock.now() - asked.at });
          },
          fail(error) {
            end();
            reject(error);
          },
        };
        const cancel = clock.after(timeoutMs, () => {
          const within = `within ${timeoutMs / 1000} s`;
          question.fail(
            asked === undefined
              ? new NoAnswerError(
                  'no-route',
                  `no way to ${nick} was found ${within}: no directory that is up has shown it`,
                )
              : new NoAnswerError('timeout', `${nick} did not answer ${command} ${within}`),
          );
        });
        questions.add(question);
        send();
      });
    },
    stop() {
      channel.off('welcome', refresh);
      channel.off('pubmsg', onPubmsg);
      channel.off('privmsg', onPrivmsg);
      channel.off('peer-gone', onGone);
      for (const question of questions) {
        question.fail(new NoAnswerError('closed', 'the taker stopped before an answer came'));
      }
    },
  };
}
