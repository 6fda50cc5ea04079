/**
 * Relays the lines of ready peers (docs/protocol.md, sections 2, 5.2 and 6.2). Each line is parsed and
 * encoded once, whatever the number of its receivers.
 */
import type { Clock } from '../../channel/ports.js';
import { MAX_LINE_BYTES, MessageType } from '../../protocol/constants.js';
import { encodeEnvelope, fitsOneLine, type Envelope } from '../../protocol/envelope.js';
import { parseRoute, type RoutedPayload } from '../../protocol/message.js';
import { isRoutableNick } from '../../protocol/nick.js';
import type { Budgets } from './budgets.js';
import { isRunning, noteMessage } from './conversations.js';
import type { Fanout } from '../fanout/fanout.js';
import type { ListAnswers } from './list-answers.js';
import { goneNoticeDue } from './gone-notice.js';
import type { DirectoryLimits } from '../limits.js';
import type { PublicClass, RateClass } from '../message-classes.js';
import { sourceOf, type Peer } from '../peer.js';
import { goneFrame, type Peerlists } from '../fanout/peerlists.js';
import { meter } from '../rates.js';
import type { Registry } from '../registry.js';
import type { CloseReason, DropReason, Tally } from '../stats.js';

/** An offer or a cancellation: `!sw0reloffer ...`, `!cancel ...`. */
const OFFER_START = /^(?:!?)(?:(?:sw0?)?(?:rel|abs)offer|cancel)\b/;
/** Number of messages under another nick that ends a connection. */
const MAX_SPOOFS = 10;
/**
 * Part of `send_queue_bytes` that private messages may fill, so that no peer can cause another's
 * eviction by writing to it. A message that does not fit is not relayed, and its sender gets a gone
 * notice.
 */
const PRIVMSG_ROOM = 0.25;
/** The same part for messages of a running conversation. */
const CONVERSATION_ROOM = 0.75;
const PONG = encodeEnvelope(MessageType.PONG, '');

/** The class of a public text by its first command; `orderbook` anywhere in it, as for the rates. */
function publicClass(text: string): PublicClass {
  if (text.includes('orderbook')) return 'orderbook';
  return OFFER_START.test(text) ? 'offer' : 'other';
}

export interface RelayOptions {
  /** The directory's own nick. */
  readonly nick: string;
  readonly limits: DirectoryLimits;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly peerlists: Peerlists;
  readonly budgets: Budgets;
  readonly tally: Tally;
  /** Answers requests for the list of directories; absent = the feature is not offered. */
  readonly listAnswers: ListAnswers | undefined;
  drop(peer: Peer, reason: CloseReason): void;
}

export class Relay {
  readonly #options: RelayOptions;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** Handles a line of a ready peer that is a valid envelope. */
  line(peer: Peer, { type, line }: Envelope): void {
    switch (type) {
      case MessageType.PUBMSG:
        this.#pubmsg(peer, line);
        break;
      case MessageType.PRIVMSG:
        this.#privmsg(peer, line);
        break;
      case MessageType.GETPEERLIST:
        this.#getpeerlist(peer);
        break;
      case MessageType.GETDIRLIST:
        this.#getdirlist(peer, line);
        break;
      case MessageType.PING:
        this.#ping(peer);
        break;
      case MessageType.PONG:
        this.#pong(peer);
        break;
      case MessageType.DISCONNECT:
        this.#options.drop(peer, 'disconnect-message');
        break;
      case MessageType.HANDSHAKE:
        this.#junk(peer, 'second-handshake');
        break;
      default:
        this.#junk(peer, 'unknown-type');
    }
  }

  /** Handles a line of a ready peer that is not a valid envelope. */
  malformed(peer: Peer): void {
    const { limits, clock } = this.#options;
    this.#ignore('malformed');
    if (meter(sourceOf(peer), 'junk', limits, clock.now()) !== 'pass') {
      this.#options.drop(peer, 'malformed');
    }
  }

  #ignore(reason: DropReason): void {
    this.#options.tally.dropped[reason]++;
  }

  /** Whether a message of this kind is within the peer's rate; counts it, and ends a flooding peer. */
  #allowed(peer: Peer, kind: Exclude<RateClass, 'junk'>): boolean {
    const { limits, clock } = this.#options;
    const verdict = meter(sourceOf(peer), kind, limits, clock.now());
    if (verdict === 'pass') return true;
    this.#ignore(`rate-${kind}`);
    if (verdict === 'flood') this.#options.drop(peer, 'rate');
    return false;
  }

  /** A line that parses but has no meaning. */
  #junk(peer: Peer, reason: DropReason): void {
    const { limits, clock, tally } = this.#options;
    this.#ignore(reason);
    tally.messagesIn.other++;
    if (meter(sourceOf(peer), 'junk', limits, clock.now()) === 'flood') {
      this.#options.drop(peer, 'rate');
    }
  }

  /** The route of a payload that this peer may send; undefined when it was handled here. */
  #route(peer: Peer, payload: string): RoutedPayload | undefined {
    const parsed = parseRoute(payload);
    if (!parsed.ok || parsed.value.text === '') {
      this.#junk(peer, 'route');
      return undefined;
    }
    if (parsed.value.from === peer.nick) return parsed.value;
    this.#ignore('spoofed-from');
    peer.spoofs++;
    if (peer.spoofs >= MAX_SPOOFS) this.#options.drop(peer, 'spoofed-from');
    return undefined;
  }

  #pubmsg(peer: Peer, payload: string): void {
    const { tally, budgets } = this.#options;
    const routed = this.#route(peer, payload);
    if (!routed) return;
    if (routed.to !== undefined) {
      this.#junk(peer, 'type-mismatch');
      return;
    }
    // Anywhere in the text, so that a second command does not escape the count.
    const kind = routed.text.includes('orderbook') ? 'orderbook' : 'pubmsg';
    tally.messagesIn[kind]++;
    if (!this.#allowed(peer, kind)) return;
    const frame = encodeEnvelope(MessageType.PUBMSG, payload);
    if (!fitsOneLine(frame)) {
      this.#ignore('too-long');
      return;
    }
    const budget = publicClass(routed.text);
    if (!budgets.relay(budget, peer, frame)) this.#ignore(`budget-${budget}`);
  }

  #privmsg(peer: Peer, payload: string): void {
    const { nick, clock, registry, tally } = this.#options;
    const routed = this.#route(peer, payload);
    if (!routed) return;
    const { to } = routed;
    if (to === undefined) {
      this.#junk(peer, 'type-mismatch');
      return;
    }
    tally.messagesIn.privmsg++;
    const target = registry.byNick(to);
    const running = target !== undefined && isRunning(peer, target, clock.now());
    if (!this.#allowed(peer, running ? 'conversation' : 'privmsg')) return;
    if (target && target !== peer) this.#deliver(peer, target, payload, running);
    else if (target === peer) this.#ignore('to-self');
    else if (to === nick) this.#ignore('to-directory');
    else this.#absent(peer, to);
  }

  #deliver(peer: Peer, target: Peer, payload: string, running: boolean): void {
    const { limits, clock, fanout, peerlists, budgets, tally } = this.#options;
    const frame = encodeEnvelope(MessageType.PRIVMSG, payload);
    if (!fitsOneLine(frame)) {
      this.#ignore('too-long');
      return;
    }
    const part = running ? CONVERSATION_ROOM : PRIVMSG_ROOM;
    // One line always fits, however small the queue.
    const room = Math.max(MAX_LINE_BYTES, limits.sendQueueBytes * part);
    if (fanout.outboxes.lag(target.outbox) + frame.length > room) {
      this.#ignore('target-busy');
      this.#tellGone(peer, target.nick);
      return;
    }
    if (!budgets.spend(running ? 'conversation' : 'privmsg', 1)) {
      this.#ignore('budget-privmsg');
      return;
    }
    noteMessage(peer, target, running, clock.now());
    tally.messagesOut.privmsg++;
    tally.messagesOut.peerlist++;
    fanout.direct(target, frame + peerlists.pushFrame(peer, target), 2);
  }

  #absent(peer: Peer, to: string): void {
    this.#ignore('absent');
    this.#tellGone(peer, to);
  }

  /** So that a taker uses another route at once. */
  #tellGone(peer: Peer, to: string): void {
    const { clock, fanout, budgets, tally } = this.#options;
    if (!isRoutableNick(to) || !goneNoticeDue(peer, to, clock.now())) return;
    if (!budgets.spend('peerlist', 1)) {
      this.#ignore('budget-peerlist');
      return;
    }
    tally.goneNotices++;
    tally.messagesOut.peerlist++;
    fanout.direct(peer, goneFrame(to));
  }

  #getpeerlist(peer: Peer): void {
    const { limits, fanout, peerlists, budgets, tally } = this.#options;
    tally.messagesIn.getpeerlist++;
    if (!this.#allowed(peer, 'getpeerlist')) return;
    // Charged first, so that no answer is built for a peer that gets none.
    if (!budgets.spend('peerlist', peerlists.answerLines)) {
      this.#ignore('budget-peerlist');
      return;
    }
    const pieces = peerlists.answer(peer);
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (fanout.outboxes.lag(peer.outbox) + size > limits.sendQueueBytes) {
      this.#ignore('getpeerlist-busy');
      return;
    }
    tally.messagesOut.peerlist += peerlists.answerLines;
    for (const [i, piece] of pieces.entries()) {
      fanout.direct(peer, piece, i === 0 ? peerlists.answerLines : 0);
    }
  }

  /** A deployed peer never sends one, and gets no answer of a type that it does not know. */
  #getdirlist(peer: Peer, payload: string): void {
    const { listAnswers, tally } = this.#options;
    if (!listAnswers?.serves(peer)) {
      this.#junk(peer, 'unknown-type');
      return;
    }
    tally.messagesIn.getdirlist++;
    if (this.#allowed(peer, 'getdirlist') && !listAnswers.answer(peer, payload)) {
      this.#junk(peer, 'malformed');
    }
  }

  /** A 799 disconnects a peer of the original, so only peers that listed `ping` get one. */
  #ping(peer: Peer): void {
    const { fanout, tally } = this.#options;
    if (!peer.canPing) {
      this.#junk(peer, 'unknown-type');
      return;
    }
    tally.messagesIn.ping++;
    if (!this.#allowed(peer, 'ping')) return;
    tally.messagesOut.pong++;
    fanout.direct(peer, PONG);
  }

  /**
   * Its arrival was noted before. A pong that answers no ping is counted as a ping: it costs as much to
   * read.
   */
  #pong(peer: Peer): void {
    if (!peer.canPing) {
      this.#junk(peer, 'unknown-type');
      return;
    }
    this.#options.tally.messagesIn.pong++;
    if (peer.pongsDue > 0) peer.pongsDue--;
    else this.#allowed(peer, 'ping');
  }
}
