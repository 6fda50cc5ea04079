/**
 * The fan-out: everything that is sent to ready peers. Broadcasts go through the shared log, frames for
 * one peer are inserted, and leaves are collected into few lines.
 */
import type { Clock, Random } from '../../channel/ports.js';
import { createBroadcastLog } from './broadcast-log.js';
import { ALL_PEERS, createFlushTimer, type FlushPart, type FlushTimer } from './flush-timer.js';
import { Flusher } from './flusher.js';
import { Outboxes } from './outbox.js';
import type { DirectoryLimits } from '../limits.js';
import type { Peer } from '../peer.js';
import { leaveFrames, type Leave } from './peerlists.js';
import { kindsNamedOver, type LocationKind } from '../../protocol/location.js';
import type { Registry } from '../registry.js';
import type { CloseReason, FlushReport, Tally } from '../stats.js';
import { UnsettledNicks } from './unsettled.js';

/** Size of a leave in its line, approximately. */
const LEAVE_BYTES = 85;

export interface FanoutOptions {
  readonly registry: Registry;
  readonly reachable: ReadonlySet<LocationKind>;
  readonly clock: Clock;
  readonly random: Random;
  readonly tally: Tally;
  /** Longest time that a public frame waits for others, in milliseconds. */
  readonly publicWindowMs: number;
  /** Least time between two flushes, in milliseconds. */
  readonly flushWindowMs: number;
  readonly limits: DirectoryLimits;
  /** Ends a peer that lags too far behind. */
  drop(peer: Peer, reason: CloseReason): void;
  readonly onFlush?: ((report: FlushReport) => void) | undefined;
}

/**
 * Frames queued inside a `batch` are written when the outermost batch returns. Frames queued outside of
 * any batch are written at once, so callers need not flush.
 */
export class Fanout {
  readonly outboxes: Outboxes;
  readonly #options: FanoutOptions;
  readonly #log = createBroadcastLog();
  readonly #timer: FlushTimer;
  readonly #flusher: Flusher;
  readonly #unsettled = new UnsettledNicks();
  /** Peers with own frames that were not written yet. */
  readonly #touched = new Set<Peer>();
  #leaves: Leave[] = [];
  /** Number of nested batches and flushes. */
  #depth = 0;

  constructor(options: FanoutOptions) {
    const { clock, tally, registry } = options;
    this.#options = options;
    this.outboxes = new Outboxes({ log: this.#log, clock, tally });
    this.#flusher = new Flusher({ fanout: options, log: this.#log, outboxes: this.outboxes });
    this.#timer = createFlushTimer({
      clock,
      windows: { publicMs: options.publicWindowMs, burstMs: options.flushWindowMs },
      peers: () => registry.ready.length,
      flush: (part) => this.#flush(part),
    });
  }

  get logBytes(): number {
    return this.#log.size;
  }

  /** Runs `work`; everything that it queues is written together. Returns the result of `work`. */
  batch<T>(work: () => T): T {
    this.#depth++;
    try {
      return work();
    } finally {
      this.#depth--;
      this.#schedule();
    }
  }

  /**
   * Queues one frame of a nick for every ready peer except `sender`, the peer of that nick if it is here;
   * it must be ready.
   * @param frame ASCII, CRLF included
   */
  broadcast(frame: string, from: string, sender: Peer | undefined): void {
    const length = this.#log.append(frame);
    this.#unsettled.note(from, this.#log.end);
    if (sender) this.outboxes.cutOut(sender.outbox, length);
    this.#timer.touch(length);
    this.#schedule();
  }

  /** Queues frames for one ready peer, behind all that waits for it. @param lines their number */
  direct(peer: Peer, frames: string | Uint8Array, lines = 1): void {
    const bytes = typeof frames === 'string' ? Buffer.from(frames, 'latin1') : frames;
    this.outboxes.direct(peer.outbox, bytes, lines);
    this.#touched.add(peer);
    this.#schedule();
  }

  /**
   * Queues frames for one ready peer that are urgent: they leave before the public frames that wait for it.
   * Behind Tor they are then in the first cell; the others fill the cells behind it.
   * @param about the nick that they speak of, whose own frames are not overtaken; undefined: of none
   */
  urgent(peer: Peer, frames: string, about: string | undefined, lines = 1): void {
    const { outbox } = peer;
    const mayOvertake = about === undefined || this.#unsettled.allBefore(about, outbox.cursor);
    if (!mayOvertake || !this.outboxes.overtake(outbox, Buffer.from(frames, 'latin1'), lines)) {
      this.direct(peer, frames, lines);
      return;
    }
    this.#touched.add(peer);
    this.#schedule();
  }

  /** A peer that was ready has left; the next flush announces it. */
  announceLeave(peer: Leave): void {
    this.#leaves.push({ nick: peer.nick, location: peer.location });
    this.#options.tally.leavesAnnounced++;
    this.#timer.touch(LEAVE_BYTES);
    this.#schedule();
  }

  /** Writes pending leaves into the log, so that a peer that becomes ready now does not get them. */
  recordLeaves(): void {
    if (this.#leaves.length === 0) return;
    const leaves = this.#leaves;
    this.#leaves = [];
    const [first, ...others] = this.#dialledKinds();
    if (first === undefined) return;
    const { reachable } = this.#options;
    const frames = leaveFrames(leaves, kindsNamedOver(first, reachable));
    const versions = others.map((via) => leaveFrames(leaves, kindsNamedOver(via, reachable)));
    if (versions.every((version) => version.join('') === frames.join(''))) {
      this.#appendToAll(frames);
    } else {
      this.#appendTo(first, frames);
      for (const [i, via] of others.entries()) this.#appendTo(via, versions[i] ?? []);
    }
    for (const { nick } of leaves) this.#unsettled.note(nick, this.#log.end);
  }

  /** The kinds of locations that the ready peers dialled. */
  #dialledKinds(): ReadonlySet<LocationKind> {
    const { registry, reachable } = this.#options;
    if (reachable.size === 1) return reachable;
    return new Set(registry.ready.map(({ connection }) => connection.via));
  }

  #appendToAll(frames: readonly string[]): void {
    const { registry, tally } = this.#options;
    for (const frame of frames) this.#log.append(frame);
    tally.messagesOut.peerlist += frames.length * registry.ready.length;
  }

  /** Only for peers that dialled this kind of location. */
  #appendTo(via: LocationKind, frames: readonly string[]): void {
    const { registry, tally } = this.#options;
    for (const frame of frames) {
      const length = this.#log.append(frame);
      for (const { connection, outbox } of registry.ready) {
        if (connection.via === via) tally.messagesOut.peerlist++;
        else this.outboxes.cutOut(outbox, length);
      }
    }
  }

  /** Flushes now, to all peers, without waiting for the window. */
  flush(): void {
    this.#flush(ALL_PEERS);
  }

  #flush(part: FlushPart): void {
    this.#depth++;
    this.recordLeaves();
    this.#unsettled.settle(this.#flusher.flush(part));
    this.#writeTouched();
    this.#depth--;
  }

  /** The last peer has left, or the directory stops: empties the queues and clears the timer. */
  clear(): void {
    this.#timer.cancel();
    this.#touched.clear();
    this.#leaves = [];
    this.#log.trim(this.#log.end);
    this.#unsettled.settle(this.#log.end);
  }

  #writeTouched(): void {
    const { limits } = this.#options;
    for (const peer of this.#touched) {
      this.#touched.delete(peer);
      if (peer.state !== 'ready') continue;
      this.outboxes.pump(peer.outbox);
      if (this.outboxes.lag(peer.outbox) > limits.sendQueueBytes) {
        this.#options.drop(peer, 'lag');
      }
    }
  }

  /** Outside of any batch: writes own frames, and flushes now or later. */
  #schedule(): void {
    if (this.#depth > 0) return;
    this.#depth++;
    this.#writeTouched();
    this.#timer.schedule();
    this.#depth--;
  }
}
