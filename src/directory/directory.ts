/**
 * A directory: one line in, N lines out (protocol document, sections 3, 5, 6, 14). This file wires
 * the parts together and owns the life of a connection; each rule lives in its own module.
 */
import type { Log } from '../channel/log.js';
import type { Clock, Connection, Random } from '../channel/ports.js';
import type { Network } from '../protocol/constants.js';
import { decodeEnvelope } from '../protocol/envelope.js';
import { createLineFramer } from '../protocol/line-framer.js';
import type { Location } from '../protocol/location.js';
import { createAdmission } from './admission.js';
import { createFanout } from './fanout.js';
import type { DirectoryLimits } from './limits.js';
import { createLiveness } from './liveness.js';
import { createPeer, type Peer } from './peer.js';
import { createPeerlists } from './peerlists.js';
import { createReclaims, type Reclaims } from './reclaim.js';
import { createRegistry } from './registry.js';
import { createRelay } from './relay.js';
import { copyTally, createTally, type CloseReason, type DirectoryStats } from './stats.js';
import { createSweeper } from './sweeper.js';

export { directoryMotd } from './motd.js';
export { DEFAULT_LIMITS, type DirectoryLimits } from './limits.js';
export type { DirectoryStats } from './stats.js';

const DEFAULT_FLUSH_WINDOW_MS = 25;
/** How long a peer may take to read the rest when the directory stops. */
const CLOSE_GRACE_MS = 1_500;
/** After this, connections that are still open when the directory stops are cut. */
const CLOSE_LIMIT_MS = 2_500;

export interface DirectoryOptions {
  readonly network: Network;
  /** The directory's own nick. */
  readonly nick: string;
  /** Where peers reach it; asked whenever it is told to somebody. */
  readonly location: () => Location;
  /** Loopback mode: `127.0.0.1:port` is a location, too. */
  readonly acceptLoopback: boolean;
  /** The whole text of the 795, see `directoryMotd`. */
  readonly motd: () => string;
  readonly limits: DirectoryLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Longest wait of a broadcast for others to leave with; 0 writes each at once. Default 25 ms. */
  readonly flushWindowMs?: number;
}

export interface Directory {
  /** Takes over a fresh connection; must be called in the turn in which it was handed over. */
  accept(connection: Connection): void;
  /** Handshaked peers. */
  readonly peerCount: number;
  /** All connections, those that are on their way out included. */
  readonly connectionCount: number;
  stats(): DirectoryStats;
  /** New bounds for what comes; nobody is dropped for them at once. */
  setLimits(limits: DirectoryLimits): void;
  /** From now on new connections are closed at once. */
  stopAccepting(): void;
  /** Stops accepting, flushes, closes every connection (no 801). Resolves within three seconds. */
  close(): Promise<void>;
}

/** Whether what it says still matters. */
function isReading({ state }: Peer): boolean {
  return state !== 'ending' && state !== 'gone';
}

/** A running directory without connections. It has no timer for as long as nobody is connected. */
export function createDirectory(options: DirectoryOptions): Directory {
  const { nick, clock } = options;
  const tally = createTally();
  const registry = createRegistry();
  let limits = options.limits;
  let accepting = true;
  let onEmpty: (() => void) | undefined;

  const fanout = createFanout({
    registry,
    clock,
    random: options.random,
    tally,
    windowMs: options.flushWindowMs ?? DEFAULT_FLUSH_WINDOW_MS,
    sendQueueBytes: () => limits.sendQueueBytes,
    drop,
  });
  const peerlists = createPeerlists({ nick, location: options.location, registry });
  const shared = { nick, limits: () => limits, clock, registry, fanout, peerlists, tally, drop };
  const liveness = createLiveness(shared);
  const relay = createRelay(shared);
  const admission = createAdmission({
    ...shared,
    network: options.network,
    location: options.location,
    acceptLoopback: options.acceptLoopback,
    motd: options.motd,
    claim: (newcomer, holder) => reclaims.claim(newcomer, holder),
  });
  const reclaims: Reclaims = createReclaims({
    limits: () => limits,
    clock,
    admit: (newcomer) => admission.admit(newcomer),
    refuse: (newcomer) => admission.refuseNick(newcomer),
    drop,
    probe(holder) {
      tally.nickProbes++;
      if (holder.canPing) liveness.ping(holder);
      else fanout.direct(holder, peerlists.ownFrame());
    },
  });
  const sweeper = createSweeper(clock, limits, (now) => {
    admission.sweep(now);
    liveness.sweep(now);
    reclaims.sweep(now);
    fanout.settle();
  });

  /** The one place where a connection's record is freed. */
  function free(peer: Peer, reason: CloseReason | undefined): void {
    const was = peer.state;
    if (!registry.remove(peer)) return;
    fanout.outboxes.close(peer.outbox);
    if (reason) tally.closed[reason]++;
    if (was === 'ready') {
      fanout.announceLeave(peer);
      if (peer.claimed) reclaims.holderGone(peer);
    } else if (was === 'waiting') {
      reclaims.newcomerGone(peer);
    }
    if (registry.ready.length === 0) {
      fanout.clear();
      peerlists.clear();
    }
    if (registry.connectionCount > 0) return;
    sweeper.stop();
    onEmpty?.();
  }

  /** Ends a connection at once. Whoever calls settles the fan-out at the end of the turn. */
  function drop(peer: Peer, reason: CloseReason): void {
    options.log.debug('connection closed by us', { reason, remote: peer.connection.remote });
    free(peer, reason);
    peer.connection.destroy();
  }

  /** Returns false when nothing more of this peer is to be read. */
  function onLine(peer: Peer, line: Uint8Array, now: number): boolean {
    if (peer.state === 'waiting') {
      tally.dropped['before-handshake']++;
      return true;
    }
    peer.heardAt = now;
    peer.pingedAt = undefined;
    if (peer.claimed) reclaims.holderAlive(peer);
    const envelope = decodeEnvelope(line);
    if (envelope.ok) {
      if (peer.state === 'ready') relay.line(peer, envelope.value);
      else admission.handshake(peer, envelope.value);
    } else if (envelope.reason === 'not-utf8') {
      drop(peer, 'not-utf8');
    } else if (peer.state === 'ready') {
      relay.malformed(peer);
    } else {
      drop(peer, 'not-a-handshake');
    }
    return isReading(peer);
  }

  function onData(peer: Peer, push: (now: number) => boolean, length: number): void {
    if (!isReading(peer)) return;
    tally.bytesIn += length;
    if (!push(clock.now())) drop(peer, 'oversize');
    fanout.settle();
  }

  function accept(connection: Connection): void {
    if (!accepting) {
      connection.destroy();
      return;
    }
    const peer = createPeer(connection, fanout.outboxes.open(connection), clock.now());
    const framer = createLineFramer();
    tally.connectionsAccepted++;
    registry.add(peer);
    sweeper.start();
    connection.attach({
      data(chunk) {
        onData(peer, (now) => framer.push(chunk, (line) => onLine(peer, line, now)), chunk.length);
      },
      closed() {
        // A refused peer was counted when it was refused.
        free(peer, peer.state === 'ending' ? undefined : 'closed-by-peer');
        fanout.settle();
      },
    });
    admission.arrived();
    fanout.settle();
  }

  /** Sends what is owed once more, then lets every connection go. */
  function endAll(): void {
    fanout.flush();
    for (const peer of [...registry.ready, ...registry.unhandshaked]) {
      registry.makeEnding(peer);
      fanout.outboxes.close(peer.outbox);
      tally.closed.shutdown++;
      peer.connection.end(CLOSE_GRACE_MS);
    }
    reclaims.clear();
    peerlists.clear();
    fanout.clear();
  }

  function cutOff(): void {
    for (const peer of registry.ending) {
      free(peer, undefined);
      peer.connection.destroy();
    }
  }

  return {
    accept,
    get peerCount() {
      return registry.ready.length;
    },
    get connectionCount() {
      return registry.connectionCount;
    },
    stats: () => ({
      peers: registry.ready.length,
      connections: registry.connectionCount,
      unhandshaked: registry.unhandshaked.size,
      nickClaims: reclaims.pending,
      logBytes: fanout.logBytes,
      ...copyTally(tally),
    }),
    setLimits(next) {
      limits = next;
      sweeper.retime(next);
    },
    stopAccepting() {
      accepting = false;
    },
    async close() {
      accepting = false;
      endAll();
      if (registry.connectionCount === 0) return;
      await new Promise<void>((resolve) => {
        const cancelLimit = clock.after(CLOSE_LIMIT_MS, cutOff);
        onEmpty = () => {
          cancelLimit();
          resolve();
        };
      });
    },
  };
}
