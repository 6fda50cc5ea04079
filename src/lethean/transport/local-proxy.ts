/**
 * The proxy in front of a tunnel: SOCKS5 and HTTP CONNECT on one loopback port, as in "run-proxy" (section 7.3).
 * Names are never resolved on this machine. Without a tunnel every request is refused: no request gets another way.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { isLoopbackHost } from '../../kit/host-name.js';
import type { Tunnel } from '../ports.js';
import { ByteReader } from './byte-reader.js';
import { serveHttp } from './local-http.js';
import type { LocalRequest } from './local-request.js';
import { serveSocks } from './local-socks.js';
import { pump } from './pump.js';
import type { SocksLogin } from './socks-connect.js';
import { TransportError } from './transport-error.js';

/** Most connections at once; further ones are closed. */
export const MAX_LOCAL_CONNECTIONS = 256;
/** Longest request: the head of a CONNECT with its credentials. */
const MAX_REQUEST_BYTES = 8 * 1024;
/** Milliseconds of a request, until the tunnel is asked. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Milliseconds until a connection that was refused is closed, also when the client does not close it. */
const DISMISS_MS = 2_000;

export interface LocalProxyOptions {
  /** A loopback address; default 127.0.0.1. */
  readonly host?: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** With them, only a client that knows both is served; other users of this machine are not. */
  readonly login?: SocksLogin;
  /** The tunnel that stands now. */
  tunnel(): Tunnel | undefined;
  /** Default 10,000. */
  readonly requestTimeoutMs?: number;
}

export interface LocalProxy {
  readonly host: string;
  readonly port: number;
  /** Connections of clients now. */
  readonly connections: number;
  /** Ends every connection; resolves when the port is free. */
  close(): Promise<void>;
}

class RunningProxy implements LocalProxy {
  readonly host: string;
  readonly #options: LocalProxyOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #closing = new AbortController();

  constructor(options: LocalProxyOptions, host: string) {
    this.host = host;
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket),
    );
    this.#server.maxConnections = MAX_LOCAL_CONNECTIONS;
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    return address === null || typeof address === 'string' ? 0 : address.port;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, this.host, () => {
        this.#server.off('error', reject);
        this.#server.on('error', () => {});
        resolve();
      });
    });
  }

  close(): Promise<void> {
    this.#closing.abort();
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
    this.#serve(socket).catch(() => socket.destroy());
  }

  async #serve(socket: Socket): Promise<void> {
    const timer = setTimeout(
      () => socket.destroy(),
      this.#options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    );
    const reader = new ByteReader(socket, MAX_REQUEST_BYTES);
    let request: LocalRequest | undefined;
    try {
      request = await this.#request(socket, reader);
    } finally {
      clearTimeout(timer);
      reader.release();
    }
    if (request === undefined) {
      this.#dismiss(socket);
      return;
    }
    await this.#answer(socket, request);
  }

  async #request(socket: Socket, reader: ByteReader): Promise<LocalRequest | undefined> {
    const first = await reader.exactly(1);
    const { login } = this.#options;
    return first[0] === 5
      ? serveSocks(socket, reader, login)
      : serveHttp(socket, reader, first, login);
  }

  async #answer(socket: Socket, request: LocalRequest): Promise<void> {
    const gone = new AbortController();
    const stop = (): void => gone.abort();
    socket.once('close', stop);
    try {
      const tunnel = this.#options.tunnel();
      if (tunnel === undefined) throw new TransportError('ended', 'there is no tunnel now');
      const signal = AbortSignal.any([gone.signal, this.#closing.signal]);
      const stream = await tunnel.connect(request.host, request.port, signal);
      if (socket.destroyed) {
        stream.destroy();
        return;
      }
      request.grant();
      pump(socket, stream);
    } catch (error) {
      request.refuse(
        error instanceof TransportError ? error : new TransportError('ended', 'the tunnel failed'),
      );
      this.#dismiss(socket);
    } finally {
      socket.off('close', stop);
    }
  }

  /** Ends a connection after its answer; a client that keeps its side open has a moment to read it. */
  #dismiss(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), DISMISS_MS);
    socket.once('close', () => clearTimeout(timer));
    socket.resume();
    socket.end();
  }
}

/**
 * Listens. Rejects with a TransportError (`unsupported`) for an address that is not loopback, and with the error of
 * the system when the port is taken.
 */
export async function startLocalProxy(options: LocalProxyOptions): Promise<LocalProxy> {
  const host = options.host ?? '127.0.0.1';
  if (!isLoopbackHost(host)) {
    throw new TransportError(
      'unsupported',
      `the local proxy listens on loopback only, not ${host}`,
    );
  }
  const proxy = new RunningProxy(options, host);
  await proxy.listen();
  return proxy;
}
