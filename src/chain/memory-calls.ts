/** How calls of a chain in memory wait and fail. */
import { ChainError } from './chain-error.js';

export class MemoryCalls {
  readonly #waiting = new Set<() => void>();
  #fault: Error = new ChainError('unreachable', 'nothing answers');
  /** Number of calls that will fail. */
  #faults = 0;
  #hanging = false;

  /** The next `calls` calls reject with this error, and those that wait. */
  fail(error: Error, calls: number): void {
    this.#fault = error;
    this.#faults = calls;
    this.changed();
  }

  hang(): void {
    this.#hanging = true;
  }

  recover(): void {
    this.#faults = 0;
    this.#hanging = false;
    this.changed();
  }

  /** Something changed that a call may wait for. */
  changed(): void {
    for (const check of this.#waiting) check();
  }

  /** The start of every call. */
  async turn(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await Promise.resolve();
    if (this.#hanging) await this.until(() => !this.#hanging, signal);
    signal?.throwIfAborted();
    this.#throwFault();
  }

  /** Resolves when the condition holds after a change; rejects after an abort or a fault. */
  until(holds: () => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(check);
        signal?.removeEventListener('abort', check);
      };
      const check = (): void => {
        try {
          signal?.throwIfAborted();
          if (!this.#hanging) this.#throwFault();
          if (!holds()) return;
          leave();
          resolve();
        } catch (error) {
          leave();
          // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- the signal's own reason
          reject(error);
        }
      };
      this.#waiting.add(check);
      signal?.addEventListener('abort', check, { once: true });
      check();
    });
  }

  #throwFault(): void {
    if (this.#faults <= 0) return;
    this.#faults -= 1;
    throw this.#fault;
  }
}
