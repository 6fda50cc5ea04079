/**
 * Peer lists, type 789 (docs/protocol.md, sections 5.2 and 5.3).
 */
import { MAX_SENT_LINE_BYTES, PEERLIST_CHUNK_ENTRIES } from './constants.js';
import { asciiJsonString } from './envelope.js';
import {
  formatLocation,
  NOT_SERVING,
  parseDeclaredLocation,
  type DeclaredLocation,
} from './location.js';
import { isRoutableNick } from './nick.js';

/** One peer of a list. */
export interface PeerEntry {
  /** The peer's nick. */
  readonly nick: string;
  /** The declared location. For a peer that left, `not-serving` when its text is not a location. */
  readonly location: DeclaredLocation;
  /** The peer left (`;D`). */
  readonly left: boolean;
  /** Names advertised as `true` in the peer's handshake, sorted. Empty when the list has no `;F:`. */
  readonly features: readonly string[];
}

/** The content of a 789. */
export interface Peerlist {
  /** The valid entries, in order. */
  readonly entries: readonly PeerEntry[];
  /** Entries dropped because the nick, or the location of a peer that did not leave, is not valid. */
  readonly malformed: number;
}

const FEATURE = /^[a-z0-9_]{1,64}$/;
const MAX_FEATURES = 32;

/** Whether a feature name contains no separator. */
export function isFeatureName(text: string): boolean {
  return FEATURE.test(text);
}

function parseEntry(text: string): PeerEntry | undefined {
  const [nick, locationText, ...rest] = text.split(';');
  if (nick === undefined || locationText === undefined || !isRoutableNick(nick)) return undefined;
  const left = rest.includes('D');
  const location = parseDeclaredLocation(locationText);
  // Original directories accept locations that cannot be dialled (quirk Q11). The leave of such a nick
  // still counts.
  if (!location.ok && !left) return undefined;
  const listed = rest.find((field) => field.startsWith('F:'))?.slice(2) ?? '';
  const features = listed.split('+').filter(isFeatureName).slice(0, MAX_FEATURES).toSorted();
  return { nick, location: location.ok ? location.value : NOT_SERVING, left, features };
}

/**
 * Reads every grammar in use: `;D` and `;F:` in any order, an empty payload. Skips unknown fields.
 * Drops invalid entries and counts them.
 */
export function parsePeerlist(payload: string): Peerlist {
  if (payload === '') return { entries: [], malformed: 0 };
  const entries: PeerEntry[] = [];
  let malformed = 0;
  for (const text of payload.split(',')) {
    const entry = parseEntry(text.trim());
    if (entry) entries.push(entry);
    else malformed++;
  }
  return { entries, malformed };
}

/**
 * One entry. `;F:` is written only on request, since original clients skip entries with it (quirk Q5),
 * and never together with `;D`.
 */
export function formatPeerEntry(entry: PeerEntry, withFeatures: boolean): string {
  const base = `${entry.nick};${formatLocation(entry.location)}`;
  if (entry.left) return base + ';D';
  if (!withFeatures || entry.features.length === 0) return base;
  return `${base};F:${entry.features.toSorted().join('+')}`;
}

/** Room for `{"type": 789, "line": ""}` around the payload. */
const ENVELOPE_BYTES = 64;

/** Bytes of an entry inside the envelope. A nick may contain `"` and `\`, which take two bytes each. */
function encodedBytes(entry: string): number {
  return asciiJsonString(entry).length - 2;
}

/**
 * Joins formatted entries into payloads of at most `maxEntries` entries that fit one line each. No
 * entries give no payload.
 */
export function joinPeerEntries(
  entries: readonly string[],
  maxEntries: number = PEERLIST_CHUNK_ENTRIES,
): string[] {
  const payloads: string[] = [];
  let chunk: string[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const size = encodedBytes(entry) + 1;
    if (
      chunk.length === maxEntries ||
      (chunk.length > 0 && bytes + size > MAX_SENT_LINE_BYTES - ENVELOPE_BYTES)
    ) {
      payloads.push(chunk.join(','));
      chunk = [];
      bytes = 0;
    }
    chunk.push(entry);
    bytes += size;
  }
  if (chunk.length > 0) payloads.push(chunk.join(','));
  return payloads;
}
