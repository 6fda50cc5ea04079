/** A document as a directory offers it, and as a peer puts it together again. Pure. */
import {
  chunkCount,
  LIST_CHUNK_BYTES,
  type ListOffer,
} from '../protocol/directory-list-message.js';
import { sha256Hex } from './ed25519.js';
import type { AcceptedList } from './verify.js';

/** The offer of a document, and its bytes. */
export interface OfferedDocument {
  readonly offer: ListOffer;
  readonly bytes: Uint8Array;
}

function chunkAt(bytes: Uint8Array, index: number): Uint8Array {
  return bytes.subarray(index * LIST_CHUNK_BYTES, (index + 1) * LIST_CHUNK_BYTES);
}

export function offerDocument(
  bytes: Uint8Array,
  { sequence, hash }: Pick<AcceptedList, 'sequence' | 'hash'>,
): OfferedDocument {
  const chunks = Array.from({ length: chunkCount(bytes.length) }, (_, i) =>
    sha256Hex(chunkAt(bytes, i)),
  );
  const offer = { sequence, hash, document: sha256Hex(bytes), bytes: bytes.length, chunks };
  return { offer, bytes };
}

/** The chunks of an offered document that have arrived, from one directory or several. */
export class ListDownload {
  readonly offer: ListOffer;
  readonly #chunks: (Uint8Array | undefined)[];

  constructor(offer: ListOffer) {
    this.offer = offer;
    this.#chunks = offer.chunks.map(() => undefined);
  }

  /** The first chunk that has not arrived; undefined when all have. */
  get missing(): number | undefined {
    const index = this.#chunks.indexOf(undefined);
    return index === -1 ? undefined : index;
  }

  /** Adds a chunk; false when its bytes are not those that were offered. */
  add(index: number, bytes: Uint8Array): boolean {
    const { chunks, bytes: length } = this.offer;
    const size = Math.min(LIST_CHUNK_BYTES, length - index * LIST_CHUNK_BYTES);
    if (bytes.length !== size || sha256Hex(bytes) !== chunks[index]) return false;
    this.#chunks[index] = Uint8Array.from(bytes);
    return true;
  }

  /** The document; undefined while a chunk is missing, or when its hash is not the offered one. */
  document(): Uint8Array | undefined {
    const whole = new Uint8Array(this.offer.bytes);
    for (const [index, chunk] of this.#chunks.entries()) {
      if (chunk === undefined) return undefined;
      whole.set(chunk, index * LIST_CHUNK_BYTES);
    }
    return sha256Hex(whole) === this.offer.document ? whole : undefined;
  }
}
