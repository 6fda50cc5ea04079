/**
 * The interfaces to the outside for peers and directories. `overlay/` and `tor/` implement them; code
 * in `channel/` and `directory/` does not know how bytes travel.
 */
import type { Movable, Parcel, Parcels } from '../kit/movable.js';
import type { DaemonState } from '../kit/daemon-watch.js';
export type { Clock } from '../kit/clock.js';
export type { DaemonState } from '../kit/daemon-watch.js';
import type { Location, LocationKind } from '../protocol/location.js';

/** The callbacks of a connection. All calls are synchronous and never re-entrant from `write`. */
export interface ConnectionHandler {
  /** Bytes arrived. The callee may keep the chunk. */
  data(chunk: Uint8Array): void;
  /** The connection has ended, for any reason; called exactly once and last. */
  closed(cause?: Error): void;
}

/** A reliable byte stream to one peer, already established. */
export interface Connection {
  /**
   * The source of the bytes, for debug logs only (`127.0.0.1:4711`, `<onion>:5222`): never log it at
   * `info` or above.
   */
  readonly remote: string;
  /**
   * The kind of location that was dialled, by us or by the peer: both ends use an overlay of this kind.
   */
  readonly via: LocationKind;
  /**
   * The Tor circuit of the connection, if Tor reports it: all streams of one circuit belong to one
   * client. It identifies no client, and the same Tor reuses it for another circuit later. For debug
   * logs only.
   */
  readonly circuit?: string | undefined;
  /**
   * The host of the peer, where the overlay knows it without the word of the peer: a location of this kind
   * that the peer declares has this host, or is not its own. Null when the overlay could not find it out;
   * absent for overlays that never know it.
   */
  readonly peerHost?: string | null | undefined;
  /** Bytes given to `write` that the operating system has not taken yet. Falls while the peer reads. */
  readonly queuedBytes: number;
  /** Whether the connection has ended. */
  readonly closed: boolean;
  /**
   * Must be called synchronously in the turn in which the connection is handed over; nothing is
   * delivered before. Exactly once.
   */
  attach(handler: ConnectionHandler): void;
  /**
   * Queues bytes, in order; never blocks, never throws. `done` is called once when the operating system
   * has taken all of them, and not when the connection dies before. No-op once closed. The buffer must
   * not be changed afterwards.
   */
  write(bytes: Uint8Array, done?: () => void): void;
  /** Stops and resumes `data`, for a reader that cannot keep up. */
  pause(): void;
  /** Delivers data again after `pause`. */
  resume(): void;
  /**
   * Sends what is queued, then closes; destroyed after `graceMs` if the peer does not read (default
   * 5,000).
   */
  end(graceMs?: number): void;
  /** Closes at once and drops what is queued. */
  destroy(): void;
}

/** How a location is dialled. */
export interface DialOptions {
  /** Aborts the attempt; the promise then rejects and nothing is left open. */
  readonly signal: AbortSignal;
  /**
   * Streams with different names never share a Tor circuit, e.g. `directory:<our nick>:<onion>` or
   * `peer:<our nick>:<its nick>`; ignored by overlays without circuits. Code that acts under a nick
   * includes it here: two nicks on one circuit are linked for every observer of the circuit.
   */
  readonly isolation?: string;
}

export interface Dialer {
  /**
   * Rejects with an error whose message has the location and the reason. Its property `ours` is true
   * when the fault is on this machine, so that the error says nothing about the location.
   */
  dial(location: Location, options: DialOptions): Promise<Connection>;
}

/** Randomness as an argument: uniform in [0, 1). */
export type Random = () => number;

/** The state of a served location; reported at each change. */
export type ServiceState =
  /** Starting; `detail` is a short progress text for a person. */
  | {
      /** Whether peers can reach the location. */
      readonly state: 'starting';
      /** A short text for a person. */
      readonly detail: string;
    }
  /** Peers can reach it. */
  | {
      /** Whether peers can reach the location. */
      readonly state: 'reachable';
    }
  /** It was lost (Tor stopped, control connection gone) and is being re-created. */
  | {
      /** Whether peers can reach the location. */
      readonly state: 'lost';
      /** A short text for a person. */
      readonly detail: string;
    };

/** How a location is served. */
export interface ServeOptions {
  /** Aborts the start; afterwards use `Served.close`. */
  readonly signal: AbortSignal;
  /** Called whenever the state of a location changes, with the kind of this location. */
  readonly onState?: (state: ServiceState, kind: LocationKind) => void;
  /** Parcels of another process, to continue with; nothing is accepted before `Served.begin`. */
  readonly inherited?: Parcels;
}

/** Moves a service to another process. While it is held, new connections wait unread. */
export interface MovableService extends Movable {
  /**
   * Stops accepting for good, and hands over the connections that arrived meanwhile. Only while it is
   * held.
   */
  leave(): readonly Parcel[];
}

/** The locations that an overlay serves. */
export interface Served {
  /**
   * One for each overlay of a set, all of different kinds; constant while they are served. The first one is
   * shown where there is room for one only.
   */
  readonly locations: readonly [Location, ...Location[]];
  /**
   * The address on which the program listens for the first location: `host:port`, or `unix:/path`.
   * Absent for overlays without one. It may change, when another listener takes the place.
   */
  readonly listensOn?: string | undefined;
  /** Absent when a service cannot be moved. */
  readonly move?: MovableService;
  /** Starts accepting, if it was inherited. */
  begin?(): void;
  /** Takes a connection that arrived while no process accepted (`MovableService.leave`). */
  adopt?(parcel: Parcel): void;
  /**
   * The location of this kind was found unreachable from outside: checks at once whether it is still
   * served, and repairs it if not. Absent when there is nothing to check.
   */
  reportUnreachable?(kind: LocationKind): void;
  /**
   * The clients that may find the location have changed: it is served anew with the present ones. Accepted
   * connections stay. Absent when it is not served by this program.
   */
  renew?(): void;
  /**
   * The state of the program that carries the location of this kind. The first call starts to ask the program
   * at intervals, until the service is closed or moved. Undefined, or absent, when there is no such program or
   * it cannot be asked.
   */
  daemon?(kind: LocationKind): DaemonState | undefined;
  /** Stops accepting and withdraws the service; the caller closes connections already accepted. */
  close(): Promise<void>;
}

/**
 * A way for bytes to travel: dials a location, serves a listener. One compliance suite tests every
 * implementation (`test/overlay`). `createOverlaySet` makes one overlay of several.
 */
export interface Overlay extends Dialer {
  /** The kinds of locations that it dials. It refuses every other kind, and serves only these. */
  readonly reachable: ReadonlySet<LocationKind>;
  /** Whether it dials and never serves, also in a set that serves. */
  readonly dialsOnly?: boolean;
  /**
   * The kinds in which every peer sees the same source in all connections of this machine, whatever their
   * isolation. Two nicks that use one of them are linked.
   */
  readonly oneSource?: ReadonlySet<LocationKind>;
  /** A set without the overlays that reach none of these kinds; absent when there is only one overlay. */
  only?(this: void, kinds: ReadonlySet<LocationKind>): Overlay;
  /**
   * Starts accepting. Resolves when each location is known and announced (for Tor:
   * accepted by Tor; `onState` reports when it is reachable).
   */
  serve(onConnection: (connection: Connection) => void, options: ServeOptions): Promise<Served>;
  /** Frees everything except connections. */
  close(): Promise<void>;
}
