/** A `Connection` in memory. The test is its other end and decides when bytes move. */
import type { Connection, ConnectionHandler } from '../../src/channel/ports.js';
import type { LocationKind } from '../../src/protocol/location.js';

export interface MemoryPeer {
  /** The directory's end. */
  readonly connection: Connection;
  /** The text that the peer has received. */
  readonly received: string;
  /** Whether the directory or the peer has closed. */
  readonly closed: boolean;
  /** Bytes from the peer. */
  say(bytes: string | Uint8Array): void;
  /** Takes up to this many bytes out of the queue; all by default. */
  drain(bytes?: number): void;
  /** The peer closes. */
  leave(): void;
}

interface Write {
  readonly bytes: Uint8Array;
  taken: number;
  readonly done: (() => void) | undefined;
}

/**
 * @param circuit the Tor circuit it comes by, if the overlay knows it
 * @param via the kind of location that the peer dialled
 */
export function memoryPeer(circuit?: string, via: LocationKind = 'loopback'): MemoryPeer {
  const queue: Write[] = [];
  let handler: ConnectionHandler | undefined;
  let received = '';
  let ending = false;
  let over = false;
  let told = false;

  function close(): void {
    over = true;
    queue.length = 0;
    if (told) return;
    told = true;
    handler?.closed();
  }

  const connection: Connection = {
    remote: 'memory',
    via,
    ...(circuit === undefined ? {} : { circuit }),
    get queuedBytes() {
      return queue.reduce((sum, { bytes, taken }) => sum + bytes.length - taken, 0);
    },
    get closed() {
      return over;
    },
    attach(newHandler) {
      handler = newHandler;
    },
    write(bytes, done) {
      if (!over && !ending) queue.push({ bytes, taken: 0, done });
    },
    pause() {},
    resume() {},
    end() {
      ending = true;
    },
    // Reported with the next drain, as a socket does.
    destroy() {
      over = true;
      queue.length = 0;
    },
  };

  return {
    connection,
    get received() {
      return received;
    },
    get closed() {
      return over;
    },
    say(bytes) {
      if (over || ending) return;
      handler?.data(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    },
    drain(bytes = Infinity) {
      let room = bytes;
      for (let write = queue[0]; write && room > 0; write = queue[0]) {
        const part = write.bytes.subarray(write.taken, write.taken + room);
        received += Buffer.from(part).toString('latin1');
        write.taken += part.length;
        room -= part.length;
        if (write.taken < write.bytes.length) break;
        queue.shift();
        write.done?.();
      }
      if (over || (ending && queue.length === 0)) close();
    },
    leave: close,
  };
}
