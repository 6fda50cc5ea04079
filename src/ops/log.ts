/** The log of a program: pino on standard error. */
import { fstatSync } from 'node:fs';
import { pino, type DestinationStream } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Log, LogFields } from '../channel/log.js';
import { shownLine } from '../kit/shown-text.js';

/** The level names of `[LOGGING] console_log_level` and `--log-level`. */
export type LevelName = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR';

/**
 * The format of a line: `json` for programs, `pretty` for a terminal, `journal` for systemd's journal
 * (plain text after a priority, so that `journalctl -p warning` works).
 */
export type LogFormat = 'json' | 'pretty' | 'journal';

export interface LogOptions {
  readonly level: LevelName;
  /** Default: the format that suits standard error. */
  readonly format?: LogFormat | undefined;
  /** Colours, in the `pretty` format only. Default true; the variable NO_COLOR turns it off. */
  readonly color?: boolean | undefined;
  /** Destination of the lines instead of standard error. */
  readonly write?: ((line: string) => void) | undefined;
}

/** A log whose level can be changed at runtime. */
export interface ProgramLog extends Log {
  setLevel(level: LevelName): void;
}

const PINO_LEVELS = { DEBUG: 'debug', INFO: 'info', WARNING: 'warn', ERROR: 'error' } as const;

/** Priorities of syslog (sd-daemon(3)) for pino's levels. */
const JOURNAL_PRIORITY: ReadonlyMap<string, string> = new Map([
  ['20', '<7>'],
  ['30', '<6>'],
  ['40', '<4>'],
  ['50', '<3>'],
]);

/** The priority of a line of pino, which begins with its level. */
function journalPriority(line: string): string {
  const level = /^\{"level":(\d+)/.exec(line)?.[1] ?? '';
  return JOURNAL_PRIORITY.get(level) ?? '';
}

const STDERR = 2;
/** Bytes kept while the disk accepts none; further lines are lost. */
const MAX_KEPT_CHARS = 65_536;

/**
 * Standard error as a sink. A full disk loses lines and has no other effect; a closed reader is
 * reported to the listeners of `process.stderr`.
 */
function standardError(): DestinationStream {
  const sink = pino.destination({ dest: STDERR, sync: true, maxLength: MAX_KEPT_CHARS });
  sink.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.stderr.emit('error', error);
  });
  return sink;
}

/** Whether standard error is the journal's socket (systemd.exec(5), `$JOURNAL_STREAM`). */
function isJournal(journalStream: string | undefined): boolean {
  if (journalStream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(STDERR, { bigint: true });
    return journalStream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

function formatFor(env: NodeJS.ProcessEnv): LogFormat {
  if (process.stderr.isTTY) return 'pretty';
  return isJournal(env['JOURNAL_STREAM']) ? 'journal' : 'json';
}

/** Turns pino's JSON lines into text, synchronously: a stream in between could lose the last lines. */
function textStream(
  sink: DestinationStream,
  format: Exclude<LogFormat, 'json'>,
  color: boolean,
): DestinationStream {
  const prettify =
    format === 'journal'
      ? prettyFactory({
          colorize: false,
          singleLine: true,
          ignore: 'time,level',
          // A field of that name would get a line of its own.
          errorLikeObjectKeys: [],
        })
      : prettyFactory({
          colorize: color && (process.env['NO_COLOR'] ?? '') === '',
          singleLine: true,
          translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
        });
  return {
    write(line) {
      // systemd reads a priority only where the line begins.
      const priority = format === 'journal' ? journalPriority(line) : '';
      sink.write(`${priority}${prettify(line) ?? line}`);
    },
  };
}

function cleanFields(fields: LogFields): LogFields {
  const clean: Record<string, string | number | boolean | undefined> = {};
  for (const [name, value] of Object.entries(fields)) {
    clean[name] = typeof value === 'string' ? shownLine(value) : value;
  }
  return clean;
}

/**
 * Creates the log. Lines are written synchronously, so none is lost when the process ends. Untrusted
 * text in a line cannot forge another line.
 */
export function createLog(options: LogOptions): ProgramLog {
  const { write } = options;
  const format = options.format ?? formatFor(process.env);
  const sink = write === undefined ? standardError() : { write };
  const stream = format === 'json' ? sink : textStream(sink, format, options.color ?? true);
  const logger = pino(
    {
      // Without process id and host name: the host name would reveal the machine to readers of the log.
      base: null,
      level: PINO_LEVELS[options.level],
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    stream,
  );
  const line =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (text: string, fields?: LogFields): void => {
      if (!logger.isLevelEnabled(level)) return;
      if (fields === undefined) logger[level](shownLine(text));
      else logger[level](cleanFields(fields), shownLine(text));
    };
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    setLevel(level) {
      logger.level = PINO_LEVELS[level];
    },
  };
}
