/**
 * One HTTP connection to a wallet RPC, one call at a time, with digest authentication. The nonce of the wallet is
 * valid on its connection only, so a pool of connections, or two calls at once, would fail or cost two calls each.
 */
import { randomBytes } from 'node:crypto';
import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import type { Clock } from '../../kit/clock.js';
import { errorCode, errorText } from '../../kit/error-text.js';
import { chooseChallenge, digestHeader, type Credentials, type DigestChallenge } from './digest.js';
import { WalletError } from './wallet-error.js';

export interface RpcConnectionOptions {
  readonly url: URL;
  /** Absent: the wallet RPC asks for no login. */
  readonly credentials: Credentials | undefined;
  readonly clock: Clock;
  /** Most bytes of an answer; default 16 MiB. */
  readonly maxBytes?: number;
}

export interface RpcPost {
  readonly body: string;
  readonly timeoutMs: number;
  /** Whether the call may be sent again when the connection broke before its answer. */
  readonly repeatable: boolean;
  readonly signal: AbortSignal;
}

interface Reply {
  readonly status: number;
  readonly challenges: readonly string[];
  readonly body: string;
  readonly socket: Socket;
}

interface Login {
  readonly challenge: DigestChallenge;
  readonly socket: Socket;
  count: number;
}

const MAX_BYTES = 16 * 1024 * 1024;
/** Calls that wait for their turn. */
const MAX_WAITING = 100;
/** Without a login, with a nonce, with a newer one; and one after a connection that broke. */
const MAX_ATTEMPTS = 4;
const BROKEN = new Set(['ECONNRESET', 'EPIPE']);

export class RpcConnection {
  readonly #options: RpcConnectionOptions;
  readonly #agent: http.Agent | https.Agent;
  #login: Login | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: RpcConnectionOptions) {
    this.#options = options;
    const Agent = options.url.protocol === 'https:' ? https.Agent : http.Agent;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
  }

  /** The text of a 200 answer. Rejects with a WalletError, or the reason of the signal. */
  post(call: RpcPost): Promise<string> {
    if (this.#waiting >= MAX_WAITING) {
      return Promise.reject(
        new WalletError('timeout', `the wallet RPC has ${MAX_WAITING} calls to answer; try later`),
      );
    }
    this.#waiting += 1;
    const mine = this.#turn.then(() => this.#inTurn(call));
    this.#turn = mine.catch(() => {}).finally(() => (this.#waiting -= 1));
    return mine;
  }

  /** Ends the connection; a call that waits for its answer fails. */
  close(): void {
    this.#agent.destroy();
    this.#login = undefined;
  }

  async #inTurn(call: RpcPost): Promise<string> {
    call.signal.throwIfAborted();
    const ended = new AbortController();
    const stopTimer = this.#options.clock.after(call.timeoutMs, () => ended.abort());
    try {
      return await this.#attempts(call, AbortSignal.any([call.signal, ended.signal]));
    } catch (error) {
      call.signal.throwIfAborted();
      if (error instanceof WalletError) throw error;
      if (ended.signal.aborted) {
        throw new WalletError(
          'timeout',
          `the wallet RPC at ${this.#options.url.origin} gave no answer in ${Math.round(call.timeoutMs / 1000)} s: look at its log, and try again`,
          undefined,
          error,
        );
      }
      throw this.#unreachable(error);
    } finally {
      stopTimer();
    }
  }

  async #attempts(call: RpcPost, signal: AbortSignal): Promise<string> {
    let isFresh = false;
    let hasRepeated = false;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const header = this.#header();
      let reply: Reply;
      try {
        // oxlint-disable-next-line no-await-in-loop -- each attempt answers the one before
        reply = await this.#send(call.body, header, signal);
      } catch (error) {
        this.#login = undefined;
        const mayRepeat = BROKEN.has(errorCode(error) ?? '') && call.repeatable && !hasRepeated;
        if (!mayRepeat || signal.aborted) throw error;
        hasRepeated = true;
        continue;
      }
      if (reply.status === 200) return reply.body;
      if (reply.status !== 401) {
        throw new WalletError(
          'malformed',
          `the wallet RPC at ${this.#options.url.href} answers with HTTP ${reply.status}: correct wallet-rpc-url`,
        );
      }
      this.#answerTo(reply, header !== undefined && isFresh);
      isFresh = true;
    }
    throw this.#unauthorised('it refuses each proof as too old');
  }

  /** Keeps the challenge of a refusal. @param wasFresh the refused proof used a nonce of this call */
  #answerTo({ challenges, socket }: Reply, wasFresh: boolean): void {
    this.#login = undefined;
    const challenge = chooseChallenge(challenges);
    if (this.#options.credentials === undefined) {
      throw this.#unauthorised('it asks for a login, and the settings have none');
    }
    if (challenge === undefined) {
      throw this.#unauthorised('it asks for another proof than HTTP digest');
    }
    if (wasFresh && !challenge.stale) {
      throw this.#unauthorised('it refuses this user and password');
    }
    this.#login = { challenge, socket, count: 0 };
  }

  #header(): string | undefined {
    const { credentials, url } = this.#options;
    const login = this.#login;
    if (credentials === undefined || login === undefined) return undefined;
    if (login.socket.destroyed || !login.socket.writable) {
      this.#login = undefined;
      return undefined;
    }
    login.count += 1;
    return digestHeader(login.challenge, credentials, {
      method: 'POST',
      uri: `${url.pathname}${url.search}`,
      count: login.count,
      clientNonce: randomBytes(16).toString('hex'),
    });
  }

  #send(body: string, authorization: string | undefined, signal: AbortSignal): Promise<Reply> {
    const { url, maxBytes = MAX_BYTES } = this.#options;
    const request = url.protocol === 'https:' ? https.request : http.request;
    return new Promise((resolve, reject) => {
      const sent = request(url, {
        method: 'POST',
        agent: this.#agent,
        signal,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          ...(authorization === undefined ? {} : { authorization }),
        },
      });
      sent.on('error', reject);
      sent.on('response', (response) => {
        const { socket } = response;
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('error', reject);
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > maxBytes) {
            response.destroy(
              new WalletError(
                'malformed',
                `an answer of the wallet RPC is above ${maxBytes} bytes`,
              ),
            );
          } else chunks.push(chunk);
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            challenges: valuesOf(response.rawHeaders, 'www-authenticate'),
            body: Buffer.concat(chunks).toString('utf8'),
            socket,
          }),
        );
      });
      sent.end(body);
    });
  }

  #unauthorised(why: string): WalletError {
    return new WalletError(
      'unauthorised',
      `the wallet RPC at ${this.#options.url.origin} does not let this program in (${why}): set wallet-rpc-user and wallet-rpc-password to what it was started with (--rpc-login)`,
    );
  }

  #unreachable(error: unknown): WalletError {
    return new WalletError(
      'unreachable',
      `the wallet RPC at ${this.#options.url.origin} cannot be used (${errorCode(error) ?? errorText(error)}): start it, or correct wallet-rpc-url`,
      undefined,
      error,
    );
  }
}

/** The values of a header that may be there several times. */
function valuesOf(raw: readonly string[], name: string): readonly string[] {
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === name);
}
