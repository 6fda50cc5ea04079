/** A bounded wait of a probe. */
import type { Clock } from '../channel/ports.js';

export interface WaitOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly withinMs: number;
}

/** `late`: the deadline came first; `stopped`: the signal came first. */
export type Waited<T> =
  | { readonly end: 'done'; readonly value: T }
  | { readonly end: 'late' }
  | { readonly end: 'stopped' };

/**
 * Waits until `begin` calls its argument, the deadline passes or the signal aborts. It then frees timer
 * and listener and calls the function that `begin` returned. Never rejects.
 */
export function waitFor<T>(
  { clock, signal, withinMs }: WaitOptions,
  begin: (finish: (value: T) => void) => (() => void) | void,
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
    // `begin` called its argument before it returned.
    if (over) free?.();
  });
}
