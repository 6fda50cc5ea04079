/** HTTP to the RPC port of a node: connections that stay open, bounds of time and size. */
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../kit/clock.js';
import { errorCode, errorCodeOrText, errorText } from '../../kit/error-text.js';
import { ChainError } from '../chain-error.js';

/** Opens a connection to the node through something else than TCP, such as Tor. */
export type Connect = (signal: AbortSignal) => Promise<Socket>;

export interface HttpTarget {
  readonly host: string;
  readonly port: number;
  /** Default: TCP to host and port. */
  readonly connect?: Connect | undefined;
  /** For messages: `localhost:8332`. */
  readonly where: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

export interface HttpCall {
  readonly body: string;
  /** The header `Authorization`. */
  readonly authorization: string;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
}

/** Connections at once. A node answers with 16 threads by default. */
const MOST_CONNECTIONS = 4;
/** Below the 30 s after which a node closes an idle connection. */
const IDLE_MS = 20_000;
const CONNECT_MS = 120_000;

function unreachable(where: string, error: unknown): ChainError {
  const why = errorCode(error) === undefined ? errorText(error) : errorCodeOrText(error);
  return new ChainError(
    'unreachable',
    `no bitcoin node answers at ${where} (${why}): start it, or correct rpc_host and rpc_port in [BLOCKCHAIN]`,
    { cause: error },
  );
}

type Callback = (error: Error | null, socket: Socket) => void;

/** An agent whose connections come from elsewhere. */
class ConnectingAgent extends Agent {
  readonly #connect: Connect;
  readonly #closing = new AbortController();

  constructor(connect: Connect) {
    super({ keepAlive: true, maxSockets: MOST_CONNECTIONS, timeout: IDLE_MS });
    this.#connect = connect;
  }

  override createConnection(_options: unknown, callback?: Callback): undefined {
    void this.#open(callback);
    return undefined;
  }

  async #open(callback: Callback | undefined): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(CONNECT_MS)]);
    try {
      const socket = await this.#connect(signal);
      callback?.(null, socket.resume());
    } catch (error) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the type lacks this case
      const failed = callback as ((error: Error) => void) | undefined;
      failed?.(error instanceof Error ? error : new Error(errorText(error)));
    }
  }

  override destroy(): void {
    this.#closing.abort();
    super.destroy();
  }
}

export class HttpPost {
  readonly #target: HttpTarget;
  /** Limits the time of a call. */
  readonly #clock: Clock;
  readonly #agent: Agent;

  constructor(target: HttpTarget, clock: Clock) {
    this.#target = target;
    this.#clock = clock;
    const { connect } = target;
    this.#agent =
      connect === undefined
        ? new Agent({ keepAlive: true, maxSockets: MOST_CONNECTIONS, timeout: IDLE_MS })
        : new ConnectingAgent(connect);
  }

  /** The answer, whatever its status. Rejects with a `ChainError`, or with the reason of the signal. */
  async post(call: HttpCall): Promise<HttpAnswer> {
    // Each attempt takes a stale connection out of the pool; the last one then opens a new one.
    for (let attempt = 0; ; attempt += 1) {
      try {
        // oxlint-disable-next-line no-await-in-loop
        return await this.#once(call);
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error;
        if (attempt > MOST_CONNECTIONS) throw unreachable(this.#target.where, error.cause);
      }
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #once({ body, authorization, timeoutMs, maxBytes, signal }: HttpCall): Promise<HttpAnswer> {
    const { host, port, where } = this.#target;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const headers = {
        authorization,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      };
      const options = { host, port, method: 'POST', path: '/', headers, agent: this.#agent };
      const call = request(options);
      const finish = (error: unknown, answer?: HttpAnswer): void => {
        cancelTimeout();
        signal?.removeEventListener('abort', aborted);
        if (answer !== undefined) {
          resolve(answer);
          return;
        }
        call.destroy();
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- the signal's own reason
        reject(error);
      };
      const aborted = (): void => finish(signal?.reason);
      const cancelTimeout = this.#clock.after(timeoutMs, () => {
        const text = `the bitcoin node at ${where} gives no answer within ${timeoutMs / 1000} s`;
        finish(new ChainError('timeout', `${text}: it may be busy; try again`));
      });
      signal?.addEventListener('abort', aborted, { once: true });
      call.on('error', (error) => {
        finish(
          isStale(call, error)
            ? new StaleConnection('', { cause: error })
            : unreachable(where, error),
        );
      });
      call.once('response', (response) => {
        readBody(response, maxBytes, where).then(
          (text) => finish(undefined, { status: response.statusCode ?? 0, body: text }),
          (error: unknown) =>
            finish(error instanceof ChainError ? error : unreachable(where, error)),
        );
      });
      call.end(body);
    });
  }
}

/** The node closed an idle connection at the moment in which it was used again. */
class StaleConnection extends Error {}

function isStale(call: ClientRequest, error: Error): boolean {
  return call.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(errorCode(error) ?? '');
}

async function readBody(
  response: IncomingMessage,
  maxBytes: number,
  where: string,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    if (!(chunk instanceof Buffer)) continue;
    size += chunk.length;
    if (size > maxBytes) {
      throw new ChainError('answer', `the answer of ${where} is longer than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
