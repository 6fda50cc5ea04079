/** Waits for late offers. A step of a schedule that has too few would fail, and nobody is there to ask again. */
import type { Clock } from '../kit/clock.js';
import type { LiveBook } from '../orderbook/book-api.js';

/** What a wait for offers needs. */
export interface EnoughMakersOptions {
  /** Makers whose offers are enough. */
  readonly least: number;
  /** Longest wait, in milliseconds. */
  readonly ms: number;
  readonly clock: Clock;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/** Resolves when the book has offers of enough makers, or the time is over, or the signal is aborted. */
export function enoughMakers(
  book: Pick<LiveBook, 'makers' | 'on' | 'off'>,
  { least, ms, clock, signal }: EnoughMakersOptions,
): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (book.makers >= least) end();
    };
    const end = (): void => {
      cancel();
      book.off('change', look);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    book.on('change', look);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    else look();
  });
}
