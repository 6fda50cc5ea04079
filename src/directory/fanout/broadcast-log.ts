/**
 * The shared copy of all broadcasts: an append-only byte log with absolute positions. Each peer has a
 * cursor in it, and slices of it are written to sockets.
 */

/** Size of one chunk of memory; a frame never crosses the end of a chunk. */
const CHUNK_BYTES = 262_144;

interface Chunk {
  readonly base: number;
  readonly bytes: Buffer;
  used: number;
}

export interface BroadcastLog {
  /** Position after the last byte. Never decreases. */
  readonly end: number;
  /** Bytes kept. */
  readonly size: number;
  /** Frames appended so far. */
  readonly frames: number;
  /** Appends one ASCII frame of at most 64 KiB; returns its length. */
  append(frame: string): number;
  /**
   * A view of the bytes from `from` to `to` or to the end of the chunk, whichever is first; not copied,
   * never changed afterwards. `from` must not be before the position given to `trim`, and `from < to <=
   * end`.
   */
  slice(from: number, to: number): Uint8Array;
  /** Frees chunks that lie completely before a position; slices already taken stay valid. */
  trim(position: number): void;
}

export function createBroadcastLog(): BroadcastLog {
  const chunks: Chunk[] = [];
  let end = 0;
  let frames = 0;
  // A flush requests the same slice for nearly every peer.
  let cachedFrom = -1;
  let cachedTo = -1;
  let cached: Uint8Array = Buffer.alloc(0);

  function chunkFor(length: number): Chunk {
    const last = chunks.at(-1);
    if (last && last.used + length <= CHUNK_BYTES) return last;
    const chunk = { base: end, bytes: Buffer.allocUnsafeSlow(CHUNK_BYTES), used: 0 };
    chunks.push(chunk);
    return chunk;
  }

  function chunkAt(position: number): Chunk {
    for (let i = chunks.length - 1; i >= 0; i--) {
      const chunk = chunks[i];
      if (chunk && chunk.base <= position) return chunk;
    }
    throw new RangeError(`log position ${position} was freed already`);
  }

  return {
    get end() {
      return end;
    },
    get size() {
      return end - (chunks[0]?.base ?? end);
    },
    get frames() {
      return frames;
    },
    append(frame) {
      const chunk = chunkFor(frame.length);
      chunk.bytes.write(frame, chunk.used, 'latin1');
      chunk.used += frame.length;
      end += frame.length;
      frames++;
      return frame.length;
    },
    slice(from, to) {
      if (from === cachedFrom && to === cachedTo) return cached;
      const chunk = chunkAt(from);
      const start = from - chunk.base;
      cached = chunk.bytes.subarray(start, Math.min(start + to - from, chunk.used));
      cachedFrom = from;
      cachedTo = to;
      return cached;
    },
    trim(position) {
      let freed = 0;
      // The current chunk stays: its free part is used next.
      while (freed < chunks.length - 1) {
        const chunk = chunks[freed];
        if (!chunk || chunk.base + chunk.used > position) break;
        freed++;
      }
      if (freed > 0) chunks.splice(0, freed);
    },
  };
}
