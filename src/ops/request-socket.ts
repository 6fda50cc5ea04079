/**
 * The socket on which a running program accepts requests of its operator (`onionmc upgrade`, `list`,
 * `kick`): a unix socket in the data directory, mode 0600. One line in, and one line of JSON out when the
 * request is done.
 */
import { chmod, rename, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { isRecord } from '../kit/json-record.js';
import { MAX_SOCKET_PATH_BYTES } from '../kit/socket-path.js';
import { fail, ok, type Parsed } from '../protocol/result.js';

export const REQUEST_SOCKET = 'directory.sock';
/** The request for an upgrade, without the line feed. */
export const UPGRADE_REQUEST = 'upgrade';
export const MAX_REQUEST_CHARS = 4_096;
const MAX_CONNECTIONS = 8;
const REQUEST_MS = 5_000;
/** Longest time for a reader to take an answer. */
const TAKE_MS = 30_000;
/** A whole upgrade takes less than a minute, even when a part hangs. */
const ANSWER_MS = 90_000;
const MAX_UPGRADE_CHARS = 4_096;

/** The result of an upgrade. */
export type UpgradeAnswer =
  | {
      readonly done: true;
      readonly pid: number;
      readonly version: string;
      readonly peers: number;
      readonly heldMs: number;
    }
  | { readonly done: false; readonly why: string };

/** Never throws. */
export function parseUpgradeAnswer(text: string): Parsed<UpgradeAnswer> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('json');
  }
  if (!isRecord(value)) return fail('json');
  const { done, why, pid, version, peers, heldMs } = value;
  if (done === false && typeof why === 'string') return ok({ done, why });
  const counts = typeof pid === 'number' && typeof peers === 'number' && typeof heldMs === 'number';
  if (done !== true || !counts || typeof version !== 'string') return fail('answer');
  return ok({ done, pid, version, peers, heldMs });
}

export interface RequestServer {
  /** Accepts no more requests and removes the socket. */
  close(): Promise<void>;
}

/** Answers one request; undefined for one that is not known, whose connection is closed without an answer. */
export type Responder = (request: string) => Promise<unknown> | undefined;

/** What was read of a request: all of it, a part, or something that is no request. */
export type RequestRead =
  | { readonly kind: 'request'; readonly text: string }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'refused' };

/** One request of a connection: a line, and nothing after it. */
export class RequestReader {
  #asked = '';

  push(text: string): RequestRead {
    this.#asked += text;
    const end = this.#asked.indexOf('\n');
    const isWhole = end === this.#asked.length - 1;
    if (this.#asked.length > MAX_REQUEST_CHARS + 1 || (end >= 0 && !isWhole)) {
      return { kind: 'refused' };
    }
    return end < 0 ? { kind: 'incomplete' } : { kind: 'request', text: this.#asked.slice(0, -1) };
  }
}

async function send(socket: Socket, answer: Promise<unknown>): Promise<void> {
  const text = JSON.stringify(await answer);
  socket.setTimeout(TAKE_MS, () => socket.destroy());
  socket.end(`${text}\n`);
}

/**
 * Listens in a data directory. An earlier socket is replaced atomically, also that of a program which
 * is about to end. Rejects with the error of the system; for a path that is too long with an Error that
 * says so.
 */
export async function serveRequests(datadir: string, respond: Responder): Promise<RequestServer> {
  const path = join(datadir, REQUEST_SOCKET);
  if (isTooLong(path)) throw new Error(`${path} is too long for a socket`);

  function take(socket: Socket): void {
    const reader = new RequestReader();
    const timer = setTimeout(() => socket.destroy(), REQUEST_MS);
    timer.unref();
    socket.on('error', () => {});
    socket.once('close', () => clearTimeout(timer));
    socket.setEncoding('utf8').on('data', (text: string) => {
      const read = reader.push(text);
      if (read.kind === 'incomplete') return;
      const answer = read.kind === 'request' ? respond(read.text) : undefined;
      if (answer === undefined) socket.destroy();
      else {
        clearTimeout(timer);
        void send(socket, answer);
      }
    });
  }

  // Bound under another name and then renamed: the bound name is removed when the listener closes, and
  // by then it may belong to another program.
  const bound = join(datadir, `.omc-${process.pid}`);
  await rm(bound, { force: true });
  const server = createServer(take);
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(bound, resolve);
  });
  server.on('error', () => {});
  server.unref();
  await chmod(bound, 0o600);
  await rename(bound, path);
  return {
    async close() {
      server.close();
      await rm(path, { force: true });
    },
  };
}

/** No program answers at the socket of a data directory. */
export class NotRunningError extends Error {
  override readonly name = 'NotRunningError';
}

/** The errors of a connection when no program listens. */
const NOT_LISTENING: ReadonlySet<string | undefined> = new Set([
  'ENOENT',
  'ENOTDIR',
  'ECONNREFUSED',
]);

/** Nothing listens at a longer path, and Node.js before 24 would connect to another file: it cuts the path. */
const isTooLong = (path: string): boolean => Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES;

/** Whether a program runs in a data directory, as far as this user can see. Never rejects. */
export function programAnswers(datadir: string): Promise<boolean> {
  const path = join(datadir, REQUEST_SOCKET);
  if (isTooLong(path)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function connectError(path: string, error: NodeJS.ErrnoException): Error {
  if (NOT_LISTENING.has(error.code)) return new NotRunningError(`no program answers at ${path}`);
  if (error.code !== 'EACCES') return error;
  return new Error(
    `this user may not use ${path}: run it as the user of the directory, or as root (sudo onionmc ...)`,
    { cause: error },
  );
}

export interface RequestLimits {
  /** Longest time for the answer, milliseconds. */
  readonly waitMs: number;
  /** Longest answer. */
  readonly maxChars: number;
}

/**
 * Sends a request to the program that runs in a data directory. Resolves to the text of its answer, empty
 * when it closed the connection without one. Rejects with a NotRunningError, or an Error with the reason.
 * @param request one line without its line feed
 */
export function sendRequest(
  datadir: string,
  request: string,
  { waitMs, maxChars }: RequestLimits,
): Promise<string> {
  const path = join(datadir, REQUEST_SOCKET);
  if (isTooLong(path)) {
    const error = new NotRunningError(
      `${path} is too long for a socket, so no program answers there`,
    );
    return Promise.reject(error);
  }
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    const timer = setTimeout(() => {
      socket.destroy(new Error(`no answer within ${waitMs / 1000} s; its log tells more`));
    }, waitMs);
    socket.setEncoding('utf8');
    socket.once('connect', () => socket.write(`${request}\n`));
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > maxChars) socket.destroy(new Error('its answer is too long'));
    });
    socket.once('error', (error: NodeJS.ErrnoException) => reject(connectError(path, error)));
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
  });
}

/**
 * Asks the program that runs in a data directory for an upgrade. Rejects with a NotRunningError, or an
 * Error with the reason.
 */
export async function requestUpgrade(datadir: string): Promise<UpgradeAnswer> {
  const limits = { waitMs: ANSWER_MS, maxChars: MAX_UPGRADE_CHARS };
  const answer = parseUpgradeAnswer(await sendRequest(datadir, UPGRADE_REQUEST, limits));
  if (answer.ok) return answer.value;
  throw new Error('it ended without an answer; its log tells more');
}
