/**
 * The accept loop of both overlays: a TCP listener that survives resource shortages and hostile peers.
 */
import { rename } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { errorCode } from '../kit/error-text.js';
import { isRecord, recordOf } from '../kit/json-record.js';
import { hostAndPort } from '../kit/host-name.js';
import type { Log } from '../channel/log.js';
import type { Clock, Connection, MovableService } from '../channel/ports.js';
import {
  handleOf,
  socketOver,
  startReading,
  stopReading,
  type NativeHandle,
} from '../handover/native-handle.js';
import { HandoverError, type Parcel, type Parcels } from '../handover/parcel.js';
import { readCircuit, type CircuitReading } from './circuit-socket.js';
import { OverlayError } from './overlay-error.js';
import { socketConnection } from './socket-connection.js';

/** Backlog of the listener: after a restart all peers reconnect at the same time. */
const BACKLOG = 1024;
/** Most connections without their PROXY line; Tor writes it at once. */
const MAX_UNREAD = 1024;
/** Least time between two log lines about failed accepts. */
const ACCEPT_WARNING_INTERVAL_MS = 60_000;

/** The listening address, as in `joinmarket.cfg`: `onion_serving_host`, `onion_serving_port`. */
export interface ListenAddress {
  /** An IP address or `localhost` (taken as 127.0.0.1, never resolved). */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

export interface Listening {
  readonly host: string;
  /** The port in use, also when port 0 was requested. */
  readonly port: number;
  /** The unix socket in use, when connections carry their circuit. */
  readonly circuitSocket: string | undefined;
  /** The address as one text: `host:port`, or `unix:/path`. */
  readonly text: string;
  /** Stops accepting. Does not wait for open connections and does not close them. */
  close(): void;
  /** Starts accepting on an inherited listener. */
  begin(): void;
  /** Takes a connection that arrived while no process accepted. */
  adopt(parcel: Parcel): void;
  /** Another Tor forwards to it from now on, and numbers its circuits from the beginning. */
  anotherTor(): void;
  readonly move: MovableService;
}

export interface ListenOptions {
  /**
   * Instead of the address: a unix socket in a folder that only our Tor can reach. Every connection
   * begins with a PROXY line there and carries its circuit.
   */
  readonly circuitSocket?: string | undefined;
  readonly address: ListenAddress;
  /** Continues with the listener of another process, at any address, when `begin` is called. */
  readonly inherited?: Parcels | undefined;
  readonly onConnection: (connection: Connection) => void;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The error for a listener that could not be opened. It names the configuration keys of the address.
 */
function listenFault({ host, port }: ListenAddress, error: unknown): OverlayError {
  const at = hostAndPort(host, port);
  const keys = 'onion_serving_host and onion_serving_port in joinmarket.cfg';
  const code = errorCode(error) ?? 'unknown';
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

/**
 * A unix socket is bound under another name and then renamed: libuv removes the bound name when the
 * listener closes, and by then another process may listen there.
 */
const BOUND_SUFFIX = '~';

async function opened(
  server: Server,
  address: ListenAddress,
  path: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const where =
    path === undefined
      ? { host: address.host, port: address.port }
      : { path: `${path}${BOUND_SUFFIX}` };
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...where, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((error: unknown) => {
    throw listenFault(address, error);
  });
  if (path !== undefined) await rename(`${path}${BOUND_SUFFIX}`, path);
}

/** The key of the parcel that holds a listener. */
const LISTENER = 'listener';
const LATE = 'late';
/** Connections that may arrive while another process takes over. */
const MAX_LATE = 4_096;

interface Inherited {
  readonly handle: NativeHandle;
  readonly address: ListenAddress;
  /** The unix socket, when connections carry their circuit. */
  readonly circuitSocket: string | undefined;
  /** How many Tors have forwarded to it before the current one. */
  readonly torsBefore: number;
}

/** The listener of another process. Throws a HandoverError when the parcel is missing or invalid. */
export function inheritedListener(parcels: Parcels): Inherited {
  const { value, handle } = parcels.get(LISTENER) ?? {};
  const { host, port, circuitSocket, torsBefore }: Readonly<Record<string, unknown>> =
    recordOf(value);
  if (handle === undefined || typeof host !== 'string' || typeof port !== 'number') {
    throw new HandoverError('no listener was handed over');
  }
  return {
    handle,
    address: { host, port },
    circuitSocket: typeof circuitSocket === 'string' ? circuitSocket : undefined,
    torsBefore: typeof torsBefore === 'number' ? torsBefore : 0,
  };
}

/** A connection that arrived, or whose PROXY line was not read, while no process accepted. */
interface Late {
  readonly socket: Socket;
  /** The bytes read of its PROXY line. */
  readonly head: Uint8Array;
}

/**
 * Opens the listener. Each connection is handed over unread, and its owner attaches in the same turn. A
 * failed accept (too many open files) is logged once a minute and does not stop the listener. Throws an
 * OverlayError `listen-failed`, a HandoverError, or the signal's reason.
 */
export async function listen(options: ListenOptions): Promise<Listening> {
  const { onConnection, clock, log, signal } = options;
  const inherited = options.inherited && inheritedListener(options.inherited);
  const circuitSocket = inherited ? inherited.circuitSocket : options.circuitSocket;
  const address = inherited?.address ?? options.address;
  const host = address.host === 'localhost' ? '127.0.0.1' : address.host;
  const server = createServer({ allowHalfOpen: false, pauseOnConnect: true, noDelay: true });
  /** Accepted connections without their PROXY line. */
  const unread = new Map<Socket, CircuitReading>();
  /** Undefined while connections are taken at once. */
  let late: Late[] | undefined;
  let torsBefore = inherited?.torsBefore ?? 0;
  let warnedAt: number | undefined;
  /** Failed accepts since the last log line. */
  let untold = 0;

  function take(socket: Socket): void {
    if (circuitSocket === undefined) onConnection(socketConnection(socket, undefined, clock));
    else if (unread.size >= MAX_UNREAD) socket.destroy();
    else {
      socket.once('close', () => unread.delete(socket));
      const reading = readCircuit(socket, clock, (circuit) => {
        unread.delete(socket);
        const name = torsBefore === 0 ? circuit : `${circuit}/${torsBefore}`;
        onConnection(socketConnection(socket, undefined, clock, name));
      });
      unread.set(socket, reading);
    }
  }

  function takeLate({ socket, head }: Late): void {
    if (socket.destroyed) return;
    if (head.length > 0) socket.unshift(head);
    take(socket);
  }

  server.on('connection', (socket) => {
    if (late === undefined) take(socket);
    else if (late.length >= MAX_LATE) socket.destroy();
    else late.push({ socket: socket.on('error', () => {}), head: new Uint8Array(0) });
  });
  const begin = (handle: NativeHandle): void => {
    server.listen(handle, BACKLOG);
  };
  if (inherited === undefined) await opened(server, { ...address, host }, circuitSocket, signal);
  server.on('error', (error) => {
    untold += 1;
    if (warnedAt !== undefined && clock.now() - warnedAt < ACCEPT_WARNING_INTERVAL_MS) return;
    warnedAt = clock.now();
    log.warn(
      `cannot accept connections: ${errorCode(error) ?? 'unknown'}; raise the limit of open files`,
      {
        times: untold,
      },
    );
    untold = 0;
  });

  const close = (): void => {
    server.close();
    for (const socket of unread.keys()) socket.destroy();
  };
  if (signal.aborted) {
    close();
    signal.throwIfAborted();
  }
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : address.port;

  return {
    host,
    port,
    circuitSocket,
    text: circuitSocket === undefined ? hostAndPort(host, port) : `unix:${circuitSocket}`,
    close,
    anotherTor() {
      torsBefore += 1;
    },
    begin() {
      if (inherited) begin(inherited.handle);
    },
    adopt({ value, handle }) {
      if (handle === undefined) return;
      const text = isRecord(value) && typeof value['head'] === 'string' ? value['head'] : '';
      takeLate({ socket: socketOver(handle), head: Buffer.from(text, 'base64') });
    },
    move: {
      hold() {
        const handle = handleOf(server);
        if (handle === undefined)
          return Promise.reject(new HandoverError('the listener is closed'));
        late = [];
        for (const [socket, reading] of unread) {
          stopReading(socket);
          late.push({ socket: socket.on('error', () => {}), head: reading.stop() });
        }
        unread.clear();
        return Promise.resolve([
          { key: LISTENER, value: { host, port, circuitSocket, torsBefore }, handle },
        ]);
      },
      release() {
        const came = late ?? [];
        late = undefined;
        for (const one of came) {
          takeLate(one);
          startReading(one.socket);
        }
      },
      leave() {
        server.close();
        return (late ?? []).flatMap(({ socket, head }, i) => {
          const handle = handleOf(socket);
          const value = { head: Buffer.from(head).toString('base64') };
          return handle === undefined ? [] : [{ key: `${LATE}:${i}`, value, handle }];
        });
      },
    },
  };
}
