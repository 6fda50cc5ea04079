/** The text of a new `joinmarket.cfg`: `joinmarket.cfg.example`, the manual of every key. */
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `src/config` and `dist/config` are both two levels below the package's root. */
const EXAMPLE = fileURLToPath(new URL('../../joinmarket.cfg.example', import.meta.url));

/** The commented default configuration. */
export function defaultConfigText(): Promise<string> {
  return readFile(EXAMPLE, 'utf8');
}

/**
 * Writes the default configuration (mode 0600; missing folders are made with mode 0700) unless there
 * is one already. Resolves to whether it did.
 */
export async function writeDefaultConfig(path: string): Promise<boolean> {
  const text = await defaultConfigText();
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}
