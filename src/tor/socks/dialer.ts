/**
 * Dials onion services through Tor's SOCKS5 port (docs/protocol.md, section 4.5): only onion names,
 * sent as names and never resolved here; credentials that isolate circuits; a deadline, an abort signal
 * and a limit of simultaneous dials.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import { hostAndPort } from '../../kit/host-name.js';
import { silentLog, type Log } from '../../channel/log.js';
import type { Clock, DialOptions } from '../../channel/ports.js';
import { formatLocation, parseOnionHost, type Location } from '../../protocol/location.js';
import { createDialSlots } from './dial-slots.js';
import { negotiateSocks, type SocksCredentials } from './negotiation.js';
import { SocksError } from './error.js';

/** The address of a SOCKS port: TCP, or a unix socket. */
export type SocksEndpoint =
  | {
      /** TCP, or a unix socket. */
      readonly kind: 'tcp';
      /** Host name or IP address. */
      readonly host: string;
      /** The port. */
      readonly port: number;
    }
  | {
      /** TCP, or a unix socket. */
      readonly kind: 'unix';
      /** Absolute path of the socket. */
      readonly path: string;
    };

export const DEFAULT_DIAL_DEADLINE_MS = 120_000;
export const DEFAULT_MAX_PENDING_DIALS = 16;
/** Dials that may wait for a slot; one more is refused. */
const MAX_WAITING_DIALS = 1_024;

export interface SocksDialerOptions {
  /** Tor's SOCKS port; a function when it may change (a Tor that is restarted by this program). */
  readonly socks: SocksEndpoint | (() => SocksEndpoint);
  readonly clock: Clock;
  readonly log?: Log;
  /** Longest duration of a dial with a slot, in milliseconds. */
  readonly deadlineMs?: number;
  readonly maxPending?: number;
}

export interface SocksDialer {
  readonly pending: number;
  /**
   * A paused socket to the service, unread, with an idle `error` listener. Rejects with a SocksError,
   * and then nothing is left open.
   */
  dial(location: Location, options: DialOptions): Promise<Socket>;
}

/** `127.0.0.1:9050` or `unix:/run/tor/socks`. */
export function formatSocksEndpoint(endpoint: SocksEndpoint): string {
  return endpoint.kind === 'tcp'
    ? hostAndPort(endpoint.host, endpoint.port)
    : `unix:${endpoint.path}`;
}

function unreachable(endpoint: SocksEndpoint, error: Error): SocksError {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.message;
  const at = formatSocksEndpoint(endpoint);
  const keys = 'socks5_host and socks5_port in joinmarket.cfg';
  return code === 'ECONNREFUSED' || code === 'ENOENT'
    ? new SocksError(
        'proxy-unreachable',
        `nothing listens at Tor's SOCKS port ${at}: start Tor (systemctl start tor), or correct ${keys}`,
      )
    : new SocksError(
        'proxy-unreachable',
        `cannot connect to Tor's SOCKS port ${at}: ${code} (${keys})`,
      );
}

/** Resolves when the socket is connected. An abort destroys the socket, which leads to `close`. */
function connected(socket: Socket, endpoint: SocksEndpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    let fault: Error | undefined;
    socket.on('error', (error) => {
      fault = error;
    });
    const closed = (): void => reject(unreachable(endpoint, fault ?? new Error('closed')));
    socket.once('close', closed).once('connect', () => {
      socket.off('close', closed);
      resolve();
    });
  });
}

/**
 * A dialer for one Tor client. The user name is a hash of the isolation name; the password is random
 * and lives as long as the dialer, so streams of two processes never share a circuit.
 */
export function createSocksDialer(options: SocksDialerOptions): SocksDialer {
  const { clock, log = silentLog, deadlineMs = DEFAULT_DIAL_DEADLINE_MS } = options;
  const { socks } = options;
  const endpointNow = typeof socks === 'function' ? socks : () => socks;
  const slots = createDialSlots(options.maxPending ?? DEFAULT_MAX_PENDING_DIALS, MAX_WAITING_DIALS);
  const password = randomBytes(16).toString('hex');
  let warnedOfNoIsolation = false;

  function credentials(isolation: string): SocksCredentials {
    const username = createHash('sha256').update(isolation).digest('hex').slice(0, 32);
    return { username, password };
  }

  /** One attempt. An early end destroys the socket, and the error has the reason. */
  async function attempt(location: Location, { signal, isolation }: DialOptions): Promise<Socket> {
    const where = formatLocation(location);
    if (signal.aborted) throw abortedDial(where);
    const endpoint = endpointNow();
    const socket = createConnection(
      endpoint.kind === 'tcp'
        ? { host: endpoint.host, port: endpoint.port, allowHalfOpen: false }
        : { path: endpoint.path, allowHalfOpen: false },
    );
    let interrupted: SocksError | undefined;
    const interrupt = (error: SocksError): void => {
      interrupted ??= error;
      socket.destroy();
    };
    const abort = (): void => interrupt(abortedDial(where));
    const cancelDeadline = clock.after(deadlineMs, () =>
      interrupt(
        new SocksError(
          'dial-timeout',
          `cannot reach ${where}: no answer through Tor within ${deadlineMs / 1000} s; try again later`,
        ),
      ),
    );
    signal.addEventListener('abort', abort, { once: true });
    try {
      await connected(socket, endpoint);
      const { isolated } = await negotiateSocks(socket, {
        host: location.host,
        port: location.port,
        credentials: credentials(isolation ?? ''),
        deadlineMs,
      });
      if (interrupted !== undefined) throw interrupted;
      if (!isolated && !warnedOfNoIsolation) {
        warnedOfNoIsolation = true;
        log.warn(
          `the SOCKS proxy at ${formatSocksEndpoint(endpoint)} ignores credentials: streams may share circuits`,
        );
      }
      return socket;
    } catch (error) {
      socket.destroy();
      throw interrupted ?? error;
    } finally {
      cancelDeadline();
      signal.removeEventListener('abort', abort);
    }
  }

  return {
    get pending() {
      return slots.busy + slots.waiting;
    },
    async dial(location, dialOptions) {
      const where = formatLocation(location);
      if (location.kind !== 'onion' || !parseOnionHost(location.host).ok) {
        throw new SocksError(
          'location-refused',
          `refused to dial ${where}: only v3 onion addresses are dialled through Tor`,
        );
      }
      const { signal } = dialOptions;
      if (signal.aborted) throw abortedDial(where);
      const release = await slots
        .acquire(
          signal,
          () => new SocksError('too-many-dials', `cannot reach ${where}: too many dials wait`),
        )
        .catch((error: unknown) => {
          throw signal.aborted ? abortedDial(where) : error;
        });
      try {
        return await attempt(location, dialOptions);
      } finally {
        release();
      }
    },
  };
}

function abortedDial(where: string): SocksError {
  return new SocksError('dial-aborted', `dial of ${where} aborted`);
}
