/** Pauses that end when their owner is closed. */
import type { Clock } from '../../kit/clock.js';
import { pause } from '../../kit/pause.js';
import { ChainError } from '../chain-error.js';

/** Waits of one view; all of them reject after `close`. */
export class Waits {
  readonly #clock: Clock;
  readonly #running = new Set<AbortController>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  throwIfClosed(): void {
    if (this.#closed) throw new ChainError('unable', 'the view of the chain was closed');
  }

  /** Resolves after the time; rejects with the reason of the signal, or after `close`. */
  async pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const running = new AbortController();
    const end = (): void => running.abort();
    this.#running.add(running);
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted === true || this.#closed) end();
    await pause(this.#clock, ms, running.signal);
    signal?.removeEventListener('abort', end);
    this.#running.delete(running);
    signal?.throwIfAborted();
    this.throwIfClosed();
  }

  close(): void {
    this.#closed = true;
    for (const running of this.#running) running.abort();
  }
}
