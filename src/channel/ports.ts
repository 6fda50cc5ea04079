/**
 * The interfaces through which peers and directories touch the outside. `overlay/` and `tor/`
 * implement them; nothing in `channel/` or `directory/` knows how bytes travel.
 */
import type { Movable, Parcel, Parcels } from '../handover/parcel.js';
export type { Clock } from '../kit/clock.js';
import type { Location } from '../protocol/location.js';

/** What the owner of a connection is told. All calls are synchronous and never re-entrant from `write`. */
export interface ConnectionHandler {
  /** Bytes arrived. The chunk is the callee's to keep. */
  data(chunk: Uint8Array): void;
  /** The connection is over, for whatever reason; called exactly once and last. */
  closed(cause?: Error): void;
}

/** A reliable byte stream to one peer, already established. */
export interface Connection {
  /**
   * Where the bytes come from, for debug logs only (`127.0.0.1:4711`, `<onion>:5222`): never log it
   * at `info` or above.
   */
  readonly remote: string;
  /**
   * Which Tor circuit the connection came by, where Tor tells it: all streams of one circuit are one
   * client's. Names nobody, and is used again for another circuit of the same Tor later. For debug
   * logs only.
   */
  readonly circuit?: string | undefined;
  /** Bytes given to `write` that the operating system has not taken yet. Falls while the peer drains. */
  readonly queuedBytes: number;
  readonly closed: boolean;
  /**
   * Must be called synchronously in the turn in which the connection is handed over; nothing is
   * delivered before. Exactly once.
   */
  attach(handler: ConnectionHandler): void;
  /**
   * Queues bytes, in order; never blocks, never throws. `done` is called once when the operating
   * system has taken all of them, and never when the connection dies first. No-op once closed.
   * The buffer must not be changed afterwards.
   */
  write(bytes: Uint8Array, done?: () => void): void;
  /** Stops and resumes `data`, for a reader that cannot keep up. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes; cut off after `graceMs` if the peer does not read (default 5,000). */
  end(graceMs?: number): void;
  /** Closes at once, dropping what is queued. */
  destroy(): void;
}

export interface DialOptions {
  /** Aborts the attempt; the promise then rejects and nothing is left open. */
  readonly signal: AbortSignal;
  /**
   * Streams with different names never share a Tor circuit, e.g. `directory:<our nick>:<onion>` or
   * `peer:<our nick>:<its nick>`; ignored where it means nothing. Whoever acts under a nick names it
   * here: two nicks on one circuit are linked for all who see the circuit.
   */
  readonly isolation?: string;
}

export interface Dialer {
  /**
   * Rejects with an error whose message says which location and why. Its property `ours` is true
   * where the attempt did not get out of this machine, and so says nothing about the location.
   */
  dial(location: Location, options: DialOptions): Promise<Connection>;
}

/** Randomness as an argument: uniform in [0, 1). */
export type Random = () => number;

/** How a served location is doing; told whenever it changes. */
export type ServiceState =
  /** On the way; `detail` is a short progress text for a person. */
  | { readonly state: 'starting'; readonly detail: string }
  /** Peers can reach it. */
  | { readonly state: 'reachable' }
  /** It was lost (Tor stopped, control connection gone) and is being re-created. */
  | { readonly state: 'lost'; readonly detail: string };

export interface ServeOptions {
  /** Aborts the start; afterwards use `Served.close`. */
  readonly signal: AbortSignal;
  readonly onState?: (state: ServiceState) => void;
  /** What another process served by, to go on with; nothing is accepted then before `Served.begin`. */
  readonly inherited?: Parcels;
}

/** How a service goes on in another process. While it is held, whoever comes waits unread. */
export interface MovableService extends Movable {
  /** Stops accepting for good, and hands over those who came meanwhile. Only while it is held. */
  leave(): readonly Parcel[];
}

export interface Served {
  /** Where peers reach us. Stays the same for as long as it is served. */
  readonly location: Location;
  /** What the program itself listens on: `host:port`, or `unix:/path`. Absent where nothing does. */
  readonly listensOn?: string;
  /** Absent where a service cannot move. */
  readonly move?: MovableService;
  /** Accepts from now on, where it was inherited. */
  begin?(): void;
  /** One of those who came while nobody accepted (`MovableService.leave`). */
  welcome?(parcel: Parcel): void;
  /**
   * Somebody found that the outside cannot reach us: looks at once whether we are still served, and
   * mends it if not. Absent where there is nothing to look at.
   */
  doubt?(): void;
  /** Stops accepting and withdraws the service; connections already accepted are the caller's to close. */
  close(): Promise<void>;
}

/**
 * A network of peers: dial a location, serve a listener. One compliance suite runs against every
 * implementation (`test/overlay`).
 */
export interface Overlay extends Dialer {
  readonly name: 'tor' | 'loopback';
  /** Whether this overlay can dial that location at all. */
  reaches(location: Location): boolean;
  /**
   * Starts accepting. Resolves as soon as the location is known and announced to the network
   * (for Tor: accepted by Tor; `onState` tells when it is reachable).
   */
  serve(onConnection: (connection: Connection) => void, options: ServeOptions): Promise<Served>;
  /** Frees everything that is not a connection. */
  close(): Promise<void>;
}
