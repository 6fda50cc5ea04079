/** The text of a new `joinmarket.cfg`: `joinmarket.cfg.example`, which documents every key. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../kit/error-text.js';

/** The commented default configuration. */
export function defaultConfigText(): Promise<string> {
  // `src/config` and `dist/config` are both two levels below the package's root.
  return readFile(fileURLToPath(new URL('../../joinmarket.cfg.example', import.meta.url)), 'utf8');
}

/**
 * Writes the default configuration (mode 0600; missing folders get mode 0700) unless the file exists.
 * Writes the whole file or nothing. Resolves to whether it was written.
 */
export async function writeDefaultConfig(path: string): Promise<boolean> {
  const text = await defaultConfigText();
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  // The next start would take a partial file for the operator's own.
  const beside = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(beside, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(beside, { force: true });
  }
}
