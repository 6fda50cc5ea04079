/**
 * Location strings (docs/protocol.md, section 5.1) and v3 onion addresses (section 12.1).
 */
import { sha3_256 } from '@noble/hashes/sha3.js';
import { base32nopad } from '@scure/base';
import { isLoopbackHost } from '../kit/host-name.js';
import { NOT_SERVING_ONION } from './constants.js';
import { fail, ok, type Parsed } from './result.js';

export { isLoopbackHost };

/** An address that can be dialled. */
export type Location =
  | {
      /** Whether it is a v3 onion or an address of this machine. */
      readonly kind: 'onion';
      /** The host without port; an onion in lower case with `.onion`. */
      readonly host: string;
      /** The port, 1 to 65,535. */
      readonly port: number;
    }
  | {
      /** Whether it is a v3 onion or an address of this machine. */
      readonly kind: 'loopback';
      /** The host without port; an onion in lower case with `.onion`. */
      readonly host: string;
      /** The port, 1 to 65,535. */
      readonly port: number;
    };

/** What a peer declares in its handshake: a location, or that it serves none. */
export type DeclaredLocation =
  | Location
  | {
      /** The peer serves no location. */
      readonly kind: 'not-serving';
    };

/** The location of a peer that serves none. */
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
  | 'onion-checksum';

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

function parsePort(text: string): number | undefined {
  if (!/^[1-9]\d{0,4}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

/** `host:port` of a v3 onion or of the loopback interface. */
export function parseLocation(text: string): Parsed<Location, LocationFault> {
  if (text === '') return fail('location-empty');
  const colon = text.lastIndexOf(':');
  if (colon < 1) return fail('location-port');
  const host = text.slice(0, colon);
  const port = parsePort(text.slice(colon + 1));
  if (port === undefined) return fail('location-port');
  if (host !== '::1' && isLoopbackHost(host)) return ok({ kind: 'loopback', host, port });
  const key = parseOnionHost(host);
  return key.ok ? ok({ kind: 'onion', host, port }) : key;
}

/** A location, or `NOT-SERVING-ONION`. */
export function parseDeclaredLocation(text: string): Parsed<DeclaredLocation, LocationFault> {
  return text === NOT_SERVING_ONION ? ok(NOT_SERVING) : parseLocation(text);
}

/** The text that is sent: `host:port`, or `NOT-SERVING-ONION`. */
export function formatLocation(location: DeclaredLocation): string {
  return location.kind === 'not-serving' ? NOT_SERVING_ONION : `${location.host}:${location.port}`;
}

/** Whether two locations are the same address. */
export function sameLocation(a: DeclaredLocation, b: DeclaredLocation): boolean {
  return formatLocation(a) === formatLocation(b);
}
