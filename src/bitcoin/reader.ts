/** Reads bitcoin's serialization. Nothing is read behind the end, and no length is believed beforehand. */

/** The bytes end too early, or a length is not in its shortest form. Internal: no parser lets it out. */
export class FormError extends Error {
  override readonly name = 'FormError';
}

/** A place in bytes that moves forward. Every method throws a `FormError` behind the end. */
export class Reader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
  }

  /** Number of bytes that are left. */
  get left(): number {
    return this.bytes.length - this.at;
  }

  /** Moves over `length` bytes, and answers where they begin. */
  skip(length: number): number {
    const from = this.at;
    if (length > this.bytes.length - from) throw new FormError('the end is missing');
    this.at = from + length;
    return from;
  }

  /** A view of the next `length` bytes, not a copy. */
  take(length: number): Uint8Array {
    const from = this.skip(length);
    return this.bytes.subarray(from, from + length);
  }

  u8(): number {
    return this.#view.getUint8(this.skip(1));
  }

  u32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  /** Throws for an integer above 2^53 - 1 too. */
  u64(): number {
    const from = this.skip(8);
    const high = this.#view.getUint32(from + 4, true);
    if (high > 0x1f_ffff) throw new FormError('an integer is too large');
    return high * 0x1_0000_0000 + this.#view.getUint32(from, true);
  }

  /** A length or count in its shortest form, at most the number of bytes that are left. */
  length(): number {
    const first = this.u8();
    let value = first;
    if (first === 0xfd) {
      value = this.#view.getUint16(this.skip(2), true);
      if (value < 0xfd) throw new FormError('a length is not in its shortest form');
    } else if (first === 0xfe) {
      value = this.u32();
      if (value < 0x1_0000) throw new FormError('a length is not in its shortest form');
    } else if (first === 0xff) {
      value = this.u64();
      if (value < 0x1_0000_0000) throw new FormError('a length is not in its shortest form');
    }
    if (value > this.left) throw new FormError('the end is missing');
    return value;
  }
}
