/** Opens TCP connections to addresses. Nothing is looked up: the host is an address. */
import { createConnection, isIP } from 'node:net';
import type { Clock, Connection } from '../channel/ports.js';
import type { LocationKind } from '../protocol/location.js';
import { OverlayError } from './overlay-error.js';
import { socketConnection } from './socket-connection.js';

/** Where to connect, and what the connection is for. */
export interface ConnectOptions {
  /** An IP address. */
  readonly address: string;
  readonly port: number;
  /** The location that was dialled, for errors and debug logs. */
  readonly where: string;
  readonly via: LocationKind;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The error of an aborted dial. */
export function dialAborted(where: string): OverlayError {
  return new OverlayError('dial-failed', `dial of ${where} aborted`);
}

/** Connects. Rejects with an OverlayError `dial-failed`, and then leaves nothing open. */
export function connectTo(options: ConnectOptions): Promise<Connection> {
  const { address, port, where, via, clock, signal } = options;
  if (signal.aborted) return Promise.reject(dialAborted(where));
  if (isIP(address) === 0) {
    return Promise.reject(new OverlayError('dial-failed', `not an address: ${address}`));
  }
  const socket = createConnection({ host: address, port, allowHalfOpen: false });
  return new Promise((resolve, reject) => {
    const abort = (): void => finish(dialAborted(where));
    const failed = (error: Error): void =>
      finish(
        new OverlayError('dial-failed', `cannot connect to ${where}: ${error.message}`, error),
      );
    const connected = (): void => finish(undefined);
    function finish(error: OverlayError | undefined): void {
      signal.removeEventListener('abort', abort);
      socket.off('error', failed).off('connect', connected);
      if (error === undefined) {
        resolve(socketConnection(socket, { via, clock, remote: where }));
        return;
      }
      socket.on('error', () => {}).destroy();
      reject(error);
    }
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', failed).once('connect', connected);
  });
}
