/** The operator's HTTP page of a program: `/healthz`, `/metrics`, `/status`. Read-only. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isRecord } from '../kit/json-record.js';
import type { Log } from '../channel/log.js';
import { handleOf, type NativeHandle } from '../handover/native-handle.js';
import type { Movable, Parcels } from '../handover/parcel.js';
import { isExpectedHost, hostAndPort } from '../kit/host-name.js';
import { shownJson } from '../kit/shown-text.js';
import { errorFields } from '../kit/error-text.js';
import { ExitCode } from './exit.js';
import type { Metrics } from './metrics.js';

/** Whether the program works, and the reason if it does not (one line). */
export interface Health {
  readonly ok: boolean;
  readonly reason?: string;
}

export interface StatusServerOptions {
  /** Address to listen on (`[DIRECTORY] status_host`). */
  readonly host: string;
  /** Port to listen on (`[DIRECTORY] status_port`); 0 = no server. */
  readonly port: number;
  /**
   * Names under which it may be reached in addition to `host` and this machine's own (`[DIRECTORY]
   * status_hosts`), as `canonicalHost` returns them.
   */
  readonly hosts?: readonly string[];
  /** For `/healthz`: 200 when ok, else 503. */
  readonly health: () => Health;
  /** For `/status`: at least `{"peers": n}`. Counts only, never a nick or an onion. */
  readonly status: () => Readonly<Record<string, unknown>>;
  readonly metrics: Metrics;
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
export class StatusAddressError extends Error {
  override readonly name = 'StatusAddressError';
  readonly exitCode = ExitCode.USAGE;
  readonly code: string;

  constructor(host: string, port: number, cause: unknown) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'error';
    const why =
      code === 'EADDRINUSE' ? 'another program listens there' : `it cannot be used (${code})`;
    super(
      `status page at ${hostAndPort(host, port)}: ${why}; set status_host and status_port in [DIRECTORY] to a free address, or status_port = 0 to do without`,
      { cause },
    );
    this.code = code;
  }
}

const MAX_CONNECTIONS = 64;
const MAX_HEADER_BYTES = 8192;
const REQUEST_TIMEOUT_MS = 5000;
const KEEP_ALIVE_TIMEOUT_MS = 5000;

interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

function json(code: number, value: unknown): Answer {
  return { code, type: 'application/json; charset=utf-8', body: `${shownJson(value)}\n` };
}

async function answerTo(request: IncomingMessage, options: StatusServerOptions): Promise<Answer> {
  const names = { configured: options.host, allowed: options.hosts ?? [] };
  if (!isExpectedHost(request.headers.host, names)) {
    const error = 'unexpected Host header; names are allowed with status_hosts in [DIRECTORY]';
    return json(421, { error });
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return json(405, { error: 'only GET and HEAD' });
  }
  const path = request.url?.split('?', 1)[0] ?? '';
  switch (path) {
    case '/healthz': {
      const { ok, reason } = options.health();
      return json(ok ? 200 : 503, { ok, reason: reason ?? (ok ? 'ok' : 'unknown') });
    }
    case '/status':
      return json(200, options.status());
    case '/metrics':
      return { code: 200, type: options.metrics.contentType, body: await options.metrics.text() };
    default:
      return json(404, { error: 'try /healthz, /status or /metrics' });
  }
}

function send(response: ServerResponse, answer: Answer, withBody: boolean): void {
  const headers: Record<string, string | number> = {
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
  if (answer.code === 405) headers['allow'] = 'GET, HEAD';
  response.writeHead(answer.code, headers);
  response.end(withBody ? answer.body : undefined);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(new StatusAddressError(host, port, error));
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

/** The key of the parcel that holds the listener. */
const STATUS = 'status';

function inheritedHandle({ inherited, host, port }: StatusServerOptions): NativeHandle | undefined {
  const { value, handle } = inherited?.get(STATUS) ?? {};
  const same = isRecord(value) && value['host'] === host && value['port'] === port;
  return same ? handle : undefined;
}

/**
 * Starts the server; resolves to undefined when the port is 0. Rejects with a StatusAddressError
 * when the address is taken or unusable.
 */
export async function startStatusServer(
  options: StatusServerOptions,
): Promise<StatusServer | undefined> {
  const { host, port, log } = options;
  if (port === 0) return undefined;
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      // Request bodies have no use here; reading one would be work at the sender's choice.
      if (request.method !== 'GET' && request.method !== 'HEAD') response.shouldKeepAlive = false;
      answerTo(request, options)
        .catch((error: unknown) => {
          log.error('the status page failed', errorFields(error));
          return json(500, { error: 'internal error; see the log' });
        })
        .then((answer) => send(response, answer, request.method !== 'HEAD'))
        .catch((error: unknown) => log.debug('status answer not sent', errorFields(error)));
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.maxRequestsPerSocket = 100;
  const inherited = inheritedHandle(options);
  if (inherited === undefined) await listen(server, host, port);
  server.on('error', (error) => log.warn('the status page has trouble', errorFields(error)));
  return {
    host,
    port,
    begin() {
      if (inherited !== undefined) server.listen(inherited);
    },
    move: {
      hold() {
        const handle = handleOf(server);
        return Promise.resolve(
          handle === undefined ? [] : [{ key: STATUS, value: { host, port }, handle }],
        );
      },
      release() {},
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
