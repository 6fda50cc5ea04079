/**
 * A directory: relays lines between peers (docs/protocol.md, sections 3, 5, 6, 14). This file connects
 * the parts; each rule has a module of its own.
 */
import type { Log } from '../channel/log.js';
import type { Clock, Connection, Random } from '../channel/ports.js';
import type { Network } from '../protocol/constants.js';
import type { Location, LocationKind } from '../protocol/location.js';
import type {
  Directory,
  DirectoryOptions,
  MovingPeer,
  MovingState,
  PeerKinds,
} from './directory-api.js';
import { Admission } from './entry/admission.js';
import { Bans } from './entry/bans.js';
import { createCircuits } from './entry/circuits.js';
import { Connections } from './entry/connections.js';
import { DialBack } from './entry/dial-back.js';
import { GateKeeper } from './entry/gate.js';
import { Liveness } from './entry/liveness.js';
import { NickProofs, type NickAuthOptions } from './entry/nick-proofs.js';
import { NickClaims } from './entry/nick-claims.js';
import { DirectoryLocalSide } from './entry/local-side.js';
import { PlaceQueue } from './entry/place-queue.js';
import { RemoteClaims } from './entry/remote-claims.js';
import { Operator } from './entry/operator.js';
import { createSweepTimer, type SweepTimer } from './entry/sweep-timer.js';
import { Fanout } from './fanout/fanout.js';
import { createPeerlists, type Peerlists } from './fanout/peerlists.js';
import { Restoration, snapshotDirectory } from './handover/directory-state.js';
import type { PeerCopies } from './handover/peer-copies.js';
import { DEFAULT_PUBLIC_WINDOW_MS, type DirectoryLimits } from './limits.js';
import type { Neighbours } from './neighbours.js';
import { isServing, type Peer } from './peer.js';
import { createRegistry } from './registry.js';
import { Budgets } from './relay/budgets.js';
import { ListAnswers } from './relay/list-answers.js';
import { Deliveries } from './relay/deliveries.js';
import { Relay } from './relay/relay.js';
import { RemoteRelay } from './relay/remote-relay.js';
import type { DirectorySnapshot } from './snapshot.js';
import { copyTally, createTally, type CloseReason, type DirectoryStats } from './stats.js';

export { directoryMotd } from './entry/motd.js';
export type { DialBackOptions } from './entry/dial-back.js';
export type { NickAuthOptions } from './entry/nick-proofs.js';
export type {
  Directory,
  DirectoryOptions,
  MovingPeer,
  MovingState,
  ServedList,
} from './directory-api.js';
export { PeerCopies } from './handover/peer-copies.js';
export { DEFAULT_LIMITS, type DirectoryLimits } from './limits.js';
export type { DirectoryStats, FlushReport } from './stats.js';

const DEFAULT_FLUSH_WINDOW_MS = 25;

/**
 * The parts of a directory, and what they share. Each part gets this object and declares in its own
 * options what it uses. A part later in this list is used only after the first connection.
 */
class DirectoryParts {
  readonly nick: string;
  readonly network: Network;
  readonly location: (via: LocationKind) => Location;
  readonly reachable: ReadonlySet<LocationKind>;
  readonly motd: (via: LocationKind) => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly publicWindowMs: number;
  readonly flushWindowMs: number;
  readonly onFlush: DirectoryOptions['onFlush'];
  readonly nickAuth: NickAuthOptions | undefined;
  readonly ownNicks: ReadonlySet<string>;
  readonly neighbours: Neighbours | undefined;
  /** The current limits; `setLimits` replaces them. */
  limits: DirectoryLimits;
  readonly tally = createTally();
  readonly registry = createRegistry();
  readonly circuits = createCircuits();
  readonly fanout: Fanout;
  readonly peerlists: Peerlists;
  readonly budgets: Budgets;
  readonly liveness: Liveness;
  readonly listAnswers: ListAnswers | undefined;
  readonly deliveries: Deliveries;
  readonly relay: Relay;
  readonly remoteRelay: RemoteRelay;
  readonly dialBack: DialBack | undefined;
  readonly proofs: NickProofs;
  readonly nickClaims: NickClaims;
  readonly remoteClaims: RemoteClaims;
  readonly placeQueue: PlaceQueue;
  readonly bans: Bans;
  readonly gateKeeper: GateKeeper | undefined;
  readonly admission: Admission;
  readonly sweepTimer: SweepTimer;
  readonly connections: Connections;
  readonly operator: Operator;

  constructor(options: DirectoryOptions) {
    this.nick = options.nick;
    this.network = options.network;
    this.location = options.location;
    this.reachable = options.reachable;
    this.motd = options.motd;
    this.clock = options.clock;
    this.random = options.random;
    this.log = options.log;
    this.publicWindowMs = options.publicWindowMs ?? DEFAULT_PUBLIC_WINDOW_MS;
    this.flushWindowMs = options.flushWindowMs ?? DEFAULT_FLUSH_WINDOW_MS;
    this.onFlush = options.onFlush;
    this.nickAuth = options.nickAuth;
    this.ownNicks = options.ownNicks ?? new Set();
    this.neighbours = options.neighbours;
    this.limits = options.limits;
    this.fanout = new Fanout(this);
    this.peerlists = createPeerlists(this);
    this.budgets = new Budgets(this);
    this.liveness = new Liveness(this);
    this.listAnswers =
      options.directoryList &&
      new ListAnswers({
        list: options.directoryList,
        clock: this.clock,
        fanout: this.fanout,
        tally: this.tally,
      });
    this.deliveries = new Deliveries(this);
    this.relay = new Relay(this);
    this.remoteRelay = new RemoteRelay(this);
    this.dialBack = options.dialBack && new DialBack(options.dialBack, this);
    this.proofs = new NickProofs(this);
    this.nickClaims = new NickClaims(this);
    this.remoteClaims = new RemoteClaims(this);
    this.placeQueue = new PlaceQueue(this);
    this.bans = new Bans(this);
    this.gateKeeper = options.gate && new GateKeeper(options.gate, this);
    this.admission = new Admission(this);
    this.sweepTimer = createSweepTimer({
      clock: this.clock,
      limits: this.limits,
      isCalm: () => this.#isCalm(),
      sweep: (now) => this.#sweep(now),
    });
    this.connections = new Connections(this);
    this.operator = new Operator(this);
    this.neighbours?.attach(new DirectoryLocalSide(this));
  }

  /** Ends a connection at once. */
  drop(peer: Peer, reason: CloseReason): void {
    this.connections.drop(peer, reason);
  }

  /** Whether nothing waits that can time out: no newcomer, claim, dial, ping or write. */
  #isCalm(): boolean {
    const { registry, nickClaims, remoteClaims, dialBack, liveness } = this;
    const claims = nickClaims.pending + remoteClaims.pending;
    const waiting = registry.unhandshaked.size + claims + (dialBack?.pending ?? 0);
    return waiting === 0 && !liveness.waits;
  }

  #sweep(now: number): void {
    this.fanout.batch(() => {
      this.admission.sweep(now);
      this.gateKeeper?.sweep(now);
      this.proofs.sweep(now);
      this.liveness.sweep(now);
      this.nickClaims.sweep(now);
      this.dialBack?.sweep(now);
      this.circuits.sweep(now);
    });
  }
}

class RunningDirectory implements Directory {
  readonly #parts: DirectoryParts;
  readonly #restoration: Restoration;

  constructor(options: DirectoryOptions) {
    this.#parts = new DirectoryParts(options);
    this.#restoration = new Restoration(this.#parts);
  }

  accept(connection: Connection): void {
    this.#parts.connections.accept(connection);
  }

  get operator(): Operator {
    return this.#parts.operator;
  }

  get peerCount(): number {
    const { registry, ownNicks } = this.#parts;
    let own = 0;
    for (const name of ownNicks) if (registry.byNick(name)) own++;
    return registry.ready.length - own;
  }

  get connectionCount(): number {
    return this.#parts.registry.connectionCount;
  }

  stats(): DirectoryStats {
    const { registry, nickClaims, remoteClaims, budgets, circuits, fanout, bans, tally } =
      this.#parts;
    return {
      peers: this.peerCount,
      connections: registry.connectionCount,
      unhandshaked: registry.unhandshaked.size,
      nickClaims: nickClaims.pending + remoteClaims.pending,
      waitingMessages: budgets.waiting,
      circuits: circuits.size,
      logBytes: fanout.logBytes,
      bans: bans.size,
      ...copyTally(tally),
    };
  }

  kinds(): PeerKinds {
    const { registry, ownNicks } = this.#parts;
    const peers = registry.ready.filter((peer) => !ownNicks.has(peer.nick));
    const serving = peers.filter(isServing).length;
    return {
      serving,
      notServing: peers.length - serving,
      answerPings: peers.filter(({ canPing }) => canPing).length,
      verified: peers.filter((peer) => peer.verified).length,
    };
  }

  queuedBytes(): number[] {
    const { registry, fanout } = this.#parts;
    return registry.ready.map(({ outbox }) => fanout.outboxes.behind(outbox));
  }

  setLimits(limits: DirectoryLimits): void {
    this.#parts.limits = limits;
    this.#parts.sweepTimer.retime(limits);
  }

  stopAccepting(): void {
    this.#parts.connections.stopAccepting();
  }

  connections(): readonly Connection[] {
    const { ready, unhandshaked } = this.#parts.registry;
    return [...ready, ...unhandshaked].map(({ connection }) => connection);
  }

  flush(): void {
    this.#parts.fanout.flush();
  }

  *copyPeers(
    copies: PeerCopies,
    isSent: (connection: Connection) => boolean,
  ): Generator<MovingPeer> {
    const { registry, ownNicks, clock } = this.#parts;
    for (const peer of registry.ready.slice()) {
      const isSteady = peer.state === 'ready' && peer.framer.pendingBytes === 0;
      if (!isSteady || ownNicks.has(peer.nick) || !isSent(peer.connection)) continue;
      yield { connection: peer.connection, peer: copies.take(peer, clock.now()) };
    }
  }

  snapshot(
    unsent: (connection: Connection) => Uint8Array | undefined,
    copies?: PeerCopies,
  ): MovingState {
    return this.#parts.fanout.batch(() => snapshotDirectory(this.#parts, unsent, copies));
  }

  prepare(peer: MovingPeer): void {
    this.#restoration.prepare(peer);
  }

  forget(connection: Connection): void {
    this.#restoration.forget(connection);
  }

  restore(state: DirectorySnapshot, peers: readonly MovingPeer[]): void {
    this.#parts.fanout.batch(() => this.#restoration.finish(state, peers));
  }

  refusedGone(): Promise<void> {
    return this.#parts.connections.refusedGone();
  }

  close(): Promise<void> {
    return this.#parts.connections.close();
  }
}

/** A running directory without connections. It has no timer while there are none. */
export function createDirectory(options: DirectoryOptions): Directory {
  return new RunningDirectory(options);
}
