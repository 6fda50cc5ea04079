/**
 * Tells which structures of LLARP v0 bytes hold, for a person. A file of router contacts may hold a list of them, and
 * may end with a line feed, as the bootstrap files of Lokinet do.
 */
import { decode } from '../bencode/decode.js';
import { encode } from '../bencode/encode.js';
import { isDict, type BDict, type BencodeLimits, type BValue } from '../bencode/value.js';
import { lokiHost, snodeHost } from '../protocol/loki-address.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import type { Field } from './codec/field.js';
import { shortHash } from './crypto.js';
import { DHT_MESSAGE } from './dht-messages.js';
import { LINK_MESSAGE } from './link-messages.js';
import { HIDDEN_SERVICE_DATA, HIDDEN_SERVICE_FRAME, ROUTING_MESSAGE } from './routing-messages.js';
import { isSignedBy } from './signed.js';
import { STATE_MESSAGE } from './state-messages.js';
import * as structures from './structures.js';

/** Largest file of structures. */
export const MAX_FILE_BYTES = 16_777_216;
const FILE_LIMITS: BencodeLimits = { bytes: MAX_FILE_BYTES, depth: 12, parts: 1_000_000 };
const LINE_FEED = 0x0a;

/** A value as JSON has it: bytes are hexadecimal, numbers above 2^53 are text. */
export type Shown =
  string | number | boolean | readonly Shown[] | { readonly [property: string]: Shown };

/** One structure. */
export interface Inspection {
  /** `RC`, `LRUM`; messages have the name of their kind. */
  readonly structure: string;
  /** What was read, for a person. */
  readonly value: Shown;
  /** What follows from it: addresses, and whether a signature is right. */
  readonly remarks: readonly string[];
}

/** A codec, and what a person should know about a value of it. */
interface Candidate {
  readonly name: string;
  inspect(value: BValue): Parsed<Inspection>;
  /** Number of keys that the codec does not know. */
  unknown(value: BValue): number;
}

function candidate<T extends object>(
  name: string,
  field: Field<T>,
  remarks: (value: T) => readonly string[] = () => [],
): Candidate {
  const unknownOf = (value: T): number =>
    'unknown' in value && value.unknown instanceof Map ? value.unknown.size : 0;
  return {
    name,
    inspect(value) {
      const read = field.read(value);
      if (!read.ok) return read;
      return ok({ structure: name, value: shown(read.value), remarks: remarks(read.value) });
    },
    unknown(value) {
      const read = field.read(value);
      return read.ok ? unknownOf(read.value) : Infinity;
    },
  };
}

function signatureText(isRight: boolean): string {
  return isRight ? 'the signature is right' : 'the signature is wrong';
}

function contactRemarks(contact: structures.RouterContact): readonly string[] {
  return [
    `address: ${snodeHost(contact.signingKey)}`,
    `signed at ${timeText(contact.time)}`,
    signatureText(isSignedBy(structures.ROUTER_CONTACT, contact, contact.signingKey)),
  ];
}

function serviceRemarks(info: structures.ServiceInfo): readonly string[] {
  const text = encode(structures.SERVICE_INFO.write(info));
  return [
    `address of the deployed network: ${lokiHost(info.signingKey)}`,
    `address by the document: ${lokiHost(shortHash(text))}`,
  ];
}

function introsetRemarks(introset: structures.Introset): readonly string[] {
  const { signingKey } = introset.publisher;
  return [
    ...serviceRemarks(introset.publisher),
    `published at ${timeText(introset.published)}`,
    signatureText(isSignedBy(structures.INTROSET, introset, signingKey)),
  ];
}

function timeText(ms: bigint): string {
  const isDate = ms <= 8_640_000_000_000_000n;
  return isDate ? new Date(Number(ms)).toISOString() : `${ms} ms after 1970`;
}

/** Messages first, since their tag tells them. */
const CANDIDATES: readonly Candidate[] = [
  candidate('link message', LINK_MESSAGE),
  candidate('routing message', ROUTING_MESSAGE),
  candidate('DHT message', DHT_MESSAGE),
  candidate('HSF', HIDDEN_SERVICE_FRAME),
  candidate('state message', STATE_MESSAGE),
  candidate('RC', structures.ROUTER_CONTACT, contactRemarks),
  candidate('IS', structures.INTROSET, introsetRemarks),
  candidate('LRCR', structures.RELAY_RECORD),
  candidate('HSD', HIDDEN_SERVICE_DATA),
  candidate('AI', structures.ADDRESS_INFO),
  candidate('XI', structures.EXIT_INFO),
  candidate('XR', structures.EXIT_ROUTE),
  candidate('I', structures.INTRODUCTION),
  candidate('SI', structures.SERVICE_INFO, serviceRemarks),
  candidate('PoW', structures.PROOF_OF_WORK),
  candidate('TP', structures.TRAFFIC_POLICY),
];

function isText(bytes: Uint8Array): boolean {
  return bytes.length > 0 && bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
}

function shown(value: unknown): Shown {
  if (typeof value === 'bigint') {
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value);
  }
  if (typeof value === 'boolean' || typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(shown);
  if (value instanceof Map) {
    const entries = [...value].map(([key, item]) => [shownKey(String(key)), shown(item)] as const);
    return Object.fromEntries(entries);
  }
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shown(item)]));
}

/** The key of a dictionary: its text, or its bytes as hexadecimal. */
function shownKey(key: string): string {
  const bytes = Buffer.from(key, 'latin1');
  return isText(bytes) ? key : bytes.toString('hex');
}

function inspectDict(dict: BDict): Parsed<Inspection> {
  const found = CANDIDATES.filter((each) => each.inspect(dict).ok);
  const unknowns = found.map((each) => each.unknown(dict));
  const best = found[unknowns.indexOf(Math.min(...unknowns))];
  if (best) return best.inspect(dict);
  const keys = [...dict.keys()].map(shownKey).join(' ');
  return fail(`no structure of LLARP v0 has the keys ${keys}`);
}

/** The structures of a file: one, or a list of them. */
export function inspectLlarp(bytes: Uint8Array): Parsed<readonly Inspection[]> {
  const content = bytes.at(-1) === LINE_FEED ? bytes.subarray(0, -1) : bytes;
  const decoded = decode(content, FILE_LIMITS);
  if (!decoded.ok) return fail(`not canonical bencode: ${decoded.reason}`);
  const values: readonly BValue[] = Array.isArray(decoded.value) ? decoded.value : [decoded.value];
  const inspections: Inspection[] = [];
  for (const [i, value] of values.entries()) {
    const inspection = isDict(value) ? inspectDict(value) : fail('not a dictionary');
    if (!inspection.ok) return fail(`structure ${i + 1}: ${inspection.reason}`);
    inspections.push(inspection.value);
  }
  return ok(inspections);
}
