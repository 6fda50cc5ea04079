/** The levels of the log, as `[LOGGING] console_log_level` and `--log-level` name them. */
export const LOG_LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR'] as const;
export type LogLevelName = (typeof LOG_LEVELS)[number];
