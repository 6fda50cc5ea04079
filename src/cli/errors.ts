/** Errors of the command line, and the exit code of any error (0, 1, 2, 3). */
import { ExitCode, exitCodeOf } from '../ops/exit.js';
import { OverlayError } from '../overlay/overlay-error.js';
import { SocksError } from '../tor/socks/error.js';
import { TorError } from '../tor/tor-error.js';

/** The command line is invalid. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly exitCode = ExitCode.USAGE;
}

/** A service that the program needs cannot be reached. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  readonly exitCode = ExitCode.UNREACHABLE;
}

const TOR_REMEDIES = {
  unreachable: ExitCode.UNREACHABLE,
  configuration: ExitCode.USAGE,
  failed: ExitCode.FAILED,
} as const;

export function exitCodeFor(error: unknown): ExitCode {
  if (error instanceof TorError) return TOR_REMEDIES[error.remedy];
  if (error instanceof SocksError) {
    return error.code === 'proxy-unreachable' ? ExitCode.UNREACHABLE : ExitCode.FAILED;
  }
  if (error instanceof OverlayError) {
    if (error.code === 'carrier-unreachable') return ExitCode.UNREACHABLE;
    return error.code === 'dial-failed' ? ExitCode.FAILED : ExitCode.USAGE;
  }
  return exitCodeOf(error);
}
