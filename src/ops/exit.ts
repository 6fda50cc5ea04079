/** The exit codes of the programs. */
export const ExitCode = {
  /** Success. */
  OK: 0,
  /** A failure without a code of its own. */
  FAILED: 1,
  /** The command line or the configuration is wrong. */
  USAGE: 2,
  /** A needed service cannot be reached (Tor, a directory). */
  UNREACHABLE: 3,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

const CODES: ReadonlySet<unknown> = new Set(Object.values(ExitCode));

function isExitCode(value: unknown): value is ExitCode {
  return CODES.has(value);
}

/**
 * The exit code for an error that ends a program: its `exitCode` property if it has one (ConfigError:
 * 2), else that of its cause, else 1.
 */
export function exitCodeOf(error: unknown): ExitCode {
  let current = error;
  // An error may be its own cause; no error is wrapped more than five times.
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    if ('exitCode' in current && isExitCode(current.exitCode)) return current.exitCode;
    current = current.cause;
  }
  return ExitCode.FAILED;
}
