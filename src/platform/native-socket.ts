/**
 * The handles of Node's sockets, which an upgrade sends from one process to another. Node does not
 * document the handle of a socket, nor how to make a socket from one (its cluster module does both).
 * Therefore all use of handles is in this file and is checked at runtime. On a Node version without
 * them, only the upgrade is unavailable.
 */
import { writeSync } from 'node:fs';
import { Server, Socket } from 'node:net';

/**
 * Major versions of Node on which the upgrade is tested, see `test/platform/native-socket.test.ts`. On
 * any other version an upgrade is refused.
 */
export const UPGRADE_NODE_MAJORS: readonly number[] = [20, 22, 24, 26];

/** The reason why a Node of this version cannot upgrade, in one line; undefined if it can. */
export function upgradeFault(nodeVersion: string): string | undefined {
  const major = Number.parseInt(nodeVersion, 10);
  if (UPGRADE_NODE_MAJORS.includes(major)) return undefined;
  const tested = UPGRADE_NODE_MAJORS.join(', ');
  return `an upgrade without a disconnect works on Node.js ${tested}; this is ${nodeVersion}: restart instead`;
}

/** One descriptor of libuv. Several processes may have handles of the same socket. */
export interface NativeHandle {
  /** Its number in this process; -1 once it is closed. */
  readonly fd: number;
  /** Bytes given to libuv so far. */
  readonly bytesWritten: number;
  /** Bytes given to libuv and not yet taken by the kernel. */
  readonly writeQueueSize: number;
  readStart(): unknown;
  readStop(): unknown;
  /** Closes this descriptor. The connection stays open while another process has one. */
  close(): unknown;
}

const NUMBERS = ['fd', 'bytesWritten', 'writeQueueSize'];
const METHODS = ['readStart', 'readStop', 'close'];
/** Classes of handles that were checked: an upgrade asks for thousands of handles several times. */
const checked = new Set<unknown>();

export function isNativeHandle(value: unknown): value is NativeHandle {
  if (typeof value !== 'object' || value === null) return false;
  const kind: unknown = Object.getPrototypeOf(value);
  if (checked.has(kind)) return true;
  const isHandle =
    NUMBERS.every((name) => typeof Reflect.get(value, name) === 'number') &&
    METHODS.every((name) => typeof Reflect.get(value, name) === 'function');
  if (isHandle && kind !== Object.prototype) checked.add(kind);
  return isHandle;
}

/** The handle of an open socket or listener; undefined once it is closed, and for any other object. */
export function handleOf(owner: object | undefined): NativeHandle | undefined {
  if (!(owner instanceof Socket || owner instanceof Server)) return undefined;
  const handle: unknown = Reflect.get(owner, '_handle');
  return isNativeHandle(handle) ? handle : undefined;
}

/**
 * Hands bytes to the kernel at once, past the stream of a socket, all of whose earlier bytes the kernel has.
 * Returns how many it took. The rest must go through the stream: the buffer of the kernel is full, or the socket is
 * broken, which the stream reports. A write through the stream makes more garbage than everything else of a flush.
 */
export function writeNow(handle: NativeHandle, bytes: Uint8Array): number {
  if (handle.fd < 0 || bytes.length === 0) return 0;
  try {
    return writeSync(handle.fd, bytes, 0, bytes.length);
  } catch {
    return 0;
  }
}

/** Options with which a listener of Node makes its sockets; not in Node's types. */
const PAUSED = { allowHalfOpen: false, pauseOnCreate: true, readable: true, writable: true };

/** A connected socket from a handle of another process. Reads nothing before `resume`. */
export function socketOver(handle: NativeHandle): Socket {
  const options = { ...PAUSED, handle };
  return new Socket(options);
}

/**
 * A connected socket from a descriptor that this process got at its start. Reads nothing before
 * `resume`. Throws an Error when the descriptor is not an open socket.
 */
export function socketOfDescriptor(fd: number): Socket {
  return new Socket({ ...PAUSED, fd });
}

/** Sockets that are stopped at their handle; their streams still count as flowing. */
const stopped = new WeakSet<object>();

/**
 * Stops a flowing socket in the kernel: neither bytes nor an end arrive. Only `startReading` continues
 * it. Has no effect on any other object.
 */
export function stopReading(stream: object | undefined): void {
  const handle = handleOf(stream);
  if (stream === undefined || handle === undefined || stopped.has(stream)) return;
  stopped.add(stream);
  handle.readStop();
}

/** Ends `stopReading`; has no effect on a socket that was not stopped by it. */
export function startReading(stream: object | undefined): void {
  if (stream !== undefined && stopped.delete(stream)) handleOf(stream)?.readStart();
}
