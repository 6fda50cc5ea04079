/** The start of every long-running command: settings, log, signals. */
import { isatty } from 'node:tty';
import { changedKeys, type KeyName } from '../config/changed-keys.js';
import { loadSettings, type Role, type Settings } from '../config/settings.js';
import type { LogLevelName } from '../config/log-level.js';
import { createLog, type LogOptions, type ProgramLog } from '../ops/log.js';
import { createShutdown, type Shutdown } from '../ops/shutdown.js';
import { keepAlive } from '../kit/keep-alive.js';
import { setActive } from './lifecycle.js';
import { withUpstream } from './tor-upstream.js';

export interface CommonOptions {
  readonly datadir?: string;
  readonly logLevel?: LogLevelName;
}

export interface Program {
  readonly settings: Settings;
  readonly log: ProgramLog;
  readonly shutdown: Shutdown;
}

export interface ProgramHooks {
  /**
   * SIGHUP ends a program that was started on a terminal, because that terminal was closed. Otherwise
   * it re-reads the configuration, as a service manager's reload does.
   */
  readonly endsWithTerminal?: boolean;
  readonly onReload?: (settings: Settings) => void;
  /** Whether `onReload` applies a changed key. The log level is always applied. */
  readonly isLive?: (key: KeyName) => boolean;
  /** SIGUSR2. */
  readonly onUpgrade?: () => void;
  readonly onStopping?: () => void;
}

/** Whether the program was started on a terminal; `nohup` and services redirect all three streams. */
function isOnTerminal(): boolean {
  return [0, 1, 2].some((descriptor) => isatty(descriptor));
}

/** The options of the log; the level on the command line has priority. */
export function logOptions(
  { logging }: Settings,
  level?: LogLevelName,
): Pick<LogOptions, 'level' | 'color'> {
  return { level: level ?? logging.consoleLogLevel, color: logging.color };
}

/**
 * Loads the settings and handles signals. The process then lives until `shutdown.stop`. Rejects with a
 * ConfigError.
 */
export async function openProgram(
  role: Role,
  options: CommonOptions,
  hooks: ProgramHooks = {},
): Promise<Program> {
  const { datadir } = options;
  const { settings, notices, createdConfig } = await loadSettings({ role, datadir });
  const log = createLog(logOptions(settings, options.logLevel));
  if (createdConfig) log.info(`wrote the default configuration to ${settings.configFile}`);
  for (const notice of notices) log.warn(notice);

  // The clock's timers do not keep the process alive; a running program must.
  const letGo = keepAlive();
  const reload = async (): Promise<void> => {
    const fresh = await loadSettings({ role, datadir, mustExist: true });
    for (const notice of fresh.notices) log.warn(notice);
    log.setLevel(logOptions(fresh.settings, options.logLevel).level);
    hooks.onReload?.(fresh.settings);
    log.info('configuration re-read');
    const waiting = changedKeys(settings, fresh.settings).filter(
      ({ section, key }) =>
        !(section === 'LOGGING' && key === 'console_log_level') &&
        hooks.isLive?.({ section, key }) !== true,
    );
    if (waiting.length === 0) return;
    const keys = waiting.map(({ section, key }) => `[${section}] ${key}`).join(', ');
    log.warn(`these changed keys take effect only after a restart: ${keys}`);
  };
  const shutdown = createShutdown({
    log,
    onReload: hooks.endsWithTerminal === true && isOnTerminal() ? undefined : reload,
    onStopping: hooks.onStopping,
    onUpgrade: hooks.onUpgrade,
  });
  setActive(shutdown);
  shutdown.onStop('process', letGo);
  const program = { settings, log, shutdown };
  return { ...program, settings: await withUpstream(program) };
}
