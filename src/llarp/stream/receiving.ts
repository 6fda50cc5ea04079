/**
 * The receiving half of a stream: puts segments in order, holds a bounded number of bytes while the reader pauses, and
 * says what it has. Pure.
 */
import { MAX_RANGES, type Range, type Segment } from './segment.js';

/** Most bytes that are held, for a reader that pauses or for a segment that is missing. */
export const RECEIVE_WINDOW = 262_144;
/** Most segments that wait for an earlier one. */
const MAX_EARLY = 64;

interface Early {
  readonly from: number;
  readonly data: Uint8Array;
  readonly ends: boolean;
}

/** What an acknowledgement says. */
export type Receipt = Pick<Segment, 'acknowledged' | 'window' | 'ranges'>;

export class ReceivingHalf {
  readonly #deliver: (bytes: Uint8Array) => void;
  /** By their first place. */
  readonly #early = new Map<number, Early>();
  /** In order, while the reader pauses. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #next = 0;
  #isPaused = false;
  #hasEnd = false;

  constructor(deliver: (bytes: Uint8Array) => void) {
    this.#deliver = deliver;
  }

  /** All bytes and the end have arrived, and the reader has taken them. */
  get isDone(): boolean {
    return this.#hasEnd && this.#held.length === 0;
  }

  /** Bytes that wait. */
  get heldBytes(): number {
    let bytes = this.#heldBytes;
    for (const { data } of this.#early.values()) bytes += data.length;
    return bytes;
  }

  /** How many bytes behind the last one in order are taken. */
  get window(): number {
    return RECEIVE_WINDOW - this.#heldBytes;
  }

  get receipt(): Receipt {
    return { acknowledged: this.#next, window: this.window, ranges: this.#ranges() };
  }

  /**
   * Takes the data of a segment. False when it brought nothing in order: it is repeated, early, or behind the window.
   */
  take({ offset, data, ends }: Pick<Segment, 'offset' | 'data' | 'ends'>): boolean {
    const to = offset + data.length;
    if (this.#hasEnd || to < this.#next || to > this.#next + this.window) return false;
    if (to === this.#next && !ends) return false;
    if (offset > this.#next) {
      this.#keep({ from: offset, data, ends });
      return false;
    }
    this.#append({ from: offset, data, ends });
    for (let next = this.#nextEarly(); next; next = this.#nextEarly()) this.#append(next);
    return true;
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** Delivers what waits, until the reader pauses again. */
  resume(): void {
    this.#isPaused = false;
    while (!this.#isPaused) {
      const bytes = this.#held.shift();
      if (!bytes) return;
      this.#heldBytes -= bytes.length;
      this.#deliver(bytes);
    }
  }

  /** Drops everything that waits. */
  clear(): void {
    this.#early.clear();
    this.#held = [];
    this.#heldBytes = 0;
    this.#hasEnd = true;
  }

  #keep(early: Early): void {
    const known = this.#early.get(early.from);
    if (known && known.data.length >= early.data.length && !early.ends) return;
    if (!known && this.#early.size >= MAX_EARLY) return;
    this.#early.set(early.from, early);
  }

  /** An early segment that begins at the next byte, or before it. */
  #nextEarly(): Early | undefined {
    for (const early of this.#early.values()) {
      if (early.from > this.#next) continue;
      this.#early.delete(early.from);
      return early;
    }
    return undefined;
  }

  #append({ from, data, ends }: Early): void {
    const fresh = data.subarray(this.#next - from);
    if (this.#hasEnd || from + data.length < this.#next) return;
    this.#next += fresh.length;
    if (ends) {
      this.#hasEnd = true;
      this.#next++;
      this.#early.clear();
    }
    if (fresh.length === 0) return;
    if (this.#isPaused || this.#held.length > 0) {
      this.#held.push(fresh);
      this.#heldBytes += fresh.length;
    } else {
      this.#deliver(fresh);
    }
  }

  #ranges(): Range[] {
    const early = [...this.#early.values()].toSorted((a, b) => a.from - b.from);
    const ranges: { from: number; to: number }[] = [];
    for (const { from, data, ends } of early) {
      const to = from + data.length + (ends ? 1 : 0);
      const last = ranges.at(-1);
      if (last && from <= last.to) last.to = Math.max(last.to, to);
      else if (to > from) ranges.push({ from, to });
    }
    return ranges.slice(0, MAX_RANGES);
  }
}
