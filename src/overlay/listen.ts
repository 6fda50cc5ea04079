/** The accept loop that both overlays share: a TCP listener that outlives shortages and bad peers. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Log } from '../channel/log.js';
import type { Clock, Connection } from '../channel/ports.js';
import { readCircuit } from './circuit-socket.js';
import { OverlayError } from './overlay-error.js';
import { socketConnection } from './socket-connection.js';

/** Connections that may wait to be accepted: all peers reconnect at once after a restart. */
const BACKLOG = 1024;
/** Connections that may wait for their PROXY line; Tor writes it at once. */
const MAX_UNREAD = 1024;
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
  /**
   * Instead of the address: a unix socket in a folder of ours, which nobody but our Tor reaches. Every
   * connection begins with a PROXY line there, and carries its circuit.
   */
  readonly circuitSocket?: string | undefined;
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

async function opened(
  server: Server,
  address: ListenAddress,
  path: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const where = path === undefined ? { host: address.host, port: address.port } : { path };
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...where, backlog: BACKLOG }, () => {
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
  const { onConnection, clock, log, signal, circuitSocket } = options;
  const host = options.address.host === 'localhost' ? '127.0.0.1' : options.address.host;
  const server = createServer({ allowHalfOpen: false, pauseOnConnect: true, noDelay: true });
  /** Accepted, and without their PROXY line yet. */
  const unread = new Set<Socket>();
  let warnedAt: number | undefined;
  /** Failed accepts that the last line did not tell of. */
  let untold = 0;

  server.on('connection', (socket) => {
    if (circuitSocket === undefined) onConnection(socketConnection(socket, undefined, clock));
    else if (unread.size >= MAX_UNREAD) socket.destroy();
    else {
      unread.add(socket);
      socket.once('close', () => unread.delete(socket));
      readCircuit(socket, clock, (circuit) => {
        unread.delete(socket);
        onConnection(socketConnection(socket, undefined, clock, circuit));
      });
    }
  });
  await opened(server, { host, port: options.address.port }, circuitSocket, signal);
  server.on('error', (error) => {
    untold += 1;
    if (warnedAt !== undefined && clock.now() - warnedAt < ACCEPT_WARNING_INTERVAL_MS) return;
    warnedAt = clock.now();
    log.warn(`cannot accept connections: ${errorCode(error)}; raise the limit of open files`, {
      times: untold,
    });
    untold = 0;
  });

  const close = (): void => {
    server.close();
    for (const socket of unread) socket.destroy();
  };
  if (signal.aborted) {
    close();
    signal.throwIfAborted();
  }
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : options.address.port;
  return { host, port, close };
}
