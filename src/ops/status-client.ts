/**
 * Requests the status page of a directory, or whatever listens at its address; bounded in time and
 * size.
 */
import { request, type IncomingMessage } from 'node:http';
import type { Clock } from '../kit/clock.js';
import { errorText } from '../kit/error-text.js';

/** Longest time for connection, headers and body together. */
export const STATUS_TIMEOUT_MS = 5_000;
/** The page of a busy directory has about 3 kB. */
export const MAX_STATUS_BYTES = 262_144;
const MAX_HEADER_BYTES = 16_384;

export type StatusAnswer =
  /** A JSON object, with its HTTP status code. */
  | {
      readonly kind: 'page';
      readonly code: number;
      readonly page: Readonly<Record<string, unknown>>;
    }
  /** Nothing listens there. */
  | { readonly kind: 'not-listening'; readonly reason: string }
  /**
   * The address accepted the connection, or did not refuse it, and sent nothing: a program that hangs
   * or is stopped.
   */
  | { readonly kind: 'silent'; readonly reason: string }
  /** The listener is not a status page. `reason` is safe to show. */
  | { readonly kind: 'other-program'; readonly reason: string };

/** The URL for `status_host` and `status_port`, from this machine: a wildcard address is replaced. */
export function statusBase(host: string, port: number): URL {
  const plain = host.replace(/^\[(.*)\]$/, '$1');
  const at = plain === '0.0.0.0' ? '127.0.0.1' : plain === '::' ? '::1' : plain;
  return new URL(`http://${at.includes(':') ? `[${at}]` : at}:${port}`);
}

export interface StatusQuestion {
  /** `http://host:port`; a path in it is ignored. */
  readonly base: URL;
  readonly path: '/status' | '/healthz';
  /** The code of a page that needs one (`[ADMISSION] pages`). */
  readonly code?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Default `STATUS_TIMEOUT_MS`. */
  readonly timeoutMs?: number | undefined;
  /** Calls the function after the time-out; default: timers of the system, which keep the process alive. */
  readonly after?: Clock['after'] | undefined;
}

function afterOnSystem(ms: number, fn: () => void): () => void {
  const timer = setTimeout(fn, ms);
  return () => clearTimeout(timer);
}

function isPage(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function pageOf(code: number, body: Buffer): StatusAnswer {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    value = undefined;
  }
  return isPage(value)
    ? { kind: 'page', code, page: value }
    : { kind: 'other-program', reason: `answered with ${code}, not as a directory does` };
}

function failed(error: Error): StatusAnswer {
  const code = 'code' in error ? String(error.code) : '';
  const reason = errorText(code === '' ? error : code);
  return { kind: code === 'ECONNREFUSED' ? 'not-listening' : 'other-program', reason };
}

/**
 * Sends one request; redirects are not followed. Never rejects: the result says in words what is wrong.
 * Reads at most `MAX_STATUS_BYTES` of a body, then closes the connection.
 */
export function askStatus(question: StatusQuestion): Promise<StatusAnswer> {
  const {
    base,
    path,
    code,
    signal,
    timeoutMs = STATUS_TIMEOUT_MS,
    after = afterOnSystem,
  } = question;
  return new Promise((resolve) => {
    const asking = request(new URL(path, base), {
      agent: false,
      maxHeaderSize: MAX_HEADER_BYTES,
      headers: {
        connection: 'close',
        ...(code === undefined ? {} : { authorization: `Bearer ${code}` }),
      },
    });
    const finish = (answer: StatusAnswer): void => {
      cancelTimeout();
      signal?.removeEventListener('abort', stopped);
      asking.destroy();
      resolve(answer);
    };
    const stopped = (): void => finish({ kind: 'other-program', reason: 'stopped' });
    const cancelTimeout = after(timeoutMs, () => {
      const heard = (asking.socket?.bytesRead ?? 0) > 0;
      const reason = `${heard ? 'not all of an answer' : 'no answer'} within ${timeoutMs / 1000} s`;
      finish({ kind: heard ? 'other-program' : 'silent', reason });
    });
    // First, for a request that is stopped at once fails with an error, too.
    asking.on('error', (error) => finish(failed(error)));
    signal?.addEventListener('abort', stopped, { once: true });
    if (signal?.aborted === true) return stopped();

    asking.once('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > MAX_STATUS_BYTES) {
          finish({ kind: 'other-program', reason: `more than ${MAX_STATUS_BYTES} bytes` });
        }
      });
      response.once('end', () => finish(pageOf(response.statusCode ?? 0, Buffer.concat(chunks))));
      response.once('error', (error) => finish(failed(error)));
    });
    asking.end();
  });
}
