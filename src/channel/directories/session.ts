/**
 * One connection to a directory, from our 793 to its end: handshake, proof of our nick if the directory
 * asks for it, pings in both directions, and the peer list (docs/protocol.md, sections 3, 5.2, 7.6).
 */
import { shownLine, shownLines } from '../../kit/shown-text.js';
import { MessageType } from '../../protocol/constants.js';
import type { Envelope } from '../../protocol/envelope.js';
import { parseDirectoryHandshake } from '../../protocol/handshake.js';
import {
  formatNickProof,
  parseNickChallenge,
  parseNickResult,
  proveNick,
  NICK_AUTH_FEATURE,
} from '../../protocol/nick-auth.js';
import type { NickKey } from '../../protocol/nick.js';
import type { ChannelSettings } from '../channel-settings.js';
import type { HandshakeTerms } from '../link/handshake-terms.js';
import { createLinePeer } from '../link/line-peer.js';
import type { Pacer } from './pacer.js';
import type { Clock, Connection } from '../ports.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import type { TurnBudget } from '../../kit/cooperative-work.js';

/** The content of an accepting 795. */
export interface DirectoryGreeting {
  readonly nick: string;
  readonly motd: string;
  readonly features: readonly string[];
}

/** How to prove our nick to a directory. */
export interface NickProver {
  readonly key: NickKey;
  /** The id that this directory must use: we sign for no other. */
  readonly directoryId: string;
  /** Whether to leave a directory that does not ask for a proof. */
  readonly required: boolean;
}

export interface DirectorySessionOptions {
  readonly connection: Connection;
  readonly terms: HandshakeTerms;
  readonly settings: ChannelSettings;
  readonly clock: Clock;
  /** Absent = the feature is not offered. */
  readonly prover: NickProver | undefined;
  /** Called before each GETPEERLIST; after true it is sent. */
  readonly mayAskPeerlist: () => boolean;
  /** Sends public messages; outlives sessions. */
  readonly pacer: Pacer;
  /** Shared by all directories: spreads signature checks and the reading of peer lists over time. */
  readonly checks: TurnBudget;
  readonly onAccepted: (greeting: DirectoryGreeting) => void;
  /** A message or peer list; only after `onAccepted`. */
  readonly onEnvelope: (envelope: Envelope) => void;
}

export interface DirectorySession {
  /** The handshake is done and the connection is open. */
  readonly ready: boolean;
  /** The connection ended, or hangs, between the 795 and the result of our proof. */
  readonly proving: boolean;
  /** Resolves with the reason when the connection is over; never rejects. */
  readonly over: Promise<string>;
  /**
   * `onWritten` is called when the line goes to the connection, for a private message perhaps later.
   */
  send(type: number, payload: string, onWritten?: () => void): boolean;
  publish(text: string): boolean;
  close(): void;
}

/** Why the other side cannot be used as a directory, in words. */
export const HANDSHAKE_FAULTS = {
  'handshake-json': 'its handshake is not JSON',
  'handshake-types': 'its handshake lacks a field, or a field has the wrong type',
  'app-name': 'it is not a JoinMarket directory',
  'directory-flag': 'it is a peer, not a directory',
  'proto-ver': 'it speaks another protocol version than 5',
  network: 'it serves another network',
} as const;

/** Checking a signature takes 2 ms, as long as the checksums of a hundred onions. */
function isCostly(type: number): boolean {
  return type === MessageType.PRIVMSG || type === MessageType.PEERLIST;
}

/** A private message, and a callback for when it is written to the connection. */
interface Paced {
  readonly payload: string;
  readonly onWritten: () => void;
}

type TimerName = 'handshake' | 'idle' | 'peerlist' | 'privmsg';

export function openDirectorySession(options: DirectorySessionOptions): DirectorySession {
  const { terms, settings, clock, pacer, prover } = options;
  const handshakePayload = prover ? terms.provingPayload : terms.payload;
  const { timings, limits } = settings;
  const timers = new Map<TimerName, () => void>();
  const pace = new TokenBucket(clock, limits.privmsgPerSecond, limits.privmsgPerSecond);
  /** Queued private messages. Their senders handle a session that ends before they are sent. */
  let queue: Paced[] = [];
  let queuedLength = 0;
  let ready = false;
  let proving = false;
  /** Handles an envelope before the session is ready. */
  let expected: (envelope: Envelope) => void = expectHandshake;
  let pingedAt: number | undefined;
  let resolveOver: ((reason: string) => void) | undefined;
  const over = new Promise<string>((resolve) => {
    resolveOver = resolve;
  });

  const line = createLinePeer({
    connection: options.connection,
    clock,
    limits,
    timings,
    delayMs: (decoded) =>
      ready && decoded.ok && isCostly(decoded.value.type) ? options.checks.delayMs() : 0,
    onEnvelope: (envelope) => (ready ? receive(envelope) : expected(envelope)),
    onClosed(reason) {
      ready = false;
      for (const cancel of timers.values()) cancel();
      timers.clear();
      queue = [];
      pacer.pause();
      resolveOver?.(reason);
    },
  });
  function setTimer(name: TimerName, ms: number, fn: () => void): void {
    timers.get(name)?.();
    timers.set(name, clock.after(ms, fn));
  }

  function expectHandshake({ type, line: payload }: Envelope): void {
    if (type === MessageType.HANDSHAKE) return line.drop('it is a peer, not a directory');
    // Nothing may precede the 795; other lines are ignored.
    if (type !== MessageType.DN_HANDSHAKE) return;
    const handshake = parseDirectoryHandshake(payload, terms.network);
    if (!handshake.ok) return line.drop(HANDSHAKE_FAULTS[handshake.reason]);
    const { accepted, nick, features } = handshake.value;
    const motd = shownLines(handshake.value.motd);
    if (!accepted) {
      const [why = ''] = motd.split('\n', 1);
      return line.drop(why === '' ? 'refused us' : `refused us: ${shownLine(why, 200)}`);
    }
    const greeting = { nick, motd, features };
    if (prover && features.includes(NICK_AUTH_FEATURE)) {
      proving = true;
      expected = (envelope) => expectChallenge(prover, greeting, envelope);
    } else if (prover?.required === true) {
      line.drop('it does not support nick_auth, which is required here');
    } else {
      begin(greeting);
    }
  }

  /** Signs once per connection, for this directory only. */
  function expectChallenge(
    asked: NickProver,
    greeting: DirectoryGreeting,
    envelope: Envelope,
  ): void {
    const { type, line: payload } = envelope;
    if (type !== MessageType.NICK_AUTH_CHALLENGE)
      return line.drop('did not send the nick challenge that it announced');
    const challenge = parseNickChallenge(payload);
    if (!challenge.ok) return line.drop('sent a malformed nick challenge');
    if (challenge.value.directoryId !== asked.directoryId) {
      return line.drop('sent a nick challenge for another directory');
    }
    expected = (result) => expectResult(greeting, result);
    const proof = proveNick(asked.key, challenge.value, handshakePayload);
    line.send(MessageType.NICK_AUTH_PROOF, formatNickProof(proof));
  }

  function expectResult(greeting: DirectoryGreeting, { type, line: payload }: Envelope): void {
    const result = type === MessageType.NICK_AUTH_RESULT ? parseNickResult(payload) : undefined;
    if (!result?.ok) return line.drop('did not answer the proof of our nick');
    if (result.value !== 'ok') return line.drop(`refused the proof of our nick: ${result.value}`);
    begin(greeting);
  }

  function begin(greeting: DirectoryGreeting): void {
    const { features } = greeting;
    timers.get('handshake')?.();
    proving = false;
    ready = true;
    if (features.includes('ping')) watchSilence();
    if (features.includes('peerlist_features')) askPeerlist();
    pacer.begin();
    options.onAccepted(greeting);
  }

  function receive(envelope: Envelope): void {
    switch (envelope.type) {
      case MessageType.PRIVMSG:
      case MessageType.PUBMSG:
      case MessageType.PEERLIST:
        options.onEnvelope(envelope);
        return;
      case MessageType.PING:
        line.send(MessageType.PONG, '');
        return;
      default:
      // Other types are ignored: a PONG has served its purpose by arriving, a second handshake changes
      // nothing, 801 is followed by the end of the connection, and 785, 787, 797 are never legitimate.
    }
  }

  /** Any line shows life. A silent directory is pinged, and disconnected when it stays silent. */
  function watchSilence(): void {
    const silentMs = clock.now() - line.heardAt;
    if (silentMs < timings.directoryIdleMs) {
      pingedAt = undefined;
      return setTimer('idle', timings.directoryIdleMs - silentMs, watchSilence);
    }
    if (pingedAt !== undefined) return line.drop('did not answer our ping');
    pingedAt = clock.now();
    line.send(MessageType.PING, '');
    setTimer('idle', timings.pongWaitMs, watchSilence);
  }

  function askPeerlist(): void {
    if (options.mayAskPeerlist()) line.send(MessageType.GETPEERLIST, '');
    setTimer('peerlist', timings.peerlistRefreshMs, askPeerlist);
  }

  function write({ payload, onWritten }: Paced): boolean {
    if (!line.send(MessageType.PRIVMSG, payload)) return false;
    onWritten();
    return true;
  }

  function sendPrivmsg(message: Paced): boolean {
    if (queue.length === 0 && pace.take()) return write(message);
    const { length } = message.payload;
    if (!line.open || queuedLength + length > limits.privmsgQueueLength) return false;
    queue.push(message);
    queuedLength += length;
    if (queue.length === 1) setTimer('privmsg', pace.waitMs(), drain);
    return true;
  }

  function drain(): void {
    let sent = 0;
    for (const message of queue) {
      if (!pace.take() || !write(message)) break;
      queuedLength -= message.payload.length;
      sent++;
    }
    queue = queue.slice(sent);
    if (queue.length > 0 && line.open) setTimer('privmsg', pace.waitMs(), drain);
  }

  setTimer('handshake', timings.directoryHandshakeMs, () =>
    line.drop('did not answer our handshake'),
  );
  line.send(MessageType.HANDSHAKE, handshakePayload);

  return {
    get ready() {
      return ready && line.open;
    },
    get proving() {
      return proving;
    },
    over,
    send(type, payload, onWritten = () => {}) {
      if (!ready) return false;
      if (type === MessageType.PRIVMSG) return sendPrivmsg({ payload, onWritten });
      if (!line.send(type, payload)) return false;
      onWritten();
      return true;
    },
    publish: (text) => ready && line.open && pacer.publish(text),
    close() {
      pacer.pause();
      // Too late for pacing: sending too many at once is better than sending none.
      for (const message of queue.splice(0)) write(message);
      // Before the end of the handshake there are no messages that must arrive.
      if (ready) line.end('stopped', timings.closeGraceMs);
      else line.drop('stopped');
    },
  };
}
