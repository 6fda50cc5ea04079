/**
 * Limits the work that a maker does for requests. Nicks cost nothing, so limits per nick are only for
 * fairness; the effective limits are per link (each directory, each direct link) and in total. All
 * memory is bounded: the nicks and links heard least recently are forgotten first.
 */
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Route } from '../../channel/channel-api.js';
import type { Clock } from '../../channel/ports.js';
import { countInWindow, TokenBucket, type CountWindow } from '../../kit/rate-limit.js';
import type { Location } from '../../protocol/location.js';
import { linkName } from '../link-name.js';

/** The limits for requests of takers. */
export interface RequestLimits {
  /** Answers to `!orderbook` for one nick in `orderbookNickMs`; deployed makers give 1 in 10 s. */
  readonly orderbookPerNick: number;
  /** The time of `orderbookPerNick`, in milliseconds. */
  readonly orderbookNickMs: number;
  /** Answers per second for one link; ten seconds' worth may come at once. */
  readonly orderbookPerLink: number;
  /** Answers per second in total; ten seconds' worth may come at once. */
  readonly orderbookTotal: number;
  /** `!fill`s of one nick in a minute, for each directory and for direct links. */
  readonly fillsPerNick: number;
  /** `!fill`s per second for one link, and in total; ten seconds' worth may come at once. */
  readonly fillsPerLink: number;
  /** `!fill`s per second in total; ten seconds' worth may come at once. */
  readonly fillsTotal: number;
  /** `!error`s that refuse a fill, per second in total; ten seconds' worth may come at once. */
  readonly refusalsTotal: number;
  /** Nicks and links remembered, of each kind. */
  readonly remembered: number;
}

/** The default limits. */
export const DEFAULT_REQUEST_LIMITS: RequestLimits = {
  orderbookPerNick: 1,
  orderbookNickMs: 10_000,
  orderbookPerLink: 5,
  orderbookTotal: 10,
  fillsPerNick: 6,
  fillsPerLink: 2,
  fillsTotal: 4,
  refusalsTotal: 4,
  remembered: 2_000,
};

const MINUTE_MS = 60_000;
const BURST_SECONDS = 10;

/** The source of a request; a public message always came through a directory. */
export type Link = Route | { readonly kind: 'directory'; readonly location: Location };

export interface RequestLimiter {
  mayAskOrderbook(nick: string, link: Link): boolean;
  /**
   * Whether an answer may be sent again by another route. Counts as an answer, and is allowed only
   * while more than half of the budget is left, so that no copy costs another peer its answer.
   */
  mayCopyAnswer(link: Link): boolean;
  mayFill(nick: string, link: Link): boolean;
  mayBeRefused(nick: string): boolean;
  /** Number of nicks and links in memory. */
  readonly remembered: number;
}

/** Half of a burst. */
const halfOf = (perSecond: number): number => (perSecond * BURST_SECONDS) / 2;

export function createRequestLimiter(clock: Clock, limits: RequestLimits): RequestLimiter {
  const askers = new BoundedMap<string, CountWindow>(limits.remembered);
  const fillers = new BoundedMap<string, CountWindow>(limits.remembered);
  const refused = new BoundedMap<string, CountWindow>(limits.remembered);
  const askLinks = new BoundedMap<string, TokenBucket>(limits.remembered);
  const fillLinks = new BoundedMap<string, TokenBucket>(limits.remembered);
  const bucket = (perSecond: number): TokenBucket =>
    new TokenBucket(clock, perSecond, Math.max(1, perSecond * BURST_SECONDS));
  const askTotal = bucket(limits.orderbookTotal);
  const fillTotal = bucket(limits.fillsTotal);
  const refusalTotal = bucket(limits.refusalsTotal);

  function perNick(
    nicks: BoundedMap<string, CountWindow>,
    nick: string,
    most: number,
    perMs: number,
  ): boolean {
    const now = clock.now();
    const window = nicks.use(nick, () => ({ since: now, count: 0 }));
    return countInWindow(window, perMs, now) <= most;
  }

  const askLink = (link: Link): TokenBucket =>
    askLinks.use(linkName(link), () => bucket(limits.orderbookPerLink));
  const mayCopyAnswer = (link: Link): boolean =>
    askLink(link).take(halfOf(limits.orderbookPerLink)) &&
    askTotal.take(halfOf(limits.orderbookTotal));

  return {
    // The link before the total, so that one flooded link leaves the rest to the others.
    mayAskOrderbook: (nick, link) =>
      // A nick used on a direct link does not affect requests of the same nick elsewhere.
      perNick(
        askers,
        link.kind === 'direct' ? `direct ${nick}` : nick,
        limits.orderbookPerNick,
        limits.orderbookNickMs,
      ) &&
      askLink(link).take() &&
      askTotal.take(),
    mayCopyAnswer,
    mayFill: (nick, link) =>
      // Messages of a nick that another peer repeats by another route do not affect the nick itself.
      perNick(fillers, `${linkName(link)} ${nick}`, limits.fillsPerNick, MINUTE_MS) &&
      fillLinks.use(linkName(link), () => bucket(limits.fillsPerLink)).take() &&
      fillTotal.take(),
    mayBeRefused: (nick) =>
      perNick(refused, nick, limits.fillsPerNick, MINUTE_MS) && refusalTotal.take(),
    get remembered() {
      return askers.size + fillers.size + refused.size + askLinks.size + fillLinks.size;
    },
  };
}
