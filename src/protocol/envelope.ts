/**
 * The JSON object of one line (docs/protocol.md, section 1): `{"type": integer, "line": string}`.
 */
import { MAX_SENT_LINE_BYTES } from './constants.js';
import { hasTooManyParts } from './json-parts.js';
import { fail, ok, type Parsed } from './result.js';

/** One line of the protocol (docs/protocol.md, section 1.1): a number and a text. */
export interface Envelope {
  /** Any integer. Receivers ignore unknown numbers (section 2). */
  readonly type: number;
  /** The payload; for a handshake this is JSON text. */
  readonly line: string;
}

/** Why a line is not an envelope. */
export type EnvelopeFault =
  'not-utf8' | 'not-json' | 'not-object' | 'too-many-parts' | 'type' | 'line';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Decodes one line without its terminator. Accepts blanks around the object and further keys, if the
 * whole text has at most 100 members, items and levels.
 */
export function decodeEnvelope(bytes: Uint8Array): Parsed<Envelope, EnvelopeFault> {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return fail('not-utf8');
  }
  if (hasTooManyParts(text)) return fail('too-many-parts');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('not-json');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fail('not-object');
  const { type, line } = value as { type?: unknown; line?: unknown };
  if (typeof type !== 'number' || !Number.isSafeInteger(type)) return fail('type');
  if (typeof line !== 'string') return fail('line');
  return ok({ type, line });
}

// Everything but printable ASCII is escaped, as Python does.
const NOT_PRINTABLE_ASCII = /[^ -~]/g;

/** A JSON string literal in pure ASCII, byte for byte what Python's `json.dumps` writes. */
export function asciiJsonString(text: string): string {
  return JSON.stringify(text).replace(
    NOT_PRINTABLE_ASCII,
    (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'),
  );
}

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/**
 * JSON text in pure ASCII with one blank after `:` and `,`, byte for byte what Python's `json.dumps`
 * writes.
 */
export function asciiJson(value: Json): string {
  if (typeof value === 'string') return asciiJsonString(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(asciiJson).join(', ')}]`;
  const members = Object.entries(value).map(([k, v]) => `${asciiJsonString(k)}: ${asciiJson(v)}`);
  return `{${members.join(', ')}}`;
}

function isArray(value: object): value is readonly Json[] {
  return Array.isArray(value);
}

/**
 * One line to send, CRLF included, in pure ASCII: its length is its size in bytes. When the payload
 * comes from elsewhere, the caller checks its size (`fitsOneLine`).
 */
export function encodeEnvelope(type: number, line: string): string {
  return `{"type": ${type}, "line": ${asciiJsonString(line)}}\r\n`;
}

/** Whether an encoded line may be sent: at most 39,998 bytes and CRLF (section 1.2). */
export function fitsOneLine(encoded: string): boolean {
  return encoded.length <= MAX_SENT_LINE_BYTES + 2;
}
