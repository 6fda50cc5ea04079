/** One code as it is stored, without the code itself, and the file of all codes as JSON. Pure. */
import { isRecord, parseRecord, type JsonRecord } from '../kit/json-record.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { isCodeId } from './code-text.js';

/** `made`: 128 random bits, kept as a keyed hash. `chosen`: a person chose it, kept as scrypt. */
export type CodeKind = 'made' | 'chosen';

/** What limits a code. Times are Unix milliseconds; undefined = no limit. */
export interface CodeTerms {
  readonly notBefore?: number | undefined;
  readonly notAfter?: number | undefined;
  /** The only addresses that may use it; empty = any. In lower case. */
  readonly addresses: readonly string[];
  /** Most sessions ever. */
  readonly maxUses?: number | undefined;
  /** Most sessions at a time. */
  readonly maxConcurrent?: number | undefined;
  /** Most requests in a minute. */
  readonly perMinute?: number | undefined;
}

export interface CodeRecord extends CodeTerms {
  readonly id: string;
  readonly kind: CodeKind;
  /** For a person; may be empty. */
  readonly name: string;
  /** 64 hex digits. */
  readonly hash: string;
  readonly created: number;
  readonly revoked?: number | undefined;
}

/** The content of a code file. */
export interface CodeFileContent {
  /** Of the keyed hash; 32 bytes. */
  readonly key: Uint8Array;
  /** Of scrypt, the same for all chosen codes, so that one run finds the code; 16 bytes. */
  readonly salt: Uint8Array;
  readonly codes: readonly CodeRecord[];
}

export const MAX_CODES = 10_000;
export const MAX_ADDRESSES = 16;
export const MAX_NAME_CHARS = 64;
export const MAX_ADDRESS_CHARS = 128;

/** Why a text is not a code file. */
export type CodeFileFault =
  | 'json'
  | 'version'
  | 'key'
  | 'codes'
  | 'too-many'
  | 'id'
  | 'kind'
  | 'name'
  | 'hash'
  | 'number'
  | 'addresses'
  | 'twice';

/** Caught in this file. */
class Fault extends Error {
  constructor(readonly fault: CodeFileFault) {
    super(fault);
  }
}

function bytesOf(value: unknown, length: number): Uint8Array {
  if (typeof value !== 'string' || value.length > 100) throw new Fault('key');
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length !== length || bytes.toString('base64') !== value) throw new Fault('key');
  return bytes;
}

function numberOf(value: unknown, least: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) {
    throw new Fault('number');
  }
  return value;
}

function optional(value: unknown, least: number): number | undefined {
  return value === undefined ? undefined : numberOf(value, least);
}

/** Whether a text can name a client: printable ASCII without blanks. */
export function isAddress(text: string): boolean {
  return text.length <= MAX_ADDRESS_CHARS && /^[\x21-\x7e]+$/.test(text);
}

/** The form in which addresses are compared: nicks keep their case, hosts have none. */
export function addressForm(address: string): string {
  return address.includes('.') ? address.toLowerCase() : address;
}

function addressesOf(value: unknown): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > MAX_ADDRESSES) throw new Fault('addresses');
  return value.map((address: unknown) => {
    if (typeof address !== 'string' || !isAddress(address)) throw new Fault('addresses');
    return addressForm(address);
  });
}

function textOf(fields: JsonRecord, key: string, pattern: RegExp, fault: CodeFileFault): string {
  const value = fields[key];
  if (typeof value !== 'string' || !pattern.test(value)) throw new Fault(fault);
  return value;
}

function recordFrom(value: unknown): CodeRecord {
  if (!isRecord(value)) throw new Fault('codes');
  const { kind } = value;
  const id = textOf(value, 'id', /^.{8}$/, 'id');
  if (!isCodeId(id)) throw new Fault('id');
  if (kind !== 'made' && kind !== 'chosen') throw new Fault('kind');
  return {
    id,
    kind,
    // oxlint-disable-next-line no-control-regex -- names are printed
    name: textOf(value, 'name', /^[^\0-\x1f\x7f-\x9f]{0,64}$/, 'name'),
    hash: textOf(value, 'hash', /^[0-9a-f]{64}$/, 'hash'),
    created: numberOf(value['created'], 0),
    revoked: optional(value['revoked'], 0),
    notBefore: optional(value['notBefore'], 0),
    notAfter: optional(value['notAfter'], 0),
    addresses: addressesOf(value['addresses']),
    maxUses: optional(value['maxUses'], 1),
    maxConcurrent: optional(value['maxConcurrent'], 1),
    perMinute: optional(value['perMinute'], 1),
  };
}

/** Reads a code file. Unknown fields are ignored. Never throws. */
export function parseCodeFile(text: string): Parsed<CodeFileContent, CodeFileFault> {
  const json = parseRecord(text);
  if (!json) return fail('json');
  if (json['version'] !== 1) return fail('version');
  const list = json['codes'];
  if (!Array.isArray(list)) return fail('codes');
  if (list.length > MAX_CODES) return fail('too-many');
  try {
    const codes = list.map(recordFrom);
    if (new Set(codes.map(({ id }) => id)).size !== codes.length) return fail('twice');
    return ok({ key: bytesOf(json['key'], 32), salt: bytesOf(json['salt'], 16), codes });
  } catch (error) {
    if (error instanceof Fault) return fail(error.fault);
    throw error;
  }
}

/** The text of a code file. */
export function formatCodeFile({ key, salt, codes }: CodeFileContent): string {
  const head = {
    version: 1,
    key: Buffer.from(key).toString('base64'),
    salt: Buffer.from(salt).toString('base64'),
  };
  return `${JSON.stringify({ ...head, codes }, undefined, 2)}\n`;
}
