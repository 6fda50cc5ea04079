/**
 * Everything that leaves for ready peers: broadcasts through the shared log, frames for one peer,
 * and leave notices collected into few lines.
 */
import type { Clock, Random } from '../../channel/ports.js';
import { createBroadcastLog } from './broadcast-log.js';
import { createFlushTimer } from './flush-timer.js';
import { createOutboxes, type Outboxes } from './outbox.js';
import type { Peer } from '../peer.js';
import { leaveEntry, leaveFrames } from './peerlists.js';
import type { Registry } from '../registry.js';
import type { CloseReason, FlushReport, Tally } from '../stats.js';

export interface Fanout {
  readonly outboxes: Outboxes;
  readonly logBytes: number;
  /**
   * One frame to every ready peer except `sender`, who must be ready. Leaves with the next flush.
   * @param frame ASCII, CRLF included
   */
  broadcast(frame: string, sender: Peer): void;
  /** One or more frames to a single ready peer; leaves when the turn is settled. */
  direct(peer: Peer, frames: string | Uint8Array): void;
  /** A ready peer is no more; the others are told with the next flush. */
  announceLeave(peer: Peer): void;
  /** Puts leaves into the log that are not yet in it, so that whoever joins now does not get them. */
  recordLeaves(): void;
  /** To be called at the end of every turn in which any of the above was called. */
  settle(): void;
  /** Flushes now, whatever the window. */
  flush(): void;
  /** Nobody is left to hear anything, or all is over: forgets what waits, leaves no timer. */
  clear(): void;
}

export interface FanoutOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly tally: Tally;
  readonly windowMs: number;
  /** Most bytes a peer may lag behind. */
  readonly sendQueueBytes: () => number;
  /** Ends a peer that lags too far behind. */
  readonly drop: (peer: Peer, reason: CloseReason) => void;
  readonly onFlush?: ((report: FlushReport) => void) | undefined;
}

export function createFanout(options: FanoutOptions): Fanout {
  const { registry, clock, tally, sendQueueBytes, drop, onFlush } = options;
  const log = createBroadcastLog();
  /** Position up to which the last flush went. */
  let flushed = 0;
  const outboxes = createOutboxes({ log, clock, tally });
  const timer = createFlushTimer(clock, options.windowMs, flush);
  /** Peers with frames of their own from this turn. */
  const touched = new Set<Peer>();
  let leaves: string[] = [];

  function recordLeaves(): void {
    if (leaves.length === 0) return;
    for (const frame of leaveFrames(leaves)) {
      log.append(frame);
      tally.messagesOut.peerlist += registry.ready.length;
    }
    leaves = [];
  }

  function flush(): void {
    recordLeaves();
    tally.flushes++;
    const { end } = log;
    const startedAt = clock.now();
    const { ready } = registry;
    const limit = sendQueueBytes();
    let slowest = end;
    const lagging: Peer[] = [];
    // From a random one on: nobody is always the last to hear.
    const first = Math.floor(options.random() * ready.length);
    for (let i = 0; i < ready.length; i++) {
      const peer = ready[(first + i) % ready.length];
      if (!peer) continue;
      const { outbox } = peer;
      outbox.due = end;
      outboxes.pump(outbox);
      if (outbox.cursor === end) continue;
      if (outboxes.lag(outbox) > limit) lagging.push(peer);
      else if (outbox.cursor < slowest) slowest = outbox.cursor;
    }
    for (const peer of lagging) drop(peer, 'lag');
    log.trim(slowest);
    writeTouched();
    onFlush?.({
      bytes: end - flushed,
      lagBytes: end - slowest,
      keptBytes: log.size,
      tookMs: clock.now() - startedAt,
    });
    flushed = end;
  }

  function writeTouched(): void {
    for (const peer of touched) {
      touched.delete(peer);
      if (peer.state !== 'ready') continue;
      outboxes.pump(peer.outbox);
      if (outboxes.lag(peer.outbox) > sendQueueBytes()) drop(peer, 'lag');
    }
  }

  return {
    outboxes,
    get logBytes() {
      return log.size;
    },
    broadcast(frame, sender) {
      const length = log.append(frame);
      outboxes.cutOut(sender.outbox, length);
      timer.touch();
    },
    direct(peer, frames) {
      const bytes = typeof frames === 'string' ? Buffer.from(frames, 'latin1') : frames;
      outboxes.direct(peer.outbox, bytes);
      touched.add(peer);
    },
    announceLeave(peer) {
      leaves.push(leaveEntry(peer));
      tally.leavesAnnounced++;
      timer.touch();
    },
    recordLeaves,
    settle() {
      writeTouched();
      timer.settle();
    },
    flush,
    clear() {
      timer.cancel();
      touched.clear();
      leaves = [];
      log.trim(log.end);
    },
  };
}
