/** The errors between this program and Tor, with their fix. */

/** The step that failed. */
export type TorStep =
  | 'endpoint'
  | 'connect'
  | 'protocolinfo'
  | 'authenticate'
  | 'command'
  | 'add-onion'
  | 'upload'
  | 'lost'
  | 'key-folder'
  | 'process';

/**
 * Stable names of failures, for programs and tests:
 * - `endpoint`: `bad-endpoint`
 * - `connect`: `refused`, `no-socket`, `no-permission`, `connect-failed`, `timeout`, `aborted`
 * - `protocolinfo`: `not-tor`, `no-answer`
 * - `authenticate`: `auth-failed`, `bad-password`, `timeout`, `aborted`
 * - `command`: `rejected` (see `reply`), `timeout`, `aborted`, `bad-line`, `queue-full`
 * - `add-onion`: `collision`, `bad-key`, `bad-target`, `rejected`, `bad-reply`, `aborted`
 * - `upload`: `closed`
 * - `lost`: `lost` (the other side closed), `closed` (we did), `bad-bytes` (it did not speak the protocol)
 * - `key-folder`: `not-a-folder`, `wrong-owner`, `wrong-mode`, `symlink`, `partial`, `bad-key-file`,
 *   `mismatch`, `io`
 * - `process`: `tor-missing`, `tor-exited`, `data-dir-busy`, `bad-torrc`, `timeout`, `aborted`, `io`, `closed`
 */
export type TorFault =
  | 'bad-endpoint'
  | 'refused'
  | 'no-socket'
  | 'no-permission'
  | 'connect-failed'
  | 'timeout'
  | 'aborted'
  | 'not-tor'
  | 'no-answer'
  | 'auth-failed'
  | 'bad-password'
  | 'rejected'
  | 'bad-line'
  | 'queue-full'
  | 'collision'
  | 'bad-key'
  | 'bad-target'
  | 'bad-reply'
  | 'closed'
  | 'lost'
  | 'bad-bytes'
  | 'not-a-folder'
  | 'wrong-owner'
  | 'wrong-mode'
  | 'symlink'
  | 'partial'
  | 'bad-key-file'
  | 'mismatch'
  | 'io'
  | 'tor-missing'
  | 'tor-exited'
  | 'data-dir-busy'
  | 'bad-torrc';

/** The kind of fix: `unreachable` is exit code 3, `configuration` 2, `failed` 1. */
export type TorRemedy = 'unreachable' | 'configuration' | 'failed';

/** The optional facts of a TorError. */
export interface TorErrorDetails {
  /** The kind of action that repairs it; default `failed`. */
  readonly remedy?: TorRemedy;
  /** Tor's refusal, if there was one. */
  readonly reply?: {
    /** The status code of Tor's reply (4xx or 5xx). */
    readonly code: number;
    /** The text of Tor's reply. */
    readonly text: string;
  };
  /** The error behind it. */
  readonly cause?: unknown;
}

/**
 * Tor knows all our commands, so this comes from a filter in front of its control port: `510 Command
 * filtered`.
 */
const FILTERED = 510;

/**
 * Whether the other side of a control connection (Tor, or a filter in front of it) answered with a
 * refusal.
 */
export function isRefusal(error: unknown): error is TorError {
  return error instanceof TorError && error.reply !== undefined;
}

/** Whether a filter in front of the control port (onion-grater in Tails, Whonix and Qubes) refused. */
export function isFiltered(error: unknown): error is TorError {
  return isRefusal(error) && error.reply?.code === FILTERED;
}

/** The message says what failed, where, and what to do. It never contains a password, cookie or key. */
export class TorError extends Error {
  /** Always `TorError`. */
  override readonly name = 'TorError';
  /** The step that failed. */
  readonly step: TorStep;
  /** How it failed; stable. */
  readonly code: TorFault;
  /** The kind of action that repairs it. */
  readonly remedy: TorRemedy;
  /** Tor's refusal; undefined when Tor did not refuse. */
  readonly reply:
    | {
        /** The status code of Tor's reply (4xx or 5xx). */
        readonly code: number;
        /** The text of Tor's reply. */
        readonly text: string;
      }
    | undefined;

  constructor(
    /** The step that failed. */ step: TorStep,
    /** How it failed; stable. */ code: TorFault,
    message: string,
    details: TorErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.step = step;
    this.code = code;
    this.remedy = details.remedy ?? 'failed';
    this.reply = details.reply;
  }
}
