/** The options and the interface of a directory. */
import type { Log } from '../channel/log.js';
import type { Clock, Connection, Random } from '../channel/ports.js';
import type { Network } from '../protocol/constants.js';
import type { ListOffer } from '../protocol/directory-list-message.js';
import type { Location, LocationKind } from '../protocol/location.js';
import type { DialBackOptions } from './entry/dial-back.js';
import type { EntryGate } from './entry/gate.js';
import type { Operator } from './entry/operator.js';
import type { DirectoryLimits } from './limits.js';
import type { Neighbours } from './neighbours.js';
import type { PeerCopies } from './handover/peer-copies.js';
import type { DirectorySnapshot, PeerSnapshot } from './snapshot.js';
import type { NickAuthOptions } from './entry/nick-proofs.js';
import type { DirectoryStats, FlushReport } from './stats.js';

/** The newest list of directories that this one has. */
export interface ServedList {
  readonly offer: ListOffer;
  /** The document, as many bytes as the offer says. */
  readonly bytes: Uint8Array;
}

export interface DirectoryOptions {
  readonly network: Network;
  /** The directory's own nick. */
  readonly nick: string;
  /**
   * The directory's location for peers that dialled this kind (`Connection.via`), read whenever it is
   * sent to a peer. A peer learns no other one.
   */
  readonly location: (via: LocationKind) => Location;
  /** The kinds of locations that the overlay reaches (`Overlay.reachable`). */
  readonly reachable: ReadonlySet<LocationKind>;
  /** The MOTD of the 795 for peers that dialled this kind, see `directoryMotd`. */
  readonly motd: (via: LocationKind) => string;
  readonly limits: DirectoryLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /**
   * Longest time that a public message or a leave waits so that several are written together; 0: none
   * waits while there are few. Default `DEFAULT_PUBLIC_WINDOW_MS`.
   */
  readonly publicWindowMs?: number;
  /**
   * Least time between two writes of public messages to all peers, however many there are; 0 writes each
   * at once. Default 25 ms.
   */
  readonly flushWindowMs?: number;
  /** Called once per flush; must be quick and must not throw. */
  readonly onFlush?: (report: FlushReport) => void;
  /**
   * Nicks of the canary. All limits apply to them, but they are not counted as peers, not listed, and
   * their leaves are not announced.
   */
  readonly ownNicks?: ReadonlySet<string>;
  /** Dials declared locations and reads the nick there; absent = off. */
  readonly dialBack?: DialBackOptions;
  /** Asks peers that list the feature to prove the key of their nick; absent = off. */
  readonly nickAuth?: NickAuthOptions;
  /** Decides which peers may enter a private directory; absent = all may. */
  readonly gate?: EntryGate | undefined;
  /** Other machines that are one directory with this one; absent = none. */
  readonly neighbours?: Neighbours | undefined;
  /** The list of directories to serve; absent = the feature is not offered. */
  readonly directoryList?: () => ServedList | undefined;
}

/** A connection, and the state of its peer. */
export interface MovingPeer {
  readonly connection: Connection;
  readonly peer: PeerSnapshot;
  /** The moment to which its ages refer, in clock milliseconds; default now. */
  readonly takenAt?: number;
}

/** The state of a directory that stops serving. */
export interface MovingState {
  readonly state: DirectorySnapshot;
  /** Peers without a copy, and those that have changed since their copy. */
  readonly peers: readonly MovingPeer[];
  /** Peers whose copy is still right. */
  readonly unchanged: readonly Connection[];
}

/** Ready peers by kind, without the canary. */
export interface PeerKinds {
  /** Peers with a location: makers. */
  readonly serving: number;
  /** Peers without a location: takers and watchers. */
  readonly notServing: number;
  /** Peers of both kinds that answer pings. */
  readonly answerPings: number;
  /** Serving peers that answered at their location (`dialBack`). */
  readonly verified: number;
}

export interface Directory {
  /** Takes over a new connection, in the turn in which the overlay handed it over. */
  accept(connection: Connection): void;
  /** Number of ready peers. */
  readonly peerCount: number;
  /** All connections, including those that are closing. */
  readonly connectionCount: number;
  stats(): DirectoryStats;
  /** The list of peers, kicks and bans. */
  readonly operator: Operator;
  /** Counted at each call. */
  kinds(): PeerKinds;
  /**
   * Bytes that each ready peer has not taken yet, in no order; for a status page. Public messages that wait
   * for others do not count.
   */
  queuedBytes(): number[];
  /** Changes the limits; no peer is dropped because of that at once. */
  setLimits(limits: DirectoryLimits): void;
  /** From now on new connections are closed at once. */
  stopAccepting(): void;
  /** All connections that were not refused. */
  connections(): readonly Connection[];
  /** Flushes now, without waiting for the window. */
  flush(): void;
  /**
   * Copies the peers that are ready now, one at each step of the iteration, while the directory serves.
   * Adds them to `copies`, for `snapshot`.
   * @param isSent whether the other process has the connection; other peers are left out
   */
  copyPeers(copies: PeerCopies, isSent: (connection: Connection) => boolean): Iterable<MovingPeer>;
  /**
   * The state for another process that continues. Nothing changes here, except that a peer whose
   * connection cannot be moved is ended. Does not contain refused peers.
   * @param unsent bytes written to the connection that the kernel has not taken; undefined when the
   *   connection cannot be moved
   * @param copies peers that the other process has already
   */
  snapshot(
    unsent: (connection: Connection) => Uint8Array | undefined,
    copies?: PeerCopies,
  ): MovingState;
  /**
   * Restores a ready peer of another process that still serves it, before `restore`. Throws an Error when
   * two peers have the same nick.
   * @param peer a copy of `copyPeers`
   */
  prepare(peer: MovingPeer): void;
  /** The other process has ended a prepared peer. Must be called before its connection closes. */
  forget(connection: Connection): void;
  /**
   * Continues with the state of another process; called once, before any connection is accepted. Throws
   * an Error when two peers have the same nick.
   * @param peers those that were not prepared, and those that have changed since
   */
  restore(state: DirectorySnapshot, peers: readonly MovingPeer[]): void;
  /** Resolves when refused connections have closed, after three seconds at most. */
  refusedGone(): Promise<void>;
  /** Stops accepting, flushes, closes every connection (without 801). Resolves within three seconds. */
  close(): Promise<void>;
}
