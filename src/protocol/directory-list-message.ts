/**
 * Types 841 and 843: a peer asks a directory for the signed list of directories, in chunks
 * (docs/protocol.md, section 5.4). Both sides list the feature `directory_list`. Nothing here is verified.
 */
import { base64 } from '@scure/base';
import { decodeBase64 } from './base64-text.js';
import { fail, ok, type Parsed } from './result.js';

/** The feature that both handshakes list. */
export const DIRECTORY_LIST_FEATURE = 'directory_list';

/** Bytes of each chunk of a document but the last: a line of it has about 32,100 bytes. */
export const LIST_CHUNK_BYTES = 24_000;
/** Most bytes of a document, as in docs/directory-lists.md. */
export const MAX_LIST_DOCUMENT_BYTES = 524_288;
const MAX_CHUNKS = Math.ceil(MAX_LIST_DOCUMENT_BYTES / LIST_CHUNK_BYTES);
const MAX_CHUNK_CHARS = 4 * Math.ceil(LIST_CHUNK_BYTES / 3);
/** The longest payload: an offer with the hashes of all chunks has fewer characters than a chunk. */
const MAX_PAYLOAD_CHARS = MAX_CHUNK_CHARS + 200;
const HASH = /^[0-9a-f]{64}$/;
const NO_HASH = '-';

/** The payload of 841. */
export type ListRequest =
  /** Asks for a list other than this one; sequence 0 and no hash: for any. */
  | { readonly kind: 'have'; readonly sequence: number; readonly hash: string | undefined }
  /** Asks for one chunk of a document that was offered. */
  | { readonly kind: 'chunk'; readonly document: string; readonly index: number };

/** A document that the directory has. */
export interface ListOffer {
  readonly sequence: number;
  /** The hash of the list, which does not depend on who signed it. */
  readonly hash: string;
  /** SHA-256 of the document. */
  readonly document: string;
  readonly bytes: number;
  /** SHA-256 of each chunk. */
  readonly chunks: readonly string[];
}

/** The payload of 843. */
export type ListAnswer =
  /** It has no list that is newer. */
  | { readonly kind: 'none' }
  /** It has no time now, or no such document: ask again later. */
  | { readonly kind: 'busy' }
  | ({ readonly kind: 'offer' } & ListOffer)
  | {
      readonly kind: 'chunk';
      readonly document: string;
      readonly index: number;
      readonly bytes: Uint8Array;
    };

/** Why a payload of 841 or 843 is not valid. */
export type ListMessageFault = 'list-message-size' | 'list-message-words' | 'list-message-values';

function wholeNumber(text: string | undefined, most: number): number | undefined {
  if (text === undefined || !/^(0|[1-9]\d{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= most ? value : undefined;
}

function isHash(text: string | undefined): text is string {
  return text !== undefined && HASH.test(text);
}

/** The number of chunks of a document. */
export function chunkCount(bytes: number): number {
  return Math.ceil(bytes / LIST_CHUNK_BYTES);
}

export function formatListRequest(request: ListRequest): string {
  if (request.kind === 'have') return `have ${request.sequence} ${request.hash ?? NO_HASH}`;
  return `chunk ${request.document} ${request.index}`;
}

export function parseListRequest(payload: string): Parsed<ListRequest, ListMessageFault> {
  if (payload.length > 200) return fail('list-message-size');
  const [kind, first, second, ...more] = payload.split(' ');
  if (more.length > 0 || second === undefined) return fail('list-message-words');
  if (kind === 'have') {
    const sequence = wholeNumber(first, Number.MAX_SAFE_INTEGER);
    if (sequence === undefined) return fail('list-message-values');
    if (second === NO_HASH && sequence === 0) return ok({ kind, sequence, hash: undefined });
    return isHash(second) && sequence > 0
      ? ok({ kind, sequence, hash: second })
      : fail('list-message-values');
  }
  if (kind !== 'chunk') return fail('list-message-words');
  const index = wholeNumber(second, MAX_CHUNKS - 1);
  return isHash(first) && index !== undefined
    ? ok({ kind, document: first, index })
    : fail('list-message-values');
}

export function formatListAnswer(answer: ListAnswer): string {
  switch (answer.kind) {
    case 'none':
    case 'busy':
      return answer.kind;
    case 'offer': {
      const { sequence, hash, document, bytes, chunks } = answer;
      return `offer ${sequence} ${hash} ${document} ${bytes} ${chunks.join(',')}`;
    }
    case 'chunk':
      return `chunk ${answer.document} ${answer.index} ${base64.encode(answer.bytes)}`;
  }
}

function parseOffer(words: readonly string[]): Parsed<ListAnswer, ListMessageFault> {
  const [first, hash, document, size, hashes = ''] = words;
  const sequence = wholeNumber(first, Number.MAX_SAFE_INTEGER);
  const bytes = wholeNumber(size, MAX_LIST_DOCUMENT_BYTES);
  if (sequence === undefined || sequence === 0 || bytes === undefined || bytes === 0) {
    return fail('list-message-values');
  }
  if (!isHash(hash) || !isHash(document)) return fail('list-message-values');
  const chunks = hashes.split(',');
  if (chunks.length !== chunkCount(bytes) || !chunks.every(isHash)) {
    return fail('list-message-values');
  }
  return ok({ kind: 'offer', sequence, hash, document, bytes, chunks });
}

function parseChunk(words: readonly string[]): Parsed<ListAnswer, ListMessageFault> {
  const [document, second, text = ''] = words;
  const index = wholeNumber(second, MAX_CHUNKS - 1);
  const bytes = decodeBase64(text, MAX_CHUNK_CHARS);
  if (!isHash(document) || index === undefined || bytes === undefined) {
    return fail('list-message-values');
  }
  if (bytes.length === 0 || base64.encode(bytes) !== text) return fail('list-message-values');
  return ok({ kind: 'chunk', document, index, bytes });
}

export function parseListAnswer(payload: string): Parsed<ListAnswer, ListMessageFault> {
  if (payload.length > MAX_PAYLOAD_CHARS) return fail('list-message-size');
  const [kind, ...words] = payload.split(' ');
  if ((kind === 'none' || kind === 'busy') && words.length === 0) return ok({ kind });
  if (kind === 'offer' && words.length === 5) return parseOffer(words);
  if (kind === 'chunk' && words.length === 3) return parseChunk(words);
  return fail('list-message-words');
}
