import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { quotedLine } from '../kit/shown-text.js';
import { ConfigError } from './config-error.js';

/** Reads the home directory; throws for a user without an account (a container) when HOME is not set. */
type HomeReader = () => string;

function home(read: HomeReader): string {
  let path: string | undefined;
  try {
    path = read();
  } catch {
    path = undefined;
  }
  if (path !== undefined && isAbsolute(path)) return path;
  throw new ConfigError({
    file: 'environment',
    key: 'HOME',
    found: path === undefined ? 'nothing' : quotedLine(path),
    allowed: 'the absolute path of the home directory (or give --datadir an absolute path)',
  });
}

/**
 * Resolves `~` and `~/x` to the home directory and other relative paths to `base`. The result is
 * absolute. Throws a ConfigError without a home directory.
 */
export function expandPath(path: string, base: string, read: HomeReader = homedir): string {
  if (path === '~') return home(read);
  if (path.startsWith('~/')) return join(home(read), path.slice(2));
  return resolve(base, path);
}

/** The absolute data directory of a `--datadir` option; default `~/.joinmarket`. */
export function resolveDatadir(datadir?: string): string {
  return expandPath(datadir ?? '~/.joinmarket', process.cwd());
}
