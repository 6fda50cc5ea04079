/**
 * The SOCKS5 dialogue on a connected socket. The package `socks` writes and reads the messages, but it
 * drops the reply code, re-emits bytes that came with the reply, and puts the password on its errors.
 * So it does not get the socket, but a gate that passes one message at a time, keeps the reply code,
 * and leaves every byte after the last message in the socket.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { SocksClient } from 'socks';
import { deferred } from '../../kit/deferred.js';
import { MAX_SOCKS_MESSAGE_BYTES, readSocksMessage, type SocksStep } from './reply.js';
import { SocksError, socksReplyError } from './error.js';

const METHOD_NONE = 0;
const METHOD_PASSWORD = 2;
/** The package's own timer cannot be cancelled; the caller's deadline counts. */
const PACKAGE_TIMEOUT_MARGIN_MS = 1_000;

type Client = typeof SocksClient;
let loading: Promise<Client> | undefined;

/**
 * The package `socks`, loaded at the first dial. Rejects with a SocksError `package` in a bundle that
 * cannot load it: the package is CommonJS, and its `require` of Node's own modules is missing in an ESM
 * bundle (esbuild 0.28 without a banner that defines `require`; docs/library.md).
 */
function loadSocks(): Promise<Client> {
  loading ??= import('socks').then(
    (module) => module.SocksClient,
    (cause: unknown) => {
      loading = undefined;
      throw new SocksError(
        'package',
        `the package "socks" cannot be loaded (${cause instanceof Error ? cause.message : String(cause)}): an ESM bundle needs a banner that defines require, see "Bundles" in docs/library.md`,
        undefined,
        { cause },
      );
    },
  );
  return loading;
}

export interface SocksCredentials {
  readonly username: string;
  readonly password: string;
}

export interface SocksRequest {
  readonly host: string;
  readonly port: number;
  readonly credentials: SocksCredentials;
  /** The caller destroys the socket after this time. */
  readonly deadlineMs: number;
}

/** Whether the proxy accepted the credentials; without them streams share circuits. */
export interface SocksOutcome {
  readonly isolated: boolean;
}

/**
 * Asks the proxy behind `socket` for a connection. When it resolves, the socket is paused, holds every
 * byte that followed the reply, and has no listener except an idle one for `error`. Rejects with a
 * SocksError; the caller then destroys the socket.
 */
export async function negotiateSocks(socket: Socket, request: SocksRequest): Promise<SocksOutcome> {
  return new Dialogue(socket, request).run(await loadSocks());
}

/** One dialogue between the package and the proxy. */
class Dialogue {
  readonly #socket: Socket;
  readonly #request: SocksRequest;
  /** The proxy in error texts. */
  readonly #where: string;
  readonly #outcome = deferred<SocksOutcome>();
  /** The package uses this stream as the socket of the proxy. */
  readonly #gate = new Duplex({
    read() {},
    write: (chunk: Buffer, _encoding, done) => {
      this.#asked += 1;
      this.#socket.write(chunk);
      // Deferred, because `socks` sets its next state after it has written.
      process.nextTick(() => this.#deliver());
      done();
    },
  });
  #step: SocksStep = 'method';
  /** Requests that `socks` has written and whose answer it has not got. */
  #asked = 0;
  #received: Buffer = Buffer.alloc(0);
  #isolated = false;
  #finished = false;

  constructor(socket: Socket, request: SocksRequest) {
    this.#socket = socket;
    this.#request = request;
    this.#where = `${request.host}:${request.port}`;
  }

  run(client: Client): Promise<SocksOutcome> {
    const socket = this.#socket;
    this.#gate.on('error', () => {});
    socket.on('error', () => {});
    socket.on('data', this.#onData).once('close', this.#onClose);
    if (socket.closed) this.#onClose();
    else this.#ask(client);
    return this.#outcome.promise;
  }

  #ask(client: Client): void {
    const { host, port, credentials, deadlineMs } = this.#request;
    client
      .createConnection({
        command: 'connect',
        existing_socket: this.#gate,
        destination: { host, port },
        proxy: {
          // Not used with an existing socket, but checked by the package.
          host: '127.0.0.1',
          port: 1,
          type: 5,
          userId: credentials.username,
          password: credentials.password,
        },
        timeout: deadlineMs + PACKAGE_TIMEOUT_MARGIN_MS,
      })
      .then(
        () => this.#finish(undefined),
        // Its message is not used: our own errors say more, and this one only ends the dialogue.
        () => this.#protocolFault('the proxy does not speak SOCKS5'),
      );
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    this.#deliver();
  };

  readonly #onClose = (): void => {
    const text = `cannot reach ${this.#where}: the SOCKS proxy closed the connection; is Tor still running?`;
    this.#finish(new SocksError('proxy-closed', text));
  };

  #protocolFault(what: string): void {
    const text = `cannot reach ${this.#where}: ${what}; is socks5_port the SocksPort of Tor?`;
    this.#finish(new SocksError('proxy-protocol', text));
  }

  #finish(error: SocksError | undefined): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#socket.off('data', this.#onData).off('close', this.#onClose);
    if (error === undefined) {
      this.#outcome.resolve({ isolated: this.#isolated });
    } else {
      this.#outcome.reject(error);
      this.#gate.destroy();
    }
  }

  /** Passes the next message to `socks` when it expects one and all of it has arrived. */
  #deliver(): void {
    if (this.#finished || this.#asked === 0) return;
    const message = readSocksMessage(this.#step, this.#received);
    switch (message.kind) {
      case 'incomplete':
        if (this.#received.length > MAX_SOCKS_MESSAGE_BYTES) {
          this.#protocolFault('the proxy talks nonsense');
        }
        return;
      case 'invalid':
        this.#protocolFault('the proxy does not speak SOCKS5');
        return;
      case 'refused':
        this.#finish(socksReplyError(message.reply, this.#where));
        return;
      case 'complete':
        this.#accept(message.length, message.value);
    }
  }

  #accept(length: number, value: number): void {
    this.#asked -= 1;
    const message = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    if (this.#step === 'method') {
      if (value !== METHOD_NONE && value !== METHOD_PASSWORD) {
        this.#protocolFault('the proxy wants an authentication that Tor does not have');
        return;
      }
      this.#isolated = value === METHOD_PASSWORD;
      this.#step = this.#isolated ? 'auth' : 'reply';
    } else if (this.#step === 'auth') {
      if (value !== 0) {
        this.#protocolFault('the proxy refused our isolation credentials');
        return;
      }
      this.#step = 'reply';
    } else this.#leaveRest();
    this.#gate.push(message);
  }

  /** The bytes after the last message stay in the socket. */
  #leaveRest(): void {
    this.#socket.pause();
    this.#socket.off('data', this.#onData);
    if (this.#received.length > 0) this.#socket.unshift(this.#received);
  }
}
