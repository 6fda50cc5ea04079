/** Gates that are proxies: HTTP CONNECT, SOCKS5, and the fixed ways to a daemon; plain or in TLS 1.3. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { hostAndPort } from '../../kit/host-name.js';
import type { Gate, ProxyGate, SessionCertificate } from '../model.js';
import type { Transport, Tunnel, TunnelEnd, TunnelTarget } from '../ports.js';
import { DIAL_TIMEOUT_MS, dialGate, withDeadline } from './dial.js';
import { GateWatch, WATCH_INTERVAL_MS } from './gate-watch.js';
import { httpConnect, proxyAuthorization } from './http-connect.js';
import { OpenStreams, type HandshakeBytes } from './open-streams.js';
import { socksConnect } from './socks-connect.js';
import { TransportError } from './transport-error.js';

export interface ProxyTransportOptions {
  /** Milliseconds of one connection; default 20,000. */
  readonly timeoutMs?: number;
  /** Milliseconds between looks at the gate; default 30,000. */
  readonly watchMs?: number;
}

type ProxyKind = Extract<Gate, { readonly proxy: ProxyGate }>;
type Handshake = (socket: Socket, host: string, port: number) => Promise<HandshakeBytes>;

const NO_HANDSHAKE: HandshakeBytes = { sent: 0, received: 0 };

/** A gate to a daemon leads to that daemon only, so the gate's own address is the only destination. */
function daemonOnly(proxy: ProxyGate): Handshake {
  return (_socket, host, port) => {
    if (host === proxy.host && port === proxy.port) return Promise.resolve(NO_HANDSHAKE);
    const at = hostAndPort(proxy.host, proxy.port);
    const text = `this gate leads to the daemon at ${at} and nowhere else`;
    return Promise.reject(new TransportError('destination', text));
  };
}

function handshakeOf(gate: ProxyKind, proxy: ProxyGate, target: TunnelTarget): Handshake {
  const { session } = target;
  switch (gate.type) {
    case 'http-proxy': {
      const authorization = proxyAuthorization(session);
      return (socket, host, port) => httpConnect(socket, host, port, authorization);
    }
    case 'socks-proxy': {
      const { username, password } = session;
      const login =
        username === undefined || password === undefined ? undefined : { username, password };
      return (socket, host, port) => socksConnect(socket, host, port, login);
    }
    case 'daemon-rpc-proxy':
    case 'daemon-p2p-proxy':
      return daemonOnly(proxy);
  }
}

function isProxy(gate: Gate): gate is ProxyKind {
  return 'proxy' in gate;
}

class ProxyTunnel implements Tunnel {
  readonly kind: Gate['type'];
  readonly #proxy: ProxyGate;
  readonly #ca: readonly string[];
  readonly #certificate: SessionCertificate | undefined;
  readonly #handshake: Handshake;
  readonly #timeoutMs: number;
  readonly #streams = new OpenStreams();
  readonly #watch: GateWatch;

  constructor(gate: ProxyKind, target: TunnelTarget, options: ProxyTransportOptions) {
    const { session, provider } = target;
    this.kind = gate.type;
    this.#proxy = gate.proxy;
    this.#certificate = session.proxy;
    this.#ca = gate.ca.length > 0 ? gate.ca : provider.ca;
    this.#handshake = handshakeOf(gate, this.#proxy, target);
    this.#timeoutMs = options.timeoutMs ?? DIAL_TIMEOUT_MS;
    this.#watch = new GateWatch(
      this.#streams,
      (signal) => this.look(signal),
      options.watchMs ?? WATCH_INTERVAL_MS,
    );
  }

  get ended(): Promise<TunnelEnd> {
    return this.#streams.ended;
  }

  bytes(): { readonly sent: number; readonly received: number } {
    return this.#streams.bytes();
  }

  /** Connects to the gate, with TLS where it has it, and to nothing behind it. */
  async look(signal: AbortSignal): Promise<void> {
    const socket = await this.#within(signal, (limited) =>
      dialGate(this.#proxy, this.#ca, limited, this.#certificate),
    );
    socket.destroy();
  }

  async connect(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
    try {
      return await this.#streams.add(signal, (either) =>
        this.#within(either, (limited) => this.#open(host, port, limited)),
      );
    } catch (error) {
      this.#judge(error);
      throw error;
    }
  }

  close(): Promise<void> {
    this.#streams.end({ kind: 'closed' });
    return Promise.resolve();
  }

  async #open(
    host: string,
    port: number,
    signal: AbortSignal,
  ): Promise<{ socket: Socket; handshake: HandshakeBytes }> {
    const socket = await dialGate(this.#proxy, this.#ca, signal, this.#certificate);
    const stop = (): void => void socket.destroy();
    signal.addEventListener('abort', stop, { once: true });
    try {
      signal.throwIfAborted();
      return { socket, handshake: await this.#handshake(socket, host, port) };
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  #within<T>(signal: AbortSignal, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const at = hostAndPort(this.#proxy.host, this.#proxy.port);
    return withDeadline(this.#timeoutMs, signal, `a connection to ${at}`, action);
  }

  /** What a failed connection says about the tunnel. */
  #judge(error: unknown): void {
    if (!(error instanceof TransportError)) return;
    if (error.fault === 'credentials' || error.fault === 'identity') {
      this.#streams.end({ kind: 'refused', reason: error.message });
    } else if (error.fault === 'unreachable' || error.fault === 'timeout') this.#watch.suspect();
  }
}

/** Transport of the gates that are proxies. */
export class ProxyTransport implements Transport {
  readonly #options: ProxyTransportOptions;

  constructor(options: ProxyTransportOptions = {}) {
    this.#options = options;
  }

  serves(gate: Gate): boolean {
    return isProxy(gate);
  }

  /**
   * Resolves when the gate accepts a connection, with the certificate of its provider. A proxy has no way to check
   * credentials without a destination: the first connection shows whether it accepts them.
   * Rejects with a TransportError.
   */
  async open(target: TunnelTarget, signal: AbortSignal): Promise<Tunnel> {
    const { gate } = target;
    if (!isProxy(gate)) {
      throw new TransportError('unsupported', `a gate of type ${gate.type} is not a proxy`);
    }
    const tunnel = new ProxyTunnel(gate, target, this.#options);
    try {
      await tunnel.look(signal);
      return tunnel;
    } catch (error) {
      await tunnel.close();
      throw error;
    }
  }
}
