/** Whether a program of this machine listens on a port. */
import { createConnection } from 'node:net';

const CONNECT_MS = 2_000;

/** Connects to 127.0.0.1, and closes the connection. Never rejects. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port, timeout: CONNECT_MS });
    const done = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', done(true));
    socket.once('error', done(false));
    socket.once('timeout', done(false));
  });
}
