/**
 * The SOCKS5 dialogue on a connected socket. The package `socks` writes and reads the messages, but it
 * drops the reply code, re-emits bytes that came with the reply, and puts the password on its errors.
 * So it does not get the socket, but a gate that passes one message at a time, keeps the reply code,
 * and leaves every byte after the last message in the socket.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { SocksClient } from 'socks';
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
  return converse(await loadSocks(), socket, request);
}

function converse(client: Client, socket: Socket, request: SocksRequest): Promise<SocksOutcome> {
  const where = `${request.host}:${request.port}`;
  return new Promise((resolve, reject) => {
    let step: SocksStep = 'method';
    /** Requests that `socks` has written and whose answer it has not got. */
    let asked = 0;
    let received: Buffer = Buffer.alloc(0);
    let isolated = false;
    let settled = false;

    const gate = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        asked += 1;
        socket.write(chunk);
        // Deferred, because `socks` sets its next state after it has written.
        process.nextTick(deliver);
        done();
      },
    });

    function settle(error: SocksError | undefined): void {
      if (settled) return;
      settled = true;
      socket.off('data', onData).off('close', onClose);
      if (error === undefined) {
        resolve({ isolated });
      } else {
        reject(error);
        gate.destroy();
      }
    }
    function protocolFault(text: string): void {
      settle(
        new SocksError(
          'proxy-protocol',
          `cannot reach ${where}: ${text}; is socks5_port the SocksPort of Tor?`,
        ),
      );
    }

    /** Passes the next message to `socks` when it expects one and all of it has arrived. */
    function deliver(): void {
      if (settled || asked === 0) return;
      const message = readSocksMessage(step, received);
      switch (message.kind) {
        case 'incomplete':
          if (received.length > MAX_SOCKS_MESSAGE_BYTES) protocolFault('the proxy talks nonsense');
          return;
        case 'invalid':
          protocolFault('the proxy does not speak SOCKS5');
          return;
        case 'refused':
          settle(socksReplyError(message.reply, where));
          return;
        case 'complete':
          accept(message.length, message.value);
      }
    }

    function accept(length: number, value: number): void {
      asked -= 1;
      const message = received.subarray(0, length);
      received = received.subarray(length);
      if (step === 'method') {
        if (value !== METHOD_NONE && value !== METHOD_PASSWORD) {
          protocolFault('the proxy wants an authentication that Tor does not have');
          return;
        }
        isolated = value === METHOD_PASSWORD;
        step = isolated ? 'auth' : 'reply';
      } else if (step === 'auth') {
        if (value !== 0) {
          protocolFault('the proxy refused our isolation credentials');
          return;
        }
        step = 'reply';
      } else {
        socket.pause();
        socket.off('data', onData);
        if (received.length > 0) socket.unshift(received);
      }
      gate.push(message);
    }

    function onData(chunk: Buffer): void {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      deliver();
    }
    function onClose(): void {
      settle(
        new SocksError(
          'proxy-closed',
          `cannot reach ${where}: the SOCKS proxy closed the connection; is Tor still running?`,
        ),
      );
    }

    gate.on('error', () => {});
    socket.on('error', () => {});
    socket.on('data', onData).once('close', onClose);
    if (socket.closed) {
      onClose();
      return;
    }
    client
      .createConnection({
        command: 'connect',
        existing_socket: gate,
        destination: { host: request.host, port: request.port },
        proxy: {
          // Not used with an existing socket, but checked by the package.
          host: '127.0.0.1',
          port: 1,
          type: 5,
          userId: request.credentials.username,
          password: request.credentials.password,
        },
        timeout: request.deadlineMs + PACKAGE_TIMEOUT_MARGIN_MS,
      })
      .then(
        () => settle(undefined),
        // Its message is not used: our own errors say more, and this one only ends the dialogue.
        () => protocolFault('the proxy does not speak SOCKS5'),
      );
  });
}
