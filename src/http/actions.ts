/**
 * Actions of a page: POST requests with a small JSON object and the page's token. The program makes a new
 * token at each start and prints it behind the `#` of the page's address. No answer of the server contains the token. So
 * a person who has the printed address can act, and a page of another site cannot.
 */
import { timingSafeEqual, createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { parseRecord, type JsonRecord } from '../kit/json-record.js';
import { json, type Answer } from './answer.js';

export type Action = (body: JsonRecord) => Promise<Answer> | Answer;

export interface PageActions {
  /** Of the header `x-onionmc-token`. */
  readonly token: string;
  /** By path. */
  readonly routes: ReadonlyMap<string, Action>;
}

export const TOKEN_HEADER = 'x-onionmc-token';
const MAX_BODY_BYTES = 16_384;

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function hasToken({ headers }: IncomingMessage, token: string): boolean {
  const given = headers[TOKEN_HEADER];
  return typeof given === 'string' && timingSafeEqual(hash(given), hash(token));
}

/** A browser names the origin of each POST; other programs send none. */
function isOwnOrigin({ headers }: IncomingMessage): boolean {
  const { origin, host } = headers;
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}

/** The body; undefined when it is too long. The time of a request is bounded by the server. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) return undefined;
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Answers a POST. The Host rule and the rule for other sites were checked before. */
export async function answerAction(
  request: IncomingMessage,
  { token, routes }: PageActions,
): Promise<Answer> {
  const [path = ''] = request.url?.split('?', 1) ?? [];
  const action = routes.get(path);
  if (action === undefined) {
    return json(405, { error: 'only GET and HEAD here' }, { allow: 'GET, HEAD' });
  }
  if (!isOwnOrigin(request)) return json(403, { error: 'asked by another site' });
  if (!hasToken(request, token)) {
    return json(401, {
      error: 'no token, or an old one: open the address that the program prints',
    });
  }
  if (request.headers['content-type']?.split(';', 1)[0] !== 'application/json') {
    return json(415, { error: 'the body must be application/json' });
  }
  const text = await bodyOf(request);
  if (text === undefined) return json(413, { error: `at most ${MAX_BODY_BYTES} bytes` });
  const body = parseRecord(text);
  return body === undefined ? json(400, { error: 'the body must be a JSON object' }) : action(body);
}
