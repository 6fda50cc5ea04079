/**
 * A maker: announces its offers and answers `!orderbook` with one signed private message
 * (docs/protocol.md, section 8.2). With a wallet it takes part in coinjoins; without one it refuses
 * every `!fill` with a reason. It stores used commitments and announces them.
 */
import { randomBytes } from 'node:crypto';
import type { Log } from '../channel/log.js';
import type { MessageChannelEvents, OnionMessageChannel } from '../channel/message-channel.js';
import type { Clock } from '../channel/ports.js';
import { createBlacklist, type BlacklistOptions } from '../negotiation/maker/blacklist.js';
import {
  createRequestLimiter,
  DEFAULT_REQUEST_LIMITS,
  type RequestLimits,
  type Link,
} from '../negotiation/maker/request-limits.js';
import {
  DEFAULT_MAKER_POLICY,
  type MakerOutcome,
  type MakerPolicy,
} from '../negotiation/maker/api.js';
import {
  MakerSessions,
  DEFAULT_SESSION_LIMITS,
  type SessionLimits,
  type SessionView,
} from '../negotiation/maker/sessions.js';
import type { ChainView, MakerWallet } from '../negotiation/ports.js';
import { formatRefusal } from '../negotiation/payloads.js';
import type { Command } from '../protocol/commands.js';
import type { Network } from '../protocol/constants.js';
import type { Location } from '../protocol/location.js';
import { formatOffer, offerFault, type Offer } from '../protocol/offer.js';
import { prepareVerification } from '../protocol/podle.js';
import { bondCommands, type MakerBond } from './maker-bond.js';
import { startOfferAnswers } from './offer-answers.js';

export type { MakerBond } from './maker-bond.js';

export const NO_WALLET_ERROR =
  'this maker runs without a wallet and cannot take part in a coinjoin; its offers are for testing';

/** The parts that a maker needs for coinjoins. */
export interface MakerCoinjoins {
  /** The bitcoin network of the wallet. */
  readonly network: Network;
  /** Reserves coins and signs. */
  readonly wallet: MakerWallet;
  /** Reports the coins of takers. */
  readonly chain: ChainView;
  /** Demands and times that differ from `DEFAULT_MAKER_POLICY`. */
  readonly policy?: Partial<MakerPolicy>;
  /** Limits that differ from `DEFAULT_SESSION_LIMITS`. */
  readonly limits?: Partial<SessionLimits>;
  /**
   * Called when our signatures were sent, with `pushed` false. The session goes on, and `onOutcome` follows after
   * the taker's `push`, or 5 minutes later (`pushWaitMs`) when there is none.
   */
  readonly onSigned?: (
    taker: string,
    outcome: MakerOutcome & { readonly result: 'signed' },
  ) => void;
  /** Called for every session that ended. */
  readonly onOutcome?: (taker: string, outcome: MakerOutcome) => void;
}

interface CommonOptions {
  /** An open channel that serves a location. The caller closes it. */
  readonly channel: OnionMessageChannel;
  /** The offers to announce; each must be one that `parseOffer` accepts. */
  readonly offers: readonly Offer[];
  /** The time of all timers. */
  readonly clock: Clock;
  /** Receives the log lines of the maker. */
  readonly log: Log;
  /** Limits for requests that differ from `DEFAULT_REQUEST_LIMITS`. */
  readonly requestLimits?: Partial<RequestLimits>;
  /** Shown after the offers in private answers. A function may return another bond at each answer. */
  readonly bond?: MakerBond | (() => MakerBond | undefined);
}

/** Coinjoins need a store of used commitments. */
export type MakerOptions = CommonOptions &
  (
    | {
        /** Network, wallet and chain for coinjoins; without it every `!fill` is refused. */
        readonly coinjoins?: undefined;
        /** The used commitments; required for coinjoins. */
        readonly blacklist?: BlacklistOptions;
      }
    | {
        /** Network, wallet and chain for coinjoins; without it every `!fill` is refused. */
        readonly coinjoins: MakerCoinjoins;
        /** The used commitments; required for coinjoins. */
        readonly blacklist: BlacklistOptions;
      }
  );

/** A running maker. */
export interface Maker {
  /** The offers that it announces. */
  readonly offers: readonly Offer[];
  /**
   * Replaces the offers: `!cancel` for each oid that is gone, and an announcement of each new or changed
   * one. Running negotiations keep their terms. Throws a RangeError as `startMaker`.
   */
  setOffers(offers: readonly Offer[]): void;
  /** Requests for offers answered so far. */
  readonly answered: number;
  /** Running negotiations. */
  readonly sessions: number;
  /** The running negotiations, in the order of their start. */
  sessionList(): readonly SessionView[];
  /** Ids without signatures of the transactions for which a `push` is awaited. */
  awaitingPush(): readonly string[];
  /** Ends the negotiation of this transaction as signed, if it waits for a `push`. */
  stopAwaitingPush(unsignedTxid: string): void;
  /**
   * Announces the offers publicly. This happens by itself when the channel is ready (at once if it is),
   * and for a directory that connects later, through that one alone.
   */
  announce(): void;
  /** Stops answering and ends all negotiations. The caller closes the channel. */
  stop(): void;
}

/**
 * A refusal names its commitment: equal answers to two fills would be equal messages, and peers drop
 * the second one as a copy.
 */
function refusalOf(fill: Command): string {
  const commitment = (fill.args[3] ?? '').replace(/[^0-9A-Za-z]/g, '').slice(0, 17);
  return formatRefusal(`${NO_WALLET_ERROR} (commitment ${commitment})`, fill.args[2] ?? '');
}

function checkOffers(offers: readonly Offer[]): void {
  for (const offer of offers) {
    const fault = offerFault(offer);
    if (fault !== undefined) throw new RangeError(`peers cannot read this offer: ${fault}`);
  }
}

/** Throws a RangeError for an offer that peers would refuse. */
export function startMaker(options: MakerOptions): Maker {
  const { channel, clock, log, coinjoins } = options;
  let offers = options.offers;
  checkOffers(offers);
  const limiter = createRequestLimiter(clock, {
    ...DEFAULT_REQUEST_LIMITS,
    ...options.requestLimits,
  });
  if (coinjoins) prepareVerification();
  const blacklist = options.blacklist && createBlacklist(options.blacklist, clock, log);
  const sessions =
    coinjoins && blacklist
      ? new MakerSessions({
          ...coinjoins,
          channel,
          offers,
          commitments: blacklist.store,
          policy: { ...DEFAULT_MAKER_POLICY, ...coinjoins.policy },
          limits: { ...DEFAULT_SESSION_LIMITS, ...coinjoins.limits },
          limiter,
          clock,
          randomBytes,
          log,
          onUsed: (commitment, when) => blacklist.used(commitment, when),
        })
      : undefined;
  const bondBehind = options.bond && bondCommands(options.bond, channel.nick, log);

  /** @param to one directory; undefined for all */
  function announceAt(to: Location | undefined): void {
    if (offers.length === 0) return;
    for (const offer of offers) channel.publish(formatOffer(offer), to);
    log.info('offers announced', { offers: offers.length, directories: to ? 'one' : 'all' });
  }

  const announce = (): void => announceAt(undefined);

  const answers = startOfferAnswers({
    channel,
    limiter,
    answerFor(nick) {
      const [firstOffer] = offers;
      const [first, ...others] = offers.map(formatOffer);
      if (firstOffer === undefined || first === undefined) return undefined;
      const blank = first.indexOf(' ');
      const bond = bondBehind?.(nick) ?? [];
      const args = [first.slice(blank + 1), ...others, ...bond].join('!');
      return { command: firstOffer.type, args };
    },
  });

  const onPubmsg: MessageChannelEvents['pubmsg'] = ({ from, commands, directory }) => {
    const link: Link = { kind: 'directory', location: directory };
    blacklist?.heard(commands, link, from, false);
  };
  const onPrivmsg: MessageChannelEvents['privmsg'] = (message) => {
    const { from, commands, route } = message;
    blacklist?.heard(commands, route, from, true);
    sessions?.receive(message);
    if (sessions === undefined && commands[0].name === 'fill' && limiter.mayBeRefused(from)) {
      channel.send(from, 'error', refusalOf(commands[0]));
      log.info('a fill was refused: no wallet');
    }
  };

  // A directory that connects later has not received the offers yet.
  const onDirectoryUp: MessageChannelEvents['directory-up'] = ({ location }) => {
    if (channel.welcomed) announceAt(location);
  };
  channel.on('welcome', announce);
  channel.on('directory-up', onDirectoryUp);
  channel.on('pubmsg', onPubmsg);
  channel.on('privmsg', onPrivmsg);

  if (channel.welcomed) announce();

  function setOffers(next: readonly Offer[]): void {
    checkOffers(next);
    const before = new Map(offers.map((offer) => [offer.oid, formatOffer(offer)]));
    offers = next;
    sessions?.setOffers(next);
    // Before the welcome nothing was announced; the welcome then announces these.
    if (!channel.welcomed) return;
    const kept = new Set(next.map(({ oid }) => oid));
    const gone = [...before.keys()].filter((oid) => !kept.has(oid));
    const changed = next.filter((offer) => before.get(offer.oid) !== formatOffer(offer));
    for (const oid of gone) channel.publish(`cancel ${oid}`);
    for (const offer of changed) channel.publish(formatOffer(offer));
    log.info('offers changed', { withdrawn: gone.length, announced: changed.length });
  }

  return {
    get offers() {
      return offers;
    },
    setOffers,
    sessionList: () => sessions?.list() ?? [],
    awaitingPush: () => sessions?.awaitingPush() ?? [],
    stopAwaitingPush: (unsignedTxid) => sessions?.stopAwaitingPush(unsignedTxid),
    get answered() {
      return answers.answered;
    },
    get sessions() {
      return sessions?.size ?? 0;
    },
    announce,
    stop() {
      channel.off('welcome', announce);
      channel.off('directory-up', onDirectoryUp);
      answers.close();
      channel.off('pubmsg', onPubmsg);
      channel.off('privmsg', onPrivmsg);
      sessions?.close();
    },
  };
}
