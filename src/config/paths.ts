import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** `~` and `~/x` in the home directory; other relative paths below `base`. Absolute. */
export function expandPath(path: string, base: string): string {
  if (path === '~') return homedir();
  if (path.startsWith('~/')) return join(homedir(), path.slice(2));
  return resolve(base, path);
}

/** The absolute data directory for a `--datadir` option; `~/.joinmarket` without one. */
export function resolveDatadir(datadir?: string): string {
  return expandPath(datadir ?? '~/.joinmarket', process.cwd());
}
