/** What a directory is made of, and what it can do. */
import type { Log } from '../channel/log.js';
import type { Clock, Connection, Random } from '../channel/ports.js';
import type { Network } from '../protocol/constants.js';
import type { Location } from '../protocol/location.js';
import type { DialBackOptions } from './dial-back.js';
import type { DirectoryLimits } from './limits.js';
import type { NickAuthOptions } from './nick-proofs.js';
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
  /** Dials claimed locations to see who answers there; absent = nobody is dialled. */
  readonly dialBack?: DialBackOptions;
  /** Asks peers that can to prove the key of their nick; absent = nobody is asked. */
  readonly nickAuth?: NickAuthOptions;
}

export interface Directory {
  /** Takes over a fresh connection; must be called in the turn in which it was handed over. */
  accept(connection: Connection): void;
  /** Handshaked peers. */
  readonly peerCount: number;
  /** All connections, those that are on their way out included. */
  readonly connectionCount: number;
  stats(): DirectoryStats;
  /** Bytes that each ready peer has not taken yet, in no order; a snapshot for a status page. */
  queuedBytes(): number[];
  /** New bounds for what comes; nobody is dropped for them at once. */
  setLimits(limits: DirectoryLimits): void;
  /** From now on new connections are closed at once. */
  stopAccepting(): void;
  /** Stops accepting, flushes, closes every connection (no 801). Resolves within three seconds. */
  close(): Promise<void>;
}
