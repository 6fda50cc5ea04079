/** Reads the frames of an open journal one after the other, and judges what is behind the last whole one. */
import type { JournalValue } from './api.js';
import type { StoreFile } from './files.js';
import {
  FRAME_HEADER_BYTES,
  FRAME_STEP,
  JOURNAL_HEADER_BYTES,
  tagOf,
  type FrameHeader,
  type JournalFrames,
} from './frames.js';

/** Read at once. Small frames of so many bytes cost some milliseconds, then the event loop has its turn. */
const WINDOW_BYTES = 131_072;
const SECTOR_BYTES = 512;
/** So many bytes of a ciphertext are not all zero by chance. */
const MIN_ZERO_BYTES = 16;

/**
 * What is behind the last whole frame:
 * - `end`: nothing.
 * - `torn`: a frame of which a crash, or a write that still runs, left a part. Its records were not
 *   confirmed to the caller.
 * - `damaged`: bytes were changed after they were written.
 */
export type JournalRest = 'end' | 'torn' | 'damaged';

export class JournalReader {
  readonly #file: StoreFile;
  readonly #frames: JournalFrames;
  #window: Uint8Array = new Uint8Array(0);
  #windowAt = 0;
  #position = JOURNAL_HEADER_BYTES;
  #next = 0;
  #previous: Uint8Array;
  #count = 0;
  /** Where the last whole frame begins. */
  #lastAt = 0;

  constructor(file: StoreFile, frames: JournalFrames) {
    this.#file = file;
    this.#frames = frames;
    this.#previous = frames.firstTag;
  }

  /** Where the last whole frame ends. */
  get position(): number {
    return this.#position;
  }

  /** Number of records read, which is the number of the next one. */
  get next(): number {
    return this.#next;
  }

  /** Tag of the last whole frame. */
  get previous(): Uint8Array {
    return this.#previous;
  }

  /** Number of frames read. */
  get count(): number {
    return this.#count;
  }

  /** The records of each whole frame from here on. */
  async *groups(): AsyncGenerator<readonly JournalValue[]> {
    this.#window = new Uint8Array(0);
    const size = await this.#file.size();
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- each frame follows the one before
      const records = await this.#readFrame(size);
      if (records === undefined) break;
      yield records;
    }
    this.#window = new Uint8Array(0);
  }

  /** The records of all whole frames from here on. */
  async readOn(): Promise<JournalValue[]> {
    const found: JournalValue[] = [];
    for await (const group of this.groups()) for (const record of group) found.push(record);
    return found;
  }

  /** Whether the last whole frame is still in the file. The writer removes a frame that it cannot sync. */
  async isCurrent(): Promise<boolean> {
    if (this.#count === 0) return true;
    const frame = new Uint8Array(FRAME_STEP);
    const used = await this.#file.read(frame, this.#lastAt);
    return used === frame.length && Buffer.from(tagOf(frame)).equals(this.#previous);
  }

  async #readFrame(size: number): Promise<readonly JournalValue[] | undefined> {
    const header = await this.#headerAt(this.#position);
    if (header?.number !== this.#next) return undefined;
    // A header that this wallet wrote names a length within its bounds.
    if (this.#position + header.length > size) return undefined;
    const bytes = await this.#bytes(this.#position, header.length);
    if (bytes.length < header.length) return undefined;
    const records = this.#frames.open(bytes, this.#previous);
    if (records === undefined) return undefined;
    this.#lastAt = this.#position;
    this.#position += header.length;
    this.#next += records.length;
    this.#previous = tagOf(bytes);
    this.#count += 1;
    return records;
  }

  async #headerAt(position: number): Promise<FrameHeader | undefined> {
    return this.#frames.readHeader(await this.#bytes(position, FRAME_HEADER_BYTES));
  }

  /** Bytes of the file, fewer at its end; valid until the next call. */
  async #bytes(position: number, length: number): Promise<Uint8Array> {
    const at = position - this.#windowAt;
    if (at < 0 || at + length > this.#window.length) {
      const window = new Uint8Array(Math.max(length, WINDOW_BYTES));
      const used = await this.#file.read(window, position);
      this.#window = window.subarray(0, used);
      this.#windowAt = position;
      return this.#window.subarray(0, length);
    }
    return this.#window.subarray(at, at + length);
  }

  /**
   * Judges what is behind the last whole frame. A part of a frame is shorter than its header says, or
   * has sectors that the file system never got (zeros), and nothing of this wallet follows it.
   */
  async rest(): Promise<JournalRest> {
    this.#window = new Uint8Array(0);
    const size = await this.#file.size();
    const length = size - this.#position;
    if (length <= 0) return 'end';
    const header = await this.#headerAt(this.#position);
    if (await this.#hasLaterFrame(size)) return 'damaged';
    if (length < FRAME_HEADER_BYTES) return 'torn';
    if (header?.number === this.#next && header.length > length) return 'torn';
    return (await this.#hasZeroSector(size)) ? 'torn' : 'damaged';
  }

  async #hasLaterFrame(size: number): Promise<boolean> {
    for (let at = this.#position + FRAME_STEP; at < size; at += FRAME_STEP) {
      // oxlint-disable-next-line no-await-in-loop -- most calls read no file
      if ((await this.#headerAt(at)) !== undefined) return true;
    }
    return false;
  }

  async #hasZeroSector(size: number): Promise<boolean> {
    for (let at = this.#position; at < size;) {
      const end = Math.min(size, at + SECTOR_BYTES - (at % SECTOR_BYTES));
      // oxlint-disable-next-line no-await-in-loop -- most calls read no file
      const piece = await this.#bytes(at, end - at);
      if (piece.length >= MIN_ZERO_BYTES && piece.every((byte) => byte === 0)) return true;
      at = end;
    }
    return false;
  }
}
