/** Answers of an HTTP page, and the headers that each of them has. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { shownJson } from '../kit/shown-text.js';

export interface Answer {
  readonly code: number;
  /** `content-type`. */
  readonly type: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** No content of other sites, nothing inline, no frames, no forms; text never becomes markup. */
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

/** The headers of each answer, also of a stream. */
export const SAFETY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};

export const JSON_TYPE = 'application/json; charset=utf-8';

/** A value as JSON on one line. */
export function json(
  code: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { code, type: JSON_TYPE, body: `${shownJson(value)}\n`, headers };
}

/** Sends a whole answer. @param withBody false for HEAD */
export function send(response: ServerResponse, answer: Answer, withBody: boolean): void {
  const headers: OutgoingHttpHeaders = {
    ...SAFETY_HEADERS,
    'content-type': answer.type,
    ...(answer.code === 304 ? {} : { 'content-length': Buffer.byteLength(answer.body) }),
    ...answer.headers,
  };
  response.writeHead(answer.code, headers);
  response.end(withBody ? answer.body : undefined);
}
