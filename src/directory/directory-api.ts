/** What a directory is made of, and what it can do. */
import type { Log } from '../channel/log.js';
import type { Clock, Connection, Random } from '../channel/ports.js';
import type { Network } from '../protocol/constants.js';
import type { Location } from '../protocol/location.js';
import type { DialBackOptions } from './entry/dial-back.js';
import type { DirectoryLimits } from './limits.js';
import type { DirectorySnapshot, PeerSnapshot } from './snapshot.js';
import type { NickAuthOptions } from './entry/nick-proofs.js';
import type { DirectoryStats, FlushReport } from './stats.js';

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
  /** Told once per flush; must be quick and must not throw. */
  readonly onFlush?: (report: FlushReport) => void;
  /**
   * Nicks under which we visit ourselves, for a test from outside. They keep to every limit; they are
   * not counted as peers, listed, or announced as gone, since nobody else ever hears of them.
   */
  readonly ownNicks?: ReadonlySet<string>;
  /** Dials claimed locations to see who answers there; absent = nobody is dialled. */
  readonly dialBack?: DialBackOptions;
  /** Asks peers that can to prove the key of their nick; absent = nobody is asked. */
  readonly nickAuth?: NickAuthOptions;
}

/** A connection, and what is known of the peer at its other end. */
export interface MovingPeer {
  readonly connection: Connection;
  readonly peer: PeerSnapshot;
}

/** Handshaked peers by what they are; ourselves left out. */
export interface PeerKinds {
  /** Those that serve an onion, as makers do. */
  readonly serving: number;
  /** Those that only dial, as takers and watchers do. */
  readonly notServing: number;
  /** Of both: those that answer pings. */
  readonly answerPings: number;
  /** Of the serving ones: those that were found at their location (`dialBack`). */
  readonly verified: number;
}

export interface Directory {
  /** Takes over a fresh connection; must be called in the turn in which it was handed over. */
  accept(connection: Connection): void;
  /** Handshaked peers. */
  readonly peerCount: number;
  /** All connections, those that are on their way out included. */
  readonly connectionCount: number;
  stats(): DirectoryStats;
  /** Counted anew at each call. */
  kinds(): PeerKinds;
  /** Bytes that each ready peer has not taken yet, in no order; a snapshot for a status page. */
  queuedBytes(): number[];
  /** New bounds for what comes; nobody is dropped for them at once. */
  setLimits(limits: DirectoryLimits): void;
  /** From now on new connections are closed at once. */
  stopAccepting(): void;
  /** All that were not refused. */
  connections(): readonly Connection[];
  /** Hands over what is due, whatever the window. */
  flush(): void;
  /**
   * Everything, for another process to go on with; nothing changes here, except that a peer whose
   * connection cannot be moved is gone. Peers that were refused are not in it.
   * @param unsent what the kernel has not taken of what the connection was given; undefined when the
   * connection cannot be moved
   */
  snapshot(unsent: (connection: Connection) => Uint8Array | undefined): {
    readonly state: DirectorySnapshot;
    readonly peers: readonly MovingPeer[];
  };
  /**
   * Goes on where another process stopped; to be called once, before anything is accepted. Throws an
   * Error when two of the peers have one nick.
   */
  restore(state: DirectorySnapshot, peers: readonly MovingPeer[]): void;
  /** Resolves when those that were refused are gone, or have had their time: three seconds at most. */
  refusedGone(): Promise<void>;
  /** Stops accepting, flushes, closes every connection (no 801). Resolves within three seconds. */
  close(): Promise<void>;
}
