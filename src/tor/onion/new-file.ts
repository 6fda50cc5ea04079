/** Writes small private files. */
import { randomBytes } from 'node:crypto';
import { link, open, unlink } from 'node:fs/promises';
import { errorCode } from '../../kit/error-text.js';

/** Writes a file of mode 0600 that is complete or missing after a crash; false when there is one already. */
export async function writeNewFile(path: string, content: string): Promise<boolean> {
  // Tor reads only names that end as expected.
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
    await link(temporary, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await file.close();
    await unlink(temporary);
  }
}
