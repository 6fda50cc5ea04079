import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { quotedLine } from '../kit/shown-text.js';
import { ConfigError } from './config-error.js';

function home(): string {
  const path = homedir();
  if (isAbsolute(path)) return path;
  throw new ConfigError({
    file: 'environment',
    key: 'HOME',
    found: quotedLine(path),
    allowed: 'the absolute path of the home directory (or give --datadir an absolute path)',
  });
}

/** `~` and `~/x` in the home directory; other relative paths below `base`. Absolute. Throws a ConfigError without a home. */
export function expandPath(path: string, base: string): string {
  if (path === '~') return home();
  if (path.startsWith('~/')) return join(home(), path.slice(2));
  return resolve(base, path);
}

/** The absolute data directory for a `--datadir` option; `~/.joinmarket` without one. */
export function resolveDatadir(datadir?: string): string {
  return expandPath(datadir ?? '~/.joinmarket', process.cwd());
}
