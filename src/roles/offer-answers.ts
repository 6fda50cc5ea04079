/**
 * Answers `!orderbook` (docs/protocol.md, section 8.2): over the direct link of the request, or through
 * every directory that shows the taker. A directory that drops answers then hides no offer.
 */
import { BoundedMap } from '../kit/bounded-map.js';
import type { Arrival, OnionMessageChannel, OrderbookRequest } from '../channel/channel-api.js';
import type { RequestLimiter, Link } from '../negotiation/maker/request-limits.js';
import type { Command, CommandName } from '../protocol/commands.js';
import { formatLocation, type Location } from '../protocol/location.js';

/** Requests remembered, to recognise their copies from other directories. */
const MAX_REMEMBERED = 500;

/** One private message with all offers. */
export interface OfferAnswer {
  readonly command: CommandName;
  readonly args: string;
}

interface Answered {
  readonly answer: OfferAnswer;
  /** The directories through which it was sent. */
  readonly ways: Set<string>;
}

export interface OfferAnswersOptions {
  readonly channel: OnionMessageChannel;
  readonly limiter: RequestLimiter;
  /** The answer for this nick; undefined for none. Called once for each answered request. */
  readonly answerFor: (nick: string) => OfferAnswer | undefined;
}

export interface OfferAnswers {
  /** Requests answered so far. */
  readonly answered: number;
  close(): void;
}

/** A message with more than one request is ignored (section 8.3). */
function asksForOffers(commands: readonly Command[]): boolean {
  return commands.filter((command) => command.name === 'orderbook').length === 1;
}

export function startOfferAnswers(options: OfferAnswersOptions): OfferAnswers {
  const { channel, limiter, answerFor } = options;
  let answered = 0;
  /** By the message's id. */
  const requests = new BoundedMap<string, Answered>(MAX_REMEMBERED);

  function remember(id: string, answer: OfferAnswer): Set<string> {
    const ways = new Set<string>();
    requests.set(id, { answer, ways });
    return ways;
  }

  /** Undefined when the limits do not allow an answer; nothing was built then. */
  function admitted(nick: string, link: Link): OfferAnswer | undefined {
    return limiter.mayAskOrderbook(nick, link) ? answerFor(nick) : undefined;
  }

  function answerDirectly({ from }: Arrival): void {
    const answer = admitted(from, { kind: 'direct' });
    if (answer && channel.send(from, answer.command, answer.args).sent) answered++;
  }

  /** Through all directories that show the taker now; further ones may still deliver its request. */
  function answerThroughAll({ from, id }: Arrival, by: Location): void {
    const link: Link = { kind: 'directory', location: by };
    const answer = admitted(from, link);
    if (!answer) return;
    const { command, args } = answer;
    const ways = remember(id, answer);
    const shownBy = channel.peer(from)?.directories ?? [];
    const chosen = shownBy.filter((_, index) => index === 0 || limiter.mayCopyAnswer(link));
    if (chosen.length > 1) {
      for (const location of chosen) ways.add(formatLocation(location));
      if (channel.sendThrough(from, command, args, chosen).copies > 0) answered++;
      return;
    }
    const result = channel.send(from, command, args);
    if (!result.sent) return;
    answered++;
    if (result.route.kind === 'directory') ways.add(formatLocation(result.route.location));
  }

  /** The request came through one more directory. */
  function answerThrough({ from, id }: Arrival, by: Location): void {
    const request = requests.get(id);
    const key = formatLocation(by);
    if (!request || request.ways.has(key)) return;
    if (!limiter.mayCopyAnswer({ kind: 'directory', location: by })) return;
    request.ways.add(key);
    const { command, args } = request.answer;
    channel.sendThrough(from, command, args, [by]);
  }

  function arrived(arrival: Arrival): void {
    const { commands, directory } = arrival;
    if (commands === undefined) {
      if (directory) answerThrough(arrival, directory);
    } else if (asksForOffers(commands)) {
      if (directory) answerThroughAll(arrival, directory);
      else answerDirectly(arrival);
    }
  }

  function onAsked(request: OrderbookRequest): void {
    const answer = admitted(request.from, { kind: 'direct' });
    if (answer && request.answer(answer.command, answer.args)) answered++;
  }

  const stopObserving = channel.observe({ arrived, left: () => {} });
  channel.on('orderbook-asked', onAsked);

  return {
    get answered() {
      return answered;
    },
    close() {
      stopObserving();
      channel.off('orderbook-asked', onAsked);
    },
  };
}
