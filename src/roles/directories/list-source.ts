/** Where a list comes from besides directories: a file, or a page of an onion service, dialled through Tor. */
import type { Clock, Connection, Dialer } from '../../channel/ports.js';
import { LIST_BOUNDS } from '../../directory-lists/limits.js';
import { readStateFile } from '../../ops/state-file.js';
import { parseLocation, type Location } from '../../protocol/location.js';

/** From the dial to the last byte. */
const WITHIN_MS = 120_000;
const HEADER_BYTES = 16_384;
const MAX_BYTES = HEADER_BYTES + LIST_BOUNDS.documentBytes;
const HTTP = /^http:\/\/([^/:]+)(?::(\d+))?(\/.*)$/;

/** A page of an onion service. */
export interface ListPage {
  readonly location: Location;
  readonly path: string;
}

/** The page that a source names; undefined for a file. */
export function pageOf(source: string): ListPage | undefined {
  const [, host = '', port = '80', path = ''] = HTTP.exec(source) ?? [];
  const location = parseLocation(`${host}:${port}`);
  return path !== '' && location.ok ? { location: location.value, path } : undefined;
}

/** The body of an answer with status 200. Throws an Error for every other answer. */
export function bodyOf(answer: Buffer): Uint8Array {
  const end = answer.subarray(0, HEADER_BYTES).indexOf('\r\n\r\n');
  if (end === -1) throw new Error('the answer is not that of a web server');
  const header = answer.subarray(0, end).toString('latin1');
  const [, status] = /^HTTP\/1\.[01] (\d{3})\b/.exec(header) ?? [];
  if (status !== '200') throw new Error(`the web server answered with status ${status ?? '?'}`);
  const body = answer.subarray(end + 4);
  const [, length] = /\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*(?:\r\n|$)/i.exec(header) ?? [];
  if (length === undefined) return body;
  if (body.length < Number(length)) throw new Error('the answer was cut off');
  return body.subarray(0, Number(length));
}

/** All bytes until the other side closes. */
function readAll(connection: Connection, signal: AbortSignal): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const stop = (error: Error): void => {
      reject(error);
      connection.destroy();
    };
    signal.addEventListener('abort', () => stop(new Error('it took too long')), { once: true });
    connection.attach({
      data(chunk) {
        size += chunk.length;
        if (size > MAX_BYTES) stop(new Error('the answer is larger than a list may be'));
        else chunks.push(chunk);
      },
      closed: () => resolve(Buffer.concat(chunks)),
    });
  });
}

export interface SourceOptions {
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Fetches a page with one request (HTTP/1.0, so that the answer is not in pieces). */
export async function fetchPage(
  { location, path }: ListPage,
  { dialer, clock, signal }: SourceOptions,
): Promise<Uint8Array> {
  const attempt = new AbortController();
  const abort = (): void => attempt.abort();
  signal.addEventListener('abort', abort, { once: true });
  const cancel = clock.after(WITHIN_MS, abort);
  try {
    const connection = await dialer.dial(location, {
      signal: attempt.signal,
      isolation: 'directory-list',
    });
    const answer = readAll(connection, attempt.signal);
    const host = location.port === 80 ? location.host : `${location.host}:${location.port}`;
    connection.write(
      Buffer.from(`GET ${path} HTTP/1.0\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, 'latin1'),
    );
    return bodyOf(await answer);
  } finally {
    cancel();
    signal.removeEventListener('abort', abort);
  }
}

/** The bytes of a source. Rejects with an Error whose message says what is wrong. */
export async function readSource(source: string, options: SourceOptions): Promise<Uint8Array> {
  const page = pageOf(source);
  if (page) return fetchPage(page, options);
  const bytes = await readStateFile(source, LIST_BOUNDS.documentBytes);
  if (bytes === undefined) throw new Error('there is no such file');
  return bytes;
}
