/** Waiting for a time. Pure. */
import type { Clock } from './clock.js';
import { keepAlive } from './keep-alive.js';

/**
 * Resolves after `ms` milliseconds, or at once when the signal is aborted; never rejects. The process
 * does not end meanwhile. Timer and listener are freed in both cases.
 */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const letGo = keepAlive();
    const done = (): void => {
      letGo();
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
