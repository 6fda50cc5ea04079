/**
 * A directory: one line in, N lines out (protocol document, sections 3, 5, 6, 14). This file wires
 * the parts together and owns the life of a connection; each rule lives in its own module.
 */
import type { Connection } from '../channel/ports.js';
import { decodeEnvelope } from '../protocol/envelope.js';
import { sameLocation } from '../protocol/location.js';
import { directoryId } from '../protocol/nick-auth.js';
import { createAdmission } from './admission.js';
import { createBudgets, type Budgets } from './budgets.js';
import { createCircuits, type Circuit } from './circuits.js';
import { createDialBack } from './dial-back.js';
import type { Directory, DirectoryOptions } from './directory-api.js';
import { createFanout } from './fanout.js';
import { createLiveness } from './liveness.js';
import { createMove } from './move.js';
import { createNickProofs, type NickProofs } from './nick-proofs.js';
import { createPeer, isServing, type Peer } from './peer.js';
import { createPeerlists } from './peerlists.js';
import { createReclaims, type Reclaims } from './reclaim.js';
import { createRegistry } from './registry.js';
import { createRelay } from './relay.js';
import { copyTally, createTally, type CloseReason } from './stats.js';
import { createSweeper } from './sweeper.js';

export { directoryMotd } from './motd.js';
export type { DialBackOptions } from './dial-back.js';
export type { NickAuthOptions } from './nick-proofs.js';
export type { Directory, DirectoryOptions, MovingPeer } from './directory-api.js';
export { DEFAULT_LIMITS, type DirectoryLimits } from './limits.js';
export type { DirectoryStats, FlushReport } from './stats.js';

const DEFAULT_FLUSH_WINDOW_MS = 25;
/** How often refused connections are looked for while the rest has moved. */
const REFUSED_LOOK_MS = 50;
/** How long a peer may take to read the rest when the directory stops. */
const CLOSE_GRACE_MS = 1_500;
/** After this, connections that are still open when the directory stops are cut. */
const CLOSE_LIMIT_MS = 2_500;

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
    onFlush: options.onFlush,
  });
  const { ownNicks = new Set<string>() } = options;
  const peerlists = createPeerlists({ nick, location: options.location, registry, ownNicks });
  const budgets: Budgets = createBudgets({
    limits: () => limits,
    clock,
    tally,
    peerCount: () => registry.ready.length,
    broadcast(kind, peer, frame) {
      tally.messagesOut[kind === 'orderbook' ? kind : 'pubmsg'] += registry.ready.length - 1;
      fanout.broadcast(frame, peer);
    },
    settle: () => fanout.settle(),
  });
  const circuits = createCircuits();
  const dialBack =
    options.dialBack &&
    createDialBack({
      ...options.dialBack,
      network: options.network,
      acceptLoopback: options.acceptLoopback,
      clock,
      tally,
      answered(location, answeredBy) {
        const peer = answeredBy === undefined ? undefined : registry.byNick(answeredBy);
        if (peer && sameLocation(peer.location, location)) verified(peer);
        reclaims.verdictsChanged();
        fanout.settle();
      },
    });
  const shared = {
    nick,
    limits: () => limits,
    clock,
    registry,
    fanout,
    peerlists,
    budgets,
    tally,
    drop,
  };
  const liveness = createLiveness(shared);
  const relay = createRelay(shared);
  function write(peer: Peer, frame: string): void {
    peer.connection.write(Buffer.from(frame, 'latin1'));
    tally.bytesOut += frame.length;
  }
  const proofs: NickProofs = createNickProofs({
    ...shared,
    nickAuth: options.nickAuth,
    directoryId: () => directoryId(options.location()),
    write,
    mayEnter: (peer, key) => admission.mayEnter(peer, key),
    enter: (peer, key) => admission.enter(peer, key),
    letGo: (peer) => admission.letGo(peer, 'nick-auth'),
    settle: () => fanout.settle(),
  });
  const admission = createAdmission({
    ...shared,
    proofs,
    write,
    network: options.network,
    location: options.location,
    acceptLoopback: options.acceptLoopback,
    motd: options.motd,
    claim: (newcomer, holder) => reclaims.claim(newcomer, holder),
    displace(holder) {
      reclaims.yield(holder);
      drop(holder, 'nick-displaced');
    },
    admitted(peer) {
      if (dialBack?.check(peer, false) === 'verified') verified(peer);
    },
  });
  const reclaims: Reclaims = createReclaims({
    limits: () => limits,
    clock,
    admit: (newcomer) => admission.admit(newcomer),
    refuse: (newcomer) => admission.refuseNick(newcomer),
    drop,
    check: (peer) => dialBack?.check(peer, true) ?? 'unknown',
    probe(holder) {
      tally.nickProbes++;
      if (holder.canPing) liveness.ping(holder);
      else fanout.direct(holder, peerlists.ownFrame());
    },
  });
  const sweeper = createSweeper(clock, limits, (now) => {
    admission.sweep(now);
    proofs.sweep(now);
    liveness.sweep(now);
    reclaims.sweep(now);
    dialBack?.sweep(now);
    circuits.sweep(now);
    fanout.settle();
  });

  /** Handshaked peers, without ourselves. */
  function peerCount(): number {
    let own = 0;
    for (const name of ownNicks) if (registry.byNick(name)) own++;
    return registry.ready.length - own;
  }

  function verified(peer: Peer): void {
    if (peer.verified) return;
    peer.verified = true;
    tally.dialBacksVerified++;
  }

  /** The one place where a connection's record is freed. */
  function free(peer: Peer, reason: CloseReason | undefined): void {
    const was = peer.state;
    if (!registry.remove(peer)) return;
    fanout.outboxes.close(peer.outbox);
    if (peer.circuit) circuits.leave(peer.circuit, clock.now());
    if (reason) tally.closed[reason]++;
    if (was === 'ready') {
      budgets.forget(peer);
      if (!ownNicks.has(peer.nick)) fanout.announceLeave(peer);
      if (peer.claimed) reclaims.holderGone(peer);
    } else if (was === 'waiting') {
      reclaims.newcomerGone(peer);
    } else if (was === 'proving') {
      proofs.gone(peer);
    }
    if (registry.ready.length === 0) {
      budgets.clear();
      fanout.clear();
      peerlists.clear();
    }
    if (registry.connectionCount > 0) return;
    dialBack?.clear();
    proofs.clear();
    circuits.clear();
    sweeper.stop();
    onEmpty?.();
  }

  /** Ends a connection at once. Whoever calls settles the fan-out at the end of the turn. */
  function drop(peer: Peer, reason: CloseReason): void {
    // The reason in the text, so that a log which caps repeated lines counts each by itself.
    if (reason !== 'disconnect-message') options.log.info(`connection closed: ${reason}`);
    options.log.debug(`connection closed: ${reason}`, { remote: peer.connection.remote });
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
    if (peer.state === 'proving') return onProvingLine(peer, line);
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

  function onProvingLine(peer: Peer, line: Uint8Array): boolean {
    const envelope = decodeEnvelope(line);
    if (!envelope.ok && envelope.reason === 'not-utf8') drop(peer, 'not-utf8');
    else proofs.line(peer, envelope.ok ? envelope.value : undefined);
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
    tally.connectionsAccepted++;
    const circuit = enterCircuit(connection);
    if (circuit === 'full') return;
    const peer = createPeer(connection, fanout.outboxes.open(connection), circuit, clock.now());
    enter(peer);
    admission.arrived();
    fanout.settle();
  }

  /** A fresh record: from now on it is read, and freed when its connection ends. */
  function enter(peer: Peer): void {
    const { connection, framer } = peer;
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
  }

  /** The circuit of a fresh connection, if it is known; `full` ends the connection. */
  function enterCircuit(connection: Connection): Circuit | 'full' | undefined {
    if (connection.circuit === undefined) return undefined;
    const circuit = circuits.enter(connection.circuit, limits.streamsPerCircuit);
    if (circuit === 'full') {
      tally.closed['circuit-streams']++;
      connection.attach({ data() {}, closed() {} });
      connection.destroy();
    }
    return circuit;
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
    proofs.clear();
    budgets.clear();
    dialBack?.clear();
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
      return peerCount();
    },
    get connectionCount() {
      return registry.connectionCount;
    },
    stats: () => ({
      peers: peerCount(),
      connections: registry.connectionCount,
      unhandshaked: registry.unhandshaked.size,
      nickClaims: reclaims.pending,
      waitingMessages: budgets.waiting,
      circuits: circuits.size,
      logBytes: fanout.logBytes,
      ...copyTally(tally),
    }),
    kinds() {
      const peers = registry.ready.filter((peer) => !ownNicks.has(peer.nick));
      const serving = peers.filter(isServing).length;
      return {
        serving,
        notServing: peers.length - serving,
        answerPings: peers.filter(({ canPing }) => canPing).length,
        verified: peers.filter((peer) => peer.verified).length,
      };
    },
    queuedBytes: () => registry.ready.map(({ outbox }) => fanout.outboxes.lag(outbox)),
    setLimits(next) {
      limits = next;
      sweeper.retime(next);
    },
    connections: () =>
      [...registry.ready, ...registry.unhandshaked].map(({ connection }) => connection),
    flush: () => fanout.flush(),
    ...createMove({
      ...shared,
      ownNicks,
      circuits,
      dialBack,
      admission,
      reclaims,
      proofs,
      enter,
    }),
    stopAccepting() {
      accepting = false;
    },
    async refusedGone() {
      const until = clock.now() + CLOSE_LIMIT_MS;
      while (registry.ending.size > 0 && clock.now() < until) {
        // oxlint-disable-next-line no-await-in-loop -- looked for in turns
        await new Promise<void>((resolve) => void clock.after(REFUSED_LOOK_MS, resolve));
      }
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
