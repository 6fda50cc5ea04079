/**
 * A maker without a wallet: announces its offers, answers `!orderbook` with one signed private
 * message (protocol document, section 8.2) and refuses every `!fill` with a reason.
 */
import type { Log } from '../channel/log.js';
import type { MessageChannelEvents, OnionMessageChannel } from '../channel/message-channel.js';
import type { Clock } from '../channel/ports.js';
import type { Command } from '../protocol/commands.js';
import { formatOffer, type Offer } from '../protocol/offer.js';

/** How often one nick is answered. */
interface Allowance {
  readonly answers: number;
  readonly perMs: number;
}

/** Deployed makers send a nick their offers at most once per 10 s. */
const OFFERS_ALLOWANCE: Allowance = { answers: 1, perMs: 10_000 };
const REFUSAL_ALLOWANCE: Allowance = { answers: 10, perMs: 10_000 };
/** Nicks remembered for that; the one answered longest ago makes room. */
const REMEMBERED_NICKS = 2_000;

export const NO_WALLET_ERROR =
  'this maker has no wallet yet and cannot take part in a coinjoin; its offers are for testing';

export interface MakerOptions {
  readonly channel: OnionMessageChannel;
  readonly offers: readonly Offer[];
  readonly clock: Clock;
  readonly log: Log;
}

export interface Maker {
  readonly offers: readonly Offer[];
  /** Announcement requests answered so far. */
  readonly answered: number;
  /** Stops answering; the channel stays the caller's. */
  stop(): void;
}

/** Remembers whom was answered how often; refuses a nick that asks too much. Bounded. */
function createAnswerGate(clock: Clock, { answers, perMs }: Allowance): (nick: string) => boolean {
  const windows = new Map<string, { readonly since: number; count: number }>();
  return (nick) => {
    const now = clock.now();
    const known = windows.get(nick);
    if (known !== undefined && now - known.since < perMs) {
      known.count++;
      return known.count <= answers;
    }
    windows.delete(nick);
    windows.set(nick, { since: now, count: 1 });
    for (const oldest of windows.keys()) {
      if (windows.size <= REMEMBERED_NICKS) break;
      windows.delete(oldest);
    }
    return true;
  };
}

/**
 * The refusal names the commitment it is about: equal answers to two fills would be equal messages,
 * and peers drop the second as a copy that came another way.
 */
function refusalOf(fill: Command): string {
  const commitment = (fill.args[3] ?? '').replace(/[^0-9A-Za-z]/g, '').slice(0, 17);
  return `${NO_WALLET_ERROR} (commitment ${commitment})`;
}

/** Asked once in a message; a message that asks more than once is ignored whole (section 8.3). */
function asksForOffers(commands: readonly Command[]): boolean {
  return commands.filter((command) => command.name === 'orderbook').length === 1;
}

export function startMaker({ channel, offers, clock, log }: MakerOptions): Maker {
  const mayTell = createAnswerGate(clock, OFFERS_ALLOWANCE);
  const mayRefuse = createAnswerGate(clock, REFUSAL_ALLOWANCE);
  const [firstOffer] = offers;
  const [first, ...others] = offers.map(formatOffer);
  let answered = 0;
  let welcomed = false;

  function announce(): void {
    for (const offer of offers) channel.publish(formatOffer(offer));
    log.info('offers announced', { offers: offers.length });
  }

  function answerOrderbook(nick: string): void {
    if (firstOffer === undefined || first === undefined || !mayTell(nick)) return;
    const blank = first.indexOf(' ');
    const args = [first.slice(blank + 1), ...others].join('!');
    if (channel.send(nick, firstOffer.type, args).sent) answered++;
  }

  const onPubmsg: MessageChannelEvents['pubmsg'] = ({ from, commands }) => {
    if (asksForOffers(commands)) answerOrderbook(from);
  };
  const onPrivmsg: MessageChannelEvents['privmsg'] = ({ from, commands }) => {
    if (asksForOffers(commands)) answerOrderbook(from);
    if (commands[0].name === 'fill' && mayRefuse(from)) {
      channel.send(from, 'error', refusalOf(commands[0]));
      log.info('a fill was refused: no wallet');
    }
  };

  const onWelcome = (): void => {
    welcomed = true;
    announce();
  };
  // A directory that comes (back) later has not heard the offers yet.
  const onDirectoryUp = (): void => {
    if (welcomed) announce();
  };
  channel.on('welcome', onWelcome);
  channel.on('directory-up', onDirectoryUp);
  channel.on('pubmsg', onPubmsg);
  channel.on('privmsg', onPrivmsg);

  return {
    offers,
    get answered() {
      return answered;
    },
    stop() {
      channel.off('welcome', onWelcome);
      channel.off('directory-up', onDirectoryUp);
      channel.off('pubmsg', onPubmsg);
      channel.off('privmsg', onPrivmsg);
    },
  };
}
