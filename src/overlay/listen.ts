/** The accept loop that both overlays share: a TCP listener that outlives shortages and bad peers. */
import { createServer, type Server } from 'node:net';
import type { Log } from '../channel/log.js';
import type { Clock, Connection } from '../channel/ports.js';
import { OverlayError } from './overlay-error.js';
import { socketConnection } from './socket-connection.js';

/** Connections that may wait to be accepted: all peers reconnect at once after a restart. */
const BACKLOG = 1024;
/** Least time between two lines about failed accepts. */
const ACCEPT_WARNING_INTERVAL_MS = 60_000;

/** Where to listen, in the words of `joinmarket.cfg`: `onion_serving_host`, `onion_serving_port`. */
export interface ListenAddress {
  /** An IP address or `localhost` (taken as 127.0.0.1, never resolved). */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

export interface Listening {
  readonly host: string;
  /** The port in use, also where 0 was asked for. */
  readonly port: number;
  /** Stops accepting. Does not wait for connections, and does not close them. */
  close(): void;
}

export interface ListenOptions {
  readonly address: ListenAddress;
  readonly onConnection: (connection: Connection) => void;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'unknown';
}

/** The line for a listener that could not be opened. Names the config keys that decide it. */
function listenFault({ host, port }: ListenAddress, error: unknown): OverlayError {
  const at = `${host}:${port}`;
  const keys = 'onion_serving_host and onion_serving_port in joinmarket.cfg';
  const code = errorCode(error);
  switch (code) {
    case 'EADDRINUSE':
      return new OverlayError(
        'listen-failed',
        `cannot listen on ${at}: another program uses it; stop it, or choose another port (${keys})`,
        error,
      );
    case 'EACCES':
      return new OverlayError(
        'listen-failed',
        `cannot listen on ${at}: not allowed for this user; choose a port above 1023 (${keys})`,
        error,
      );
    case 'EADDRNOTAVAIL':
      return new OverlayError(
        'listen-failed',
        `cannot listen on ${at}: no interface of this machine has that address (${keys})`,
        error,
      );
    default:
      return new OverlayError('listen-failed', `cannot listen on ${at}: ${code} (${keys})`, error);
  }
}

async function opened(server: Server, address: ListenAddress, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((error: unknown) => {
    throw listenFault(address, error);
  });
}

/**
 * Opens the listener. Each connection is handed over unread, so the owner attaches in the same turn.
 * A failed accept (too many open files) is logged once a minute and never stops the listener.
 * Throws OverlayError `listen-failed`, or the signal's reason.
 */
export async function listen(options: ListenOptions): Promise<Listening> {
  const { onConnection, clock, log, signal } = options;
  const host = options.address.host === 'localhost' ? '127.0.0.1' : options.address.host;
  const server = createServer({ allowHalfOpen: false, pauseOnConnect: true, noDelay: true });
  let warnedAt: number | undefined;

  server.on('connection', (socket) => {
    const remote = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
    onConnection(socketConnection(socket, remote, clock));
  });
  await opened(server, { host, port: options.address.port }, signal);
  server.on('error', (error) => {
    if (warnedAt !== undefined && clock.now() - warnedAt < ACCEPT_WARNING_INTERVAL_MS) return;
    warnedAt = clock.now();
    log.warn(`cannot accept connections: ${errorCode(error)}; raise the limit of open files`);
  });

  const close = (): void => {
    server.close();
  };
  if (signal.aborted) {
    close();
    signal.throwIfAborted();
  }
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : options.address.port;
  return { host, port, close };
}
