/**
 * The ZeroMQ socket of the auth server. The package `zeromq` is an optional peer: it is loaded here, when
 * the server starts, and by no other file.
 */
import type { Router } from 'zeromq';
import { errorCode, errorText } from '../../kit/error-text.js';
import type { CurveKey } from './curve-key.js';

/** A ROUTER socket: the first frame of each message is the routing id of the peer. */
export interface ZmqRouter {
  /** Binds one address. Rejects when it is in use. */
  bind(address: string): Promise<void>;
  /** All messages until `close`. */
  messages(): AsyncIterable<readonly Uint8Array[]>;
  /** Sends one message; false when the peer is gone or takes none. */
  send(frames: readonly Uint8Array[]): Promise<boolean>;
  close(): void;
}

/** The package is missing or does not load. */
export class ZmqMissingError extends Error {
  override readonly name = 'ZmqMissingError';
  /** Wrong usage or configuration. */
  readonly exitCode = 2;
}

/** The line that installs it; its install script is not needed. */
export const INSTALL_LINE = 'npm install --ignore-scripts zeromq@6';

/** Longest message. A request has less than 1 KiB. */
const MAX_MESSAGE_BYTES = 65_536;
const QUEUED_MESSAGES = 2_000;

type RouterClass = typeof Router;

async function load(): Promise<RouterClass> {
  try {
    return (await import('zeromq')).Router;
  } catch (error) {
    const missing = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes(errorCode(error) ?? '');
    throw new ZmqMissingError(
      `the package zeromq ${missing ? 'is not installed' : `does not load (${errorText(error)})`}; install it beside onionmc: ${INSTALL_LINE}`,
      { cause: error },
    );
  }
}

/**
 * Opens the socket. `handover`: an endpoint that reconnects is heard at once, although its old connection
 * has not timed out. `mandatory` with a send timeout of 0: a reply to a peer that is gone fails alone, and
 * later replies go on.
 */
export async function openRouter(curve: CurveKey | undefined): Promise<ZmqRouter> {
  const LoadedRouter = await load();
  const router = new LoadedRouter({
    handover: true,
    mandatory: true,
    sendTimeout: 0,
    linger: 0,
    maxMessageSize: MAX_MESSAGE_BYTES,
    receiveHighWaterMark: QUEUED_MESSAGES,
    sendHighWaterMark: QUEUED_MESSAGES,
    // As OxenMQ, so that a peer that vanished is noticed.
    heartbeatInterval: 15_000,
    heartbeatTimeout: 30_000,
    handshakeInterval: 10_000,
    ...(curve === undefined ? {} : { curveServer: true, curveSecretKey: curve.secretZ85 }),
  });
  let last: Promise<unknown> = Promise.resolve();
  return {
    bind: (address) => router.bind(address),
    messages: () => router,
    send(frames) {
      // One at a time: two sends at once are an error.
      const sent = last.then(async () => {
        try {
          await router.send([...frames].map((frame) => Buffer.from(frame)));
          return true;
        } catch {
          return false;
        }
      });
      last = sent;
      return sent;
    },
    close: () => router.close(),
  };
}
