/**
 * One direct connection with another peer, made by either side: both send 793, nobody answers it
 * (protocol document, section 3.4).
 */
import { MessageType } from '../protocol/constants.js';
import type { Envelope } from '../protocol/envelope.js';
import { parsePeerHandshake } from '../protocol/handshake.js';
import type { ChannelSettings } from './channel-settings.js';
import type { HandshakeTerms } from './handshake-terms.js';
import { createLinePeer } from './line-peer.js';
import type { Clock, Connection } from './ports.js';
import { createTokenBucket } from './rate.js';
import { createUnconfirmed } from './unconfirmed.js';

export interface PeerLinkOptions {
  readonly connection: Connection;
  readonly terms: HandshakeTerms;
  readonly settings: ChannelSettings;
  readonly clock: Clock;
  /** The nick we dialled; undefined when the other side connected to us. */
  readonly dialled: string | undefined;
  /** The other side's handshake is fine. False closes the link. */
  readonly onHandshake: (link: PeerLink, nick: string) => boolean;
  /** A 685 payload, nothing checked; false when it means nothing. */
  readonly onPrivmsg: (link: PeerLink, nick: string, payload: string) => boolean;
  /** Called once and last, with the payloads that may not have arrived. */
  readonly onClosed: (link: PeerLink, reason: string, unsent: readonly string[]) => void;
}

export interface PeerLink {
  /** What the other side calls itself; undefined before its handshake. */
  readonly nick: string | undefined;
  /** Whether messages for `nick` may go here: we dialled it, or it proved its nick on this link. */
  readonly usable: boolean;
  readonly open: boolean;
  /** When a message last went in either direction. */
  readonly usedAt: number;
  /** A signed message of `nick` came over this link. */
  proven(): void;
  /** Sends one 685 payload. False when the link did not take it. */
  send(payload: string): boolean;
  end(reason: string): void;
  drop(reason: string): void;
}

/**
 * Our 793 goes out at once, in both directions, as the original's does. Nothing is sent to a peer
 * before its own 793: every deployed acceptor sends one unless it refuses us silently, and a message
 * to such a peer would be lost.
 */
export function openPeerLink(options: PeerLinkOptions): PeerLink {
  const { terms, settings, clock, dialled } = options;
  const { timings, limits } = settings;
  const bucket = createTokenBucket(
    clock,
    limits.directMessagesPerSecond,
    limits.directMessageBurst,
  );
  let nick: string | undefined;
  let trusted = dialled !== undefined;
  let usedAt = clock.now();
  let cancelTimer: (() => void) | undefined;

  const line = createLinePeer({
    connection: options.connection,
    clock,
    limits,
    timings,
    onEnvelope: receive,
    onClosed(reason) {
      cancelTimer?.();
      options.onClosed(link, reason, unconfirmed.close());
    },
  });
  const unconfirmed = createUnconfirmed({
    clock,
    waitMs: timings.confirmWaitMs,
    most: limits.unconfirmedLength,
    ping: () => line.send(MessageType.PING, ''),
    onSilence: () => line.drop('did not answer our ping'),
  });

  function handshake(payload: string): void {
    const parsed = parsePeerHandshake(payload, terms.rules);
    if (!parsed.ok) return line.drop(`its handshake is not acceptable (${parsed.reason})`);
    const theirs = parsed.value;
    if (nick !== undefined) {
      if (theirs.nick !== nick) line.drop('changed its nick');
      return;
    }
    if (theirs.nick === terms.nick) return line.drop('calls itself by our nick');
    if (dialled !== undefined && theirs.nick !== dialled) return line.drop('is another peer');
    nick = theirs.nick;
    unconfirmed.usePings(theirs.features.includes('ping'));
    cancelTimer?.();
    watchIdle();
    if (!options.onHandshake(link, nick)) line.drop('too many direct links');
  }

  function receive({ type, line: payload }: Envelope): void {
    switch (type) {
      case MessageType.HANDSHAKE:
        return handshake(payload);
      case MessageType.PRIVMSG:
        if (nick === undefined) return line.junk();
        // A dropped message gets no answer to the ping behind it either, so its sender knows.
        if (!bucket.take()) return;
        if (!options.onPrivmsg(link, nick, payload)) return line.junk();
        usedAt = clock.now();
        return;
      case MessageType.PING:
        if (nick !== undefined && bucket.take()) line.send(MessageType.PONG, '');
        return;
      case MessageType.PONG:
        unconfirmed.pong();
        return;
      default:
      // Peer lists and pubmsgs are a directory's to send; all else is unknown.
    }
  }

  function watchIdle(): void {
    const idleMs = clock.now() - usedAt;
    if (idleMs >= timings.directIdleMs) return line.end('not used', timings.closeGraceMs);
    cancelTimer = clock.after(timings.directIdleMs - idleMs, watchIdle);
  }

  const link: PeerLink = {
    get nick() {
      return nick;
    },
    get usable() {
      return line.open && nick !== undefined && trusted;
    },
    get open() {
      return line.open;
    },
    get usedAt() {
      return usedAt;
    },
    proven() {
      trusted = true;
    },
    send(payload) {
      if (nick === undefined) return false;
      const message = unconfirmed.track(payload);
      if (!line.send(MessageType.PRIVMSG, payload, () => message.taken())) {
        message.withdraw();
        return false;
      }
      usedAt = clock.now();
      unconfirmed.written();
      return true;
    },
    end: (reason) => line.end(reason, timings.closeGraceMs),
    drop: (reason) => line.drop(reason),
  };

  cancelTimer = clock.after(timings.peerHandshakeMs, () => line.drop('sent no handshake'));
  line.send(MessageType.HANDSHAKE, terms.payload);
  return link;
}
