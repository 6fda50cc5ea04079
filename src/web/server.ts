/**
 * The orderbook page over HTTP. Read-only: GET and HEAD, no cookies; a request changes nothing.
 * Loopback unless the operator configures another address.
 *
 * Routes: `/` and the files of the page, `/orderbook.json`, `/orderbook.csv`, `/events` (server-sent
 * events), `/healthz`.
 */
import { randomBytes } from 'node:crypto';
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import { isExpectedHost, type HostRule, hostAndPort } from '../kit/host-name.js';
import { shownJson } from '../kit/shown-text.js';
import { errorFields } from '../kit/error-text.js';
import { ExitCode } from '../ops/exit.js';
import type { Health } from '../ops/status-server.js';
import type { LiveBook } from '../orderbook/book-api.js';
import type { Network } from '../protocol/constants.js';
import { orderbookJson, type OrderbookJson } from './book-json.js';
import { orderbookCsv } from './csv.js';
import {
  createEventStream,
  DEFAULT_EVENT_LIMITS,
  type EventLimits,
  type EventStream,
} from './event-stream.js';
import { loadPageFiles, type PageFile } from './page-files.js';

export interface OrderbookServerOptions {
  /** Address to listen on (`[OBWATCHER] host`). */
  readonly host: string;
  /** Port to listen on (`[OBWATCHER] port`); 0 = any free port. */
  readonly port: number;
  /**
   * Names under which the page may be reached in addition to `host` and this machine's own
   * (`[OBWATCHER] page_hosts`), as `canonicalHost` returns them.
   */
  readonly hosts?: readonly string[];
  readonly book: LiveBook;
  /** Shown on the page. */
  readonly network: Network;
  /** For `/healthz`: 200 when ok, else 503. */
  readonly health: () => Health;
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds since 1970; default `Date.now`. */
  readonly epoch?: () => number;
  readonly eventLimits?: Partial<EventLimits>;
}

export interface OrderbookServer {
  readonly port: number;
  /** `http://host:port/`. */
  readonly url: string;
  /** Pages that listen for events now. */
  readonly listeners: number;
  /** Closes the listener and every connection. */
  close(): Promise<void>;
}

/** The page cannot be served at the configured address. The program then exits with code 2. */
export class PageAddressError extends Error {
  override readonly name = 'PageAddressError';
  readonly exitCode = ExitCode.USAGE;
  readonly code: string;

  constructor(host: string, port: number, cause: unknown) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'error';
    const why =
      code === 'EADDRINUSE' ? 'another program listens there' : `it cannot be used (${code})`;
    super(
      `orderbook page at ${hostAndPort(host, port)}: ${why}; give a free address with --host and --port, or host and port in [OBWATCHER]`,
      { cause },
    );
    this.code = code;
  }
}

const MAX_CONNECTIONS = 128;
const MAX_HEADER_BYTES = 8192;
const REQUEST_TIMEOUT_MS = 5000;
const KEEP_ALIVE_TIMEOUT_MS = 5000;
/** The whole book is serialized at most this often, whatever the number of requests. */
const BOOK_CACHE_MS = 1000;

/** No external or inline resources, no frames, no forms; text is never interpreted as markup. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const SAFETY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};

interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

function json(code: number, value: unknown, headers?: Readonly<Record<string, string>>): Answer {
  const type = 'application/json; charset=utf-8';
  return { code, type, body: `${shownJson(value)}\n`, ...(headers ? { headers } : {}) };
}

/**
 * Whether a page of another site sent the request. Browsers say so; only a link to the page is allowed.
 * Otherwise any open page could occupy the places of `/events`.
 */
function isForeign({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return false;
  return headers['sec-fetch-mode'] !== 'navigate';
}

/** Why a request is refused before its path is read. */
function refusal(request: IncomingMessage, names: HostRule): Answer | undefined {
  if (!isExpectedHost(request.headers.host, names)) {
    const error = 'unexpected Host header; names are allowed with page_hosts in [OBWATCHER]';
    return json(421, { error });
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return json(405, { error: 'only GET and HEAD' }, { allow: 'GET, HEAD' });
  }
  return isForeign(request) ? json(403, { error: 'asked by another site' }) : undefined;
}

function fileAnswer(file: PageFile, request: IncomingMessage): Answer {
  const headers = { etag: file.etag, 'cache-control': 'no-cache' };
  const same = request.headers['if-none-match'] === file.etag;
  return { code: same ? 304 : 200, type: file.type, body: same ? '' : file.body, headers };
}

function send(response: ServerResponse, answer: Answer, withBody: boolean): void {
  const headers: OutgoingHttpHeaders = {
    ...SAFETY_HEADERS,
    'content-type': answer.type,
    ...(answer.code === 304 ? {} : { 'content-length': Buffer.byteLength(answer.body) }),
    ...answer.headers,
  };
  response.writeHead(answer.code, headers);
  response.end(withBody ? answer.body : undefined);
}

/** The serialized book, shared for a second by all requests. */
function createBookCache({ book, network, clock }: OrderbookServerOptions, session: string) {
  let cached: { readonly at: number; readonly value: OrderbookJson } | undefined;
  const texts = new Map<'json' | 'csv', Buffer>();
  return (format: 'json' | 'csv'): Buffer => {
    const now = clock.now();
    if (cached === undefined || now - cached.at >= BOOK_CACHE_MS) {
      cached = { at: now, value: orderbookJson(book, { network, session }) };
      texts.clear();
    }
    const { value } = cached;
    const known = texts.get(format);
    if (known !== undefined) return known;
    // As bytes, so that slow readers share one copy.
    const text = Buffer.from(
      format === 'csv' ? orderbookCsv(value.offers) : `${shownJson(value)}\n`,
    );
    texts.set(format, text);
    return text;
  };
}

/**
 * The version of the book that a page has, from its address or, after a reconnect of the browser, from
 * a header.
 */
function sinceOf(request: IncomingMessage, query: string): string {
  const last = request.headers['last-event-id'];
  return typeof last === 'string' ? last : (new URLSearchParams(query).get('since') ?? '');
}

interface Site {
  readonly options: OrderbookServerOptions;
  readonly files: ReadonlyMap<string, PageFile>;
  readonly events: EventStream;
  readonly bookText: (format: 'json' | 'csv') => Buffer;
}

function answerTo(request: IncomingMessage, site: Site): Answer | 'events' {
  const { options, files, events, bookText } = site;
  const names = { configured: options.host, allowed: options.hosts ?? [] };
  const refused = refusal(request, names);
  if (refused) return refused;
  const path = request.url?.split('?', 1)[0] ?? '';
  switch (path) {
    case '/orderbook.json':
      return { code: 200, type: 'application/json; charset=utf-8', body: bookText('json') };
    case '/orderbook.csv': {
      const headers = { 'content-disposition': 'attachment; filename="orderbook.csv"' };
      return { code: 200, type: 'text/csv; charset=utf-8', body: bookText('csv'), headers };
    }
    case '/events':
      if (request.method === 'HEAD') return { code: 200, type: 'text/event-stream', body: '' };
      return events.hasRoom
        ? 'events'
        : json(503, { error: 'too many pages are open' }, { 'retry-after': '10' });
    case '/healthz': {
      const { ok, reason } = options.health();
      return json(ok ? 200 : 503, { ok, reason: reason ?? (ok ? 'ok' : 'unknown') });
    }
    default: {
      const file = files.get(path);
      return file === undefined ? json(404, { error: 'no such page' }) : fileAnswer(file, request);
    }
  }
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(new PageAddressError(host, port, error));
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/** Rejects with a PageAddressError when the address is taken or unusable. */
export async function startOrderbookServer(
  options: OrderbookServerOptions,
): Promise<OrderbookServer> {
  const { host, book, clock, log, epoch = Date.now, eventLimits = {} } = options;
  const files = await loadPageFiles();
  const session = randomBytes(12).toString('base64url');
  const events = createEventStream({ book, session, clock, epoch, limits: eventLimits });
  const site: Site = { options, files, events, bookText: createBookCache(options, session) };

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    // Request bodies have no use here; reading one would be work at the sender's choice.
    if (request.method !== 'GET' && request.method !== 'HEAD') response.shouldKeepAlive = false;
    let answer: Answer | 'events';
    try {
      answer = answerTo(request, site);
    } catch (error) {
      log.error('the orderbook page failed', errorFields(error));
      answer = json(500, { error: 'internal error; see the log' });
    }
    if (answer !== 'events') {
      send(response, answer, request.method !== 'HEAD');
      return;
    }
    const query = request.url?.split('?', 2)[1] ?? '';
    events.add(response, SAFETY_HEADERS, sinceOf(request, query));
  };
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
    },
    handle,
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.maxRequestsPerSocket = 1000;
  // Never fires while bytes move. Pages that listen get an event every few seconds.
  server.timeout = eventLimits.stallMs ?? DEFAULT_EVENT_LIMITS.stallMs;
  server.on('timeout', (socket: Socket) => {
    if (socket.writableLength > 0) log.debug('a reader of the orderbook page takes nothing');
    socket.destroy();
  });
  let port: number;
  try {
    port = await listen(server, host, options.port);
  } catch (error) {
    events.close();
    throw error;
  }
  server.on('error', (error) => log.warn('the orderbook page has trouble', errorFields(error)));
  const shownHost = host.includes(':') ? `[${host}]` : host;
  return {
    port,
    url: `http://${shownHost}:${port}/`,
    get listeners() {
      return events.clients;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        events.close();
        server.closeAllConnections();
      }),
  };
}
