/**
 * Relays the lines of ready peers (docs/protocol.md, sections 2, 5.2 and 6.2). Each line is parsed and
 * encoded once, whatever the number of its receivers.
 */
import type { Clock } from '../../channel/ports.js';
import { MessageType } from '../../protocol/constants.js';
import { encodeEnvelope, fitsOneLine, type Envelope } from '../../protocol/envelope.js';
import { parseRoute, type RoutedPayload } from '../../protocol/message.js';
import type { Budgets } from './budgets.js';
import { isRunning, noteMessage } from './conversations.js';
import type { Fanout } from '../fanout/fanout.js';
import type { ListAnswers } from './list-answers.js';
import type { Deliveries } from './deliveries.js';
import type { DirectoryLimits } from '../limits.js';
import type { RateClass } from '../message-classes.js';
import type { Neighbours, RemotePeer } from '../neighbours.js';
import { sourceOf, type Peer } from '../peer.js';
import type { Peerlists } from '../fanout/peerlists.js';
import { meter } from '../rates.js';
import { publicClass } from './public-class.js';
import type { Registry } from '../registry.js';
import type { CloseReason, DropReason, Tally } from '../stats.js';

/** Number of messages under another nick that ends a connection. */
const MAX_SPOOFS = 10;
const PONG = encodeEnvelope(MessageType.PONG, '');

export interface RelayOptions {
  /** The directory's own nick. */
  readonly nick: string;
  readonly limits: DirectoryLimits;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly peerlists: Peerlists;
  readonly budgets: Budgets;
  readonly deliveries: Deliveries;
  readonly neighbours: Neighbours | undefined;
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
    const { limits, clock, neighbours } = this.#options;
    // Other kinds reach no other peer, or only from the connection that speaks for the peer.
    const isShared = kind === 'privmsg' || kind === 'conversation';
    const part = isShared ? (neighbours?.ratePart(peer.nick) ?? 1) : 1;
    const verdict = meter(sourceOf(peer), kind, limits, clock.now(), part);
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
    const { tally, budgets, neighbours } = this.#options;
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
    if (neighbours && !neighbours.mayRelay(peer.nick, payload)) return;
    const budget = publicClass(routed.text);
    if (!budgets.relay(budget, peer, frame)) this.#ignore(`budget-${budget}`);
  }

  #privmsg(peer: Peer, payload: string): void {
    const { nick, clock, registry, tally, neighbours } = this.#options;
    const routed = this.#route(peer, payload);
    if (!routed) return;
    const { to } = routed;
    if (to === undefined) {
      this.#junk(peer, 'type-mismatch');
      return;
    }
    tally.messagesIn.privmsg++;
    const target = registry.byNick(to);
    const other = target ?? neighbours?.byNick(to);
    const running = other !== undefined && isRunning(peer, other, clock.now());
    if (!this.#allowed(peer, running ? 'conversation' : 'privmsg')) return;
    if (target === peer) this.#ignore('to-self');
    else if (other) this.#send(peer, other, payload, running);
    else if (to === nick) this.#ignore('to-directory');
    else this.#absent(peer, to);
  }

  /** To a peer that is connected here, to other nodes, or both. */
  #send(peer: Peer, target: Peer | RemotePeer, payload: string, running: boolean): void {
    const { clock, registry, budgets, neighbours, deliveries } = this.#options;
    const frame = encodeEnvelope(MessageType.PRIVMSG, payload);
    if (!fitsOneLine(frame)) {
      this.#ignore('too-long');
      return;
    }
    const holder = registry.byNick(target.nick);
    const here = neighbours?.receives(target.nick) === false ? undefined : holder;
    if (here && !deliveries.fits(here, frame, running)) {
      this.#ignore('target-busy');
      deliveries.tellGone(peer, target.nick);
      return;
    }
    if (!budgets.spend(running ? 'conversation' : 'privmsg', 1)) {
      this.#ignore('budget-privmsg');
      return;
    }
    const isElsewhere = neighbours?.send(peer.nick, target.nick, payload) ?? false;
    if (here) {
      const isNew = neighbours?.isNew(peer.nick, payload) ?? true;
      if (isNew) deliveries.deliver(peer, here, frame, running);
    } else if (isElsewhere) {
      noteMessage(peer, target, running, clock.now());
    } else {
      this.#absent(peer, target.nick);
    }
  }

  #absent(peer: Peer, to: string): void {
    this.#ignore('absent');
    this.#options.deliveries.tellGone(peer, to);
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
    fanout.urgent(peer, PONG, undefined);
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
