/**
 * The log interface for all modules. `ops/log` implements it on pino; tests pass their own. Rule: no
 * message bodies at any level above trace, and no nick or onion of another peer at `info` or above.
 */
export interface Log {
  /** For the search for a fault; may name third parties. */
  debug(text: string, fields?: LogFields): void;
  /** A change of state. */
  info(text: string, fields?: LogFields): void;
  /** A fault from which the program recovers by itself. */
  warn(text: string, fields?: LogFields): void;
  /** A fault that the operator must repair. */
  error(text: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** A log that drops every line. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
