/** TCP connections to a gate, plain or in TLS. */
import { createConnection, type Socket } from 'node:net';
import { errorCodeOrText } from '../../kit/error-text.js';
import { hostAndPort } from '../../kit/host-name.js';
import type { ProxyGate, SessionCertificate } from '../model.js';
import { connectTls } from './provider-tls.js';
import { TransportError } from './transport-error.js';

/** Milliseconds of a connection to a gate, with TLS and the gate's own handshake. */
export const DIAL_TIMEOUT_MS = 20_000;

export interface TcpTarget {
  readonly host: string;
  readonly port: number;
  /** The source address; with it the route is that of the tunnel's interface. */
  readonly localAddress?: string;
}

/** A unix socket. */
export interface UnixTarget {
  readonly path: string;
}

/** Resolves when connected. Rejects with a TransportError: `unreachable`, `aborted`. */
export function connectTcp(target: TcpTarget | UnixTarget, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ ...target, allowHalfOpen: true, noDelay: true });
    const stop = (): void => {
      settled();
      socket.destroy();
      reject(new TransportError('aborted', 'connecting was cancelled', { cause: signal.reason }));
    };
    const settled = (): void => {
      signal.removeEventListener('abort', stop);
      socket.off('error', failed);
    };
    const failed = (cause: Error): void => {
      settled();
      socket.destroy();
      const where = 'path' in target ? target.path : hostAndPort(target.host, target.port);
      const text = `cannot reach ${where} (${errorCodeOrText(cause)})`;
      reject(new TransportError('unreachable', text, { cause }));
    };
    socket.on('error', () => {});
    socket.once('error', failed);
    socket.once('connect', () => {
      settled();
      resolve(socket);
    });
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

/** A connection to a gate. Rejects with a TransportError. */
export function dialGate(
  gate: ProxyGate,
  ca: readonly string[],
  signal: AbortSignal,
  certificate?: SessionCertificate,
): Promise<Socket> {
  return gate.tls ? connectTls(gate, ca, signal, certificate) : connectTcp(gate, signal);
}

/**
 * Runs an action with a deadline. Rejects with its error, or a TransportError: `timeout` after `ms`, `aborted`.
 * The action must end when its signal is aborted.
 */
export async function withDeadline<T>(
  ms: number,
  signal: AbortSignal,
  what: string,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), ms);
  try {
    return await action(AbortSignal.any([signal, late.signal]));
  } catch (error) {
    if (signal.aborted) {
      throw new TransportError('aborted', `${what} was cancelled`, { cause: error });
    }
    if (late.signal.aborted) {
      throw new TransportError('timeout', `${what} had no answer within ${ms / 1000} s`, {
        cause: error,
      });
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
