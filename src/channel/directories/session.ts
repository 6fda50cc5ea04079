/**
 * One connection to a directory, from our 793 to its end: handshake, pings in both directions, paced private
 * messages, and the peer list (docs/protocol.md, sections 3, 5.2, 7.6).
 */
import { deferred } from '../../kit/deferred.js';
import { MessageType } from '../../protocol/constants.js';
import type { Envelope } from '../../protocol/envelope.js';
import { PEERLIST_FEATURE, PING_FEATURE } from '../../protocol/features.js';
import type { ChannelSettings } from '../channel-settings.js';
import type { HandshakeTerms } from '../link/handshake-terms.js';
import { LinePeer } from '../link/line-peer.js';
import { PacedQueue } from '../link/paced-queue.js';
import { Unanswered } from './unanswered.js';
import { DirectoryHandshake, type DirectoryGreeting, type NickProver } from './handshake.js';
import type { Pacer } from './pacer.js';
import type { Clock, Connection } from '../ports.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import type { TurnBudget } from '../../kit/cooperative-work.js';

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
  /** Shared by all connections: spreads signature checks and the reading of peer lists over time. */
  readonly checks: TurnBudget;
  readonly onAccepted: (greeting: DirectoryGreeting) => void;
  /** A message or peer list; only after `onAccepted`. */
  readonly onEnvelope: (envelope: Envelope) => void;
}

/** Checking a signature and acting on the message takes up to some milliseconds, a peer list as well. */
function isCostly(type: number): boolean {
  return type === MessageType.PRIVMSG || type === MessageType.PEERLIST;
}

/** A private message, and a callback for when it is written to the connection. */
interface Paced {
  readonly payload: string;
  readonly onWritten: () => void;
}

type TimerName = 'handshake' | 'idle' | 'peerlist' | 'ping' | 'answer';

/**
 * Private messages wait, and no answer to a ping came for this long: the directory does not read them, or its
 * answers are lost. Four times the wait of a silent directory, whose path gives no sign of life.
 */
const ANSWER_WAITS = 4;

export class DirectorySession {
  readonly #options: DirectorySessionOptions;
  readonly #line: LinePeer;
  readonly #handshake: DirectoryHandshake;
  readonly #timers = new Map<TimerName, () => void>();
  readonly #pace: TokenBucket;
  /** Queued private messages. Their senders handle a session that ends before they are sent. */
  readonly #queue: PacedQueue<Paced>;
  /** Absent when the directory does not answer pings. */
  #unanswered: Unanswered | undefined;
  #isReady = false;
  #pingedAt: number | undefined;
  readonly #over = deferred<string>();

  constructor(options: DirectorySessionOptions) {
    this.#options = options;
    const { connection, clock } = options;
    const { timings, limits } = options.settings;
    this.#pace = new TokenBucket(clock, limits.privmsgPerSecond, limits.privmsgPerSecond);
    this.#queue = new PacedQueue({
      clock,
      pace: this.#pace,
      most: limits.privmsgQueueLength,
      lengthOf: ({ payload }) => payload.length,
      isHeld: () => this.#isHeld(),
      write: (message) => this.#write(message),
    });
    this.#handshake = new DirectoryHandshake({
      terms: options.terms,
      prover: options.prover,
      send: (type, payload) => void this.#line.send(type, payload),
      drop: (reason) => this.#line.drop(reason),
      onAccepted: (greeting) => this.#begin(greeting),
    });
    this.#line = new LinePeer({
      connection,
      clock,
      limits,
      timings,
      turnOf: (line) =>
        this.#isReady && line.ok && isCostly(line.value.type) ? options.checks : undefined,
      onEnvelope: (envelope) => {
        if (this.#isReady) this.#receive(envelope);
        else this.#handshake.receive(envelope);
      },
      onClosed: (reason) => this.#closed(reason),
    });
    this.#setTimer('handshake', timings.directoryHandshakeMs, () =>
      this.#line.drop('did not answer our handshake'),
    );
    this.#handshake.start();
  }

  /** The handshake is done and the connection is open. */
  get ready(): boolean {
    return this.#isReady && this.#line.open;
  }

  /** The connection ended, or hangs, between the 795 and the result of our proof. */
  get proving(): boolean {
    return this.#handshake.proving;
  }

  /** Resolves with the reason when the connection is over; never rejects. */
  get over(): Promise<string> {
    return this.#over.promise;
  }

  /**
   * `onWritten` is called when the line goes to the connection, for a private message perhaps later.
   */
  send(type: number, payload: string, onWritten: () => void = () => {}): boolean {
    if (!this.#isReady) return false;
    if (type === MessageType.PRIVMSG) return this.#sendPrivmsg({ payload, onWritten });
    if (!this.#line.send(type, payload)) return false;
    onWritten();
    return true;
  }

  publish(text: string): boolean {
    return this.ready && this.#options.pacer.publish(text);
  }

  close(): void {
    this.#options.pacer.pause();
    // Too late for pacing: sending too many at once is better than sending none.
    this.#queue.flush();
    // Before the end of the handshake there are no messages that must arrive.
    if (this.#isReady) this.#line.end('stopped', this.#options.settings.timings.closeGraceMs);
    else this.#line.drop('stopped');
  }

  #closed(reason: string): void {
    this.#isReady = false;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#queue.close();
    this.#options.pacer.pause();
    this.#over.resolve(reason);
  }

  #setTimer(name: TimerName, ms: number, fn: () => void): void {
    this.#timers.get(name)?.();
    this.#timers.set(name, this.#options.clock.after(ms, fn));
  }

  #begin(greeting: DirectoryGreeting): void {
    const { features } = greeting;
    this.#timers.get('handshake')?.();
    this.#isReady = true;
    if (features.includes(PING_FEATURE)) {
      this.#unanswered = new Unanswered(this.#options.clock);
      this.#watchSilence();
    }
    if (features.includes(PEERLIST_FEATURE)) this.#askPeerlist();
    this.#options.pacer.begin();
    this.#options.onAccepted(greeting);
  }

  #receive(envelope: Envelope): void {
    switch (envelope.type) {
      case MessageType.PRIVMSG:
      case MessageType.PUBMSG:
      case MessageType.PEERLIST:
        this.#options.onEnvelope(envelope);
        return;
      case MessageType.PING:
        this.#line.send(MessageType.PONG, '');
        return;
      case MessageType.PONG:
        this.#ponged();
        return;
      default:
      // Other types are ignored: a second handshake changes nothing, 801 is followed by the end of the connection, and 785, 787, 797 are never legitimate.
    }
  }

  /** Any line shows life. A silent directory is pinged, and disconnected when it stays silent. */
  #watchSilence(): void {
    const { clock, settings } = this.#options;
    const { directoryIdleMs, pongWaitMs } = settings.timings;
    const again = (): void => this.#watchSilence();
    const silentMs = clock.now() - this.#line.heardAt;
    if (silentMs < directoryIdleMs) {
      this.#pingedAt = undefined;
      return this.#setTimer('idle', directoryIdleMs - silentMs, again);
    }
    if (this.#pingedAt !== undefined) return this.#line.drop('did not answer our ping');
    this.#pingedAt = clock.now();
    this.#ping();
    this.#setTimer('idle', pongWaitMs, again);
  }

  #ping(): void {
    if (this.#line.send(MessageType.PING, '')) this.#unanswered?.pinged();
  }

  #ponged(): void {
    this.#unanswered?.ponged();
    this.#timers.get('answer')?.();
    this.#timers.delete('answer');
    this.#queue.resume();
  }

  /** Pings after enough private messages, at once or when the rate of pings allows it. */
  #pingWhenDue(): void {
    const dueMs = this.#unanswered?.pingDueMs;
    if (dueMs === undefined || !this.#line.open) return;
    if (dueMs === 0) this.#ping();
    else this.#setTimer('ping', dueMs, () => this.#pingWhenDue());
  }

  /** Whether private messages must wait until the directory has answered a ping. */
  #isHeld(): boolean {
    if (this.#unanswered?.isFull !== true) return false;
    if (!this.#timers.has('answer')) {
      const { pongWaitMs } = this.#options.settings.timings;
      this.#setTimer('answer', ANSWER_WAITS * pongWaitMs, () =>
        this.#line.drop('did not answer our pings'),
      );
    }
    return true;
  }

  #askPeerlist(): void {
    const { mayAskPeerlist, settings } = this.#options;
    if (mayAskPeerlist()) this.#line.send(MessageType.GETPEERLIST, '');
    this.#setTimer('peerlist', settings.timings.peerlistRefreshMs, () => this.#askPeerlist());
  }

  #sendPrivmsg(message: Paced): boolean {
    if (this.#queue.isEmpty && !this.#isHeld() && this.#pace.take()) return this.#write(message);
    return this.#line.open && this.#queue.push(message);
  }

  #write({ payload, onWritten }: Paced): boolean {
    if (!this.#line.send(MessageType.PRIVMSG, payload)) return false;
    this.#unanswered?.sent();
    this.#pingWhenDue();
    onWritten();
    return true;
  }
}
