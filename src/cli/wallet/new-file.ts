/** Writes a result into a file that does not exist yet, readable for this user only. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { errorCodeOrText } from '../../kit/error-text.js';
import { UsageError } from '../errors.js';

const FLAGS = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;

/** Rejects with a `UsageError` when the file exists or cannot be written. */
export async function writeNewFile(path: string, content: Uint8Array | string): Promise<void> {
  try {
    const file = await open(path, FLAGS, 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new UsageError(`${path} cannot be written (${errorCodeOrText(error)}): name a new file`, {
      cause: error,
    });
  }
}
