/**
 * One direct connection with another peer, opened by either side. Both send a 793, and there is no 795
 * (docs/protocol.md, section 3.4).
 */
import { MessageType } from '../../protocol/constants.js';
import type { Envelope } from '../../protocol/envelope.js';
import { PING_FEATURE } from '../../protocol/features.js';
import { parsePeerHandshake } from '../../protocol/handshake.js';
import { formatPubmsg } from '../../protocol/message.js';
import { ownText } from '../../protocol/own-text.js';
import type { ChannelSettings } from '../channel-settings.js';
import type { HandshakeTerms } from '../link/handshake-terms.js';
import { LinePeer, type DecodedLine } from '../link/line-peer.js';
import { PacedQueue } from '../link/paced-queue.js';
import type { Clock, Connection } from '../ports.js';
import type { TurnBudget } from '../../kit/cooperative-work.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import { createUnconfirmedMessages, type UnconfirmedMessages } from './unconfirmed-messages.js';

export interface PeerLinkOptions {
  readonly connection: Connection;
  readonly terms: HandshakeTerms;
  readonly settings: ChannelSettings;
  readonly clock: Clock;
  /** Spreads signature checks over turns of the event loop; shared by all connections. */
  readonly turns: TurnBudget;
  /** Budget for signature checks, shared by all links. */
  readonly checks: TokenBucket;
  /** The nick that we dialled; undefined when the other side connected. */
  readonly dialled: string | undefined;
  /** The handshake of the other side is valid. False closes the link. */
  readonly onHandshake: (link: PeerLink, nick: string) => boolean;
  /** A 685 payload, unchecked; false when it has no meaning. */
  readonly onPrivmsg: (link: PeerLink, nick: string, payload: string) => boolean;
  /** A 687 payload, unchecked; false when it has no meaning. */
  readonly onPubmsg: (link: PeerLink, nick: string, payload: string) => boolean;
  /**
   * The arrival of a payload at `nick` was not confirmed in time: offers it to another route. True when
   * that took it.
   */
  readonly onUnconfirmed: (nick: string, payload: string) => boolean;
  /** Called once and last, with the payloads that may not have arrived. */
  readonly onClosed: (link: PeerLink, reason: string, unsent: readonly string[]) => void;
}

/**
 * Our 793 is sent at once in both directions, as by the original. Nothing else is sent before the other
 * side's 793: every deployed acceptor sends one unless it refuses us silently, and messages to such a
 * peer would be lost.
 */
export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #line: LinePeer;
  /** The rate of the peer's messages, and of ours. */
  readonly #bucket: TokenBucket;
  readonly #pace: TokenBucket;
  readonly #queue: PacedQueue<string>;
  readonly #unconfirmed: UnconfirmedMessages;
  #nick: string | undefined;
  #features: readonly string[] = [];
  #isProven = false;
  /** We asked for a proof; the peer answered; the answer is late. */
  #isAsked = false;
  #isAnswered = false;
  #isProofLate = false;
  #usedAt: number;
  /** Whether a signature check is reserved for the waiting line. */
  #isCheckReserved = false;
  /** First the deadline of the handshake, then the check for an idle link. */
  #cancelTimer: (() => void) | undefined;
  #cancelProofWait: (() => void) | undefined;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    const { connection, terms, clock } = options;
    const { timings, limits } = options.settings;
    this.#bucket = new TokenBucket(
      clock,
      limits.directMessagesPerSecond,
      limits.directMessageBurst,
    );
    this.#pace = new TokenBucket(clock, limits.directSendsPerSecond, limits.directSendBurst);
    this.#queue = new PacedQueue({
      clock,
      pace: this.#pace,
      most: limits.unconfirmedLength,
      lengthOf: (payload) => payload.length,
      write: (payload) => this.#sendNow(payload),
    });
    this.#unconfirmed = createUnconfirmedMessages({
      clock,
      waitMs: timings.confirmWaitMs,
      most: limits.unconfirmedLength,
      ping: () => this.#ping(),
      onSilence: () => this.drop('did not answer our ping'),
      // The peer lists pings and does not answer them here, or the link was dead from the start.
      onNoPings: () => this.#handOver(),
    });
    this.#usedAt = clock.now();
    this.#line = new LinePeer({
      connection,
      clock,
      limits,
      timings,
      delayMs: (line) => this.#delayMs(line),
      turnOf: (line) => (this.#isCostly(line) ? options.turns : undefined),
      onEnvelope: (envelope) => this.#receive(envelope),
      onClosed: (reason) => this.#closed(reason),
    });
    this.#cancelTimer = clock.after(timings.peerHandshakeMs, () => this.drop('sent no handshake'));
    this.#line.send(MessageType.HANDSHAKE, terms.payload);
  }

  /** The nick in the other side's handshake; undefined before it. */
  get nick(): string | undefined {
    return this.#nick;
  }

  /** The features in its handshake; empty before it. */
  get features(): readonly string[] {
    return this.#features;
  }

  /**
   * Whether messages for `nick` may use this link: the nick is proven on it, or we dialled it and it
   * answered our request, or still has time to answer.
   */
  get usable(): boolean {
    return this.lastResort && (this.#isProven || this.#isAnswered || !this.#isProofLate);
  }

  /**
   * Whether the link may be used when there is no other route: as `usable`, but also when the answer is
   * late.
   */
  get lastResort(): boolean {
    return this.#line.open && this.#nick !== undefined && (this.#isProven || this.isOutgoing);
  }

  /** A signed message of `nick` that was not received before came over this link. */
  get isProven(): boolean {
    return this.#isProven;
  }

  /** We dialled it. */
  get isOutgoing(): boolean {
    return this.#options.dialled !== undefined;
  }

  get open(): boolean {
    return this.#line.open;
  }

  /** When a message last passed in either direction. */
  get usedAt(): number {
    return this.#usedAt;
  }

  /**
   * Asks for offers: a maker answers within a second with a signed message. A new answer proves the
   * link. An answer equal to an earlier one could be a repetition by any peer that relayed it: the link
   * is then used, but its messages also go through a directory until something new arrives on it.
   */
  askForProof(): void {
    const question = formatPubmsg(this.#options.terms.nick, 'orderbook');
    this.#pace.reserve();
    this.#isAsked = this.#line.send(MessageType.PUBMSG, question);
  }

  /** A signed message of `nick` came over this link; `isNew`: it was not received before. */
  heard(isNew: boolean): void {
    this.#isAnswered ||= this.#isAsked;
    if (!isNew) return;
    this.#isProven = true;
    this.#cancelProofWait?.();
    this.#unconfirmed.trust();
  }

  /** Sends one 685 payload whose loss does no harm, to whichever peer is at the other end. */
  answer(payload: string): boolean {
    return this.#pace.take() && this.#line.send(MessageType.PRIVMSG, payload);
  }

  /** Sends one 685 payload. False when the link did not take it, or its rate is used up. */
  send(payload: string): boolean {
    return this.#queue.isEmpty && this.#pace.take() && this.#sendNow(payload);
  }

  /**
   * Queues one 685 payload until the rate allows it. False when the link is not open or the queue is
   * full.
   */
  sendInTurn(payload: string): boolean {
    if (!this.open || this.#nick === undefined) return false;
    return this.#queue.push(payload) && this.open;
  }

  end(reason: string): void {
    // Too late for pacing: sending too many at once is better than sending none.
    this.#queue.flush();
    this.#line.end(reason, this.#options.settings.timings.closeGraceMs);
  }

  drop(reason: string): void {
    this.#line.drop(reason);
  }

  #closed(reason: string): void {
    this.#cancelTimer?.();
    this.#cancelProofWait?.();
    if (this.#isCheckReserved) this.#options.checks.giveBack();
    const unsent = [...this.#unconfirmed.close(), ...this.#queue.close()];
    this.#options.onClosed(this, reason, unsent);
  }

  #receive({ type, line: payload }: Envelope): void {
    const line = this.#line;
    const nick = this.#nick;
    this.#isCheckReserved = false;
    switch (type) {
      case MessageType.HANDSHAKE:
        return this.#handshake(payload);
      case MessageType.PRIVMSG:
        if (nick === undefined || !this.#options.onPrivmsg(this, nick, payload)) return line.junk();
        this.#usedAt = this.#options.clock.now();
        return;
      case MessageType.PUBMSG:
        if (nick === undefined || !this.#options.onPubmsg(this, nick, payload)) return line.junk();
        return;
      case MessageType.PING:
        if (nick !== undefined) line.send(MessageType.PONG, '');
        return;
      case MessageType.PONG:
        this.#unconfirmed.pong();
        return;
      default:
      // Only directories send peer lists; other types are unknown.
    }
  }

  #handshake(payload: string): void {
    const { terms, dialled } = this.#options;
    const parsed = parsePeerHandshake(payload, {
      ...terms.rules,
      peerHost: this.#options.connection.peerHost,
    });
    if (!parsed.ok) return this.drop(`its handshake is not acceptable (${parsed.reason})`);
    const { nick, features } = parsed.value;
    if (this.#nick !== undefined) {
      if (nick !== this.#nick) this.drop('changed its nick');
      return;
    }
    if (nick === terms.nick) return this.drop('uses our nick');
    if (dialled !== undefined && nick !== dialled) return this.drop('is another peer');
    this.#nick = nick;
    this.#features = features.map(ownText);
    this.#unconfirmed.usePings(features.includes(PING_FEATURE));
    this.#cancelTimer?.();
    this.#watchIdle();
    if (!this.#options.onHandshake(this, nick)) this.drop('too many direct links');
  }

  /** A faster sender is slowed down, not disconnected: it could not tell which messages were lost. */
  #delayMs(line: DecodedLine): number {
    const ownMs = this.#bucket.reserve();
    if (this.#nick === undefined || !line.ok || line.value.type !== MessageType.PRIVMSG) {
      return ownMs;
    }
    const checkMs = this.#options.checks.reserve();
    this.#isCheckReserved = true;
    return Math.max(ownMs, checkMs);
  }

  /** A message is verified, and a request answered with a signature. */
  #isCostly(line: DecodedLine): boolean {
    if (this.#nick === undefined || !line.ok) return false;
    return line.value.type === MessageType.PRIVMSG || line.value.type === MessageType.PUBMSG;
  }

  #watchIdle(): void {
    const { clock, settings } = this.#options;
    const { directIdleMs, closeGraceMs } = settings.timings;
    const idleMs = clock.now() - this.#usedAt;
    if (idleMs >= directIdleMs) return this.#line.end('not used', closeGraceMs);
    this.#cancelTimer = clock.after(directIdleMs - idleMs, () => this.#watchIdle());
  }

  #ping(): void {
    this.#pace.reserve();
    this.#line.send(MessageType.PING, '');
  }

  #sendNow(payload: string): boolean {
    if (this.#nick === undefined) return false;
    const { clock, settings } = this.#options;
    const message = this.#unconfirmed.track(payload);
    if (!this.#line.send(MessageType.PRIVMSG, payload, () => message.taken())) {
      message.withdraw();
      return false;
    }
    this.#usedAt = clock.now();
    this.#unconfirmed.written();
    if (!this.#isProven && (this.#isAnswered || !this.#isProofLate)) {
      this.#cancelProofWait ??= clock.after(settings.timings.proofWaitMs, () =>
        this.#onProofLate(),
      );
    }
    return true;
  }

  #onProofLate(): void {
    this.#isProofLate = true;
    this.#cancelProofWait = undefined;
    this.#handOver();
    // The link is no longer used unless there is no other route, so the rest need not wait.
    if (!this.#isAnswered) this.#unconfirmed.trust();
  }

  #handOver(): void {
    const nick = this.#nick;
    if (nick === undefined) return;
    this.#unconfirmed.handOver((payload) => this.#options.onUnconfirmed(nick, payload));
  }
}
