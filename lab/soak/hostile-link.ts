/** One connection of an attacker: it never throws, and is soon over after the signal. */
import { createConnection } from 'node:net';
import { encodeEnvelope } from '../../src/protocol/envelope.js';

export interface HostileLink {
  /** The directory ended it, or the soak is over. */
  readonly over: boolean;
  send(type: number, line: string): void;
  write(bytes: string | Uint8Array): void;
  /** Stops reading. */
  freeze(): void;
  /** Resolves after a while, or at once when it is over. */
  pause(ms: number): Promise<void>;
  /** Ends it with a reset. */
  cut(): void;
}

/** Connects; an attempt that fails gives a link that is over. */
export function dialHostile(port: number, signal: AbortSignal): Promise<HostileLink> {
  const socket = createConnection({ host: '127.0.0.1', port, noDelay: true });
  let over = signal.aborted;
  const wakers = new Set<() => void>();

  function end(): void {
    over = true;
    signal.removeEventListener('abort', end);
    socket.destroy();
    for (const wake of wakers) wake();
  }

  const link: HostileLink = {
    get over() {
      return over;
    },
    send: (type, line) => link.write(encodeEnvelope(type, line)),
    write(bytes) {
      if (!over) socket.write(bytes);
    },
    freeze: () => void socket.pause(),
    pause(ms) {
      if (over) return Promise.resolve();
      return new Promise((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          wakers.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, ms);
        wakers.add(wake);
      });
    },
    cut() {
      if (socket.readyState === 'open') socket.resetAndDestroy();
      end();
    },
  };

  signal.addEventListener('abort', end, { once: true });
  socket.on('error', () => {});
  socket.once('close', end);
  socket.resume();
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(link));
    socket.once('close', () => resolve(link));
  });
}
