/**
 * A UDP socket of the lab. It is bound to a loopback address and sends to loopback only, so that a contact of a
 * stranger cannot make the lab send to another machine.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** Most bytes that wait in the socket; packets beyond are dropped, as a full network would. */
const MAX_QUEUED_BYTES = 1_048_576;
/** Bytes of the receive buffer of the kernel that are asked for: a burst of whole messages fits. */
const RECEIVE_BUFFER_BYTES = 1_048_576;
const LOOPBACK = /^(127(?:\.\d{1,3}){3}):(\d{1,5})$/;
const PORTS = 65_536;

export interface UdpPortOptions {
  /** An address of 127.0.0.0/8. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Most bytes that wait; default 1 MiB. */
  readonly maxQueuedBytes?: number;
  /** For measurements: whether a packet that is to be sent is lost on the way. */
  readonly loses?: () => boolean;
  /** @param from `127.0.0.1:4711` */
  onPacket(packet: Uint8Array, from: string): void;
  /** The socket failed and is closed. Not called after `close`. */
  onError(error: Error): void;
}

/** Host and port of an address that the lab sends to; undefined for any other. */
function loopbackTarget(address: string): readonly [host: string, port: number] | undefined {
  const [, host, digits] = LOOPBACK.exec(address) ?? [];
  if (host === undefined || host.split('.').some((part) => Number(part) > 255)) return undefined;
  const port = Number(digits);
  return port > 0 && port < PORTS ? [host, port] : undefined;
}

export class UdpPort {
  readonly #socket: Socket;
  readonly #options: UdpPortOptions;
  #closed = false;
  /** Packets that were not sent, by reason. */
  readonly dropped = { address: 0, queue: 0, failed: 0, closed: 0 };

  private constructor(socket: Socket, options: UdpPortOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('message', (bytes, { address, port }) => {
      // As a plain Uint8Array: `slice` of a Buffer would share the memory of the packet instead of copying.
      const packet = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
      options.onPacket(packet, `${address}:${port}`);
    });
    socket.on('error', (error) => this.#fail(error));
  }

  /** Rejects with the error of the system, for example when the port is taken. */
  static async bind(options: UdpPortOptions): Promise<UdpPort> {
    const { host, port } = options;
    if (!loopbackTarget(`${host}:${port || 1}`)) {
      throw new RangeError(`the lab binds to 127.0.0.0/8 only, not to ${host}:${port}`);
    }
    const socket = createSocket({
      type: 'udp4',
      recvBufferSize: RECEIVE_BUFFER_BYTES,
      // Addresses are numbers already: nothing is ever resolved.
      lookup: (name, _, done) => done(null, name, 4),
    });
    // Nothing is resolved, so the socket may listen before `bind` returns.
    const listening = once(socket, 'listening');
    socket.bind({ address: host, port });
    try {
      await listening;
    } catch (error) {
      socket.close();
      throw error;
    }
    return new UdpPort(socket, options);
  }

  get port(): number {
    return this.#closed ? 0 : this.#socket.address().port;
  }

  /** Bytes that wait in the socket. */
  get queuedBytes(): number {
    return this.#closed ? 0 : this.#socket.getSendQueueSize();
  }

  /** Sends a datagram, or drops it and counts why. */
  send(packet: Uint8Array, address: string): void {
    const { maxQueuedBytes = MAX_QUEUED_BYTES, loses } = this.#options;
    if (loses?.() === true) return;
    const target = loopbackTarget(address);
    if (this.#closed) this.dropped.closed++;
    else if (!target) this.dropped.address++;
    else if (this.queuedBytes + packet.length > maxQueuedBytes) this.dropped.queue++;
    else {
      const [host, port] = target;
      this.#socket.send(packet, port, host, (error) => {
        if (error) this.dropped.failed++;
      });
    }
  }

  /** Resolves when the port is free. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    this.#options.onError(error);
  }
}
