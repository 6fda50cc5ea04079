/** One HTTPS request to a stranger: bounded in time and size, TLS 1.3 or later (section 10.1), no redirects. */
import { request, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { errorCode, errorText } from '../../kit/error-text.js';

/** Why a call brought no answer. */
export type CallFault =
  | 'unreachable'
  /** The other side proved no identity that the given certificates sign, or has no TLS 1.3. */
  | 'untrusted'
  | 'timeout'
  | 'too-large'
  | 'cut'
  | 'aborted';

/** A server of the market did not answer. */
export class CallError extends Error {
  /** Stable, for programs. */
  override readonly name = 'CallError';
  constructor(
    /** Why. */
    readonly fault: CallFault,
    /** Host and port. */
    readonly where: string,
    detail: string,
  ) {
    super(`${where}: ${detail}`);
  }
}

export interface CallOptions {
  readonly method?: 'GET' | 'POST';
  readonly body?: string;
  /** The only authorities that are accepted, PEM. Undefined: those of the system. */
  readonly ca?: readonly string[];
  readonly maxBytes: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface CallAnswer {
  readonly status: number;
  readonly text: string;
}

/** Resolves with any status. Rejects with a CallError. The connection is closed at the end. */
export async function httpsCall(url: URL, options: CallOptions): Promise<CallAnswer> {
  const where = url.host;
  const limit = AbortSignal.timeout(options.timeoutMs);
  const signal = AbortSignal.any([options.signal, limit]);
  try {
    return await answerOf(await responseOf(url, options, signal), where, options.maxBytes);
  } catch (error) {
    if (error instanceof CallError) throw error;
    if (options.signal.aborted) throw new CallError('aborted', where, 'the call was given up');
    if (limit.aborted) {
      throw new CallError('timeout', where, `no answer within ${options.timeoutMs / 1_000} s`);
    }
    throw new CallError(faultOf(error), where, detailOf(error));
  }
}

function responseOf(url: URL, options: CallOptions, signal: AbortSignal): Promise<IncomingMessage> {
  const { method = 'GET', body, ca } = options;
  const settings: RequestOptions = {
    method,
    agent: false,
    signal,
    minVersion: 'TLSv1.3',
    maxHeaderSize: 16_384,
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(ca === undefined ? {} : { ca: [...ca] }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(url, settings, resolve);
    sent.once('error', reject);
    sent.end(body);
  });
}

async function answerOf(
  response: IncomingMessage,
  where: string,
  maxBytes: number,
): Promise<CallAnswer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue;
    size += chunk.length;
    if (size > maxBytes) {
      response.destroy();
      throw new CallError('too-large', where, `an answer of more than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}

const UNREACHABLE = /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/;
const UNTRUSTED =
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_OSSL|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

function faultOf(error: unknown): CallFault {
  const code = errorCode(error) ?? '';
  if (UNREACHABLE.test(code)) return 'unreachable';
  return UNTRUSTED.test(code) ? 'untrusted' : 'cut';
}

function detailOf(error: unknown): string {
  const code = errorCode(error) ?? errorText(error);
  const fault = faultOf(error);
  if (fault === 'unreachable') return `cannot be reached (${code})`;
  return fault === 'untrusted'
    ? `did not prove its identity over TLS 1.3 (${code})`
    : `the connection ended before the answer (${code})`;
}
