/**
 * The orderbook page over HTTP. Read-only: GET and HEAD, no cookies; a request changes nothing.
 * Loopback unless the operator configures another address.
 *
 * Routes: `/` and the files of the page, `/orderbook.json`, `/orderbook.csv`, `/events` (server-sent
 * events), `/healthz`.
 */
import { randomBytes } from 'node:crypto';
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import { hostAndPort } from '../kit/host-name.js';
import { HttpAddressError } from '../http/address-error.js';
import { json, JSON_TYPE } from '../http/answer.js';
import { healthRoute, type Health } from '../http/health.js';
import {
  HttpPage,
  type PageAccess,
  type PageRequest,
  type Route,
  type Routes,
} from '../http/page.js';
import { shownJson } from '../kit/shown-text.js';
import { ExitCode } from '../ops/exit.js';
import type { LiveBook } from '../orderbook/book-api.js';
import type { Network } from '../protocol/constants.js';
import { orderbookJson, type OrderbookJson } from './book-json.js';
import { orderbookCsv } from './csv.js';
import { DEFAULT_EVENT_LIMITS, type EventLimits, EventStream } from './event-stream.js';
import { orderbookPageFiles } from './orderbook-page.js';

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
  /** Who may read it; absent = everybody who reaches the address. */
  readonly door?: PageAccess | undefined;
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
export class PageAddressError extends HttpAddressError {
  /** Always `PageAddressError`. */
  override readonly name = 'PageAddressError';
  /** The exit code of a program for it: 2. */
  readonly exitCode = ExitCode.USAGE;

  constructor(host: string, port: number, cause: unknown) {
    const remedy = 'give a free address with --host and --port, or host and port in [OBWATCHER]';
    super({ page: 'orderbook page', remedy, host, port }, cause);
  }
}

const MAX_CONNECTIONS = 128;
const REQUESTS_PER_CONNECTION = 1_000;
/** The whole book is written out at most this often, for all clients together. */
const BOOK_CACHE_MS = 1000;

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

/** The version of the book that a page has: from its address or, when the browser reconnects, from a header. */
function sinceOf({ headers, query }: PageRequest): string {
  const last = headers['last-event-id'];
  return typeof last === 'string' ? last : (new URLSearchParams(query).get('since') ?? '');
}

function eventsRoute(events: EventStream): Route {
  return (request) => {
    if (request.isHead) return { code: 200, type: 'text/event-stream', body: '' };
    if (!events.hasRoom) {
      return json(503, { error: 'too many pages are open' }, { 'retry-after': '10' });
    }
    return { stream: (response, headers) => events.add(response, headers, sinceOf(request)) };
  };
}

async function routesOf(
  options: OrderbookServerOptions,
  session: string,
  events: EventStream,
): Promise<Routes> {
  const bookText = createBookCache(options, session);
  const headers = { 'content-disposition': 'attachment; filename="orderbook.csv"' };
  return new Map<string, Route>([
    ...(await orderbookPageFiles()),
    ['/orderbook.json', () => ({ code: 200, type: JSON_TYPE, body: bookText('json') })],
    [
      '/orderbook.csv',
      () => ({ code: 200, type: 'text/csv; charset=utf-8', body: bookText('csv'), headers }),
    ],
    ['/events', eventsRoute(events)],
    ['/healthz', healthRoute(options.health)],
  ]);
}

/** Rejects with a PageAddressError when the address is taken or unusable. */
export async function startOrderbookServer(
  options: OrderbookServerOptions,
): Promise<OrderbookServer> {
  const { host, hosts = [], book, clock, log, epoch = Date.now, eventLimits = {} } = options;
  const session = randomBytes(12).toString('base64url');
  const events = new EventStream({ book, session, clock, epoch, limits: eventLimits });
  let page: HttpPage;
  try {
    page = await HttpPage.open({
      name: 'orderbook page',
      host,
      port: options.port,
      hosts,
      hostsKey: 'page_hosts in [OBWATCHER]',
      routes: await routesOf(options, session, events),
      notFound: 'no such page',
      maxConnections: MAX_CONNECTIONS,
      requestsPerConnection: REQUESTS_PER_CONNECTION,
      // While bytes move it does not fire; open pages get an event every few seconds.
      door: options.door,
      stallMs: eventLimits.stallMs ?? DEFAULT_EVENT_LIMITS.stallMs,
      log,
      addressError: (cause) => new PageAddressError(host, options.port, cause),
    });
  } catch (error) {
    events.close();
    throw error;
  }
  const { port } = page;
  return {
    port,
    url: `http://${hostAndPort(host, port)}/`,
    get listeners() {
      return events.clients;
    },
    async close() {
      const closed = page.close();
      events.close();
      await closed;
    },
  };
}
