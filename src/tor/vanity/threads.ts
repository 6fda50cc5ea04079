/** A vanity search on several threads. */
import { Worker } from 'node:worker_threads';
import type { VanityReport } from './worker.js';
import type { VanityPrefix } from './search.js';

export interface VanityThreadsOptions {
  readonly prefix: VanityPrefix;
  readonly threads: number;
  readonly signal: AbortSignal;
  /** Keys tried so far by all threads together; called about ten times a second for each. */
  readonly onTried: (keys: number) => void;
}

/**
 * The 64 bytes of an expanded key that fits. Rejects with the reason of the signal, or when a thread
 * fails; every thread has ended then, and nothing was written.
 */
export async function findVanityKey(options: VanityThreadsOptions): Promise<Uint8Array> {
  const { prefix, signal, onTried } = options;
  signal.throwIfAborted();
  const program = new URL('./worker.js', import.meta.url);
  const workers = Array.from(
    { length: options.threads },
    () => new Worker(program, { workerData: prefix.text }),
  );
  let tried = 0;
  let stopListening: (() => void) | undefined;
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      const abort = (): void => reject(asError(signal.reason));
      signal.addEventListener('abort', abort, { once: true });
      stopListening = () => signal.removeEventListener('abort', abort);
      for (const worker of workers) {
        worker.on('error', reject);
        worker.on('message', (report: VanityReport) => {
          if (report.kind === 'found') resolve(report.expanded);
          else onTried((tried += report.keys));
        });
      }
    });
  } finally {
    stopListening?.();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('the search was stopped');
}
