/** The address of Tor's control port: `host:port`, or a unix socket. */
import { connect, type Socket } from 'node:net';
import { hostAndPort, hostInUse, portInside } from '../../kit/host-name.js';
import { MAX_SOCKET_PATH_BYTES, unixSocketPath } from '../../kit/socket-path.js';
import { TorError } from '../tor-error.js';

/** The address of a control port: TCP, or a unix socket. */
export type ControlEndpoint =
  | {
      /** TCP, or a unix socket. */
      readonly kind: 'tcp';
      /** Host name or IP address, without brackets. */
      readonly host: string;
      /** The port, 1 to 65,535. */
      readonly port: number;
    }
  | {
      /** TCP, or a unix socket. */
      readonly kind: 'unix';
      /** Absolute path of the socket. */
      readonly path: string;
    };

const UNIX_PREFIX = 'unix:';
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
/** Idle time after which the operating system tests whether the other end still exists. */
const KEEP_ALIVE_MS = 30_000;

function badEndpoint(message: string): TorError {
  return new TorError('endpoint', 'bad-endpoint', message, { remedy: 'configuration' });
}

/**
 * The control endpoint of a configuration. `host` is a host name, an IPv4 or IPv6 address (brackets
 * allowed) or `unix:/absolute/path` (also `unix:///absolute/path`); the port is ignored in the last
 * case. Throws a TorError (`endpoint`, `bad-endpoint`).
 */
export function parseControlEndpoint(host: string, port: number | undefined): ControlEndpoint {
  const name = host.trim();
  const path = unixSocketPath(name);
  if (path !== undefined) {
    if (!path.startsWith('/')) {
      throw badEndpoint(`Tor control socket "${name}": write unix:/absolute/path`);
    }
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
      throw badEndpoint(
        `Tor control socket "${name}": a socket path has at most ${MAX_SOCKET_PATH_BYTES} bytes`,
      );
    }
    return { kind: 'unix', path };
  }
  const bare = hostInUse(name);
  if (bare === undefined) {
    const inside = portInside(name) === undefined ? '' : '; the port is given on its own';
    throw badEndpoint(
      `Tor control host "${host}": write a host name, an address or unix:/path/of/socket${inside}`,
    );
  }
  if (port === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw badEndpoint(
      `Tor control port "${port ?? ''}" for host ${bare}: write a number from 1 to 65535 (Tor's usual one is 9051)`,
    );
  }
  return { kind: 'tcp', host: bare, port };
}

/** The form for people: `127.0.0.1:9051`, `[::1]:9051`, `unix:/run/tor/control`. */
export function formatControlEndpoint(endpoint: ControlEndpoint): string {
  if (endpoint.kind === 'unix') return UNIX_PREFIX + endpoint.path;
  return hostAndPort(endpoint.host, endpoint.port);
}

const START_TOR = 'start Tor (sudo systemctl start tor) with a control port in its torrc:';

/** The torrc line for the requested endpoint. */
function torrcHint(endpoint: ControlEndpoint): string {
  const port = endpoint.kind === 'unix' ? `unix:${endpoint.path}` : String(endpoint.port);
  return `${START_TOR} "ControlPort ${port}" and "CookieAuthentication 1"`;
}

function connectError(endpoint: ControlEndpoint, cause: NodeJS.ErrnoException): TorError {
  const where = formatControlEndpoint(endpoint);
  const details = { remedy: 'unreachable', cause } as const;
  switch (cause.code ?? '') {
    case 'ECONNREFUSED':
      return new TorError(
        'connect',
        'refused',
        `nothing listens at the Tor control port ${where}: ${torrcHint(endpoint)}`,
        details,
      );
    case 'ENOENT':
      return new TorError(
        'connect',
        'no-socket',
        `there is no Tor control socket at ${where}: ${torrcHint(endpoint)}`,
        details,
      );
    case 'EACCES':
    case 'EPERM':
      return new TorError(
        'connect',
        'no-permission',
        `no permission to use the Tor control socket ${where}: add this user to the group that owns it` +
          ` (Debian: sudo usermod -aG debian-tor $USER, then log in again)`,
        details,
      );
    default:
      return new TorError(
        'connect',
        'connect-failed',
        `cannot connect to the Tor control port ${where} (${cause.code ?? cause.message}): ${torrcHint(endpoint)}`,
        details,
      );
  }
}

/**
 * Opens the stream. Rejects with a TorError (`connect`), and then nothing is left open. `timeoutMs`
 * bounds the attempt (default 10,000).
 */
export function openControlSocket(
  endpoint: ControlEndpoint,
  options: { readonly signal: AbortSignal; readonly timeoutMs?: number | undefined },
): Promise<Socket> {
  const { signal, timeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = options;
  const where = formatControlEndpoint(endpoint);
  const aborted = () =>
    new TorError('connect', 'aborted', `connecting to the Tor control port ${where} was cancelled`);
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(aborted());
      return;
    }
    const socket =
      endpoint.kind === 'unix'
        ? connect({ path: endpoint.path })
        : connect({
            host: endpoint.host,
            port: endpoint.port,
            noDelay: true,
            // A machine that is gone sends nothing, and a firewall may forget a silent connection.
            keepAlive: true,
            keepAliveInitialDelay: KEEP_ALIVE_MS,
          });
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.removeListener('connect', onConnect);
    };
    const giveUp = (error: TorError) => {
      finish();
      socket.destroy();
      reject(error);
    };
    const onAbort = () => giveUp(aborted());
    const onConnect = () => {
      finish();
      socket.removeListener('error', onError);
      resolve(socket);
    };
    // Stays attached after giving up: a late error of a destroyed socket must not be uncaught.
    const onError = (cause: NodeJS.ErrnoException) => giveUp(connectError(endpoint, cause));
    const timer = setTimeout(() => {
      giveUp(
        new TorError(
          'connect',
          'timeout',
          `the Tor control port ${where} did not accept a connection within ${timeoutMs} ms: is it the right address, and no firewall in between?`,
          { remedy: 'unreachable' },
        ),
      );
    }, timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', onConnect);
    socket.on('error', onError);
  });
}
