/** What ends a running schedule: a signal, a second one, and `onionmc schedule stop`. */
import { printNote } from '../print.js';

const LOOK_EVERY_MS = 1_000;

export class StopRequests {
  /** Aborted: end after the coinjoin that runs. */
  readonly stop: AbortSignal;
  readonly #abort = new AbortController();
  readonly #asked = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #signals = 0;
  readonly #onSignal = (): void => {
    this.#signals += 1;
    if (this.#signals > 1) this.#abort.abort();
    else printNote('it ends after the coinjoin that runs; press Ctrl-C again to end that one too');
  };

  /**
   * @param signal aborted by the first SIGINT or SIGTERM
   * @param isRequested whether another program asked for the end
   */
  constructor(signal: AbortSignal, isRequested: () => Promise<boolean>) {
    this.stop = AbortSignal.any([signal, this.#asked.signal]);
    process.on('SIGINT', this.#onSignal).on('SIGTERM', this.#onSignal);
    this.#timer = setInterval(() => {
      void this.#look(isRequested);
    }, LOOK_EVERY_MS);
    this.#timer.unref();
  }

  async #look(isRequested: () => Promise<boolean>): Promise<void> {
    // A folder that cannot be read is told by the next write.
    if (await isRequested().catch(() => false)) this.#asked.abort();
  }

  /** Aborted: the coinjoin that runs ends too. */
  get abort(): AbortSignal {
    return this.#abort.signal;
  }

  close(): void {
    clearInterval(this.#timer);
    process.off('SIGINT', this.#onSignal).off('SIGTERM', this.#onSignal);
  }
}
