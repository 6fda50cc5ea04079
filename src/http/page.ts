/**
 * An HTTP page of a program: bounded, with its routes as a table. GET and HEAD, no cookies, no bodies, and such a
 * request changes nothing. A page with actions also takes POST for them, see `actions.ts`. Each page of this program
 * is one of these.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Log } from '../channel/log.js';
import { errorFields } from '../kit/error-text.js';
import { isExpectedHost } from '../kit/host-name.js';
import { answerAction, type PageActions } from './actions.js';
import { json, SAFETY_HEADERS, send, type Answer } from './answer.js';

/** An answer that goes on: takes over a response whose head is not sent yet. */
export interface Stream {
  readonly stream: (response: ServerResponse, headers: Readonly<Record<string, string>>) => void;
}

/** The parts of a request that a route gets. */
export interface PageRequest {
  readonly isHead: boolean;
  /** Behind the `?`; empty if there is none. */
  readonly query: string;
  /** Lower-case names. */
  readonly headers: IncomingMessage['headers'];
}

export type Route = (request: PageRequest) => Answer | Stream | Promise<Answer | Stream>;

/** By path, without the query. */
export type Routes = ReadonlyMap<string, Route>;

export interface HttpPageOptions {
  /** `status page`, as logs name it. */
  readonly name: string;
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Names by which it may be asked besides `host` and those of this machine, as `canonicalHost` gives them. */
  readonly hosts?: readonly string[];
  /** The key that allows further names: `status_hosts in [DIRECTORY]`. */
  readonly hostsKey: string;
  readonly routes: Routes;
  /** What a POST may do; absent = nothing. */
  readonly actions?: PageActions;
  /** The error text for other paths. */
  readonly notFound: string;
  readonly maxConnections: number;
  readonly requestsPerConnection: number;
  /** A connection on which no byte moves for so long is closed, in milliseconds. Absent = never. */
  readonly stallMs?: number;
  readonly log: Log;
  /** The error for an address that is taken or unusable. */
  readonly addressError: (cause: unknown) => Error;
  /** Who may read it; absent = everybody who reaches the address. `/healthz` is open in any case. */
  readonly door?: PageAccess | undefined;
  /** Continues with this listener of another process, from `begin` on. */
  readonly inherited?: object | undefined;
}

/**
 * Whether a request may read the page, by its Authorization header.
 * @param remote the address of the reader
 */
export type PageAccess = (header: string | undefined, remote: string) => boolean | Promise<boolean>;

/** The path that needs no code: machines watch it, and it tells only whether the program is well. */
const OPEN_PATH = '/healthz';

const MAX_HEADER_BYTES = 8_192;
const REQUEST_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_TIMEOUT_MS = 5_000;
const CHECKING_MS = 1_000;

/**
 * Whether a page of another site sent the request. Browsers say so; only following a link is allowed.
 * Otherwise any open page of another site could use up the connections.
 */
function isForeign({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return false;
  return headers['sec-fetch-mode'] !== 'navigate';
}

const onlyReads = (): Answer => json(405, { error: 'only GET and HEAD' }, { allow: 'GET, HEAD' });
const isRead = ({ method }: IncomingMessage): boolean => method === 'GET' || method === 'HEAD';

export class HttpPage {
  readonly #options: HttpPageOptions;
  readonly #server: Server;

  private constructor(options: HttpPageOptions) {
    this.#options = options;
    const limits = {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: CHECKING_MS,
    };
    this.#server = createServer(limits, (request, response) => this.#handle(request, response));
    this.#server.maxConnections = options.maxConnections;
    this.#server.maxRequestsPerSocket = options.requestsPerConnection;
    if (options.stallMs === undefined) return;
    this.#server.timeout = options.stallMs;
    this.#server.on('timeout', (socket: Socket) => {
      if (socket.writableLength > 0) {
        options.log.debug(`a reader of the ${options.name} does not read`);
      }
      socket.destroy();
    });
  }

  /** Listens, unless the listener is inherited. Rejects with `addressError`. */
  static async open(options: HttpPageOptions): Promise<HttpPage> {
    const page = new HttpPage(options);
    if (options.inherited === undefined) await page.#listen();
    page.#server.on('error', (error) =>
      options.log.warn(`an error on the ${options.name}`, errorFields(error)),
    );
    return page;
  }

  /** The port on which it listens. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : this.#options.port;
  }

  /** The listener, for another process. */
  get listener(): Server | undefined {
    return this.#server.listening ? this.#server : undefined;
  }

  /** Listens from now on, if the listener is inherited. */
  begin(): void {
    const { inherited } = this.#options;
    if (inherited !== undefined) this.#server.listen(inherited);
  }

  /** Closes the listener and each connection. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #listen(): Promise<void> {
    const { host, port, addressError } = this.#options;
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => reject(addressError(error));
      this.#server.once('error', failed);
      this.#server.listen(port, host, () => {
        this.#server.off('error', failed);
        resolve();
      });
    });
  }

  /** A route that answers at once is sent at once, so that a bound it checked still holds. */
  #handle(request: IncomingMessage, response: ServerResponse): void {
    // After an action, or a refused body, the connection ends: nobody reads such a body to its end.
    if (!isRead(request)) response.shouldKeepAlive = false;
    const isHead = request.method === 'HEAD';
    const respond = (answer: Answer | Stream): void => {
      if ('stream' in answer) answer.stream(response, SAFETY_HEADERS);
      else send(response, answer, !isHead);
    };
    try {
      const answer =
        this.#refusal(request) ??
        (isRead(request) ? this.#behindDoor(request, isHead) : this.#act(request));
      if (!(answer instanceof Promise)) respond(answer);
      else answer.then(respond).catch((error: unknown) => respond(this.#failed(error)));
    } catch (error) {
      respond(this.#failed(error));
    }
  }

  #behindDoor(request: IncomingMessage, isHead: boolean): ReturnType<Route> {
    const { door } = this.#options;
    if (door === undefined || request.url?.split('?', 1)[0] === OPEN_PATH) {
      return this.#answer(request, isHead);
    }
    const may = door(request.headers.authorization, request.socket.remoteAddress ?? 'unknown');
    const answer = (is: boolean) => (is ? this.#answer(request, isHead) : this.#needsCode());
    return may instanceof Promise ? may.then(answer) : answer(may);
  }

  #needsCode(): Answer {
    const challenge = `Basic realm="onionmc ${this.#options.name}", charset="UTF-8"`;
    const error = 'a code is needed, in an Authorization header';
    return json(401, { error }, { 'www-authenticate': challenge });
  }

  #answer(request: IncomingMessage, isHead: boolean): ReturnType<Route> {
    const [path = '', query = ''] = request.url?.split('?', 2) ?? [];
    const route = this.#options.routes.get(path);
    if (route === undefined) return json(404, { error: this.#options.notFound });
    return route({ isHead, query, headers: request.headers });
  }

  #act(request: IncomingMessage): Promise<Answer> | Answer {
    const { actions } = this.#options;
    return actions === undefined ? onlyReads() : answerAction(request, actions);
  }

  #failed(error: unknown): Answer {
    this.#options.log.error(`the ${this.#options.name} failed`, errorFields(error));
    return json(500, { error: 'internal error; see the log' });
  }

  /** The fault of a request, for any path. */
  #refusal(request: IncomingMessage): Answer | undefined {
    const { host, hosts = [], hostsKey } = this.#options;
    if (!isExpectedHost(request.headers.host, { configured: host, allowed: hosts })) {
      const error = `unexpected Host header; names are allowed with ${hostsKey}`;
      return json(421, { error });
    }
    if (!isRead(request) && (request.method !== 'POST' || this.#options.actions === undefined)) {
      return onlyReads();
    }
    return isForeign(request) ? json(403, { error: 'asked by another site' }) : undefined;
  }
}
