/** CONNECT of a SOCKS5 proxy (RFC 1928), as a client. */
import type { Socket } from 'node:net';
import { hostAndPort } from '../../kit/host-name.js';
import { ByteReader } from './byte-reader.js';
import type { HandshakeBytes } from './open-streams.js';
import {
  addressLength,
  AUTH_VERSION,
  COMMAND_CONNECT,
  encodeAddress,
  encodePassword,
  MAX_SOCKS_MESSAGE_BYTES,
  METHOD_NO_ACCEPTABLE,
  METHOD_NONE,
  METHOD_PASSWORD,
  SOCKS_VERSION,
  socksReplyText,
} from './socks-codec.js';
import { TransportError } from './transport-error.js';

export interface SocksLogin {
  readonly username: string;
  readonly password: string;
}

class Handshake {
  readonly #socket: Socket;
  readonly #reader: ByteReader;
  #sent = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#reader = new ByteReader(socket, MAX_SOCKS_MESSAGE_BYTES);
  }

  async run(host: string, port: number, login: SocksLogin | undefined): Promise<HandshakeBytes> {
    const address = encodeAddress(host, port);
    if (address === undefined) {
      throw new TransportError('destination', 'the destination is not a host and a port');
    }
    await this.#authenticate(login);
    this.#send(Buffer.concat([Buffer.from([SOCKS_VERSION, COMMAND_CONNECT, 0]), address]));
    await this.#reply(hostAndPort(host, port));
    return { sent: this.#sent, received: this.#reader.consumed };
  }

  release(): void {
    this.#reader.release();
  }

  #send(bytes: Buffer): void {
    this.#sent += bytes.length;
    this.#socket.write(bytes);
  }

  async #authenticate(login: SocksLogin | undefined): Promise<void> {
    const secret = login && encodePassword(login.username, login.password);
    if (login !== undefined && secret === undefined) {
      throw new TransportError('unsupported', 'SOCKS5 has no room for the name or the password');
    }
    const methods = secret === undefined ? [METHOD_NONE] : [METHOD_NONE, METHOD_PASSWORD];
    this.#send(Buffer.from([SOCKS_VERSION, methods.length, ...methods]));
    const [version, method] = await this.#reader.exactly(2);
    if (version !== SOCKS_VERSION) throw notSocks();
    if (method === METHOD_NO_ACCEPTABLE) {
      throw new TransportError('credentials', 'the gate asks for credentials that it did not give');
    }
    if (method === METHOD_NONE) return;
    if (method !== METHOD_PASSWORD || secret === undefined) throw notSocks();
    this.#send(secret);
    const [authVersion, status] = await this.#reader.exactly(2);
    if (authVersion !== AUTH_VERSION) throw notSocks();
    if (status !== 0) throw new TransportError('credentials', 'the gate refuses the session');
  }

  async #reply(destination: string): Promise<void> {
    const [version, code = 1] = await this.#reader.exactly(2);
    if (version !== SOCKS_VERSION) throw notSocks();
    if (code !== 0) {
      const text = `the gate does not connect to ${destination}: ${socksReplyText(code)}`;
      throw new TransportError('destination', text);
    }
    const [, type = 0] = await this.#reader.exactly(2);
    const [lengthByte = 0] = type === 3 ? await this.#reader.exactly(1) : [];
    const length = addressLength(type, lengthByte);
    if (length === undefined) throw notSocks();
    await this.#reader.exactly(length + 2);
  }
}

function notSocks(): TransportError {
  return new TransportError('protocol', 'the gate does not answer as a SOCKS5 proxy');
}

/**
 * Asks the proxy behind `socket` for a connection. Names are sent as names. The socket is then paused and holds
 * every byte after the answer. Rejects with a TransportError; the caller destroys the socket.
 */
export async function socksConnect(
  socket: Socket,
  host: string,
  port: number,
  login: SocksLogin | undefined,
): Promise<HandshakeBytes> {
  const handshake = new Handshake(socket);
  try {
    return await handshake.run(host, port, login);
  } finally {
    handshake.release();
  }
}
