/**
 * The records that nodes send each other, as short JSON objects. They come from another machine, perhaps one
 * that is no longer ours, so each is read into a typed value. A record of an unknown type and unknown fields
 * are ignored: another node may have a later version.
 */
import { isRecord, type JsonRecord } from '../kit/json-record.js';
import { formatCarriedProof, parseCarriedProof, type CarriedProof } from '../protocol/nick-auth.js';
import { isFeatureName } from '../protocol/peerlist.js';
import { isRoutableNick } from '../protocol/nick.js';
import { ownText } from '../protocol/own-text.js';
import { formatFacts, parseFacts, type NodeFacts } from './facts.js';
import type { PlacesStatement } from './places.js';

/** A peer as its node announces it. */
export interface Entry {
  readonly nick: string;
  /** As declared: `host:port`, or `NOT-SERVING-ONION`. */
  readonly location: string;
  /** Sorted. */
  readonly features: readonly string[];
  /** Among the connections of one peer to several nodes, the lowest speaks. */
  readonly rank: number;
  /** Milliseconds since its connection was accepted. */
  readonly ageMs: number;
  /** The key of its nick, if proved; 66 hex digits. */
  readonly key: string | undefined;
  /** The proof of that key, as the peer gave it to its node; verified only where it decides. */
  readonly proof: CarriedProof | undefined;
}

export type ClusterRecord =
  /** Sent every second: number and digest of the announced peers, demand for the budgets, version, facts. */
  | {
      readonly type: 'beat';
      readonly count: number;
      readonly digest: string;
      readonly demand: readonly [deliveries: number, requests: number];
      readonly version: string;
      readonly facts: NodeFacts;
      /** Undefined: of an earlier version. */
      readonly places: PlacesStatement | undefined;
    }
  /** The node stops. */
  | { readonly type: 'bye' }
  | { readonly type: 'join'; readonly entry: Entry }
  | { readonly type: 'leave'; readonly nick: string }
  /** A public message that is relayed now. */
  | { readonly type: 'public'; readonly payload: string }
  /** A private message for a peer of the addressed node. */
  | { readonly type: 'private'; readonly payload: string }
  | { readonly type: 'undelivered'; readonly from: string; readonly to: string }
  /** A question that only a living node can answer, see `inbox.ts`. */
  | { readonly type: 'ask'; readonly nonce: string }
  /** The answer; `seq` is the number of the last packet to all. */
  | { readonly type: 'prove'; readonly nonce: string; readonly seq: number }
  /** Asks for a snapshot; the last one asked for counts. */
  | { readonly type: 'want'; readonly id: number }
  | {
      readonly type: 'chunk';
      readonly id: number;
      readonly index: number;
      readonly total: number;
      readonly entries: readonly Entry[];
    }
  | {
      readonly type: 'claim';
      readonly nick: string;
      readonly location: string;
      readonly key: string | undefined;
    }
  | { readonly type: 'unclaim'; readonly nick: string }
  | { readonly type: 'answer'; readonly nick: string; readonly granted: boolean }
  /** The peer of the addressed node loses its nick to the one of the sender. */
  | { readonly type: 'yield'; readonly nick: string }
  /** A peer speaks to the sender, and its node publishes nothing of it: does the connection live? */
  | { readonly type: 'probe'; readonly nick: string }
  /** The sender wants to hold more places; `isShort`: the receiver gives back what it does not use. */
  | { readonly type: 'reserve'; readonly clock: number; readonly isShort: boolean }
  /** The answer to the question of that clock. */
  | { readonly type: 'reserved'; readonly clock: number; readonly held: number };

/** Longest payload: a line of the protocol. */
const MAX_PAYLOAD_CHARS = 40_000;
const MAX_LOCATION_CHARS = 320;
const MAX_FEATURES = 1_024;
const MAX_FEATURE_CHARS = 1_024;
const MAX_VERSION_CHARS = 64;
/** Highest rank; a node that states more cannot make those of others unreadable. */
export const MAX_RANK = 1_000_000;
/** More than any node has. */
const MAX_CHUNKS = 10_000;
/** A digit pattern of 66 hex digits. */
const KEY = /^0[23][0-9a-f]{64}$/;
const HEX = /^[0-9a-f]{1,64}$/;

/** A field is invalid; caught in this file. */
class Fault extends Error {}

function textOf(value: unknown, longest: number): string {
  if (typeof value !== 'string' || value.length > longest) throw new Fault();
  return value;
}

function nickOf(value: unknown): string {
  const nick = textOf(value, 64);
  if (!isRoutableNick(nick)) throw new Fault();
  return ownText(nick);
}

function hexOf(value: unknown): string {
  const text = textOf(value, 64);
  if (!HEX.test(text)) throw new Fault();
  return ownText(text);
}

function countOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Fault();
  return value;
}

/** Never negative, and finite. */
function amountOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw new Fault();
  return value;
}

function locationOf(value: unknown): string {
  const text = textOf(value, MAX_LOCATION_CHARS);
  if (!/^[!-~]+$/.test(text) || /[;,!+]/.test(text)) throw new Fault();
  return ownText(text);
}

function keyOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const text = textOf(value, 66);
  if (!KEY.test(text)) throw new Fault();
  return ownText(text);
}

function featureOf(value: unknown): string {
  const name = textOf(value, MAX_FEATURE_CHARS);
  if (!isFeatureName(name)) throw new Fault();
  return ownText(name);
}

function featuresOf(value: unknown): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > MAX_FEATURES) throw new Fault();
  return value.map(featureOf);
}

function entryOf(value: unknown): Entry {
  if (!isRecord(value)) throw new Fault();
  const key = keyOf(value['k']);
  return {
    nick: nickOf(value['n']),
    location: locationOf(value['l']),
    features: featuresOf(value['f']),
    rank: Math.min(MAX_RANK, countOf(value['r'] ?? 0)),
    ageMs: Math.round(amountOf(value['a'])),
    key,
    // One that cannot be read is none: the key counts as not proved.
    proof: key === undefined ? undefined : parseCarriedProof(value['p']),
  };
}

function entriesOf(value: unknown): readonly Entry[] {
  if (!Array.isArray(value)) throw new Fault();
  return value.map(entryOf);
}

function demandOf(value: unknown): readonly [number, number] {
  if (!Array.isArray(value)) throw new Fault();
  return [amountOf(value[0]), amountOf(value[1])];
}

function placesOf(value: unknown): PlacesStatement | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw new Fault();
  return { held: countOf(value[0]), clock: countOf(value[1]) };
}

function booleanOf(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Fault();
  return value;
}

/** One reader for each letter on the bus. */
const READERS: Readonly<Record<string, (fields: JsonRecord) => ClusterRecord>> = {
  b: (fields) => ({
    type: 'beat',
    count: countOf(fields['n']),
    digest: hexOf(fields['h']),
    demand: demandOf(fields['d']),
    version: textOf(fields['v'], MAX_VERSION_CHARS),
    facts: parseFacts(fields),
    places: placesOf(fields['g']),
  }),
  q: () => ({ type: 'bye' }),
  j: (fields) => ({ type: 'join', entry: entryOf(fields['e']) }),
  l: (fields) => ({ type: 'leave', nick: nickOf(fields['n']) }),
  m: (fields) => ({ type: 'public', payload: textOf(fields['p'], MAX_PAYLOAD_CHARS) }),
  p: (fields) => ({ type: 'private', payload: textOf(fields['p'], MAX_PAYLOAD_CHARS) }),
  u: (fields) => ({ type: 'undelivered', from: nickOf(fields['f']), to: nickOf(fields['o']) }),
  n: (fields) => ({ type: 'ask', nonce: hexOf(fields['x']) }),
  o: (fields) => ({ type: 'prove', nonce: hexOf(fields['x']), seq: countOf(fields['s']) }),
  w: (fields) => ({ type: 'want', id: countOf(fields['i']) }),
  s(fields) {
    const [index, total] = [countOf(fields['k']), countOf(fields['z'])];
    if (total === 0 || total > MAX_CHUNKS || index >= total) throw new Fault();
    return {
      type: 'chunk',
      id: countOf(fields['i']),
      index,
      total,
      entries: entriesOf(fields['e']),
    };
  },
  c: (fields) => ({
    type: 'claim',
    nick: nickOf(fields['n']),
    location: locationOf(fields['l']),
    key: keyOf(fields['k']),
  }),
  x: (fields) => ({ type: 'unclaim', nick: nickOf(fields['n']) }),
  a: (fields) => ({ type: 'answer', nick: nickOf(fields['n']), granted: booleanOf(fields['g']) }),
  y: (fields) => ({ type: 'yield', nick: nickOf(fields['n']) }),
  r: (fields) => ({ type: 'probe', nick: nickOf(fields['n']) }),
  g: (fields) => ({
    type: 'reserve',
    clock: countOf(fields['k']),
    isShort: booleanOf(fields['h'] ?? false),
  }),
  h: (fields) => ({ type: 'reserved', clock: countOf(fields['k']), held: countOf(fields['g']) }),
};

/**
 * Reads a record. `unknown`: of a type that this program does not know; undefined: it cannot be read. Never
 * throws.
 */
export function parseClusterRecord(value: unknown): ClusterRecord | 'unknown' | undefined {
  if (!isRecord(value)) return undefined;
  const { t: letter } = value;
  if (typeof letter !== 'string') return undefined;
  const read = Object.hasOwn(READERS, letter) ? READERS[letter] : undefined;
  if (!read) return 'unknown';
  try {
    return read(value);
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

/** The JSON of an entry, for `parseClusterRecord` and for another process. */
export function formatEntry(entry: Entry): JsonRecord {
  const { nick, location, features, rank, ageMs, key, proof } = entry;
  return {
    n: nick,
    l: location,
    ...(features.length > 0 ? { f: features } : {}),
    ...(rank > 0 ? { r: rank } : {}),
    a: Math.max(0, Math.round(ageMs)),
    ...(key === undefined ? {} : { k: key }),
    ...(proof ? { p: formatCarriedProof(proof) } : {}),
  };
}

/** The entry in the JSON of `formatEntry`; undefined when it cannot be read. */
export function parseEntry(value: unknown): Entry | undefined {
  const record = parseClusterRecord({ t: 'j', e: value });
  return typeof record === 'object' && record.type === 'join' ? record.entry : undefined;
}

/** The JSON of a record, for `parseClusterRecord`. */
export function formatClusterRecord(record: ClusterRecord): JsonRecord {
  switch (record.type) {
    case 'beat': {
      const { count, digest, demand, version, facts, places } = record;
      const held = places ? { g: [places.held, places.clock] } : {};
      return { t: 'b', n: count, h: digest, d: demand, v: version, ...held, ...formatFacts(facts) };
    }
    case 'bye':
      return { t: 'q' };
    case 'join':
      return { t: 'j', e: formatEntry(record.entry) };
    case 'leave':
      return { t: 'l', n: record.nick };
    case 'public':
      return { t: 'm', p: record.payload };
    case 'private':
      return { t: 'p', p: record.payload };
    case 'undelivered':
      return { t: 'u', f: record.from, o: record.to };
    case 'ask':
      return { t: 'n', x: record.nonce };
    case 'prove':
      return { t: 'o', x: record.nonce, s: record.seq };
    case 'want':
      return { t: 'w', i: record.id };
    case 'chunk': {
      const { id, index, total, entries } = record;
      return { t: 's', i: id, k: index, z: total, e: entries.map(formatEntry) };
    }
    case 'claim': {
      const { nick, location, key } = record;
      return { t: 'c', n: nick, l: location, ...(key === undefined ? {} : { k: key }) };
    }
    case 'unclaim':
      return { t: 'x', n: record.nick };
    case 'answer':
      return { t: 'a', n: record.nick, g: record.granted };
    case 'yield':
      return { t: 'y', n: record.nick };
    case 'probe':
      return { t: 'r', n: record.nick };
    case 'reserve':
      return { t: 'g', k: record.clock, ...(record.isShort ? { h: true } : {}) };
    case 'reserved':
      return { t: 'h', k: record.clock, g: record.held };
  }
}
