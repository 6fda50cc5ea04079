/**
 * Plain TCP on this machine, for tests and for a `regtest_count` other than `0,0`: no Tor, and no
 * connection that leaves the machine.
 */
import { silentLog, type Log } from '../channel/log.js';
import type { Clock, Connection, DialOptions, Overlay } from '../channel/ports.js';
import { formatLocation, isLoopbackHost, type Location } from '../protocol/location.js';
import { connectTo } from './connect.js';
import { listen, type ListenAddress } from './listen.js';
import { OverlayError } from './overlay-error.js';
import { systemClock } from './system-clock.js';

const KIND = 'loopback';

/** Where a loopback overlay listens when it serves. */
export interface LoopbackOverlayOptions extends ListenAddress {
  /** The time of all timers; default the system's. */
  readonly clock?: Clock;
  /** Default `silentLog`. */
  readonly log?: Log;
  /** The configuration keys of the address, for error messages. */
  readonly keys?: string;
}

/** `localhost` is not resolved: a hosts file could map it to any address. */
function loopbackAddress(host: string): string {
  return host === 'localhost' ? '127.0.0.1' : host;
}

async function dial(
  location: Location,
  { signal }: DialOptions,
  clock: Clock,
): Promise<Connection> {
  const where = formatLocation(location);
  if (location.kind !== KIND || !isLoopbackHost(location.host)) {
    throw new OverlayError(
      'location-refused',
      `refused to dial ${where}: loopback mode (regtest_count) only dials 127.0.0.0/8, ::1 and localhost`,
    );
  }
  const { port } = location;
  return connectTo({
    address: loopbackAddress(location.host),
    port,
    where,
    via: KIND,
    clock,
    signal,
  });
}

/**
 * The loopback overlay. `host` and `port` are where `serve` listens (port 0: any free port). Throws an
 * OverlayError `location-refused` when `host` is not loopback.
 */
export function createLoopbackOverlay(options: LoopbackOverlayOptions): Overlay {
  const { host, port, clock = systemClock, log = silentLog, keys } = options;
  if (!isLoopbackHost(host) || host === '::1') {
    throw new OverlayError(
      'location-refused',
      `refused to listen on ${host}: loopback mode (regtest_count) needs onion_serving_host 127.0.0.1`,
    );
  }
  return {
    reachable: new Set([KIND]),
    dial: (location, dialOptions) => dial(location, dialOptions, clock),
    async serve(onConnection, { signal, onState, inherited }) {
      const where = port === 0 ? `${host}, at any free port` : `${host}:${port}`;
      onState?.({ state: 'starting', detail: `listening on ${where}` }, KIND);
      const listening = await listen({
        address: { host: loopbackAddress(host), port },
        via: KIND,
        inherited,
        onConnection,
        signal,
        clock,
        log,
        ...(keys === undefined ? {} : { keys }),
      });
      onState?.({ state: 'reachable' }, KIND);
      return {
        locations: [{ kind: KIND, host: listening.host, port: listening.port }],
        listensOn: listening.text,
        move: listening.move,
        begin: () => listening.begin(),
        adopt: (parcel) => listening.adopt(parcel),
        close: () => {
          listening.close();
          return Promise.resolve();
        },
      };
    },
    close: () => Promise.resolve(),
  };
}
