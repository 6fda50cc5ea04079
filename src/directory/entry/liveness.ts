/**
 * Detects dead peers (docs/protocol.md, section 14). A peer is not ended for silence, but when its
 * queued bytes do not drain, when it does not answer a ping, or when it is a maker that ignored its
 * liveness probes. A taker or watcher of the original is silent for hours, cannot be pinged, and stays
 * connected while its connection takes bytes.
 */
import type { Clock } from '../../channel/ports.js';
import { MessageType } from '../../protocol/constants.js';
import { encodeEnvelope } from '../../protocol/envelope.js';
import { formatPubmsg } from '../../protocol/message.js';
import type { Fanout } from '../fanout/fanout.js';
import type { Peerlists } from '../fanout/peerlists.js';
import type { DirectoryLimits } from '../limits.js';
import { isServing, type Peer } from '../peer.js';
import type { Registry } from '../registry.js';
import type { CloseReason, Tally } from '../stats.js';

/** Least time between two lines for a peer whose nick is claimed. */
const NICK_PROBE_MS = 1_000;
const PING = encodeEnvelope(MessageType.PING, '');

export interface LivenessOptions {
  /** The directory's own nick. */
  readonly nick: string;
  readonly limits: DirectoryLimits;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly peerlists: Peerlists;
  readonly tally: Tally;
  drop(peer: Peer, reason: CloseReason): void;
}

export class Liveness {
  readonly #options: LivenessOptions;
  /**
   * The liveness probe for a maker that cannot be pinged: it answers with a private message to the
   * directory.
   */
  readonly #orderbookProbe: string;
  #nextBeatAt: number;
  #waits = false;

  constructor(options: LivenessOptions) {
    const { nick, clock, limits } = options;
    this.#options = options;
    this.#orderbookProbe = encodeEnvelope(MessageType.PUBMSG, formatPubmsg(nick, 'orderbook'));
    this.#nextBeatAt = clock.now() + limits.heartbeatIntervalMs;
  }

  /** Whether a ping was unanswered or a write in progress at the last sweep, or a ping was sent since. */
  get waits(): boolean {
    return this.#waits;
  }

  /**
   * Sends the holder of a claimed nick a message that a live peer answers or at least takes. Strangers and other nodes
   * cause this, so a peer that cannot be pinged gets one in a second at most: its connection took the last one a moment
   * ago, or bytes wait anyway.
   */
  probe(holder: Peer): void {
    const { clock, fanout, peerlists, tally } = this.#options;
    tally.nickProbes++;
    if (holder.canPing) {
      this.#ping(holder);
      return;
    }
    const now = clock.now();
    if (now - (holder.nickProbedAt ?? -Infinity) < NICK_PROBE_MS) return;
    holder.nickProbedAt = now;
    fanout.direct(holder, peerlists.ownFrame(holder.connection.via));
  }

  /** Ends dead peers and probes silent ones. */
  sweep(now: number): void {
    const { registry, limits } = this.#options;
    const beats = this.#beatDue(now);
    const { heartbeatIdleMs } = limits;
    this.#waits = false;
    // Backwards, because the last peer takes the place of a dropped one.
    for (let i = registry.ready.length - 1; i >= 0; i--) {
      const peer = registry.ready[i];
      if (!peer) continue;
      const reason = this.#failure(peer, now);
      if (reason) this.#options.drop(peer, reason);
      else if (beats && now - peer.heardAt >= heartbeatIdleMs) {
        this.#beat(peer, now - peer.heardAt, now);
      }
      if (peer.pingedAt !== undefined || peer.outbox.inFlight > 0) this.#waits = true;
    }
  }

  /** Sends a ping unless one is unanswered. The peer must have listed `ping`. */
  #ping(peer: Peer): void {
    const { clock, fanout, tally } = this.#options;
    if (peer.pingedAt !== undefined) return;
    peer.pingedAt = clock.now();
    this.#waits = true;
    peer.pongsDue++;
    tally.messagesOut.ping++;
    fanout.direct(peer, PING);
  }

  /** The reason to end this peer now, if there is one. */
  #failure(peer: Peer, now: number): CloseReason | undefined {
    const { limits, fanout } = this.#options;
    const { writeStallTimeoutMs, heartbeatPongWaitMs } = limits;
    if (fanout.outboxes.stalled(peer.outbox, now, writeStallTimeoutMs)) return 'write-stall';
    if (peer.pingedAt === undefined || heartbeatPongWaitMs === 0) return undefined;
    // The ping waits behind bytes that the peer is still taking; if it took none, it has stalled.
    if (peer.outbox.inFlight > 0) peer.pingedAt = now;
    return now - peer.pingedAt >= heartbeatPongWaitMs ? 'no-pong' : undefined;
  }

  /** Probes a peer that has been silent for `silence` ms. */
  #beat(peer: Peer, silence: number, now: number): void {
    const { limits, fanout, tally } = this.#options;
    const { heartbeatIdleMs, heartbeatEvictMs } = limits;
    if (peer.canPing) {
      tally.heartbeatProbes++;
      this.#ping(peer);
    } else if (isServing(peer)) {
      const probed = peer.probedAt !== undefined && peer.probedAt > peer.heardAt;
      if (probed && heartbeatEvictMs > 0 && silence >= heartbeatEvictMs) {
        this.#options.drop(peer, 'silent-maker');
      } else if (!probed || now - (peer.probedAt ?? 0) >= heartbeatIdleMs / 2) {
        peer.probedAt = now;
        tally.heartbeatProbes++;
        tally.messagesOut.orderbook++;
        fanout.direct(peer, this.#orderbookProbe);
      }
    }
  }

  #beatDue(now: number): boolean {
    const { heartbeatIntervalMs, heartbeatIdleMs } = this.#options.limits;
    if (heartbeatIntervalMs === 0 || heartbeatIdleMs === 0 || now < this.#nextBeatAt) return false;
    this.#nextBeatAt = now + heartbeatIntervalMs;
    return true;
  }
}
