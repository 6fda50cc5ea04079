/** How fast a stream sends: the time of a round trip, and how many bytes may be on their way. Pure. */
import { SEGMENT_BYTES } from './segment.js';

const FIRST_WAIT_MS = 1_500;
const LEAST_WAIT_MS = 750;
/** Longest time before a segment is sent again. */
export const MOST_WAIT_MS = 8_000;
/** Most bytes on their way: half of what one link of IWP holds, which other streams use as well. */
const MOST_BYTES = 524_288;
const LEAST_BYTES = 2 * SEGMENT_BYTES;

export class Pace {
  /** Bytes that may be on their way. */
  #bytes = 4 * SEGMENT_BYTES;
  /** Growth is slow above. */
  #threshold = MOST_BYTES;
  #roundTripMs: number | undefined;
  #deviationMs = 0;
  /** Doublings of the wait since the last acknowledgement. */
  #backOff = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** After this time without an acknowledgement, the first segment is sent again. */
  get waitMs(): number {
    const wait =
      this.#roundTripMs === undefined
        ? FIRST_WAIT_MS
        : Math.max(LEAST_WAIT_MS, this.#roundTripMs + 4 * this.#deviationMs);
    return Math.min(MOST_WAIT_MS, wait * 2 ** this.#backOff);
  }

  /** A segment was acknowledged that had been sent once. */
  measured(ms: number): void {
    if (this.#roundTripMs === undefined) {
      this.#roundTripMs = ms;
      this.#deviationMs = ms / 2;
      return;
    }
    this.#deviationMs += (Math.abs(ms - this.#roundTripMs) - this.#deviationMs) / 4;
    this.#roundTripMs += (ms - this.#roundTripMs) / 8;
  }

  acknowledged(bytes: number): void {
    this.#backOff = 0;
    const grown =
      this.#bytes < this.#threshold ? bytes : Math.ceil((SEGMENT_BYTES * bytes) / this.#bytes);
    this.#bytes = Math.min(MOST_BYTES, this.#bytes + grown);
  }

  /** A segment was lost, and others arrived. */
  lost(): void {
    this.#threshold = Math.max(LEAST_BYTES, this.#bytes / 2);
    this.#bytes = this.#threshold;
  }

  /** Nothing was acknowledged for `waitMs`. */
  timedOut(): void {
    this.#threshold = Math.max(LEAST_BYTES, this.#bytes / 2);
    this.#bytes = LEAST_BYTES;
    this.#backOff = Math.min(this.#backOff + 1, 6);
  }
}
