/** Finds out that a gate without a standing connection no longer answers. */
import { errorText } from '../../kit/error-text.js';
import type { OpenStreams } from './open-streams.js';

/** Milliseconds between two looks at a gate. */
export const WATCH_INTERVAL_MS = 30_000;
/** Failed looks in a row that end a tunnel. */
const LOOKS = 2;
const SECOND_LOOK_MS = 500;

/**
 * Looks at a gate every `intervalMs`, and at once after `suspect`. Two failed looks in a row end the tunnel as
 * lost. Its timer ends with the tunnel, and does not keep the process alive.
 */
export class GateWatch {
  readonly #streams: OpenStreams;
  readonly #look: (signal: AbortSignal) => Promise<void>;
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #looking = false;

  constructor(
    streams: OpenStreams,
    look: (signal: AbortSignal) => Promise<void>,
    intervalMs: number = WATCH_INTERVAL_MS,
  ) {
    this.#streams = streams;
    this.#look = look;
    this.#intervalMs = intervalMs;
    streams.signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
    this.#later(intervalMs);
  }

  /** A connection to the gate failed. */
  suspect(): void {
    if (!this.#looking) this.#later(0);
  }

  #later(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#streams.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#run(), ms);
    this.#timer.unref();
  }

  async #run(): Promise<void> {
    this.#looking = true;
    try {
      await this.#look(this.#streams.signal);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      if (this.#failures >= LOOKS) {
        this.#streams.end({ kind: 'lost', reason: errorText(error) });
      }
    } finally {
      this.#looking = false;
    }
    this.#later(this.#failures === 0 ? this.#intervalMs : SECOND_LOOK_MS);
  }
}
