/**
 * The form of the journal: a header of 64 bytes, then frames. A frame holds the records that were
 * added together, encrypted as one (AES-256-GCM), so that a frame is there as a whole or not at all.
 * The associated data are the wallet, the number of the frame's first record, and the tag of the frame
 * before: no frame can be moved, repeated, left out of the middle, or taken from another wallet or from
 * another continuation of the same one. Pure but for random numbers.
 *
 * | bytes of the header | field                                                |
 * | ------------------- | ---------------------------------------------------- |
 * | 0-7                 | `OMCJOURN`                                           |
 * | 8                   | version, 1                                           |
 * | 9-15                | 0                                                    |
 * | 16-47               | salt, for the keys of this file (HKDF, RFC 5869)     |
 * | 48-63               | HMAC-SHA256 of the bytes before, the first half      |
 *
 * | bytes of a frame | field                                                   |
 * | ---------------- | ------------------------------------------------------- |
 * | 0-7              | number of the first record, big-endian                  |
 * | 8-11             | length of the frame, a multiple of 256                  |
 * | 12-15            | 0                                                       |
 * | 16-31            | HMAC-SHA256 of the bytes before, the first half         |
 * | 32-43            | nonce, random                                           |
 * | 44-59            | tag                                                     |
 * | 60-              | ciphertext: a length, JSON (an array), zeros            |
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import type { JournalValue } from './api.js';

const MAGIC = Buffer.from('OMCJOURN', 'latin1');
const VERSION = 1;
const VERSION_AT = 8;
const SALT_AT = 16;
const SALT_BYTES = 32;
const CHECK_BYTES = 16;
const LENGTH_AT = 8;
const CHECK_AT = 16;
const NONCE_AT = 32;
const TAG_AT = 44;
const TEXT_AT = 60;
const TEXT_LENGTH_BYTES = 4;

/** Length of the journal's header. */
export const JOURNAL_HEADER_BYTES = 64;
/** Length of the part of a frame that names its length. */
export const FRAME_HEADER_BYTES = 32;
/** The length of a frame is a multiple of it. */
export const FRAME_STEP = 256;
/** Longest frame. */
export const MAX_FRAME_BYTES = 64 * 1_048_576;

/** What identifies the wallet that a journal belongs to. */
export interface JournalSecret {
  readonly id: Uint8Array;
  readonly journalKey: Uint8Array;
}

/** What a frame's header names. */
export interface FrameHeader {
  /** Number of the frame's first record; the first of the journal is 0. */
  readonly number: number;
  /** Length of the whole frame, in bytes. */
  readonly length: number;
}

/** A frame to be written. */
export interface SealedFrame {
  readonly bytes: Uint8Array;
  /** The associated data of the frame after it. */
  readonly tag: Uint8Array;
}

/** Reads and writes one journal file: its keys depend on the salt in its header. */
export class JournalFrames {
  readonly #header: Buffer;
  readonly #id: Buffer;
  readonly #checkKey: Buffer;
  readonly #textKey: Buffer;

  private constructor(secret: JournalSecret, salt: Uint8Array) {
    this.#id = Buffer.from(secret.id);
    const info = Buffer.concat([Buffer.from('onionmc journal 1 '), this.#id]);
    const keys = Buffer.from(hkdfSync('sha256', secret.journalKey, salt, info, 64));
    this.#checkKey = keys.subarray(0, 32);
    this.#textKey = keys.subarray(32);
    this.#header = Buffer.alloc(JOURNAL_HEADER_BYTES);
    MAGIC.copy(this.#header);
    this.#header.writeUInt8(VERSION, VERSION_AT);
    this.#header.set(salt, SALT_AT);
    const checked = this.#header.subarray(0, SALT_AT + SALT_BYTES);
    this.#check(checked).copy(this.#header, SALT_AT + SALT_BYTES);
  }

  /** A new journal. */
  static create(secret: JournalSecret): JournalFrames {
    return new JournalFrames(secret, randomBytes(SALT_BYTES));
  }

  /** The journal that begins with a header; a word where it does not belong to this wallet. */
  static of(secret: JournalSecret, header: Uint8Array): JournalFrames | 'damaged' | 'version' {
    const given = Buffer.from(header);
    if (given.length !== JOURNAL_HEADER_BYTES) return 'damaged';
    if (!given.subarray(0, MAGIC.length).equals(MAGIC)) return 'damaged';
    // Not checked by a key, which a later version may derive in another way.
    if (given.readUInt8(VERSION_AT) > VERSION) return 'version';
    const frames = new JournalFrames(secret, given.subarray(SALT_AT, SALT_AT + SALT_BYTES));
    return frames.#header.equals(given) ? frames : 'damaged';
  }

  /** The bytes at the start of the file. */
  get header(): Uint8Array {
    return this.#header;
  }

  /** The associated data of the first frame, where no other frame is before it. */
  get firstTag(): Uint8Array {
    return this.#header.subarray(SALT_AT + SALT_BYTES);
  }

  #check(bytes: Uint8Array): Buffer {
    return createHmac('sha256', this.#checkKey).update(bytes).digest().subarray(0, CHECK_BYTES);
  }

  #associated(frame: Uint8Array, previous: Uint8Array): Buffer {
    return Buffer.concat([this.#id, previous, frame.subarray(0, FRAME_HEADER_BYTES)]);
  }

  /**
   * Encrypts records, given as the JSON of an array. `previous` is the tag of the frame before. Throws a
   * RangeError for more than a frame can hold.
   */
  seal(number: number, previous: Uint8Array, json: Uint8Array): SealedFrame {
    const used = TEXT_AT + TEXT_LENGTH_BYTES + json.length;
    const length = Math.ceil(used / FRAME_STEP) * FRAME_STEP;
    if (length > MAX_FRAME_BYTES) throw new RangeError('too many records at once');
    const frame = Buffer.alloc(length);
    frame.writeBigUInt64BE(BigInt(number));
    frame.writeUInt32BE(length, LENGTH_AT);
    this.#check(frame.subarray(0, CHECK_AT)).copy(frame, CHECK_AT);
    const nonce = randomBytes(TAG_AT - NONCE_AT);
    nonce.copy(frame, NONCE_AT);
    const plain = Buffer.alloc(length - TEXT_AT);
    plain.writeUInt32BE(json.length);
    plain.set(json, TEXT_LENGTH_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#textKey, nonce);
    cipher.setAAD(this.#associated(frame, previous));
    cipher.update(plain).copy(frame, TEXT_AT);
    cipher.final();
    const tag = cipher.getAuthTag();
    tag.copy(frame, TAG_AT);
    return { bytes: frame, tag };
  }

  /** What the header of a frame names; undefined where these bytes are not one. */
  readHeader(bytes: Uint8Array): FrameHeader | undefined {
    if (bytes.length < FRAME_HEADER_BYTES) return undefined;
    const header = Buffer.from(bytes.buffer, bytes.byteOffset, FRAME_HEADER_BYTES);
    const check = this.#check(header.subarray(0, CHECK_AT));
    if (!timingSafeEqual(check, header.subarray(CHECK_AT))) return undefined;
    return { number: Number(header.readBigUInt64BE()), length: header.readUInt32BE(LENGTH_AT) };
  }

  /** The records of a whole frame; undefined where it is damaged or belongs elsewhere. */
  open(bytes: Uint8Array, previous: Uint8Array): readonly JournalValue[] | undefined {
    const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const nonce = frame.subarray(NONCE_AT, TAG_AT);
    const decipher = createDecipheriv('aes-256-gcm', this.#textKey, nonce);
    decipher.setAAD(this.#associated(frame, previous));
    decipher.setAuthTag(frame.subarray(TAG_AT, TEXT_AT));
    const plain = decipher.update(frame.subarray(TEXT_AT));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    const end = TEXT_LENGTH_BYTES + plain.readUInt32BE();
    const records: unknown = JSON.parse(plain.toString('utf8', TEXT_LENGTH_BYTES, end));
    return Array.isArray(records) ? records : undefined;
  }
}

/** The tag of a whole frame. */
export function tagOf(frame: Uint8Array): Uint8Array {
  return frame.slice(TAG_AT, TEXT_AT);
}
