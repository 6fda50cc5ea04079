/**
 * What a module says to the operator. Implemented by `ops/log` on pino; a test passes its own.
 * Rule: no message bodies at any level above trace, and no nick or onion of a third party at
 * `info` or above.
 */
export interface Log {
  debug(text: string, fields?: LogFields): void;
  info(text: string, fields?: LogFields): void;
  warn(text: string, fields?: LogFields): void;
  error(text: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
