/**
 * Sockets below Node's `net`: what travels between processes. Node documents neither the handle of a
 * socket nor how to make a socket of one (both are what its own cluster module does), so all use of
 * that is in here, is checked when it is read, and costs the upgrade alone where a Node lacks it.
 */
import { Socket, type Server } from 'node:net';

/** One descriptor, as libuv knows it. Several processes may have handles of the same socket. */
export interface NativeHandle {
  /** Bytes given to libuv so far. */
  readonly bytesWritten: number;
  /** Bytes of them that the kernel has not taken yet. */
  readonly writeQueueSize: number;
  readStart(): unknown;
  readStop(): unknown;
  /** Closes this descriptor; the connection lives on while somebody else has one. */
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

/** A connected socket over a handle that came from elsewhere. Reads nothing before `resume`. */
export function socketOver(handle: NativeHandle): Socket {
  // Not in the types: how a listener of Node makes its sockets.
  const options = {
    handle,
    allowHalfOpen: false,
    pauseOnCreate: true,
    readable: true,
    writable: true,
  };
  return new Socket(options);
}

/** Stopped below their streams, which do not know of it. */
const stopped = new WeakSet<Socket>();

/**
 * Stops a socket that flows, in the kernel: nothing more arrives, neither bytes nor an end. Nothing
 * but `startReading` sets it going again.
 */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle === undefined || stopped.has(socket)) return;
  stopped.add(socket);
  handle.readStop();
}

/** Ends `stopReading`; does nothing to a socket that was not stopped by it. */
export function startReading(socket: Socket): void {
  if (stopped.delete(socket)) handleOf(socket)?.readStart();
}
