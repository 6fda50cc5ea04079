/** Options and interface of an onion service (docs/protocol.md, section 12.2). */
import type { Log } from '../../channel/log.js';
import type { Clock, Random, ServiceState } from '../../channel/ports.js';
import type { Movable, Parcels } from '../../kit/movable.js';
import type { Location } from '../../protocol/location.js';
import type { ControlClient } from '../control/client.js';
import type { OnionTarget, PowQueue } from './add-onion.js';
import type { OnionIdentity, TargetOf } from './onion-registration.js';
import type { ServedFolder } from './hidden-service-dir.js';
import type { RoundTimings } from './self-test-rounds.js';
import type { SelfTest } from './self-test.js';
import type { WatchTimings } from './service-watch.js';

/** Options of an onion service. */
export interface OnionServiceOptions {
  /**
   * Opens a control connection; called again after a loss. The service owns and closes it. Must respect
   * the signal.
   */
  readonly connect: (signal: AbortSignal) => Promise<ControlClient>;
  /** The key of the onion. */
  readonly identity: OnionIdentity;
  /** The port that peers dial (default 5222). */
  readonly virtualPort?: number;
  /**
   * The folder of the persistent key, for a Tor that the program started: every stream then begins with
   * a PROXY line that names its circuit.
   */
  readonly folder?: ServedFolder;
  /** See `OnionRegistrationOptions`. */
  readonly clients?: (() => Promise<readonly string[]>) | undefined;
  /** The address of our listener, as Tor must dial it; may depend on the control connection. */
  readonly target: OnionTarget | TargetOf;
  /** Aborts the start; later the same as `close`. */
  readonly signal: AbortSignal;
  /** The time of all timers. */
  readonly clock: Clock;
  /** Receives the log lines of the service. */
  readonly log: Log;
  /** For random waits. */
  readonly random: Random;
  /** Called whenever the state changes. */
  readonly onState?: (state: ServiceState) => void;
  /**
   * After this long without a complete upload a warning says what is missing; the wait continues
   * (default 180,000).
   */
  readonly uploadTimeoutMs?: number;
  /** Continues with the service and the control connection of another process. */
  readonly inherited?: Parcels | undefined;
  /** Dials the onion as any peer does, for when Tor does not report whether it is published. */
  readonly selfTest?: SelfTest;
  /** Whether to repeat the self-test after that, at long intervals (default false). */
  readonly selfTestRounds?: boolean;
  /** The intervals of requests to Tor and of self-tests. */
  readonly watchTimings?: Partial<WatchTimings & RoundTimings>;
  /** Default `DEFAULT_POW_QUEUE`; a directory uses `DIRECTORY_POW_QUEUE`. */
  readonly pow?: PowQueue;
}

/** A running onion service. */
export interface OnionService {
  /** Its onion and virtual port. */
  readonly location: Location & {
    /** Always an onion. */
    readonly kind: 'onion';
  };
  /** Resolves when peers can reach it for the first time; rejects if it is closed before. */
  readonly reachable: Promise<void>;
  /** Undefined while peers cannot reach it. */
  readonly move: Movable;
  /**
   * It was found unreachable from outside: asks Tor at once whether it still has the service, and adds
   * it again if not.
   */
  reportUnreachable(): void;
  /** Adds the service anew, with the clients of now. Open streams stay. */
  renew(): void;
  /**
   * Adds the service again, on a new control connection and to the target of that moment. The reason is
   * logged and reported with the state `lost`.
   */
  recreate(reason: string): void;
  /**
   * Withdraws the service (DEL_ONION, at most 2 s), closes the control connection, forgets an ephemeral
   * key.
   */
  close(): Promise<void>;
}
