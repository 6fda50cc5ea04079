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

/**
 * Resolves `~` and `~/x` to the home directory and other relative paths to `base`. The result is
 * absolute. Throws a ConfigError without a home directory.
 */
export function expandPath(path: string, base: string): string {
  if (path === '~') return home();
  if (path.startsWith('~/')) return join(home(), path.slice(2));
  return resolve(base, path);
}

/** The absolute data directory of a `--datadir` option; default `~/.joinmarket`. */
export function resolveDatadir(datadir?: string): string {
  return expandPath(datadir ?? '~/.joinmarket', process.cwd());
}
