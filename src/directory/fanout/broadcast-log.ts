/**
 * The one copy of everything said to everybody: an append-only byte log with absolute positions.
 * Each peer has a cursor in it, and a slice of it is what is written to a socket.
 */

/** Size of one piece of memory; no frame is cut in two by a chunk's end. */
const CHUNK_BYTES = 262_144;

interface Chunk {
  readonly base: number;
  readonly bytes: Buffer;
  used: number;
}

export interface BroadcastLog {
  /** Position behind the last byte. Never falls. */
  readonly end: number;
  /** Bytes kept. */
  readonly size: number;
  /** Appends one frame of ASCII; returns its length. At most 64 KiB. */
  append(frame: string): number;
  /**
   * A view of the bytes from `from` on, up to `to` or the end of the chunk, whichever comes first;
   * never copied, never changed afterwards. `from` must not be before what `trim` has freed, and
   * `from < to <= end`.
   */
  slice(from: number, to: number): Uint8Array;
  /** Frees what lies wholly before a position; all of it stays valid in slices already taken. */
  trim(position: number): void;
}

export function createBroadcastLog(): BroadcastLog {
  const chunks: Chunk[] = [];
  let end = 0;
  // A flush asks for the same slice for nearly every peer.
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
    append(frame) {
      const chunk = chunkFor(frame.length);
      chunk.bytes.write(frame, chunk.used, 'latin1');
      chunk.used += frame.length;
      end += frame.length;
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
      // The chunk being written stays: its free half is used next.
      while (freed < chunks.length - 1) {
        const chunk = chunks[freed];
        if (!chunk || chunk.base + chunk.used > position) break;
        freed++;
      }
      if (freed > 0) chunks.splice(0, freed);
    },
  };
}
