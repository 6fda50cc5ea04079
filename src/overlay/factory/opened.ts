/** Options and results of each part of the factory. */
import type { Log } from '../../channel/log.js';
import type { Clock, Overlay, Random } from '../../channel/ports.js';
import type { Settings } from '../../config/settings.js';
import type { Movable, Parcels } from '../../kit/movable.js';
import type { PowQueue } from '../../tor/onion/add-onion.js';

export interface OpenOverlayOptions {
  readonly settings: Pick<Settings, 'datadir' | 'onion' | 'role'>;
  /** Whether this program serves a location in each overlay, or only dials. */
  readonly serves: boolean;
  /**
   * Whether connections must carry their Tor circuit if the program starts Tor itself (`tor_mode =
   * managed`, or `auto` without another Tor). They then come through a unix socket, not through
   * `onion_serving_port`.
   */
  readonly circuits?: boolean;
  /**
   * Whether the program serves several locations at a time, under a nick each: each listens at a free port
   * of its own instead of that of the settings (default false).
   */
  readonly severalLocations?: boolean;
  /**
   * Whether the onion must need client authorisation (a private directory): opening fails while no client has
   * a key.
   */
  readonly restricted?: boolean;
  /** Introductions per second that Tor's proof-of-work defence lets through. */
  readonly pow?: PowQueue;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Parcels of another process, also passed to `Overlay.serve`. */
  readonly inherited?: Parcels | undefined;
}

export interface OpenedOverlay {
  readonly overlay: Overlay;
  /** The processes that were started here (tor), for a handover; absent without one. */
  readonly move?: Movable;
  /** Closes the overlays and ends these processes. */
  close(): Promise<void>;
}
