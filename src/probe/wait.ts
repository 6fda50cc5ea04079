/** One bounded wait of a probe. */
import type { Clock } from '../channel/ports.js';

export interface WaitOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly withinMs: number;
}

/** `late`: the deadline came first; `stopped`: the signal did. */
export type Waited<T> =
  | { readonly end: 'done'; readonly value: T }
  | { readonly end: 'late' }
  | { readonly end: 'stopped' };

/**
 * Waits until `begin` has settled it, the deadline comes or the signal is aborted. Whichever is
 * first, timer and listener are freed, and what `begin` returned is called. Never rejects.
 */
export function waitFor<T>(
  { clock, signal, withinMs }: WaitOptions,
  begin: (settle: (value: T) => void) => (() => void) | void,
): Promise<Waited<T>> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve({ end: 'stopped' });
      return;
    }
    let over = false;
    let free: (() => void) | void;
    const finish = (how: Waited<T>): void => {
      if (over) return;
      over = true;
      cancel();
      signal.removeEventListener('abort', stopped);
      free?.();
      resolve(how);
    };
    const stopped = (): void => finish({ end: 'stopped' });
    const cancel = clock.after(withinMs, () => finish({ end: 'late' }));
    signal.addEventListener('abort', stopped, { once: true });
    free = begin((value) => finish({ end: 'done', value }));
    // Settled from inside `begin`, which had returned nothing yet.
    if (over) free?.();
  });
}
