/**
 * The operator's HTTP page of a program: `/healthz`, `/metrics`, `/status`, and a page for people at `/`.
 * Read-only.
 */
import type { Log } from '../channel/log.js';
import { HttpAddressError } from '../http/address-error.js';
import { json } from '../http/answer.js';
import { forBrowsers } from '../http/for-browsers.js';
import { healthRoute, type Health } from '../http/health.js';
import { HttpPage, type PageAccess, type Route, type Routes } from '../http/page.js';
import { isRecord } from '../kit/json-record.js';
import type { Movable, Parcels } from '../kit/movable.js';
import { ExitCode } from './exit.js';
import type { Metrics } from './metrics.js';

export interface StatusServerOptions {
  /** The section of the configuration with `status_host`, `status_port` and `status_hosts`. Default DIRECTORY. */
  readonly section?: 'DIRECTORY' | 'YIELDGENERATOR';
  /** Address to listen on (`status_host`). */
  readonly host: string;
  /** Port to listen on (`status_port`); 0 = no server. */
  readonly port: number;
  /**
   * Names under which it may be reached in addition to `host` and this machine's own (`status_hosts`),
   * as `canonicalHost` returns them.
   */
  readonly hosts?: readonly string[];
  /** For `/healthz`: 200 when ok, else 503. */
  readonly health: () => Health;
  /** For `/status`. A directory: at least `{"peers": n}`, counts only, never a nick or an onion. */
  readonly status: () => Readonly<Record<string, unknown>>;
  readonly metrics: Metrics;
  /** The page for people: its files, `/` among them, and the paths that it reads besides `/status`. */
  readonly page?: Routes;
  /** Who may read it; absent = everybody who reaches the address. */
  readonly door?: PageAccess | undefined;
  readonly log: Log;
  /** Continues with the listener of another process, if that has the same address. */
  readonly inherited?: Parcels | undefined;
}

export interface StatusServer {
  readonly host: string;
  readonly port: number;
  /** Starts listening on an inherited listener. */
  begin(): void;
  /** Continues to serve while it is held. */
  readonly move: Movable;
  /** Closes the listener and every connection. */
  close(): Promise<void>;
}

/** The page cannot be served at the configured address. The program then exits with code 2. */
export class StatusAddressError extends HttpAddressError {
  override readonly name = 'StatusAddressError';
  readonly exitCode = ExitCode.USAGE;

  constructor(host: string, port: number, cause: unknown, section = 'DIRECTORY') {
    const remedy = `set status_host and status_port in [${section}] to a free address, or status_port = 0 to do without`;
    super({ page: 'status page', remedy, host, port }, cause);
  }
}

const MAX_CONNECTIONS = 64;
const REQUESTS_PER_CONNECTION = 100;

const NOT_FOUND = 'try /healthz, /status or /metrics';

function routesOf({ health, status, metrics, page }: StatusServerOptions): Routes {
  const index = page?.get('/');
  return new Map<string, Route>([
    ...(page ?? []),
    ['/healthz', healthRoute(health)],
    ['/status', () => json(200, status())],
    [
      '/metrics',
      async () => ({ code: 200, type: metrics.contentType, body: await metrics.text() }),
    ],
    ...(index === undefined
      ? []
      : [['/', forBrowsers(index, () => json(404, { error: NOT_FOUND }))] as const]),
  ]);
}

/** The key of the parcel that holds the listener. */
const STATUS = 'status';

function inheritedListener({ inherited, host, port }: StatusServerOptions): object | undefined {
  const { value, listener } = inherited?.get(STATUS) ?? {};
  const same = isRecord(value) && value['host'] === host && value['port'] === port;
  return same ? listener : undefined;
}

/**
 * Starts the server; resolves to undefined when the port is 0. Rejects with a StatusAddressError
 * when the address is taken or unusable.
 */
export async function startStatusServer(
  options: StatusServerOptions,
): Promise<StatusServer | undefined> {
  const { host, port, log, section = 'DIRECTORY' } = options;
  if (port === 0) return undefined;
  const page = await HttpPage.open({
    name: 'status page',
    host,
    port,
    hosts: options.hosts ?? [],
    hostsKey: `status_hosts in [${section}]`,
    routes: routesOf(options),
    notFound: NOT_FOUND,
    maxConnections: MAX_CONNECTIONS,
    requestsPerConnection: REQUESTS_PER_CONNECTION,
    door: options.door,
    log,
    addressError: (cause) => new StatusAddressError(host, port, cause, section),
    inherited: inheritedListener(options),
  });
  return {
    host,
    port,
    begin: () => page.begin(),
    move: {
      hold() {
        const { listener } = page;
        return Promise.resolve(
          listener === undefined ? [] : [{ key: STATUS, value: { host, port }, listener }],
        );
      },
      release() {},
    },
    close: () => page.close(),
  };
}
