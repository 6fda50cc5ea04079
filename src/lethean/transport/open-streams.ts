/** The connections of one tunnel: bound, bytes, end. */
import type { Socket } from 'node:net';
import { deferred } from '../../kit/deferred.js';
import type { TunnelEnd } from '../ports.js';
import { TransportError } from './transport-error.js';

/** Most connections of one tunnel at once. */
export const MAX_TUNNEL_CONNECTIONS = 512;

/** Bytes of a handshake, which are not payload. */
export interface HandshakeBytes {
  readonly sent: number;
  readonly received: number;
}

/**
 * Owns the connections of a tunnel. After the end, which is told once, no connection is left and no new one is
 * accepted.
 */
export class OpenStreams {
  readonly #ended = deferred<TunnelEnd>();
  readonly #open = new Map<Socket, HandshakeBytes>();
  readonly #closing = new AbortController();
  #pending = 0;
  #sent = 0;
  #received = 0;

  get ended(): Promise<TunnelEnd> {
    return this.#ended.promise;
  }

  /** Aborted by the end. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Opens a connection and counts it. Rejects with a TransportError: `ended`, `unsupported` when there are too many,
   * and the errors of `open`. A connection that arrives after the end is destroyed.
   */
  async add(
    signal: AbortSignal,
    open: (signal: AbortSignal) => Promise<{ socket: Socket; handshake: HandshakeBytes }>,
  ): Promise<Socket> {
    if (this.#closing.signal.aborted) throw new TransportError('ended', 'the tunnel has ended');
    if (this.#open.size + this.#pending >= MAX_TUNNEL_CONNECTIONS) {
      throw new TransportError(
        'destination',
        `the tunnel has ${MAX_TUNNEL_CONNECTIONS} connections, the most it takes`,
      );
    }
    this.#pending += 1;
    try {
      const { socket, handshake } = await open(AbortSignal.any([signal, this.#closing.signal]));
      if (this.#closing.signal.aborted) {
        socket.destroy();
        throw new TransportError('ended', 'the tunnel has ended');
      }
      this.#own(socket, handshake);
      return socket;
    } catch (error) {
      if (this.#closing.signal.aborted) {
        throw new TransportError('ended', 'the tunnel has ended', { cause: error });
      }
      throw error;
    } finally {
      this.#pending -= 1;
    }
  }

  #own(socket: Socket, handshake: HandshakeBytes): void {
    this.#open.set(socket, handshake);
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#sent += socket.bytesWritten - handshake.sent;
      this.#received += socket.bytesRead - handshake.received;
    });
  }

  bytes(): { readonly sent: number; readonly received: number } {
    let sent = this.#sent;
    let received = this.#received;
    for (const [socket, handshake] of this.#open) {
      sent += socket.bytesWritten - handshake.sent;
      received += socket.bytesRead - handshake.received;
    }
    return { sent, received };
  }

  /** Ends everything; only the first reason counts. */
  end(reason: TunnelEnd): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    for (const socket of this.#open.keys()) socket.destroy();
    this.#ended.resolve(reason);
  }
}
