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

interface Client {
  readonly response: ServerResponse;
  version: number;
  /** Statistics changed and the page has not received them. */
  statistics: boolean;
  stalledSince: number | undefined;
}

/** @param json one line */
function event(name: string, id: string, json: string): string {
  return `event: ${name}\nid: ${id}\ndata: ${json}\n\n`;
}

/** The events for a page at one version. */
interface Update {
  /** The version of the page after them. */
  readonly version: number;
  readonly text: string;
}

export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #limits: EventLimits;
  readonly #clients = new Set<Client>();
  #cancelTimer: (() => void) | undefined;
  #lastTick: number;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_EVENT_LIMITS, ...options.limits };
    this.#lastTick = options.clock.now();
    options.book.on('change', this.#onChange);
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Whether one more page may listen. */
  get hasRoom(): boolean {
    return this.#clients.size < this.#limits.clients;
  }

  /**
   * Takes over a response whose head was not sent yet.
   * @param since `session:version` that the page has; anything else makes it load the book again
   */
  add(response: ServerResponse, headers: Readonly<Record<string, string>>, since: string): void {
    const match = /^([\w-]{1,64}):(\d{1,15})$/.exec(since);
    const known = match?.[1] === this.#options.session ? Number(match[2]) : -1;
    const { version, text } = this.#updateFrom(known);
    const client: Client = { response, version, statistics: true, stalledSince: undefined };
    this.#clients.add(client);
    response.once('close', () => this.#clients.delete(client));
    response.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      // Without it a reverse proxy (nginx) would hold events back until its buffer is full.
      'x-accel-buffering': 'no',
    });
    // At once and never empty, so that the page knows that it is connected.
    response.write(`retry: 3000\n\n${text}`);
    if (this.#cancelTimer === undefined) this.#schedule();
  }

  /** Ends all streams and timers. */
  close(): void {
    this.#options.book.off('change', this.#onChange);
    this.#cancelTimer?.();
    for (const { response } of this.#clients) response.destroy();
  }

  readonly #onChange = ({ statistics }: BookChange): void => {
    if (!statistics) return;
    for (const client of this.#clients) client.statistics = true;
  };

  #schedule(): void {
    this.#cancelTimer = this.#options.clock.after(this.#limits.intervalMs, () => {
      this.#tellAll();
      if (this.#clients.size > 0) this.#schedule();
      else this.#cancelTimer = undefined;
    });
  }

  #tellAll(): void {
    const now = this.#options.clock.now();
    const tick = now - this.#lastTick >= this.#limits.tickMs;
    if (tick) this.#lastTick = now;
    /** By the version of the page: made once for all pages with it. */
    const updates = new Map<number, Update>();
    let statistics: string | undefined;
    for (const client of this.#clients) {
      if (!this.#accepts(client)) continue;
      const update = updates.get(client.version) ?? this.#updateFrom(client.version);
      updates.set(client.version, update);
      client.version = update.version;
      let { text } = update;
      if (client.statistics || tick) {
        statistics ??= this.#statistics();
        text += event('statistics', this.#idAt(client.version), statistics);
        client.statistics = false;
      }
      if (text !== '') client.response.write(text);
    }
  }

  /** Whether this page can take more; closes it when it could not for too long. */
  #accepts(client: Client): boolean {
    const now = this.#options.clock.now();
    const { backlogBytes, stallMs } = this.#limits;
    if (client.response.writableLength <= backlogBytes) {
      client.stalledSince = undefined;
      return true;
    }
    client.stalledSince ??= now;
    if (now - client.stalledSince >= stallMs) client.response.destroy();
    return false;
  }

  #updateFrom(version: number): Update {
    const { book } = this.#options;
    if (version === book.version) return { version, text: '' };
    const change = version < 0 ? undefined : changesJson(book, version);
    return change === undefined
      ? this.#update('reset', book.version, {})
      : this.#update('book', change.version, change);
  }

  #update(name: string, version: number, data: unknown): Update {
    return { version, text: event(name, this.#idAt(version), JSON.stringify(data)) };
  }

  #statistics(): string {
    const { book, epoch } = this.#options;
    return JSON.stringify(
      statisticsJson(book.statistics(), { now: book.now(), nowEpoch: epoch() }),
    );
  }

  #idAt(version: number): string {
    return `${this.#options.session}:${version}`;
  }
}
