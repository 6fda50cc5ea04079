/** The manager of a provider over HTTPS, with no other authority than the provider's (section 10.1). */
import { shownLine } from '../../kit/shown-text.js';
import type { Provider, Session, SessionRequest } from '../model.js';
import type { Manager } from '../ports.js';
import { DescriptionError } from './fields.js';
import { httpsCall, type CallAnswer, type CallOptions } from './https-call.js';
import { formatSessionRequest, MAX_SESSION, parseSession, SESSION_ID } from './parse-session.js';
import { MAX_VDP, parseVdp, type ReadVdp } from './parse-vdp.js';

/** What an answer with an error status means, for those statuses that the published interface defines. */
const MEANINGS: ReadonlyMap<number, string> = new Map([
  [400, 'the request is faulty'],
  [401, 'an access token is needed'],
  [402, 'it waits for a payment'],
  [403, 'access is denied'],
  [404, 'the session is unknown'],
  [443, 'the VDP is faulty'],
  [460, 'the space is unknown'],
  [461, 'the gate is unknown'],
  [462, 'this gate does not lead into this space'],
  [463, 'this session may not be used again'],
  [464, 'a session cannot be used again with another gate or space'],
  [465, 'the WireGuard data is missing'],
]);

/** The manager refused a call. */
export class ManagerError extends Error {
  /** Stable, for programs. */
  override readonly name = 'ManagerError';
  constructor(
    /** HTTP status, or one of the manager's own from 443 on. */
    readonly status: number,
    where: string,
    /** What the manager says of it, cleaned and short. */
    readonly told: string,
  ) {
    const meaning = MEANINGS.get(status) ?? `status ${status}`;
    super(`the manager ${where} refused: ${meaning}${told === '' ? '' : ` ("${told}")`}`);
  }
}

/** A call takes at most this long, milliseconds. */
export const CALL_TIMEOUT_MS = 30_000;

export interface ManagerOptions {
  readonly timeoutMs?: number;
}

/**
 * The calls of the published interface that a client has; POST `/api/vdp` and `/api/sessions` are for the provider
 * itself. Rejects with a CallError, a ManagerError or a DescriptionError.
 */
export class HttpsManager implements Manager {
  readonly #url: string;
  readonly #ca: readonly string[];
  readonly #options: ManagerOptions;

  constructor(provider: Pick<Provider, 'managerUrl' | 'ca'>, options: ManagerOptions = {}) {
    this.#url = provider.managerUrl;
    this.#ca = provider.ca;
    this.#options = options;
  }

  /** The descriptions that the manager knows. */
  async vdp(signal: AbortSignal, localOnly = false): Promise<ReadVdp> {
    const query = { localOnly: String(localOnly) };
    const { text } = await this.#call('/api/vdp', { query, signal, maxBytes: MAX_VDP });
    return parseVdp(text);
  }

  /** A new session: paid already when it is free. */
  async create(request: SessionRequest, signal: AbortSignal): Promise<Session> {
    const body = formatSessionRequest(request);
    return this.#session('/api/session', {}, signal, { body });
  }

  async session(sessionId: string, signal: AbortSignal): Promise<Session> {
    return this.#session('/api/session', { sessionid: valid(sessionId) }, signal);
  }

  /** A new session with the gate and the space of an earlier one, which is its parent. */
  async reuse(sessionId: string, days: number, signal: AbortSignal): Promise<Session> {
    const query = { sessionid: valid(sessionId), days: String(days) };
    return this.#session('/api/session/reuse', query, signal);
  }

  /** The same session for another WireGuard key of this client. */
  async rekey(sessionId: string, publicKey: string, signal: AbortSignal): Promise<Session> {
    const query = { sessionid: valid(sessionId), wg_public_key: publicKey };
    return this.#session('/api/session/rekey', query, signal);
  }

  async #session(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
    more: { readonly body?: string } = {},
  ): Promise<Session> {
    // 402 is the usual answer: the session, which waits for its payment.
    const { text } = await this.#call(path, {
      query,
      signal,
      maxBytes: MAX_SESSION,
      alsoStatus: 402,
      ...more,
    });
    return parseSession(text);
  }

  async #call(path: string, call: ManagerCall): Promise<CallAnswer> {
    const url = new URL(`${this.#url}${path}`);
    for (const [name, value] of Object.entries(call.query)) url.searchParams.set(name, value);
    const { timeoutMs = CALL_TIMEOUT_MS } = this.#options;
    const options: CallOptions = {
      ca: this.#ca,
      maxBytes: call.maxBytes,
      timeoutMs,
      signal: call.signal,
      ...(call.body === undefined ? {} : { method: 'POST', body: call.body }),
    };
    const answer = await httpsCall(url, options);
    if (answer.status === 200 || answer.status === call.alsoStatus) return answer;
    throw new ManagerError(answer.status, url.host, shownLine(answer.text.trim(), 120));
  }
}

interface ManagerCall {
  readonly query: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly maxBytes: number;
  readonly alsoStatus?: number;
  readonly body?: string;
}

function valid(sessionId: string): string {
  if (SESSION_ID.test(sessionId)) return sessionId;
  throw new DescriptionError('sessionid', 'must be letters, digits, "-" and "_"');
}
