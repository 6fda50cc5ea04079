/**
 * A `Connection` over a TCP or unix socket. Sockets are read and written only here; both overlays
 * return these.
 */
import type { Socket } from 'node:net';
import type { Clock, Connection, ConnectionHandler } from '../channel/ports.js';
import type { LocationKind } from '../protocol/location.js';
import { handleOf, writeNow, type NativeHandle } from '../platform/native-socket.js';

/** How long `end` waits by default before it closes a connection whose peer does not read. */
export const DEFAULT_END_GRACE_MS = 5_000;

/** Bytes to write, and the callback for when the kernel has taken them. */
interface Write {
  readonly bytes: Uint8Array;
  readonly done: (() => void) | undefined;
}

/** Where a connection comes from. */
export interface SocketOrigin {
  /** The kind of location that was dialled. */
  readonly via: LocationKind;
  readonly clock: Clock;
  /** Name for debug logs; by default the socket's own address. */
  readonly remote?: string;
  /** The Tor circuit of the connection, if known. */
  readonly circuit?: string | undefined;
  /** The host of the peer, if the overlay knows it. */
  readonly peerHost?: string | null | undefined;
}

/** Shared by all connections that have no write in progress. */
const NO_WRITES: readonly Write[] = [];
const NOTHING = new Uint8Array(0);

/**
 * A connection that another process can continue. After `hold` it does not write; the caller stops the
 * reading of its socket, and the kernel's socket stays as the other process will find it. `release` ends
 * that.
 */
export interface MovableConnection extends Connection {
  /** The socket to send; undefined when it is closed, closing or of an unknown kind. */
  readonly socket: Socket | undefined;
  /** Writes nothing from now on; new writes wait. */
  hold(): void;
  /** Writes what waits, and reads again. Has no effect when not held. */
  release(): void;
  /**
   * Continues, held, with a second socket of the same connection. The first one is closed, which is the
   * only way to take back what libuv has pending; those bytes wait with the others.
   */
  replaceSocket(duplicate: Socket): void;
  /**
   * A copy of all bytes that the kernel has not taken, in order. Exact while held, when libuv has
   * nothing pending.
   */
  unsent(): Uint8Array;
}

/** Callbacks of writes that the kernel took at once: together, because a flush has one for each peer. */
let takenAtOnce: (() => void)[] = [];

function reportTaken(): void {
  const callbacks = takenAtOnce;
  takenAtOnce = [];
  for (const callback of callbacks) callback();
}

/** `done` of a write is never called before `write` returns. */
function afterThisTurn(done: () => void): void {
  if (takenAtOnce.push(done) === 1) process.nextTick(reportTaken);
}

/** Maps a socket to its owner, because listeners are shared: a directory has thousands of sockets. */
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
 * A class, so that connections share their methods: closures would cost about a kilobyte for each
 * connection.
 */
class SocketConnection implements MovableConnection {
  #socket: Socket;
  readonly #remote: string | undefined;
  readonly #clock: Clock;
  /**
   * The bytes that the kernel has not taken are not public in Node: `writableLength` counts a write in
   * full until all of it is taken, so a 4 MB frame would look stuck while it drains well. The handle
   * knows the rest. Where a Node version lacks it, `writableLength` is used, and all bytes go through the stream.
   */
  #handle: NativeHandle | undefined;
  #accepted = 0;
  #handler: ConnectionHandler | undefined;
  #cause: Error | undefined;
  #ending = false;
  #gone: boolean;
  #told = false;
  /** The socket is flowing. */
  #reading = false;
  /** Written to the socket and not yet taken in full; almost always at most one. */
  #writes = NO_WRITES;
  /** Writes that wait for `release`; undefined while not held. */
  #held: Write[] | undefined;
  /** The grace time of an `end` that waits for `release`. */
  #heldEnd: number | undefined;
  #cancelCutOff: (() => void) | undefined;

  readonly via: LocationKind;
  readonly circuit: string | undefined;
  readonly peerHost: string | null | undefined;

  constructor(socket: Socket, origin: SocketOrigin, held: boolean) {
    const { via, clock, remote, circuit, peerHost } = origin;
    this.peerHost = peerHost;
    this.via = via;
    this.circuit = circuit;
    this.#remote = remote;
    this.#clock = clock;
    this.#socket = socket;
    this.#gone = socket.closed;
    if (held) this.#held = [];
    this.#own(socket);
  }

  #own(socket: OwnedSocket): void {
    this.#socket = socket;
    this.#handle = handleOf(socket);
    this.#accepted = socket.bytesWritten;
    this.#reading = false;
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

  /** Bytes written to the socket and not yet taken by the kernel. */
  #queued(): number {
    const { writableLength } = this.#socket;
    if (writableLength === 0 || this.#socket.destroyed) return 0;
    if (this.#handle === undefined) return writableLength;
    const { bytesWritten, writeQueueSize } = this.#handle;
    return this.#accepted - (bytesWritten - writeQueueSize);
  }

  get queuedBytes(): number {
    const queued = this.#queued();
    if (this.#held === undefined || this.#socket.destroyed) return queued;
    return this.#held.reduce((sum, { bytes }) => sum + bytes.length, queued);
  }

  attach(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) throw new Error('this connection already has a handler');
    this.#handler = handler;
    if (this.#gone) {
      process.nextTick(() => this.#tellClosed());
      return;
    }
    if (this.#held === undefined) this.#read();
  }

  #read(): void {
    this.#reading = true;
    this.#socket.on('data', onData);
    this.#socket.resume();
  }

  write(bytes: Uint8Array, done?: () => void): void {
    if (this.#ending || this.#heldEnd !== undefined || !this.#socket.writable) return;
    if (this.#held === undefined) this.#send(bytes, done);
    else this.#held.push({ bytes, done });
  }

  #send(bytes: Uint8Array, done: (() => void) | undefined): void {
    const handle = this.#writes.length === 0 ? this.#handle : undefined;
    const count = handle === undefined ? 0 : writeNow(handle, bytes);
    if (count < bytes.length || count === 0) this.#queue({ bytes: bytes.subarray(count), done });
    else if (done !== undefined) afterThisTurn(done);
  }

  #queue(write: Write): void {
    const socket = this.#socket;
    this.#accepted += write.bytes.length;
    this.#writes = this.#writes.length === 0 ? [write] : [...this.#writes, write];
    socket.write(write.bytes, (error) => {
      // Node reports a write cut short by `destroy` as a success.
      if (error || socket.destroyed) return;
      this.#writes = this.#writes.length === 1 ? NO_WRITES : this.#writes.slice(1);
      write.done?.();
    });
  }

  pause(): void {
    if (!this.#ending) this.#socket.pause();
  }

  resume(): void {
    if (this.#handler !== undefined && this.#held === undefined) this.#socket.resume();
  }

  end(graceMs = DEFAULT_END_GRACE_MS): void {
    const socket = this.#socket;
    if (this.#ending || socket.destroyed) return;
    if (this.#held !== undefined) {
      this.#heldEnd ??= graceMs;
      return;
    }
    this.#ending = true;
    socket.end();
    // Reads on and drops the bytes: closing with unread bytes would make the kernel send a reset, and
    // the peer could lose the last bytes sent.
    socket.resume();
    this.#cancelCutOff = this.#clock.after(graceMs, () => socket.destroy());
  }

  destroy(): void {
    this.#ending = true;
    this.#socket.destroy();
  }

  get socket(): Socket | undefined {
    const { destroyed, writableEnded, readableEnded } = this.#socket;
    if (this.#ending || this.#gone || destroyed || writableEnded || readableEnded) return undefined;
    return this.#heldEnd === undefined && this.#handle !== undefined ? this.#socket : undefined;
  }

  hold(): void {
    if (this.#held === undefined && this.socket !== undefined) this.#held = [];
  }

  release(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    if (this.#socket.destroyed) return;
    for (const { bytes, done } of held) this.#send(bytes, done);
    const grace = this.#heldEnd;
    this.#heldEnd = undefined;
    if (!this.#reading && this.#handler !== undefined) this.#read();
    if (grace !== undefined) this.end(grace);
  }

  /** The bytes written to the socket that the kernel has not taken; of the first write its rest. */
  #untaken(): Write[] {
    let taken = this.#writes.reduce((sum, { bytes }) => sum + bytes.length, 0) - this.#queued();
    const rest: Write[] = [];
    for (const { bytes, done } of this.#writes) {
      const skip = Math.min(Math.max(taken, 0), bytes.length);
      taken -= skip;
      // An empty write still has a callback.
      rest.push({ bytes: bytes.subarray(skip), done });
    }
    return rest;
  }

  replaceSocket(duplicate: Socket): void {
    if (this.#held === undefined) throw new Error('only a held connection changes its socket');
    const first: OwnedSocket = this.#socket;
    this.#held.unshift(...this.#untaken());
    this.#writes = NO_WRITES;
    delete first[OWNER];
    first.destroy();
    this.#own(duplicate);
  }

  unsent(): Uint8Array {
    if (this.#writes.length === 0 && (this.#held ?? []).length === 0) return NOTHING;
    return Buffer.concat([...this.#untaken(), ...(this.#held ?? [])].map(({ bytes }) => bytes));
  }
}

/**
 * Takes over a connected socket that is paused or was not read yet; the caller must not use it
 * afterwards. Nothing is lost between this call and `attach`: bytes wait in the socket, and an end is
 * reported after `attach`. The socket should be made with `allowHalfOpen: false`.
 *
 * After `end` or `destroy` the handler gets no more data, only `closed`.
 */
export function socketConnection(socket: Socket, origin: SocketOrigin): Connection {
  return new SocketConnection(socket, origin, false);
}

/** A connection over a paused socket that came from another process, held. */
export function heldConnection(socket: Socket, origin: SocketOrigin): MovableConnection {
  return new SocketConnection(socket, origin, true);
}

/** The same connection, if another process can continue it. */
export function asMovable(connection: Connection): MovableConnection | undefined {
  return connection instanceof SocketConnection && connection.socket !== undefined
    ? connection
    : undefined;
}
