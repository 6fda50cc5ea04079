/** The errors of Lokinet's resolver, each with what to do. */
import { errorCode } from '../kit/error-text.js';
import { hostAndPort } from '../kit/host-name.js';
import { OverlayError } from '../overlay/overlay-error.js';

/** Why a look-up failed. */
export type LookUpFault =
  /** Lokinet knows no such name: mistyped, or never registered. */
  | 'no-name'
  /** A well-formed address to which Lokinet built no path in its time: the service may be down. */
  | 'no-path'
  /** The resolver does not answer, or refuses: Lokinet does not run there. */
  | 'no-answer'
  /** An address outside of private networks: the resolver is not Lokinet's. */
  | 'foreign'
  /** The caller stopped it. */
  | 'aborted';

/** A look-up that failed. `message` has no name of a peer. */
export class LookUpError extends Error {
  override readonly name = 'LookUpError';
  constructor(
    readonly fault: LookUpFault,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/** An error of the overlay; `ours`: the fault is on this machine and says nothing about the location. */
export class LokinetError extends OverlayError {
  constructor(
    code: OverlayError['code'],
    message: string,
    readonly ours: boolean,
    cause?: unknown,
  ) {
    super(code, message, cause);
  }
}

/** The address of Lokinet's resolver. */
export interface ResolverAddress {
  readonly host: string;
  readonly port: number;
}

/** c-ares' code for the failure of a look-up: which fault it is. */
function faultOf(code: string): LookUpFault {
  switch (code) {
    case 'ENOTFOUND':
    case 'ENODATA':
    case 'EBADNAME':
      return 'no-name';
    case 'ESERVFAIL':
      return 'no-path';
    case 'ECANCELLED':
      return 'aborted';
    default:
      return 'no-answer';
  }
}

/** What to do when the resolver is not there. */
export function startLokinet({ host, port }: ResolverAddress): string {
  return `start Lokinet (sudo systemctl start lokinet), or correct dns in the section with type = lokinet, now ${hostAndPort(host, port)}`;
}

/** Whether no answer came in time: the resolver is not there, or has none yet. */
export function isTimeout(error: unknown): boolean {
  return error instanceof LookUpError && errorCode(error.cause) === 'ETIMEOUT';
}

const NO_PATH = 'Lokinet found no path to it in its time: the service may be down';

/** The error of a look-up for which a resolver that is there has no answer in time. */
export function noPath(cause: unknown): LookUpError {
  return new LookUpError('no-path', NO_PATH, cause);
}

/** The error of a failed look-up. */
export function lookUpError(error: unknown, at: ResolverAddress): LookUpError {
  const code = errorCode(error) ?? 'unknown';
  const fault = faultOf(code);
  const texts: Readonly<Record<LookUpFault, string>> = {
    'no-name': 'Lokinet knows no such name: it is mistyped or not registered',
    'no-path': NO_PATH,
    'no-answer': `Lokinet's resolver does not answer (${code}): ${startLokinet(at)}`,
    foreign: '',
    aborted: 'aborted',
  };
  return new LookUpError(fault, texts[fault], error);
}
