/**
 * Server-sent events: sends the changes of the book to each open page, about once a second. A page that
 * reads slowly gets all missed changes as one; no queue grows for it. A page that reads nothing is
 * closed.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../channel/ports.js';
import type { BookChange, LiveBook } from '../orderbook/book-api.js';
import { changesJson, statisticsJson } from './book-json.js';

export interface EventLimits {
  /** Most pages that listen at the same time. */
  readonly clients: number;
  /** Least time between two sets of events, in milliseconds. */
  readonly intervalMs: number;
  /** A `tick` is sent at least this often, so that a page knows that the program runs. */
  readonly tickMs: number;
  /** Bytes waiting for one page above which it gets no further events. */
  readonly backlogBytes: number;
  /**
   * A page with more waiting bytes than that for this long is closed, and so is any reader that takes
   * nothing.
   */
  readonly stallMs: number;
}

export const DEFAULT_EVENT_LIMITS: EventLimits = {
  clients: 32,
  intervalMs: 1_000,
  tickMs: 10_000,
  backlogBytes: 262_144,
  stallMs: 30_000,
};

export interface EventStreamOptions {
  readonly book: LiveBook;
  /** Identifies the run of the program; see `OrderbookJson.session`. */
  readonly session: string;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly epoch: () => number;
  readonly limits?: Partial<EventLimits>;
}

export interface EventStream {
  readonly clients: number;
  /** Whether one more page may listen. */
  readonly hasRoom: boolean;
  /**
   * Takes over a response whose head was not sent yet.
   * @param since `session:version` that the page has; anything else makes it load the book again
   */
  add(response: ServerResponse, headers: Readonly<Record<string, string>>, since: string): void;
  /** Ends all streams and timers. */
  close(): void;
}

interface Client {
  readonly response: ServerResponse;
  version: number;
  /** Statistics changed and the page has not received them. */
  statistics: boolean;
  stalledSince: number | undefined;
}

function event(name: string, id: string, data: unknown): string {
  return `event: ${name}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}

export function createEventStream({
  book,
  session,
  clock,
  epoch,
  limits: given,
}: EventStreamOptions): EventStream {
  const limits = { ...DEFAULT_EVENT_LIMITS, ...given };
  const clients = new Set<Client>();
  let cancelTimer: (() => void) | undefined;
  let lastTick = clock.now();
  const idAt = (version: number): string => `${session}:${version}`;

  /** The events for a page at `version`; made once for all pages with that version. */
  function changeFrom(version: number): { readonly version: number; readonly text: string } {
    if (version === book.version) return { version, text: '' };
    const change = version < 0 ? undefined : changesJson(book, version);
    if (change === undefined) {
      return { version: book.version, text: event('reset', idAt(book.version), {}) };
    }
    return { version: change.version, text: event('book', idAt(change.version), change) };
  }

  /** Whether this page can take more; closes it when it could not for too long. */
  function accepts(client: Client): boolean {
    if (client.response.writableLength <= limits.backlogBytes) {
      client.stalledSince = undefined;
      return true;
    }
    client.stalledSince ??= clock.now();
    if (clock.now() - client.stalledSince >= limits.stallMs) client.response.destroy();
    return false;
  }

  function tellAll(): void {
    const now = clock.now();
    const tick = now - lastTick >= limits.tickMs;
    if (tick) lastTick = now;
    const changes = new Map<number, ReturnType<typeof changeFrom>>();
    let statistics: string | undefined;
    for (const client of clients) {
      if (!accepts(client)) continue;
      const change = changes.get(client.version) ?? changeFrom(client.version);
      changes.set(client.version, change);
      client.version = change.version;
      let { text } = change;
      if (client.statistics || tick) {
        const moment = { now: book.now(), nowEpoch: epoch() };
        statistics ??= JSON.stringify(statisticsJson(book.statistics(), moment));
        text += `event: statistics\nid: ${idAt(client.version)}\ndata: ${statistics}\n\n`;
        client.statistics = false;
      }
      if (text !== '') client.response.write(text);
    }
  }

  function schedule(): void {
    cancelTimer = clock.after(limits.intervalMs, () => {
      tellAll();
      if (clients.size > 0) schedule();
      else cancelTimer = undefined;
    });
  }

  const onChange = ({ statistics }: BookChange): void => {
    if (!statistics) return;
    for (const client of clients) client.statistics = true;
  };
  book.on('change', onChange);

  return {
    get clients() {
      return clients.size;
    },
    get hasRoom() {
      return clients.size < limits.clients;
    },
    add(response, headers, since) {
      const match = /^([\w-]{1,64}):(\d{1,15})$/.exec(since);
      const known = match?.[1] === session ? Number(match[2]) : -1;
      const client: Client = {
        response,
        version: known,
        statistics: true,
        stalledSince: undefined,
      };
      clients.add(client);
      response.once('close', () => clients.delete(client));
      response.writeHead(200, {
        ...headers,
        'content-type': 'text/event-stream; charset=utf-8',
        // Without it a reverse proxy (nginx) would hold events back until its buffer is full.
        'x-accel-buffering': 'no',
      });
      const first = changeFrom(known);
      client.version = first.version;
      // At once and never empty, so that the page knows that it is connected.
      response.write(`retry: 3000\n\n${first.text}`);
      if (cancelTimer === undefined) schedule();
    },
    close() {
      book.off('change', onChange);
      cancelTimer?.();
      for (const { response } of clients) response.destroy();
    },
  };
}
