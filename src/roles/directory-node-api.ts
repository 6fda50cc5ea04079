/** The types of a directory node: its options, and the handle of a running one. */
import type { Log } from '../channel/log.js';
import type { Clock, Overlay, Random, Served, ServiceState } from '../channel/ports.js';
import type { EntryGate } from '../directory/entry/gate.js';
import type { Directory, ServedList } from '../directory/directory.js';
import type { DirectoryLimits } from '../directory/limits.js';
import type { Parcel } from '../kit/movable.js';
import type { Health } from '../http/health.js';
import type { PageAccess } from '../http/page.js';
import type { ProbeResult } from '../probe/probe.js';
import type { Network } from '../protocol/constants.js';
import type { Location } from '../protocol/location.js';
import type { NickAuthMode } from '../protocol/nick-auth.js';
import type { MovingDirectory } from './directory-handover.js';
import type { DirectoryInheritance, InheritedState } from './directory-inheritance.js';
import type { OpenCluster } from './node-cluster.js';

/** Options of a directory; only `network` and `overlay` are required. */
export interface DirectoryNodeOptions {
  /** The bitcoin network; peers of another one are refused. */
  readonly network: Network;
  /** Must be able to serve. The caller closes it. */
  readonly overlay: Overlay;
  /** The operator's text, below the two standard lines of the MOTD. */
  readonly motd?: string;
  /** The limits; default `DEFAULT_LIMITS`. */
  readonly limits?: DirectoryLimits;
  /** Longest time that a public message waits for others, milliseconds; default `DEFAULT_PUBLIC_WINDOW_MS`. */
  readonly publicWindowMs?: number;
  /** Dial declared locations through the overlay and read the nick there (default false). */
  readonly dialBack?: boolean;
  /** Interval of the canary, milliseconds; 0 = off (the default). */
  readonly canaryIntervalMs?: number;
  /** Called with the result of each test of the canary. */
  readonly onCanaryProbe?: (result: ProbeResult) => void;
  /** Whether peers are asked to prove the key of their nick (default `disabled`; JMP-0005). */
  readonly nickAuth?: NickAuthMode;
  /** The cluster that this directory is a node of; absent = it is alone. */
  readonly cluster?: OpenCluster | undefined;
  /** Decides which peers may enter, for a private directory; absent = all may. */
  readonly gate?: EntryGate | undefined;
  /** The signed list of directories to serve; absent = the feature is not offered. */
  readonly directoryList?: () => ServedList | undefined;
  /** Where `/healthz`, `/metrics` and `/status` are served; absent or port 0 = nowhere. */
  readonly status?: {
    /** Address on which the status server listens. */
    readonly host: string;
    /** Its port; 0 = no server. */
    readonly port: number;
    /** Further names of the page, as `canonicalHost` gives them. */
    readonly hosts?: readonly string[];
    /** Who may read it, by the Authorization header; absent = everybody who reaches the address. */
    readonly door?: PageAccess | undefined;
  };
  /**
   * The state of another process, to continue with. Peers are not served before `DirectoryNode.begin`.
   */
  readonly inherited?: DirectoryInheritance | undefined;
  /** Aborts the start; later use `close`. */
  readonly signal?: AbortSignal | undefined;
  /** Called whenever the state of a location changes, with the worst state of all locations. */
  readonly onState?: (state: ServiceState) => void;
  /** The time of all timers; default the system's. */
  readonly clock?: Clock;
  /** For random waits; default `Math.random`. */
  readonly random?: Random;
  /** Default `silentLog`. */
  readonly log?: Log;
}

/** A running directory. */
export interface DirectoryNode {
  /** The location of the directory; with several, the first. */
  readonly location: Location;
  /** Its locations, one for each overlay of a set. */
  readonly locations: Served['locations'];
  /** Its nick: new with each start, and the same after an upgrade. */
  readonly nick: string;
  /** The relay. */
  readonly directory: Directory;
  /** Resolves when peers can connect for the first time; never rejects. */
  readonly reachable: Promise<void>;
  /** Whether it is healthy; the reason when it is not. */
  health(): Health;
  /** The movable parts; undefined when the overlay cannot be handed over. */
  readonly moving: MovingDirectory | undefined;
  /** Continues with the peers of the previous process; only if it was inherited, before `begin`. */
  restore(inherited: InheritedState): void;
  /** Starts serving with inherited sockets. */
  begin(): void;
  /** Takes a connection that reached the previous process while it did not accept. */
  adopt(parcel: Parcel): void;
  /** After the handover: closes what was not handed over, within three seconds. */
  leave(): Promise<void>;
  /** Changes the settings that can change without a disconnect. */
  reload(changes: { readonly motd?: string; readonly limits?: DirectoryLimits }): void;
  /**
   * Lets a test of the operator in under these nicks, as one of the directory itself. Returns the code that it
   * must show; undefined where no code is asked for. A nick that a peer has is left to it.
   */
  admitTest(nicks: readonly string[]): string | undefined;
  /** The Tor clients with a key have changed: serves the locations anew. Connections stay. */
  renewLocations(): void;
  /** Withdraws the service, closes all connections and the status page. */
  close(): Promise<void>;
}
