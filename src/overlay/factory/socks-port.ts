/** Finds out whether a Tor runs, by its SOCKS port. */
import { createConnection } from 'node:net';
import type { HostPort } from '../../config/onion-settings.js';

const CONNECT_TIMEOUT_MS = 3_000;

/** Whether a program accepts connections at Tor's SOCKS port. False after 3 s without an answer. */
export function socksAnswers({ host, port }: HostPort, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: CONNECT_TIMEOUT_MS, signal });
    const finish = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.once('connect', () => finish(true));
    socket.once('timeout', () => finish(false));
    socket.on('error', () => finish(false));
  });
}
