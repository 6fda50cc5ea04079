/** Codes, requests and frames that the tests of admission share. */
import { randomBytes } from 'node:crypto';
import type { AdmissionRequest } from '../../src/admission/api.js';
import { CodeBook } from '../../src/admission/backends/code-book.js';
import type { CodeRecord, CodeTerms } from '../../src/admission/code-record.js';
import { codeMac, newCodeId, newCodeText } from '../../src/admission/code-text.js';
import { scryptHash } from '../../src/admission/scrypt-queue.js';
import { memoryUses, type UseCounter } from '../../src/admission/sessions.js';
import { encode } from '../../src/bencode/encode.js';
import type { BValue } from '../../src/bencode/value.js';
import { lokiHost } from '../../src/protocol/loki-address.js';

export const NOW = Date.UTC(2027, 0, 1);
export const KEY = new Uint8Array(32).fill(1);
export const SALT = new Uint8Array(16).fill(2);

/** A code that we make, and its record. */
export function madeCode(terms: Partial<CodeTerms> & { readonly revoked?: number } = {}) {
  const id = newCodeId(randomBytes);
  const text = newCodeText(id, randomBytes);
  const hash = codeMac(KEY, Buffer.from(text)).toString('hex');
  const record: CodeRecord = {
    id,
    kind: 'made',
    name: '',
    hash,
    created: NOW,
    addresses: [],
    ...terms,
  };
  return { id, text, record };
}

export async function chosenCode(text: string): Promise<CodeRecord> {
  const hash = (await scryptHash(Buffer.from(text), SALT)).toString('hex');
  return {
    id: newCodeId(randomBytes),
    kind: 'chosen',
    name: '',
    hash,
    created: NOW,
    addresses: [],
  };
}

export function bookOf(
  codes: readonly CodeRecord[],
  options: { readonly uses?: UseCounter; readonly sessionMs?: number } = {},
): CodeBook {
  return new CodeBook({ key: KEY, salt: SALT, codes }, { uses: memoryUses(), ...options });
}

/** A request of a Lokinet client. */
export function request(
  code: string,
  other: Partial<Omit<AdmissionRequest, 'code'>> = {},
): AdmissionRequest {
  return { door: 'lokinet', address: 'client.loki', now: NOW, ...other, code: Buffer.from(code) };
}

/** The address of the client of `metainfo`. */
export const CLIENT_KEY = new Uint8Array(32).fill(9);
export const CLIENT = lokiHost(CLIENT_KEY);

/** The metainfo of an auth request, as a Lokinet endpoint writes it. */
export function metainfo(more: readonly (readonly [string, BValue])[] = []): Uint8Array {
  return encode(
    new Map<string, BValue>([
      ['a', 4n],
      [
        'i',
        new Map<string, BValue>([
          ['k', new Uint8Array(32).fill(3)],
          ['l', 120n],
          ['p', new Uint8Array(16).fill(4)],
          ['v', 0n],
          ['x', BigInt(NOW)],
        ]),
      ],
      [
        's',
        new Map<string, BValue>([
          ['e', new Uint8Array(32).fill(5)],
          ['s', CLIENT_KEY],
          ['v', 0n],
        ]),
      ],
      ['t', new Uint8Array(16).fill(6)],
      ['v', 0n],
      ...more,
    ]),
  );
}
