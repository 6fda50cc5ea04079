/**
 * Location strings (docs/protocol.md, section 5.1) and v3 onion addresses (section 12.1).
 */
import { sha3_256 } from '@noble/hashes/sha3.js';
import { base32nopad } from '@scure/base';
import { isLoopbackHost } from '../kit/host-name.js';
import { NOT_SERVING_ONION } from './constants.js';
import { isLokinetName, parseLokiName, type LokiFault } from './loki-address.js';
import { fail, ok, type Parsed } from './result.js';

export { isLoopbackHost };

/** A kind that a program adds with an overlay of its own, see `addLocationKind`. */
export type AddedKind = `x-${string}`;

/** The kinds of locations. A location can be dialled only through an overlay that reaches its kind. */
export type LocationKind = 'onion' | 'loki' | 'loopback' | AddedKind;

/** An address that can be dialled. */
export interface Location {
  /** Whether it is a v3 onion, a name of Lokinet, an address of this machine, or of a kind that was added. */
  readonly kind: LocationKind;
  /** The host without port; an onion in lower case with `.onion`, a name of Lokinet with `.loki`. */
  readonly host: string;
  /** The port, 1 to 65,535. */
  readonly port: number;
}

/** The declaration in a peer's handshake: a location, or that it has no location. */
export type DeclaredLocation =
  | Location
  | {
      /** The peer serves no location. */
      readonly kind: 'not-serving';
    };

/** The declaration of a peer without a location. */
export const NOT_SERVING: DeclaredLocation = { kind: 'not-serving' };

/** Why a text is not a location. */
export type LocationFault =
  | 'location-empty'
  | 'location-port'
  | 'location-host'
  /** A dot after `.onion`: Tor takes that for an ordinary name, and exit relays would look it up. */
  | 'onion-dot'
  | 'onion-length'
  | 'onion-alphabet'
  | 'onion-version'
  | 'onion-checksum'
  /** The address of a router of Lokinet, which serves nothing. */
  | 'loki-router'
  | LokiFault;

const ONION_SUFFIX = '.onion';
const ONION_NAME_LENGTH = 56;
const CHECKSUM_PREFIX = new TextEncoder().encode('.onion checksum');
const VERSION_3 = 3;

function checksum(publicKey: Uint8Array): Uint8Array {
  const input = new Uint8Array(CHECKSUM_PREFIX.length + 33);
  input.set(CHECKSUM_PREFIX);
  input.set(publicKey, CHECKSUM_PREFIX.length);
  input[input.length - 1] = VERSION_3;
  return sha3_256(input).subarray(0, 2);
}

/**
 * The v3 onion host name (62 characters, lower case, with `.onion`) of a 32-byte ed25519 public key.
 * Throws a RangeError when the key is not 32 bytes.
 */
export function onionHost(publicKey: Uint8Array): string {
  if (publicKey.length !== 32) {
    throw new RangeError(`an ed25519 public key has 32 bytes, not ${publicKey.length}`);
  }
  const bytes = new Uint8Array(35);
  bytes.set(publicKey);
  bytes.set(checksum(publicKey), 32);
  bytes[34] = VERSION_3;
  return base32nopad.encode(bytes).toLowerCase() + ONION_SUFFIX;
}

/** The 32-byte public key inside a v3 onion host name, checksum and version verified. Lower case only. */
export function parseOnionHost(host: string): Parsed<Uint8Array, LocationFault> {
  if (host.endsWith(`${ONION_SUFFIX}.`)) return fail('onion-dot');
  if (!host.endsWith(ONION_SUFFIX)) return fail('location-host');
  const name = host.slice(0, -ONION_SUFFIX.length);
  if (name.length !== ONION_NAME_LENGTH) return fail('onion-length');
  if (!/^[a-z2-7]+$/.test(name)) return fail('onion-alphabet');
  const bytes = base32nopad.decode(name.toUpperCase());
  if (bytes[34] !== VERSION_3) return fail('onion-version');
  const publicKey = bytes.slice(0, 32);
  const expected = checksum(publicKey);
  if (bytes[32] !== expected[0] || bytes[33] !== expected[1]) return fail('onion-checksum');
  return ok(publicKey);
}

/** One kind of location: how its hosts are read. */
export interface LocationRow {
  /**
   * The host if it is well-formed, the fault if it is of this kind and not well-formed, undefined if it
   * is not of this kind. Never throws.
   */
  readonly read: (host: string) => Parsed<string, LocationFault> | undefined;
  /** Whether several programs serve at one host, each at another port. */
  readonly sharesHost: boolean;
  /** Whether no location of another kind is named over links of this kind, in any direction. */
  readonly isAlone?: boolean;
  /** Whether a peer may declare this host, which `read` accepts, as its own; default: any. */
  readonly isOwnAddress?: (host: string) => boolean;
}

/** The kinds that this package knows. A host belongs to the first row that reads it. */
const KNOWN_ROWS: Readonly<Record<Exclude<LocationKind, AddedKind>, LocationRow>> = {
  loopback: {
    read: (host) => (host !== '::1' && isLoopbackHost(host) ? ok(host) : undefined),
    sharesHost: true,
  },
  onion: {
    read(host) {
      const key = parseOnionHost(host);
      if (key.ok) return ok(host);
      return key.reason === 'location-host' ? undefined : key;
    },
    sharesHost: false,
  },
  loki: {
    read(host) {
      if (!isLokinetName(host)) return undefined;
      const name = parseLokiName(host);
      if (!name.ok) return name;
      return name.value.kind === 'router' ? fail('loki-router') : ok(host);
    },
    sharesHost: false,
    isAlone: true,
    isOwnAddress(host) {
      const name = parseLokiName(host);
      return name.ok && name.value.kind === 'address' && name.value.subdomain === '';
    },
  },
};

const MAX_ROWS = 16;
const ADDED_KIND = /^x-[a-z0-9-]{1,30}$/;
/** A host of an added kind contains no separator of peer lists and handshakes. */
const ADDED_HOST = /^[a-z0-9]([a-z0-9.-]{0,253}[a-z0-9])?$/;

const rows = new Map<string, LocationRow>(Object.entries(KNOWN_ROWS));

/**
 * Adds a kind of location, for a program with an overlay of its own (`Overlay.reachable`). It counts for
 * the whole process, and only for hosts that no earlier kind reads. Its hosts consist of at most 255
 * lower-case letters, digits, dots and hyphens; others are refused whatever the row says. Returns a
 * function that removes the kind. Throws a RangeError when the kind exists, with the 17th kind, or when
 * its name is not `x-` and at most 30 lower-case letters, digits and hyphens.
 */
export function addLocationKind(kind: AddedKind, row: LocationRow): () => void {
  if (!ADDED_KIND.test(kind)) throw new RangeError(`not the name of a kind of location: ${kind}`);
  if (rows.has(kind)) throw new RangeError(`the kind of location ${kind} exists already`);
  if (rows.size >= MAX_ROWS) throw new RangeError(`at most ${MAX_ROWS} kinds of locations`);
  const read: LocationRow['read'] = (text) => {
    const host = row.read(text);
    return host?.ok === true && !ADDED_HOST.test(host.value) ? fail('location-host') : host;
  };
  rows.set(kind, { ...row, read });
  return () => void rows.delete(kind);
}

/** Whether a text is the name of a kind that is known or was added. */
export function isLocationKind(text: string): text is LocationKind {
  return rows.has(text);
}

function parsePort(text: string): number | undefined {
  if (!/^[1-9]\d{0,4}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

/** `host:port` of a v3 onion, a name of Lokinet, the loopback interface, or of a kind that was added. */
export function parseLocation(text: string): Parsed<Location, LocationFault> {
  if (text === '') return fail('location-empty');
  const colon = text.lastIndexOf(':');
  if (colon < 1) return fail('location-port');
  const port = parsePort(text.slice(colon + 1));
  if (port === undefined) return fail('location-port');
  for (const [kind, { read }] of rows) {
    const host = read(text.slice(0, colon));
    if (host === undefined || !isLocationKind(kind)) continue;
    return host.ok ? ok({ kind, host: host.value, port }) : host;
  }
  return fail('location-host');
}

/** A location that a peer can have, or `NOT-SERVING-ONION`. */
export function parseDeclaredLocation(text: string): Parsed<DeclaredLocation, LocationFault> {
  if (text === NOT_SERVING_ONION) return ok(NOT_SERVING);
  const location = parseLocation(text);
  if (!location.ok) return location;
  const { kind, host } = location.value;
  return rows.get(kind)?.isOwnAddress?.(host) === false ? fail('location-host') : location;
}

/** The text that is sent: `host:port`, or `NOT-SERVING-ONION`. */
export function formatLocation(location: DeclaredLocation): string {
  return location.kind === 'not-serving' ? NOT_SERVING_ONION : `${location.host}:${location.port}`;
}

/** Whether two locations are the same address. */
export function sameLocation(a: DeclaredLocation, b: DeclaredLocation): boolean {
  return formatLocation(a) === formatLocation(b);
}

/** The host of a location that belongs to one program; undefined when programs share such hosts. */
export function ownHost(location: DeclaredLocation): string | undefined {
  if (location.kind === 'not-serving') return undefined;
  return rows.get(location.kind)?.sharesHost === false ? location.host : undefined;
}

/** Whether two locations belong to one program, as far as their addresses tell. */
export function sameOwner(a: Location, b: DeclaredLocation): boolean {
  if (b.kind === 'not-serving' || b.kind !== a.kind) return false;
  return a.host === b.host && (a.port === b.port || ownHost(a) !== undefined);
}

/**
 * The kinds of locations that may be named over a link, in both directions: the kind of the link itself,
 * and onions, which every deployed program may declare. Onions are not named over other links by a
 * program that reaches onions: no peer learns from it where another one is in another overlay. Over
 * Lokinet, where no deployed program is, onions are never named.
 * @param via the kind of location that the link was dialled at
 * @param reachable the kinds that the program reaches, `Overlay.reachable`
 */
export function kindsNamedOver(
  via: LocationKind,
  reachable: ReadonlySet<LocationKind>,
): ReadonlySet<LocationKind> {
  const isAlone = rows.get(via)?.isAlone === true;
  return new Set(isAlone || reachable.has('onion') ? [via] : [via, 'onion']);
}

/** The location as it may be named: `NOT_SERVING` unless it is of one of these kinds. */
export function namedLocation(
  location: DeclaredLocation,
  kinds: ReadonlySet<LocationKind>,
): DeclaredLocation {
  return location.kind !== 'not-serving' && kinds.has(location.kind) ? location : NOT_SERVING;
}
