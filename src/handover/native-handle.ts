/**
 * The sockets below Node's `net`, which travel between processes. Node does not document the handle of
 * a socket, nor how to make a socket from one (its cluster module does both). So all use of it is in
 * this file, is checked at runtime, and disables only the upgrade where a Node version lacks it.
 */
import { Socket, type Server } from 'node:net';

/** One descriptor of libuv. Several processes may have handles of the same socket. */
export interface NativeHandle {
  /** Bytes given to libuv so far. */
  readonly bytesWritten: number;
  /** Bytes given to libuv and not yet taken by the kernel. */
  readonly writeQueueSize: number;
  readStart(): unknown;
  readStop(): unknown;
  /** Closes this descriptor. The connection stays open while another process has one. */
  close(): unknown;
}

export function isNativeHandle(value: unknown): value is NativeHandle {
  return (
    typeof value === 'object' &&
    value !== null &&
    'bytesWritten' in value &&
    typeof value.bytesWritten === 'number' &&
    'writeQueueSize' in value &&
    typeof value.writeQueueSize === 'number' &&
    ['readStart', 'readStop', 'close'].every((name) => {
      const method: unknown = Reflect.get(value, name);
      return typeof method === 'function';
    })
  );
}

/** The handle of an open socket or listener; undefined once it is closed. */
export function handleOf(owner: Socket | Server | NodeJS.EventEmitter): NativeHandle | undefined {
  const handle: unknown = Reflect.get(owner, '_handle');
  return isNativeHandle(handle) ? handle : undefined;
}

/** A connected socket from a handle of another process. Reads nothing before `resume`. */
export function socketOver(handle: NativeHandle): Socket {
  // Not in Node's types: how a listener makes its sockets.
  const options = {
    handle,
    allowHalfOpen: false,
    pauseOnCreate: true,
    readable: true,
    writable: true,
  };
  return new Socket(options);
}

/** Sockets stopped below their streams, which do not notice it. */
const stopped = new WeakSet<Socket>();

/**
 * Stops a flowing socket in the kernel: neither bytes nor an end arrive. Only `startReading` continues
 * it.
 */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle === undefined || stopped.has(socket)) return;
  stopped.add(socket);
  handle.readStop();
}

/** Ends `stopReading`; has no effect on a socket that was not stopped by it. */
export function startReading(socket: Socket): void {
  if (stopped.delete(socket)) handleOf(socket)?.readStart();
}
