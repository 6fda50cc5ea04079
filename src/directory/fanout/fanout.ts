/**
 * The fan-out: everything that is sent to ready peers. Broadcasts go through the shared log, frames for
 * one peer are inserted, and leaves are collected into few lines.
 */
import type { Clock, Random } from '../../channel/ports.js';
import { createBroadcastLog } from './broadcast-log.js';
import { createFlushTimer, type FlushTimer } from './flush-timer.js';
import { Outboxes } from './outbox.js';
import type { DirectoryLimits } from '../limits.js';
import type { Peer } from '../peer.js';
import { leaveFrames, type Leave } from './peerlists.js';
import { kindsNamedOver, type LocationKind } from '../../protocol/location.js';
import type { Registry } from '../registry.js';
import type { CloseReason, FlushReport, Tally } from '../stats.js';

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
  /** Log position of the last flush. */
  #flushed = 0;
  /** Peers with own frames that were not written yet. */
  readonly #touched = new Set<Peer>();
  #leaves: Leave[] = [];
  /** Number of nested batches and flushes. */
  #depth = 0;

  constructor(options: FanoutOptions) {
    const { clock, tally } = options;
    this.#options = options;
    this.outboxes = new Outboxes({ log: this.#log, clock, tally });
    const windows = { publicMs: options.publicWindowMs, burstMs: options.flushWindowMs };
    this.#timer = createFlushTimer(clock, windows, () => this.flush());
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
   * Queues one frame for every ready peer except `sender`, which must be ready if it is here.
   * @param frame ASCII, CRLF included
   */
  broadcast(frame: string, sender: Peer | undefined): void {
    const length = this.#log.append(frame);
    if (sender) this.outboxes.cutOut(sender.outbox, length);
    this.#timer.touch(length);
    this.#schedule();
  }

  /** Queues frames for one ready peer. @param lines their number */
  direct(peer: Peer, frames: string | Uint8Array, lines = 1): void {
    const bytes = typeof frames === 'string' ? Buffer.from(frames, 'latin1') : frames;
    this.outboxes.direct(peer.outbox, bytes, lines);
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
      return;
    }
    this.#appendTo(first, frames);
    for (const [i, via] of others.entries()) this.#appendTo(via, versions[i] ?? []);
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

  /** Flushes now, without waiting for the window. */
  flush(): void {
    const { clock, tally, onFlush } = this.#options;
    this.#depth++;
    this.recordLeaves();
    tally.flushes++;
    const { end } = this.#log;
    const startedAt = clock.now();
    const slowest = this.#pumpAll(end);
    this.#log.trim(slowest);
    this.#writeTouched();
    onFlush?.({
      bytes: end - this.#flushed,
      lagBytes: end - slowest,
      keptBytes: this.#log.size,
      tookMs: clock.now() - startedAt,
    });
    this.#flushed = end;
    this.#depth--;
  }

  /** The last peer has left, or the directory stops: empties the queues and clears the timer. */
  clear(): void {
    this.#timer.cancel();
    this.#touched.clear();
    this.#leaves = [];
    this.#log.trim(this.#log.end);
  }

  /** Writes the log up to `end` to all peers; returns the position of the slowest peer that stays. */
  #pumpAll(end: number): number {
    const { registry, random, limits } = this.#options;
    const { ready } = registry;
    const limit = limits.sendQueueBytes;
    let slowest = end;
    const lagging: Peer[] = [];
    // Starts with a random peer, so that the order is not always the same.
    const first = Math.floor(random() * ready.length);
    for (let i = 0; i < ready.length; i++) {
      const peer = ready[(first + i) % ready.length];
      if (!peer) continue;
      const { outbox } = peer;
      outbox.due = end;
      this.outboxes.pump(outbox);
      if (outbox.cursor === end) continue;
      if (this.outboxes.lag(outbox) > limit) lagging.push(peer);
      else if (outbox.cursor < slowest) slowest = outbox.cursor;
    }
    for (const peer of lagging) this.#options.drop(peer, 'lag');
    return slowest;
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
