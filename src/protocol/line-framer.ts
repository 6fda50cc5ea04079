/**
 * Cuts a byte stream into lines (protocol document, section 1): LF ends a line, one CR before it is
 * dropped, and a line longer than the bound ends the conversation before anything is parsed.
 */
import { MAX_LINE_BYTES } from './constants.js';

const LF = 0x0a;
const CR = 0x0d;
/** Small first buffer for a half line; it doubles up to the bound. */
const FIRST_PENDING_BYTES = 512;
/** Shared by all framers that hold nothing: a directory has thousands of them. */
const EMPTY = new Uint8Array(0);

export interface LineFramer {
  /**
   * Feeds bytes; calls `onLine` for every complete line, terminator stripped. A line is a view that
   * is valid only during the call. `onLine` may return false to stop (the connection is gone): the
   * rest of the chunk is then dropped.
   * Returns false when a line exceeded the bound: the connection must be dropped; the framer has
   * freed its buffer and ignores all further input.
   */
  push(chunk: Uint8Array, onLine: (line: Uint8Array) => boolean | void): boolean;
  /** Bytes of the unfinished line held back. */
  readonly pendingBytes: number;
}

/** @param maxBytes longest line in bytes, terminator excluded */
export function createLineFramer(maxBytes: number = MAX_LINE_BYTES): LineFramer {
  let pending: Uint8Array = EMPTY;
  let held = 0;
  let dead = false;

  function hold(bytes: Uint8Array): void {
    const needed = held + bytes.length;
    if (needed > pending.length) {
      const grown = new Uint8Array(
        Math.min(maxBytes + 1, Math.max(needed, FIRST_PENDING_BYTES, pending.length * 2)),
      );
      grown.set(pending.subarray(0, held));
      pending = grown;
    }
    pending.set(bytes, held);
    held = needed;
  }

  function die(): false {
    dead = true;
    pending = EMPTY;
    held = 0;
    return false;
  }

  /** A half line may hold one byte more than the bound, if that byte can still be the CR. */
  function fits(bytes: Uint8Array): boolean {
    const total = held + bytes.length;
    if (total <= maxBytes) return true;
    return total === maxBytes + 1 && bytes[bytes.length - 1] === CR;
  }

  return {
    get pendingBytes() {
      return held;
    },
    push(chunk, onLine) {
      if (dead) return false;
      let start = 0;
      while (start < chunk.length) {
        const end = chunk.indexOf(LF, start);
        const part = chunk.subarray(start, end === -1 ? chunk.length : end);
        if (!fits(part) && part.length > 0) return die();
        if (end === -1) {
          hold(part);
          return true;
        }
        let line = part;
        if (held > 0) {
          hold(part);
          line = pending.subarray(0, held);
          held = 0;
          pending = EMPTY;
        }
        if (line[line.length - 1] === CR) line = line.subarray(0, -1);
        if (onLine(line) === false) return true;
        start = end + 1;
      }
      return true;
    },
  };
}
