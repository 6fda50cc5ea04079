/** JSON-RPC to a node: batches, credentials, waiting while it starts. */
import type { Clock } from '../../kit/clock.js';
import { isRecord, type JsonRecord } from '../../kit/json-record.js';
import { shownLine } from '../../kit/shown-text.js';
import { ChainError } from '../chain-error.js';
import { readCredentials, type CredentialChoice, type CredentialSettings } from './credentials.js';
import { HttpPost, type HttpAnswer, type HttpTarget } from './http-post.js';
import { RpcError, RPC_CODE } from './rpc-error.js';
import { Waits } from './waits.js';

/** A method and its parameters. */
export interface RpcCall {
  readonly method: string;
  readonly params: readonly unknown[];
}

export interface RpcCallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: 60 s. */
  readonly timeoutMs?: number;
  /** Waits while the node cannot be reached, for `patienceMs`: in the middle of a longer work. */
  readonly patient?: boolean;
}

export interface RpcClientOptions {
  readonly target: HttpTarget;
  readonly credentials: CredentialSettings;
  readonly clock: Clock;
  /** Told once when a call begins to wait: one line for a person. */
  readonly onWaiting?: (text: string) => void;
  /** How long a call waits for a node that starts. Default: 10 minutes. */
  readonly startingMs?: number;
  /** How long a patient call waits for a node that is gone. Default: 2 minutes. */
  readonly patienceMs?: number;
  /** Between two attempts. Default: 500 ms. */
  readonly retryMs?: number;
}

const TIMEOUT_MS = 60_000;
/** A block in hex has 8,000,000 digits. */
const MAX_ANSWER_BYTES = 64_000_000;
/** Calls in one request. */
const MOST_IN_BATCH = 100;
const STARTING_MS = 600_000;
const PATIENCE_MS = 120_000;
const RETRY_MS = 500;
/** No user and no password: every node refuses it. */
const NO_CREDENTIALS = 'Basic Og==';
/** The answer to a request when all worker threads and the queue are busy. */
const BUSY = 503;
const BUSY_MS = 60_000;

/** The outcome of one call of a batch. */
export type RpcOutcome =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: RpcError };

/** Why an attempt is made again. */
interface Wait {
  readonly error: ChainError;
  readonly limitMs: number;
}

class WaitAndRetry extends Error {
  constructor(readonly wait: Wait) {
    super(wait.error.message);
  }
}

export class RpcClient {
  readonly #options: RpcClientOptions;
  readonly #http: HttpPost;
  /** Also for those that use this client. */
  readonly waits: Waits;
  #authorization: string | undefined;
  #nextId = 1;

  constructor(options: RpcClientOptions) {
    this.#options = options;
    this.#http = new HttpPost(options.target, options.clock);
    this.waits = new Waits(options.clock);
  }

  /** `localhost:8332`, for messages. */
  get where(): string {
    return this.#options.target.where;
  }

  /** The result. Rejects with an `RpcError`, a `ChainError`, or the reason of the signal. */
  async call(
    method: string,
    params: readonly unknown[] = [],
    options: RpcCallOptions = {},
  ): Promise<unknown> {
    const [outcome] = await this.#send([{ method, params }], false, options);
    if (outcome === undefined) throw this.#wrongAnswer(method);
    if (!outcome.ok) throw outcome.error;
    return outcome.result;
  }

  /** The outcomes in order, in as many requests as needed. */
  async batch(
    calls: readonly RpcCall[],
    options: RpcCallOptions = {},
  ): Promise<readonly RpcOutcome[]> {
    const outcomes: RpcOutcome[] = [];
    for (let from = 0; from < calls.length; from += MOST_IN_BATCH) {
      const part = calls.slice(from, from + MOST_IN_BATCH);
      // oxlint-disable-next-line no-await-in-loop -- one request at a time
      for (const outcome of await this.#send(part, true, options)) outcomes.push(outcome);
    }
    return outcomes;
  }

  close(): void {
    this.waits.close();
    this.#http.close();
  }

  /** Repeats an attempt while the node starts, is busy, or, for a patient call, is gone. */
  async #send(
    calls: readonly RpcCall[],
    batch: boolean,
    options: RpcCallOptions,
  ): Promise<readonly RpcOutcome[]> {
    const { clock, onWaiting, retryMs = RETRY_MS } = this.#options;
    const { signal } = options;
    const began = clock.now();
    let told = false;
    this.waits.throwIfClosed();
    for (;;) {
      try {
        // oxlint-disable-next-line no-await-in-loop
        return await this.#attempt(calls, batch, options);
      } catch (error) {
        signal?.throwIfAborted();
        this.waits.throwIfClosed();
        const wait = this.#waitAfter(error, options);
        if (wait === undefined) throw error;
        if (clock.now() - began >= wait.limitMs) throw wait.error;
        if (!told) onWaiting?.(`${wait.error.message}; waiting`);
        told = true;
      }
      // oxlint-disable-next-line no-await-in-loop
      await this.waits.pause(retryMs, signal);
    }
  }

  #waitAfter(error: unknown, { patient = false }: RpcCallOptions): Wait | undefined {
    if (error instanceof WaitAndRetry) return error.wait;
    if (!patient || !(error instanceof ChainError) || error.fault !== 'unreachable')
      return undefined;
    return { error, limitMs: this.#options.patienceMs ?? PATIENCE_MS };
  }

  async #attempt(
    calls: readonly RpcCall[],
    batch: boolean,
    options: RpcCallOptions,
  ): Promise<readonly RpcOutcome[]> {
    const requests = calls.map(({ method, params }) => {
      const id = this.#nextId;
      this.#nextId += 1;
      return { jsonrpc: '2.0', id, method, params };
    });
    const body = JSON.stringify(batch ? requests : requests[0]);
    const answer = await this.#post(body, options);
    const what = calls[0]?.method ?? '';
    if (answer.status === BUSY) {
      const text = `the bitcoin node at ${this.where} is busy: raise rpcworkqueue in its bitcoin.conf`;
      throw new WaitAndRetry({ error: new ChainError('timeout', text), limitMs: BUSY_MS });
    }
    const parsed = parseJson(answer.body);
    const entries = batch ? parsed : [parsed];
    if (!Array.isArray(entries)) throw this.#wrongAnswer(what, answer.status);
    const byId = new Map<unknown, JsonRecord>();
    for (const entry of entries) if (isRecord(entry)) byId.set(entry['id'], entry);
    if (byId.size !== requests.length || entries.length !== requests.length) {
      throw this.#wrongAnswer(what, answer.status);
    }
    const outcomes = requests.map(({ id, method }) =>
      this.#outcome(byId.get(id), method, answer.status),
    );
    for (const outcome of outcomes) {
      if (outcome.ok) continue;
      if (outcome.error.code === RPC_CODE.warmingUp) throw this.#starting(outcome.error);
      if (outcome.error.code === RPC_CODE.shuttingDown) {
        const text = `the bitcoin node at ${this.where} is shutting down: start it again`;
        throw new ChainError('unreachable', text);
      }
    }
    return outcomes;
  }

  #starting({ reason }: RpcError): WaitAndRetry {
    const text = `the bitcoin node at ${this.where} is starting (${reason})`;
    const limitMs = this.#options.startingMs ?? STARTING_MS;
    return new WaitAndRetry({ error: new ChainError('starting', text), limitMs });
  }

  #outcome(entry: JsonRecord | undefined, method: string, status: number): RpcOutcome {
    if (entry === undefined) throw this.#wrongAnswer(method, status);
    const { error } = entry;
    if (error === undefined || error === null) {
      if (!('result' in entry)) throw this.#wrongAnswer(method, status);
      return { ok: true, result: entry['result'] };
    }
    const code = isRecord(error) ? error['code'] : undefined;
    const message = isRecord(error) ? error['message'] : undefined;
    if (typeof code !== 'number' || typeof message !== 'string') {
      throw this.#wrongAnswer(method, status);
    }
    return { ok: false, error: new RpcError(method, code, shownLine(message, 300)) };
  }

  /** Reads the credentials anew when the node refuses those that it accepted before. */
  async #post(body: string, options: RpcCallOptions): Promise<HttpAnswer> {
    const { signal, timeoutMs = TIMEOUT_MS } = options;
    const send = async (authorization: string): Promise<HttpAnswer> => {
      const call = { body, authorization, timeoutMs, maxBytes: MAX_ANSWER_BYTES, signal };
      const answer = await this.#http.post(call);
      if (answer.status === 403) throw this.#forbidden();
      return answer;
    };
    // Another call may replace it meanwhile.
    const refused = this.#authorization;
    if (refused !== undefined) {
      const answer = await send(refused);
      if (answer.status !== 401) return answer;
    }
    const choice = await readCredentials(this.#options.credentials);
    // A node that does not run has no cookie, so it is asked also without one: that tells the two faults apart.
    const headers = choice.headers.length > 0 ? choice.headers : [NO_CREDENTIALS];
    for (const authorization of headers) {
      if (authorization === refused) continue;
      // oxlint-disable-next-line no-await-in-loop -- the next one only if this one is refused
      const answer = await send(authorization);
      if (answer.status === 401) continue;
      this.#authorization = authorization;
      return answer;
    }
    throw this.#denied(choice);
  }

  #denied({ tried }: CredentialChoice): ChainError {
    const text = `the bitcoin node at ${this.where} refuses access (tried: ${tried})`;
    return new ChainError(
      'access',
      `${text}: set rpc_cookie_file, or rpc_user and rpc_password, in [BLOCKCHAIN]`,
    );
  }

  #forbidden(): ChainError {
    const text = `the bitcoin node at ${this.where} refuses this machine`;
    return new ChainError('access', `${text}: add its address to rpcallowip in bitcoin.conf`);
  }

  #wrongAnswer(method: string, status?: number): ChainError {
    const code = status === undefined || status === 200 ? '' : ` (HTTP status ${status})`;
    const text = `${this.where} does not answer ${shownLine(method, 40)} as a bitcoin node does${code}`;
    return new ChainError('answer', `${text}: correct rpc_host and rpc_port in [BLOCKCHAIN]`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
