/**
 * One direct connection with another peer, opened by either side. Both send a 793, and there is no 795
 * (docs/protocol.md, section 3.4).
 */
import { MessageType } from '../../protocol/constants.js';
import type { Envelope } from '../../protocol/envelope.js';
import { parsePeerHandshake } from '../../protocol/handshake.js';
import { formatPubmsg } from '../../protocol/message.js';
import { ownText } from '../../protocol/own-text.js';
import type { ChannelSettings } from '../channel-settings.js';
import type { HandshakeTerms } from '../link/handshake-terms.js';
import { createLinePeer, type DecodedLine } from '../link/line-peer.js';
import type { Clock, Connection } from '../ports.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import { createUnconfirmed } from './unconfirmed.js';

export interface PeerLinkOptions {
  readonly connection: Connection;
  readonly terms: HandshakeTerms;
  readonly settings: ChannelSettings;
  readonly clock: Clock;
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
  readonly onDoubt: (nick: string, payload: string) => boolean;
  /** Called once and last, with the payloads that may not have arrived. */
  readonly onClosed: (link: PeerLink, reason: string, unsent: readonly string[]) => void;
}

export interface PeerLink {
  /** The nick in the other side's handshake; undefined before it. */
  readonly nick: string | undefined;
  /** The features in its handshake; empty before it. */
  readonly features: readonly string[];
  /**
   * Whether messages for `nick` may use this link: the nick is proven on it, or we dialled it and it
   * answered our request, or still has time to answer.
   */
  readonly usable: boolean;
  /**
   * Whether the link may be used when there is no other route: as `usable`, but also when the answer is
   * late.
   */
  readonly lastResort: boolean;
  /** A signed message of `nick` that was not received before came over this link. */
  readonly isProven: boolean;
  /** We dialled it. */
  readonly isOurs: boolean;
  readonly open: boolean;
  /** When a message last passed in either direction. */
  readonly usedAt: number;
  /**
   * Asks for offers: a maker answers within a second with a signed message. A new answer proves the
   * link. An answer equal to an earlier one could be a repetition by any peer that relayed it: the link
   * is then used, but its messages also go through a directory until something new arrives on it.
   */
  askForProof(): void;
  /** A signed message of `nick` came over this link; `isNew`: it was not received before. */
  heard(isNew: boolean): void;
  /** Sends one 685 payload whose loss does no harm, to whichever peer is at the other end. */
  answer(payload: string): boolean;
  /** Sends one 685 payload. False when the link did not take it, or its rate is used up. */
  send(payload: string): boolean;
  /**
   * Queues one 685 payload until the rate allows it. False when the link is not open or the queue is
   * full.
   */
  sendInTurn(payload: string): boolean;
  end(reason: string): void;
  drop(reason: string): void;
}

/**
 * Our 793 is sent at once in both directions, as by the original. Nothing else is sent before the other
 * side's 793: every deployed acceptor sends one unless it refuses us silently, and messages to such a
 * peer would be lost.
 */
export function openPeerLink(options: PeerLinkOptions): PeerLink {
  const { terms, settings, clock, dialled } = options;
  const { timings, limits } = settings;
  const bucket = new TokenBucket(clock, limits.directMessagesPerSecond, limits.directMessageBurst);
  let nick: string | undefined;
  let features: readonly string[] = [];
  const pace = new TokenBucket(clock, limits.directSendsPerSecond, limits.directSendBurst);
  let isProven = false;
  let isAsked = false;
  let isAnswered = false;
  let isDoubted = false;
  let usedAt = clock.now();
  let cancelTimer: (() => void) | undefined;
  let cancelDoubt: (() => void) | undefined;
  /** A check that is reserved for the waiting line. */
  let checkReserved = false;
  let queue: string[] = [];
  let queuedLength = 0;
  let cancelQueue: (() => void) | undefined;

  const line = createLinePeer({
    connection: options.connection,
    clock,
    limits,
    timings,
    delayMs,
    onEnvelope: receive,
    onClosed(reason) {
      cancelTimer?.();
      cancelDoubt?.();
      cancelQueue?.();
      if (checkReserved) options.checks.giveBack();
      options.onClosed(link, reason, [...unconfirmed.close(), ...queue]);
    },
  });
  const unconfirmed = createUnconfirmed({
    clock,
    waitMs: timings.confirmWaitMs,
    most: limits.unconfirmedLength,
    ping() {
      pace.reserve();
      line.send(MessageType.PING, '');
    },
    onSilence: () => line.drop('did not answer our ping'),
    // The peer lists pings and does not answer them here, or the link was dead from the start.
    onNoPings: handOver,
  });

  function handshake(payload: string): void {
    const parsed = parsePeerHandshake(payload, terms.rules);
    if (!parsed.ok) return line.drop(`its handshake is not acceptable (${parsed.reason})`);
    const theirs = parsed.value;
    if (nick !== undefined) {
      if (theirs.nick !== nick) line.drop('changed its nick');
      return;
    }
    if (theirs.nick === terms.nick) return line.drop('uses our nick');
    if (dialled !== undefined && theirs.nick !== dialled) return line.drop('is another peer');
    nick = theirs.nick;
    features = theirs.features.map(ownText);
    unconfirmed.usePings(theirs.features.includes('ping'));
    cancelTimer?.();
    watchIdle();
    if (!options.onHandshake(link, nick)) line.drop('too many direct links');
  }

  /** A faster sender is slowed down, not disconnected: it could not tell which messages were lost. */
  function delayMs(decoded: DecodedLine): number {
    const ownMs = bucket.reserve();
    if (nick === undefined || !decoded.ok || decoded.value.type !== MessageType.PRIVMSG) {
      return ownMs;
    }
    const checkMs = options.checks.reserve();
    checkReserved = true;
    return Math.max(ownMs, checkMs);
  }

  function receive({ type, line: payload }: Envelope): void {
    checkReserved = false;
    switch (type) {
      case MessageType.HANDSHAKE:
        return handshake(payload);
      case MessageType.PRIVMSG:
        if (nick === undefined) return line.junk();
        if (!options.onPrivmsg(link, nick, payload)) return line.junk();
        usedAt = clock.now();
        return;
      case MessageType.PUBMSG:
        if (nick === undefined || !options.onPubmsg(link, nick, payload)) return line.junk();
        return;
      case MessageType.PING:
        if (nick !== undefined) line.send(MessageType.PONG, '');
        return;
      case MessageType.PONG:
        unconfirmed.pong();
        return;
      default:
      // Only directories send peer lists; other types are unknown.
    }
  }

  function watchIdle(): void {
    const idleMs = clock.now() - usedAt;
    if (idleMs >= timings.directIdleMs) return line.end('not used', timings.closeGraceMs);
    cancelTimer = clock.after(timings.directIdleMs - idleMs, watchIdle);
  }

  function sendNow(payload: string): boolean {
    if (nick === undefined) return false;
    const message = unconfirmed.track(payload);
    if (!line.send(MessageType.PRIVMSG, payload, () => message.taken())) {
      message.withdraw();
      return false;
    }
    usedAt = clock.now();
    unconfirmed.written();
    if (!isProven && (isAnswered || !isDoubted)) {
      cancelDoubt ??= clock.after(timings.proofWaitMs, doubt);
    }
    return true;
  }

  function doubt(): void {
    isDoubted = true;
    cancelDoubt = undefined;
    handOver();
    // The link is no longer used unless there is no other route, so the rest need not wait.
    if (!isAnswered) unconfirmed.trust();
  }

  function handOver(): void {
    const peer = nick;
    if (peer !== undefined) unconfirmed.handOver((payload) => options.onDoubt(peer, payload));
  }

  function drainQueue(): void {
    cancelQueue = undefined;
    while (queue[0] !== undefined && pace.take()) {
      if (!sendNow(queue[0])) return;
      queuedLength -= queue.shift()?.length ?? 0;
    }
    if (queue.length > 0) cancelQueue = clock.after(pace.waitMs(), drainQueue);
  }

  const link: PeerLink = {
    get nick() {
      return nick;
    },
    get features() {
      return features;
    },
    get usable() {
      return link.lastResort && (isProven || isAnswered || !isDoubted);
    },
    get lastResort() {
      return line.open && nick !== undefined && (isProven || dialled !== undefined);
    },
    get isProven() {
      return isProven;
    },
    isOurs: dialled !== undefined,
    get open() {
      return line.open;
    },
    get usedAt() {
      return usedAt;
    },
    askForProof() {
      pace.reserve();
      isAsked = line.send(MessageType.PUBMSG, formatPubmsg(terms.nick, 'orderbook'));
    },
    heard(isNew) {
      isAnswered ||= isAsked;
      if (!isNew) return;
      isProven = true;
      cancelDoubt?.();
      unconfirmed.trust();
    },
    answer: (payload) => pace.take() && line.send(MessageType.PRIVMSG, payload),
    send: (payload) => queue.length === 0 && pace.take() && sendNow(payload),
    sendInTurn(payload) {
      if (!line.open || nick === undefined) return false;
      if (queuedLength + payload.length > limits.unconfirmedLength) return false;
      queue.push(payload);
      queuedLength += payload.length;
      if (!cancelQueue) drainQueue();
      return line.open;
    },
    end(reason) {
      // Too late for pacing: sending too many at once is better than sending none.
      for (const payload of queue.splice(0)) sendNow(payload);
      line.end(reason, timings.closeGraceMs);
    },
    drop: (reason) => line.drop(reason),
  };

  cancelTimer = clock.after(timings.peerHandshakeMs, () => line.drop('sent no handshake'));
  line.send(MessageType.HANDSHAKE, terms.payload);
  return link;
}
