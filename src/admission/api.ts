/** The types of admission: may this client, with this code, enter now? */

/** Where the client stands: a flow to a Lokinet endpoint, a directory's handshake, a page. */
export type Door = 'lokinet' | 'handshake' | 'page';

/** The answers of the protocol of Lokinet; the other doors use the same. */
export type Verdict = 'OKAY' | 'REJECT' | 'PAYME' | 'LIMITED';

/** Why a request was decided so: stable names, safe to log. */
export type Reason =
  | 'admitted'
  | 'no-code'
  | 'unknown-code'
  | 'not-yet'
  | 'expired'
  | 'revoked'
  | 'other-address'
  | 'used-up'
  | 'concurrent'
  | 'rate'
  | 'attempts'
  | 'busy'
  | 'malformed'
  | 'program'
  | 'program-failed'
  | 'uses-failed';

export interface AdmissionRequest {
  readonly door: Door;
  /** Names the client: a `.loki` address, a nick, the address of a browser. At most 128 characters. */
  readonly address: string;
  /** Other names of the same client, for codes that are bound to an address: its location. */
  readonly aliases?: readonly string[];
  /** The code as the client sent it; empty when it sent none. */
  readonly code: Uint8Array;
  /** Unix time in milliseconds. */
  readonly now: number;
  /**
   * What counts as one use and as one of several at a time; default: the address. A session that lasts
   * asks again without a second use.
   */
  readonly session?: string;
}

export interface Decision {
  readonly verdict: Verdict;
  readonly reason: Reason;
  /** The code that decided, if one of ours did. */
  readonly codeId?: string | undefined;
}

/** A session that was admitted and lasts. */
export interface HeldSession {
  readonly door: Door;
  readonly session: string;
  /** The code that admitted it; undefined where the backend has no ids. */
  readonly codeId: string | undefined;
}

/** Where codes are looked up. */
export interface Backend {
  /**
   * Decides about a code that costs nothing to look up and cannot be guessed, or was accepted a short
   * while ago. Undefined: ask `judge`.
   */
  recognise(request: AdmissionRequest): Decision | undefined;
  /** Decides about any other code. The caller limits how often. Never rejects. */
  judge(request: AdmissionRequest): Promise<Decision>;
  /** Whether a session that was admitted may stay; it counts as one that lasts. */
  stays(held: HeldSession, now: number): boolean;
  /** A session has ended before its time. */
  left(held: HeldSession): void;
  /** Frees everything. */
  close(): void;
}

/** One decision, for the audit log; it has no code. */
export interface AuditEntry extends Decision {
  readonly door: Door;
  readonly address: string;
  readonly now: number;
}

export function decided(verdict: Verdict, reason: Reason, codeId?: string): Decision {
  return codeId === undefined ? { verdict, reason } : { verdict, reason, codeId };
}

/** One line for the client. */
export const REASON_TEXT: Readonly<Record<Reason, string>> = {
  admitted: 'OK',
  'no-code': 'a code is needed',
  'unknown-code': 'the code is not valid',
  'not-yet': 'the code is not valid yet',
  expired: 'the code has expired',
  revoked: 'the code was revoked',
  'other-address': 'the code belongs to another address',
  'used-up': 'the code is used up',
  concurrent: 'the code is in use too often at the same time',
  rate: 'too many requests with this code',
  attempts: 'too many wrong codes, try later',
  busy: 'too many requests, try later',
  malformed: 'malformed request',
  program: 'the code was refused',
  'program-failed': 'codes cannot be checked now, try later',
  'uses-failed': 'codes cannot be checked now, try later',
};
