/**
 * A `Connection` over a socket of the platform, TCP or unix. The one place where sockets are read
 * and written; both overlays hand these out.
 */
import { type Socket } from 'node:net';
import type { Clock, Connection, ConnectionHandler } from '../channel/ports.js';

/** How long `end` waits by default before it cuts off a peer that does not read. */
export const DEFAULT_END_GRACE_MS = 5_000;

/**
 * What the kernel has not taken yet is not public in Node: `writableLength` counts a write in full
 * until all of it is gone, so a 4 MB frame would look stuck while it drains well. The handle knows
 * the rest (both are numbers of libuv: bytes handed over so far, and of those the ones still
 * queued). Where a Node version lacks them, `writableLength` is used.
 */
interface HandleCounters {
  readonly bytesWritten: number;
  readonly writeQueueSize: number;
}

function isHandleCounters(value: unknown): value is HandleCounters {
  return (
    typeof value === 'object' &&
    value !== null &&
    'bytesWritten' in value &&
    typeof value.bytesWritten === 'number' &&
    'writeQueueSize' in value &&
    typeof value.writeQueueSize === 'number'
  );
}

function handleCounters(socket: Socket): HandleCounters | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  return isHandleCounters(handle) ? handle : undefined;
}

/** Where a socket's owner is found: listeners are shared, since a directory has thousands of sockets. */
const OWNER = Symbol('owner');

interface OwnedSocket extends Socket {
  [OWNER]?: SocketConnection;
}

function onError(this: OwnedSocket, error: Error): void {
  this[OWNER]?.failed(error);
}

function onClose(this: OwnedSocket): void {
  this[OWNER]?.over();
}

function onData(this: OwnedSocket, chunk: Uint8Array): void {
  this[OWNER]?.received(chunk);
}

/**
 * A class, unlike nearly everything here: its methods are shared, where functions of its own would
 * cost each connection about a kilobyte.
 */
class SocketConnection implements Connection {
  readonly #socket: Socket;
  readonly #remote: string | undefined;
  readonly #clock: Clock;
  readonly #counters: HandleCounters | undefined;
  #accepted: number;
  #handler: ConnectionHandler | undefined;
  #cause: Error | undefined;
  #ending = false;
  #gone: boolean;
  #told = false;
  #cancelCutOff: (() => void) | undefined;

  constructor(
    socket: OwnedSocket,
    remote: string | undefined,
    clock: Clock,
    readonly circuit: string | undefined,
  ) {
    this.#socket = socket;
    this.#remote = remote;
    this.#clock = clock;
    this.#counters = handleCounters(socket);
    this.#accepted = socket.bytesWritten;
    this.#gone = socket.closed;
    socket[OWNER] = this;
    socket.pause();
    socket.setNoDelay(true);
    socket.on('error', onError);
    socket.on('close', onClose);
  }

  failed(error: Error): void {
    this.#cause ??= error;
  }

  over(): void {
    this.#gone = true;
    this.#cancelCutOff?.();
    this.#tellClosed();
  }

  received(chunk: Uint8Array): void {
    if (!this.#ending && !this.#socket.destroyed) this.#handler?.data(chunk);
  }

  #tellClosed(): void {
    if (this.#handler === undefined || this.#told) return;
    this.#told = true;
    this.#handler.closed(this.#cause);
  }

  get remote(): string {
    const { remoteAddress, remotePort } = this.#socket;
    return this.#remote ?? `${remoteAddress ?? 'unknown'}:${remotePort ?? 0}`;
  }

  get closed(): boolean {
    return this.#socket.destroyed || this.#gone;
  }

  get queuedBytes(): number {
    const { writableLength } = this.#socket;
    if (writableLength === 0 || this.#socket.destroyed) return 0;
    if (this.#counters === undefined) return writableLength;
    const { bytesWritten, writeQueueSize } = this.#counters;
    return this.#accepted - (bytesWritten - writeQueueSize);
  }

  attach(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) throw new Error('this connection already has a handler');
    this.#handler = handler;
    if (this.#gone) {
      process.nextTick(() => this.#tellClosed());
      return;
    }
    this.#socket.on('data', onData);
    this.#socket.resume();
  }

  write(bytes: Uint8Array, done?: () => void): void {
    const socket = this.#socket;
    if (this.#ending || !socket.writable) return;
    this.#accepted += bytes.length;
    if (done === undefined) {
      socket.write(bytes);
      return;
    }
    socket.write(bytes, (error) => {
      // Node reports a write cut short by `destroy` as a success.
      if (!error && !socket.destroyed) done();
    });
  }

  pause(): void {
    if (!this.#ending) this.#socket.pause();
  }

  resume(): void {
    if (this.#handler !== undefined) this.#socket.resume();
  }

  end(graceMs = DEFAULT_END_GRACE_MS): void {
    const socket = this.#socket;
    if (this.#ending || socket.destroyed) return;
    this.#ending = true;
    socket.end();
    // Reads on and drops what comes: closing with unread bytes would make the kernel send a reset,
    // and the peer could lose the end of what we sent.
    socket.resume();
    this.#cancelCutOff = this.#clock.after(graceMs, () => socket.destroy());
  }

  destroy(): void {
    this.#ending = true;
    this.#socket.destroy();
  }
}

/**
 * Takes over a connected socket that is paused or has not been read yet; the caller must not touch
 * it afterwards. Nothing is lost between this call and `attach`: bytes wait in the socket, an end is
 * told after `attach`. The socket should be made with `allowHalfOpen: false`.
 *
 * After `end` or `destroy` the handler gets no more data, only `closed`.
 *
 * @param remote name for debug logs; undefined: the socket's own address, when it is asked for
 * @param circuit the Tor circuit it came by, where that is known
 */
export function socketConnection(
  socket: Socket,
  remote: string | undefined,
  clock: Clock,
  circuit?: string,
): Connection {
  return new SocketConnection(socket, remote, clock, circuit);
}
