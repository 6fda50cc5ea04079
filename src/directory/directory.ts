/**
 * A directory: one line in, N lines out (docs/protocol.md, sections 3, 5, 6, 14). This file wires
 * the parts together; each rule lives in its own module.
 */
import { sameLocation } from '../protocol/location.js';
import { directoryId } from '../protocol/nick-auth.js';
import { createAdmission } from './entry/admission.js';
import { createBudgets, type Budgets } from './relay/budgets.js';
import { createCircuits } from './entry/circuits.js';
import { createConnections, type Connections } from './entry/connections.js';
import { createDialBack } from './entry/dial-back.js';
import type { Directory, DirectoryOptions } from './directory-api.js';
import { createFanout } from './fanout/fanout.js';
import { createLiveness } from './entry/liveness.js';
import { createMove } from './handover/directory-state.js';
import { createNickProofs, type NickProofs } from './entry/nick-proofs.js';
import { isServing, type Peer } from './peer.js';
import { createPeerlists } from './fanout/peerlists.js';
import { createReclaims, type Reclaims } from './entry/reclaim.js';
import { createRegistry } from './registry.js';
import { createRelay } from './relay/relay.js';
import { copyTally, createTally, type CloseReason } from './stats.js';
import { createSweeper } from './entry/sweeper.js';

export { directoryMotd } from './entry/motd.js';
export type { DialBackOptions } from './entry/dial-back.js';
export type { NickAuthOptions } from './entry/nick-proofs.js';
export type { Directory, DirectoryOptions, MovingPeer } from './directory-api.js';
export { DEFAULT_LIMITS, type DirectoryLimits } from './limits.js';
export type { DirectoryStats, FlushReport } from './stats.js';

const DEFAULT_FLUSH_WINDOW_MS = 25;

/** A running directory without connections. It has no timer for as long as nobody is connected. */
export function createDirectory(options: DirectoryOptions): Directory {
  const { nick, clock } = options;
  const tally = createTally();
  const registry = createRegistry();
  let limits = options.limits;
  const drop = (peer: Peer, reason: CloseReason): void => connections.drop(peer, reason);

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
    movedAt: (holder) => fanout.outboxes.movedAt(holder.outbox, clock.now()),
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

  const connections: Connections = createConnections({
    ...shared,
    log: options.log,
    circuits,
    dialBack,
    admission,
    relay,
    proofs,
    reclaims,
    sweeper,
    ownNicks,
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

  return {
    accept: (connection) => connections.accept(connection),
    stopAccepting: () => connections.stopAccepting(),
    refusedGone: () => connections.refusedGone(),
    close: () => connections.close(),
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
      enter: (peer) => connections.enter(peer),
    }),
  };
}
