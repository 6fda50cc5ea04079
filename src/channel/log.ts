/**
 * The log interface for all modules. `ops/log` implements it on pino; tests pass their own. Rule: no
 * message bodies at any level above trace, and no nick or onion of another peer at `info` or above.
 */
export interface Log {
  debug(text: string, fields?: LogFields): void;
  info(text: string, fields?: LogFields): void;
  warn(text: string, fields?: LogFields): void;
  error(text: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
