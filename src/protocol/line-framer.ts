/**
 * Splits a byte stream into lines (docs/protocol.md, section 1). LF ends a line, one CR before it is
 * removed. A line above the bound ends the connection before anything is parsed.
 */
import { MAX_LINE_BYTES } from './constants.js';

const LF = 0x0a;
const CR = 0x0d;
/** Size of the first buffer for a partial line; it doubles up to the bound. */
const FIRST_PENDING_BYTES = 512;
/** Shared by all framers without a partial line: a directory has thousands of them. */
const EMPTY = new Uint8Array(0);

/** Splits the bytes of one connection into lines. */
export interface LineFramer {
  /**
   * Feeds bytes; calls `onLine` for every complete line, without its terminator. A line is a view that
   * is valid only during the call. `onLine` may return false to stop (the connection has ended); the
   * rest of the chunk is then dropped. Returns false when a line exceeded the bound: the caller drops
   * the connection; the framer has freed its buffer and ignores all further input.
   */
  push(chunk: Uint8Array, onLine: (line: Uint8Array) => boolean | void): boolean;
  /** Bytes of the partial line. */
  readonly pendingBytes: number;
  /** A copy of the partial line. A new framer that is fed with it continues where this one is. */
  pending(): Uint8Array;
}

/** A class, so that framers share their methods: a directory has one framer per connection. */
class ByteLineFramer implements LineFramer {
  readonly #maxBytes: number;
  #pending: Uint8Array = EMPTY;
  #held = 0;
  #dead = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get pendingBytes(): number {
    return this.#held;
  }

  pending(): Uint8Array {
    return this.#pending.slice(0, this.#held);
  }

  push(chunk: Uint8Array, onLine: (line: Uint8Array) => boolean | void): boolean {
    if (this.#dead) return false;
    let start = 0;
    while (start < chunk.length) {
      const end = chunk.indexOf(LF, start);
      const part = chunk.subarray(start, end === -1 ? chunk.length : end);
      if (!this.#fits(part) && part.length > 0) return this.#die();
      if (end === -1) {
        this.#hold(part);
        return true;
      }
      let line = part;
      if (this.#held > 0) {
        this.#hold(part);
        line = this.#pending.subarray(0, this.#held);
        this.#held = 0;
        this.#pending = EMPTY;
      }
      if (line[line.length - 1] === CR) line = line.subarray(0, -1);
      if (onLine(line) === false) return true;
      start = end + 1;
    }
    return true;
  }

  #hold(bytes: Uint8Array): void {
    const needed = this.#held + bytes.length;
    if (needed > this.#pending.length) {
      const grown = new Uint8Array(
        Math.min(
          this.#maxBytes + 1,
          Math.max(needed, FIRST_PENDING_BYTES, this.#pending.length * 2),
        ),
      );
      grown.set(this.#pending.subarray(0, this.#held));
      this.#pending = grown;
    }
    this.#pending.set(bytes, this.#held);
    this.#held = needed;
  }

  #die(): false {
    this.#dead = true;
    this.#pending = EMPTY;
    this.#held = 0;
    return false;
  }

  /** A partial line may have one byte more than the bound, if that byte can still be the CR. */
  #fits(bytes: Uint8Array): boolean {
    const total = this.#held + bytes.length;
    if (total <= this.#maxBytes) return true;
    return total === this.#maxBytes + 1 && bytes[bytes.length - 1] === CR;
  }
}

/**
 * A framer for one connection (docs/protocol.md, section 1.2).
 * @param maxBytes longest line in bytes, terminator excluded
 */
export function createLineFramer(maxBytes: number = MAX_LINE_BYTES): LineFramer {
  return new ByteLineFramer(maxBytes);
}
