/** Requests over the socket of the directory that runs in a data directory. */
import { NotRunningError } from '../ops/request-socket.js';
import { UnreachableError } from './errors.js';

/** Asks it. Rejects with an UnreachableError when none runs there. */
export async function askRunning<T>(
  datadir: string,
  ask: (datadir: string) => Promise<T>,
): Promise<T> {
  try {
    return await ask(datadir);
  } catch (error) {
    if (!(error instanceof NotRunningError)) throw error;
    throw new UnreachableError(
      `no directory runs with the data directory ${datadir} (${error.message}); start it, or give its --datadir`,
      { cause: error },
    );
  }
}
