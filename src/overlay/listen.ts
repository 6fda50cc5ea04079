/**
 * The accept loop of the overlays that use sockets: a TCP listener that survives resource shortages and
 * hostile peers.
 */
import { errorCode } from '../kit/error-text.js';
import { isRecord, recordOf } from '../kit/json-record.js';
import { createServer, Socket } from 'node:net';
import { hostAndPort } from '../kit/host-name.js';
import type { LocationKind } from '../protocol/location.js';
import type { Log } from '../channel/log.js';
import type { Clock, Connection, MovableService } from '../channel/ports.js';
import { HandoverError, type Parcel, type Parcels } from '../kit/movable.js';
import { BACKLOG, opened, type ListenAddress, type UnixSocket } from './bind.js';
import { readCircuit, type CircuitReading } from './circuit-socket.js';
import { RareWarning } from './rare-warning.js';
import { socketConnection } from './socket-connection.js';

export type { ListenAddress, UnixSocket } from './bind.js';

/** Most connections without their PROXY line, which Tor writes at once, or with an unknown peer. */
const MAX_UNREAD = 1024;

export interface Listening {
  readonly host: string;
  /** The port in use, also when port 0 was requested. */
  readonly port: number;
  /** The unix socket in use. */
  readonly socket: UnixSocket | undefined;
  /** How many connections have arrived. */
  readonly accepted: number;
  /** The address as one text: `host:port`, or `unix:/path`. */
  readonly text: string;
  /** Stops accepting. Does not wait for open connections and does not close them. */
  close(): void;
  /** Starts accepting on an inherited listener. */
  begin(): void;
  /** Takes a connection that arrived while the listener was held. */
  adopt(parcel: Parcel): void;
  /** Another Tor forwards to it from now on, and numbers its circuits from the beginning. */
  anotherTor(): void;
  readonly move: MovableService;
}

export interface ListenOptions {
  /** Instead of the address: a unix socket in a folder that only Tor can reach. */
  readonly socket?: UnixSocket | undefined;
  readonly address: ListenAddress;
  /** Continues with the listener of another process, at any address, when `begin` is called. */
  readonly inherited?: Parcels | undefined;
  /** The kind of location that leads here. */
  readonly via: LocationKind;
  /** The configuration keys of the address, for error messages. */
  readonly keys?: string;
  /**
   * Finds out the host of a peer from the address that it connects from, null if it cannot. A connection
   * is handed over afterwards. Never rejects.
   */
  readonly identify?: (address: string, signal: AbortSignal) => Promise<string | null>;
  readonly onConnection: (connection: Connection) => void;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
}

/** The key of the parcel that holds a listener. */
const LISTENER = 'listener';
const LATE = 'late';
/** Connections that may arrive while another process takes over. */
const MAX_LATE = 4_096;

interface Inherited {
  /** What `Server.listen` takes. */
  readonly listener: object;
  readonly address: ListenAddress;
  readonly socket: UnixSocket | undefined;
  /** How many Tors have forwarded to it before the current one. */
  readonly torsBefore: number;
}

function inheritedSocket(path: unknown, circuits: boolean): UnixSocket | undefined {
  return typeof path === 'string' ? { path, circuits, group: undefined } : undefined;
}

/** The listener of another process. Throws a HandoverError when the parcel is missing or invalid. */
export function inheritedListener(parcels: Parcels): Inherited {
  const { value, listener } = parcels.get(LISTENER) ?? {};
  const { host, port, circuitSocket, plainSocket, torsBefore }: Readonly<Record<string, unknown>> =
    recordOf(value);
  if (listener === undefined || typeof host !== 'string' || typeof port !== 'number') {
    throw new HandoverError('no listener was handed over');
  }
  return {
    listener,
    address: { host, port },
    socket: inheritedSocket(circuitSocket, true) ?? inheritedSocket(plainSocket, false),
    torsBefore: typeof torsBefore === 'number' ? torsBefore : 0,
  };
}

/** A connection that arrived, or whose PROXY line was not read, while the listener was held. */
interface Late {
  readonly socket: Socket;
  /** The bytes read of its PROXY line. */
  readonly head: Uint8Array;
}

function lateParcel({ socket, head }: Late, n: number): Parcel {
  const value = { head: Buffer.from(head).toString('base64') };
  return { key: `${LATE}:${n}`, value, stream: socket };
}

/** The `close` event follows and is enough. */
function ignored(): void {}

class AcceptLoop implements Listening {
  readonly host: string;
  readonly socket: UnixSocket | undefined;
  readonly move: MovableService;
  readonly #options: ListenOptions;
  readonly #inherited: Inherited | undefined;
  readonly #address: ListenAddress;
  readonly #server = createServer({ allowHalfOpen: false, pauseOnConnect: true, noDelay: true });
  /** Accepted connections that are not handed over yet. */
  readonly #unread = new Map<Socket, CircuitReading>();
  /** Undefined while connections are taken at once. */
  #late: Late[] | undefined;
  /** The number of late ones that `hold` has handed over. */
  #handedOver = 0;
  #torsBefore: number;
  #accepted = 0;
  readonly #failed: RareWarning;
  readonly #unnamed: RareWarning;

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#failed = new RareWarning(options);
    this.#unnamed = new RareWarning(options);
    this.#inherited = options.inherited && inheritedListener(options.inherited);
    this.#address = this.#inherited?.address ?? options.address;
    this.#torsBefore = this.#inherited?.torsBefore ?? 0;
    this.host = this.#address.host === 'localhost' ? '127.0.0.1' : this.#address.host;
    this.socket = this.#inherited ? this.#inherited.socket : options.socket;
    this.move = {
      hold: () => this.#hold(),
      release: () => this.#release(),
      leave: () => this.#leave(),
    };
    this.#server.on('connection', (socket) => this.#onConnection(socket));
  }

  /** Binds, unless the listener is inherited. Rejects as `listen` does. */
  async open(): Promise<void> {
    const { signal } = this.#options;
    const address = { ...this.#address, host: this.host };
    if (this.#inherited === undefined) {
      await opened(this.#server, address, this.socket, this.#options);
    }
    this.#server.on('error', (error) => this.#onError(error));
    if (!signal.aborted) return;
    this.close();
    signal.throwIfAborted();
  }

  get port(): number {
    const bound = this.#server.address();
    return bound !== null && typeof bound === 'object' ? bound.port : this.#address.port;
  }

  get text(): string {
    const { socket } = this;
    return socket === undefined ? hostAndPort(this.host, this.port) : `unix:${socket.path}`;
  }

  get accepted(): number {
    return this.#accepted;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#unread.keys()) socket.destroy();
  }

  begin(): void {
    if (this.#inherited === undefined) return;
    this.#server.listen(this.#inherited.listener, BACKLOG);
    for (const parcel of this.#options.inherited?.values() ?? []) {
      if (parcel.key.startsWith(`${LATE}:`)) this.adopt(parcel);
    }
  }

  adopt({ value, stream }: Parcel): void {
    if (!(stream instanceof Socket)) return;
    const text = isRecord(value) && typeof value['head'] === 'string' ? value['head'] : '';
    this.#takeLate({ socket: stream, head: Buffer.from(text, 'base64') });
  }

  anotherTor(): void {
    this.#torsBefore += 1;
  }

  #onConnection(socket: Socket): void {
    if (this.#late === undefined) this.#take(socket);
    else if (this.#late.length >= MAX_LATE) socket.destroy();
    else this.#late.push({ socket: socket.on('error', () => {}), head: new Uint8Array(0) });
  }

  #take(socket: Socket): void {
    const { onConnection, via, clock, identify } = this.#options;
    this.#accepted += 1;
    if (this.socket === undefined && identify !== undefined) {
      this.#identify(socket, identify);
    } else if (this.socket?.circuits !== true) {
      onConnection(socketConnection(socket, { via, clock }));
    } else if (this.#unread.size >= MAX_UNREAD) socket.destroy();
    else {
      socket.once('close', () => this.#unread.delete(socket));
      const reading = readCircuit(socket, clock, {
        use: (circuit) => {
          this.#unread.delete(socket);
          const name = this.#torsBefore === 0 ? circuit : `${circuit}/${this.#torsBefore}`;
          onConnection(socketConnection(socket, { via, clock, circuit: name }));
        },
        onRefused: () =>
          this.#unnamed.warn(
            'a connection without the line that names its circuit was closed; the torrc of an own service needs HiddenServiceExportCircuitID haproxy (onion_serving_circuits)',
          ),
      });
      this.#unread.set(socket, reading);
    }
  }

  #identify(socket: Socket, identify: NonNullable<ListenOptions['identify']>): void {
    if (this.#unread.size >= MAX_UNREAD) {
      socket.destroy();
      return;
    }
    const stopped = new AbortController();
    this.#unread.set(socket, {
      stop() {
        stopped.abort();
        return new Uint8Array(0);
      },
    });
    socket.on('error', ignored).once('close', () => this.#unread.delete(socket));
    void this.#handOver(socket, identify, stopped.signal);
  }

  async #handOver(
    socket: Socket,
    identify: NonNullable<ListenOptions['identify']>,
    stopped: AbortSignal,
  ): Promise<void> {
    const { onConnection, via, clock } = this.#options;
    const peerHost = await identify(socket.remoteAddress ?? '', stopped);
    if (stopped.aborted || !this.#unread.delete(socket)) return;
    socket.off('error', ignored);
    onConnection(socketConnection(socket, { via, clock, peerHost }));
  }

  #takeLate({ socket, head }: Late): void {
    if (socket.destroyed) return;
    if (head.length > 0) socket.unshift(head);
    this.#take(socket);
  }

  #onError(error: Error): void {
    const code = errorCode(error) ?? 'unknown';
    this.#failed.warn(`cannot accept connections: ${code}; raise the limit of open files`);
  }

  /** Includes the connections without their PROXY line; `leave` returns those that arrive later. */
  #hold(): Promise<readonly Parcel[]> {
    if (!this.#server.listening) {
      return Promise.reject(new HandoverError('the listener is closed'));
    }
    const late = [...this.#unread].map(([socket, reading]) => ({
      socket: socket.on('error', () => {}),
      head: reading.stop(),
    }));
    this.#unread.clear();
    this.#late = late;
    this.#handedOver = late.length;
    const { host, port, socket } = this;
    const path = socket?.path;
    // Two names, because an earlier version reads a PROXY line on every unix socket.
    const named = socket?.circuits === true ? { circuitSocket: path } : { plainSocket: path };
    const value = { host, port, ...named, torsBefore: this.#torsBefore };
    const listener = { key: LISTENER, value, listener: this.#server };
    return Promise.resolve([listener, ...late.map(lateParcel)]);
  }

  #release(): void {
    const late = this.#late ?? [];
    this.#late = undefined;
    for (const one of late) this.#takeLate(one);
  }

  #leave(): readonly Parcel[] {
    this.#server.close();
    const later = (this.#late ?? []).slice(this.#handedOver);
    return later.filter(({ socket }) => !socket.destroyed).map(lateParcel);
  }
}

/**
 * Opens the listener. Each connection is handed over unread, and its owner attaches in the same turn. A
 * failed accept (too many open files) is logged once a minute and does not stop the listener. Throws an
 * OverlayError `listen-failed`, a HandoverError, or the signal's reason.
 */
export async function listen(options: ListenOptions): Promise<Listening> {
  const loop = new AcceptLoop(options);
  await loop.open();
  return loop;
}
