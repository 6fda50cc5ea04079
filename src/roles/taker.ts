/**
 * A taker without a wallet: asks for the orderbook, keeps it, and sends questions to makers. It serves
 * no onion.
 */
import { EventEmitter } from 'eventemitter3';
import type { Log } from '../channel/log.js';
import type {
  MessageChannelEvents,
  OnionMessageChannel,
  Route,
} from '../channel/message-channel.js';
import type { Clock, Random } from '../channel/ports.js';
import type { BondChainView, LiveBook } from '../orderbook/book-api.js';
import type { Orderbook } from '../orderbook/book.js';
import { openLiveBook, type BookAudit } from '../orderbook/live-book.js';
import type { Command, CommandName } from '../protocol/commands.js';
import type { BondPolicy } from '../protocol/fidelity-bond.js';

/** The events of a taker. */
export interface TakerEvents {
  /** Offers were added, changed or removed. */
  change: (info: { maker: string; offers: number }) => void;
}

/** The answer to a question of `Taker.ask`. */
export interface Answer {
  /** The commands of the answer. */
  readonly commands: readonly [Command, ...Command[]];
  /** The route of the answer. */
  readonly route: Route;
  /** The route of the question. */
  readonly sentBy: Route;
  /** From the question to the answer, in milliseconds. */
  readonly rttMs: number;
}

/** A question that was not answered. */
export class NoAnswerError extends Error {
  /** Always `NoAnswerError`. */
  override readonly name = 'NoAnswerError';
  constructor(
    /**
     * `no-route`: nothing led to the nick. `timeout`: no answer in time. `closed`: the taker
     * stopped.
     */
    readonly code: 'no-route' | 'timeout' | 'closed',
    message: string,
  ) {
    super(message);
  }
}

/** A running taker without a wallet. */
export interface Taker {
  /** The offers by maker. */
  readonly book: Orderbook;
  /** The same offers with bonds, directories and changes. */
  readonly live: LiveBook;
  /** Emits the events of `TakerEvents`. */
  readonly events: EventEmitter<TakerEvents>;
  /**
   * Asks every maker for its offers, unless it did so less than 30 s ago; answers update the book.
   * Happens by itself when the channel is ready, when a directory connects later, and every 10 minutes.
   */
  refresh(): void;
  /**
   * Sends one signed private message and waits for the next private message of that nick. Also waits
   * for a nick that no directory has shown yet. Rejects with NoAnswerError when there was no route to
   * it, or no answer in time.
   */
  ask(nick: string, command: CommandName, args: string, timeoutMs: number): Promise<Answer>;
  /** Stops listening and rejects open questions. The caller closes the channel. */
  stop(): void;
}

/** Options of a taker. */
export interface TakerOptions {
  /** An open channel. The caller closes it. */
  readonly channel: OnionMessageChannel;
  /** The time of all timers. */
  readonly clock: Clock;
  /** Receives the log lines of the taker. */
  readonly log: Log;
  /** Default `Math.random`. */
  readonly random?: Random;
  /** A bitcoin node; without one, bonds have no value. */
  readonly chain?: BondChainView | undefined;
  /** How bonds are valued; default as in deployed peers. */
  readonly bondPolicy?: BondPolicy;
  /** Compares directories; the caller closes it. */
  readonly audit?: BookAudit;
}

interface Question {
  readonly nick: string;
  /** A directory relayed a public message of the nick: there is a route to it. */
  shown(): void;
  /** A verified private message of the nick arrived. */
  heard(commands: Answer['commands'], route: Route): void;
  fail(error: NoAnswerError): void;
}

/** Starts a taker on an open channel. Throws nothing; `stop` ends it. */
export function startTaker(options: TakerOptions): Taker {
  const { channel, clock, log, random = Math.random, chain, bondPolicy, audit } = options;
  const events = new EventEmitter<TakerEvents>();
  const questions = new Set<Question>();
  const live = openLiveBook({
    channel,
    clock,
    log,
    random,
    ...(chain && { chain }),
    ...(bondPolicy && { bondPolicy }),
    ...(audit && { audit }),
    onOffers: (maker, offers) => void events.emit('change', { maker, offers }),
  });

  const onPubmsg: MessageChannelEvents['pubmsg'] = ({ from }) => {
    for (const question of questions) if (question.nick === from) question.shown();
  };
  const onPrivmsg: MessageChannelEvents['privmsg'] = ({ from, commands, route }) => {
    for (const question of questions) {
      if (question.nick === from) question.heard(commands, route);
    }
  };

  channel.on('pubmsg', onPubmsg);
  channel.on('privmsg', onPrivmsg);

  return {
    book: live.book,
    live,
    events,
    refresh: () => void live.refresh(),
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
                  `no route to ${nick} was found ${within}: no directory that is up has shown it`,
                )
              : new NoAnswerError('timeout', `${nick} did not answer ${command} ${within}`),
          );
        });
        questions.add(question);
        send();
      });
    },
    stop() {
      live.close();
      channel.off('pubmsg', onPubmsg);
      channel.off('privmsg', onPrivmsg);
      for (const question of questions) {
        question.fail(new NoAnswerError('closed', 'the taker stopped before an answer came'));
      }
    },
  };
}
