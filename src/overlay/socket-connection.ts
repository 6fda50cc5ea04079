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

/**
 * Takes over a connected socket that is paused or has not been read yet; the caller must not touch
 * it afterwards. Nothing is lost between this call and `attach`: bytes wait in the socket, an end is
 * told after `attach`. The socket should be made with `allowHalfOpen: false`.
 *
 * After `end` or `destroy` the handler gets no more data, only `closed`.
 */
export function socketConnection(socket: Socket, remote: string, clock: Clock): Connection {
  const counters = handleCounters(socket);
  let accepted = socket.bytesWritten;
  let handler: ConnectionHandler | undefined;
  let cause: Error | undefined;
  let ending = false;
  let gone = socket.closed;
  let told = false;
  let cancelCutOff: (() => void) | undefined;

  socket.pause();
  socket.setNoDelay(true);
  socket.on('error', (error) => {
    cause ??= error;
  });
  socket.once('close', () => {
    gone = true;
    cancelCutOff?.();
    tellClosed();
  });

  function tellClosed(): void {
    if (handler === undefined || told) return;
    told = true;
    handler.closed(cause);
  }

  return {
    remote,
    get closed() {
      return socket.destroyed || gone;
    },
    get queuedBytes() {
      if (socket.writableLength === 0 || socket.destroyed) return 0;
      if (counters === undefined) return socket.writableLength;
      return accepted - (counters.bytesWritten - counters.writeQueueSize);
    },
    attach(newHandler) {
      if (handler !== undefined) throw new Error('this connection already has a handler');
      handler = newHandler;
      if (gone) {
        process.nextTick(tellClosed);
        return;
      }
      socket.on('data', (chunk: Uint8Array) => {
        if (!ending && !socket.destroyed) newHandler.data(chunk);
      });
      socket.resume();
    },
    write(bytes, done) {
      if (ending || !socket.writable) return;
      accepted += bytes.length;
      if (done === undefined) {
        socket.write(bytes);
        return;
      }
      socket.write(bytes, (error) => {
        // Node reports a write cut short by `destroy` as a success.
        if (!error && !socket.destroyed) done();
      });
    },
    pause() {
      if (!ending) socket.pause();
    },
    resume() {
      if (handler !== undefined) socket.resume();
    },
    end(graceMs = DEFAULT_END_GRACE_MS) {
      if (ending || socket.destroyed) return;
      ending = true;
      socket.end();
      // Reads on and drops what comes: closing with unread bytes would make the kernel send a reset,
      // and the peer could lose the end of what we sent.
      socket.resume();
      cancelCutOff = clock.after(graceMs, () => socket.destroy());
    },
    destroy() {
      ending = true;
      socket.destroy();
    },
  };
}
