/**
 * Plain TCP on this machine, for tests and for a `regtest_count` other than `0,0`: no Tor, and no
 * connection that leaves the machine.
 */
import { createConnection } from 'node:net';
import { silentLog, type Log } from '../channel/log.js';
import type { Clock, Connection, DialOptions, Overlay } from '../channel/ports.js';
import { formatLocation, isLoopbackHost, type Location } from '../protocol/location.js';
import { listen, type ListenAddress } from './listen.js';
import { OverlayError } from './overlay-error.js';
import { socketConnection } from './socket-connection.js';
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
  if (signal.aborted) throw new OverlayError('dial-failed', `dial of ${where} aborted`);
  const socket = createConnection({
    host: loopbackAddress(location.host),
    port: location.port,
    allowHalfOpen: false,
  });
  return new Promise((resolve, reject) => {
    const abort = (): void => finish(new OverlayError('dial-failed', `dial of ${where} aborted`));
    const failed = (error: Error): void =>
      finish(
        new OverlayError('dial-failed', `cannot connect to ${where}: ${error.message}`, error),
      );
    const connected = (): void => finish(undefined);
    function finish(error: OverlayError | undefined): void {
      signal.removeEventListener('abort', abort);
      socket.off('error', failed).off('connect', connected);
      if (error === undefined) {
        resolve(socketConnection(socket, { via: KIND, clock, remote: where }));
        return;
      }
      socket.on('error', () => {}).destroy();
      reject(error);
    }
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', failed).once('connect', connected);
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
