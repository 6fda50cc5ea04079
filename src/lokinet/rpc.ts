/**
 * Asks Lokinet over its RPC socket for its version and state. The package `zeromq` is loaded with the first
 * call, and not needed without one. The RPC has no authentication, so its address is one of this machine.
 */
import { randomBytes } from 'node:crypto';
import type * as zeromq from 'zeromq';
import { errorCode, errorText } from '../kit/error-text.js';
import { MAX_BODY_BYTES, parseReply, parseStatus, parseVersion } from './rpc-reply.js';
import type { LokinetStatus } from './rpc-reply.js';

export type { LokinetStatus } from './rpc-reply.js';

/** Longest wait for a reply, in milliseconds. */
const REPLY_MS = 5_000;

/** How the package is installed. Its compiled files are inside, so no script of it needs to run. */
export const ZEROMQ_LINE = 'npm install --ignore-scripts zeromq@6';

/** A call that failed: one line with what to do. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  constructor(
    /** `package`: zeromq is missing; `no-answer`: nothing answers; `refused`: an answer of another form. */
    readonly code: 'package' | 'no-answer' | 'refused',
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/** The RPC of one Lokinet. Calls reject with an RpcError, or the reason of the signal. */
export interface LokinetRpc {
  readonly address: string;
  /** Its version, as it reports it. */
  version(signal: AbortSignal): Promise<string>;
  /** Its name and state. */
  status(signal: AbortSignal): Promise<LokinetStatus>;
  /** Ends calls that still wait. */
  close(): void;
}

type Zeromq = Pick<typeof zeromq, 'Dealer'>;
type LoadZeromq = () => Promise<Zeromq>;

async function loaded(load: LoadZeromq): Promise<Zeromq> {
  try {
    return await load();
  } catch (error) {
    throw new RpcError(
      'package',
      `rpc in the section with type = lokinet needs the package zeromq: ${ZEROMQ_LINE}`,
      error,
    );
  }
}

class Rpc implements LokinetRpc {
  readonly address: string;
  readonly #load: LoadZeromq;
  readonly #replyMs: number;
  readonly #closed = new AbortController();

  constructor(address: string, load: LoadZeromq, replyMs: number) {
    this.address = address;
    this.#load = load;
    this.#replyMs = replyMs;
  }

  async version(signal: AbortSignal): Promise<string> {
    const version = parseVersion(await this.#call('llarp.version', signal));
    if (version !== undefined) return version;
    throw new RpcError('refused', `the RPC at ${this.address} tells no version`);
  }

  async status(signal: AbortSignal): Promise<LokinetStatus> {
    return parseStatus(await this.#call('llarp.get_status', signal));
  }

  close(): void {
    this.#closed.abort(new Error('closed'));
  }

  /** One socket for each call: a reply that came too late cannot be taken for another one. */
  async #call(method: string, given: AbortSignal): Promise<unknown> {
    const signal = AbortSignal.any([given, this.#closed.signal]);
    signal.throwIfAborted();
    const { Dealer } = await loaded(this.#load);
    // Linger 0: a request that nobody takes does not keep the process alive.
    const socket = new Dealer({
      linger: 0,
      sendTimeout: this.#replyMs,
      receiveTimeout: this.#replyMs,
      maxMessageSize: MAX_BODY_BYTES,
    });
    const abort = (): void => socket.close();
    signal.addEventListener('abort', abort, { once: true });
    try {
      signal.throwIfAborted();
      const tag = randomBytes(8).toString('hex');
      socket.connect(this.address);
      await socket.send([method, tag, '{}']);
      return this.#resultOf(await socket.receive(), method, tag);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RpcError) throw error;
      const reason = errorCode(error) === 'EAGAIN' ? 'no reply' : errorText(error);
      throw new RpcError(
        'no-answer',
        `Lokinet's RPC at ${this.address} does not answer (${reason}): start Lokinet, or correct rpc in the section with type = lokinet`,
        error,
      );
    } finally {
      signal.removeEventListener('abort', abort);
      socket.close();
    }
  }

  #resultOf(frames: readonly Uint8Array[], method: string, tag: string): unknown {
    const reply = parseReply(frames, method, tag);
    const refused = (why: string): RpcError =>
      new RpcError('refused', `Lokinet's RPC at ${this.address} answers ${method} with ${why}`);
    if (!reply.ok) throw refused(`something else (${reply.reason})`);
    switch (reply.value.kind) {
      case 'result':
        return reply.value.result;
      case 'error':
        throw refused(`an error: ${reply.value.error}`);
      case 'unknown-method':
        throw refused('UNKNOWNCOMMAND: this version does not have it');
      case 'refused':
        throw refused(reply.value.code);
    }
  }
}

/** Options of `createLokinetRpc`, for tests. */
export interface RpcOptions {
  readonly load?: LoadZeromq;
  readonly replyMs?: number;
}

/** @param address `tcp://127.0.0.1:1190` or `ipc:///path` */
export function createLokinetRpc(address: string, options: RpcOptions = {}): LokinetRpc {
  const { load = () => import('zeromq'), replyMs = REPLY_MS } = options;
  return new Rpc(address, load, replyMs);
}
