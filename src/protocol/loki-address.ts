/**
 * Names of the Lokinet network: `.loki` addresses of services, `.snode` addresses of routers, and names of
 * the Oxen Name Service (ONS). A `.loki` address is the ed25519 public key of the service in z-base-32; it has
 * no checksum, so a mistyped address can be another valid one.
 */
import { fail, ok, type Parsed } from './result.js';
import { decodeZbase32, encodeZbase32 } from './zbase32.js';

/** Why a text is not a name of Lokinet. */
export type LokiFault =
  /** The name ends neither with `.loki` nor with `.snode`. */
  | 'loki-suffix'
  /** A dot behind `.loki`: other programs take that for an ordinary name. */
  | 'loki-dot'
  /** A label is empty, too long, or has a character or a hyphen where the rule of ONS allows none. */
  | 'loki-label'
  /** The name is `localhost.loki`, `loki.loki` or `snode.loki`, which Lokinet reserves. */
  | 'loki-reserved'
  /** 52 characters like an address, but not the z-base-32 of 32 bytes: the last is neither y nor o. */
  | 'loki-key';

/** A name of Lokinet, read. */
export type LokiName =
  /** The address of a service: its public key. */
  | {
      readonly kind: 'address';
      /** The 32-byte ed25519 public key. */
      readonly publicKey: Uint8Array;
      /** The labels before the address, with dots between; empty without any. */
      readonly subdomain: string;
    }
  /** The address of a router: its public key. */
  | {
      readonly kind: 'router';
      /** The 32-byte ed25519 public key. */
      readonly publicKey: Uint8Array;
    }
  /** A name that Lokinet looks up in the Oxen Name Service. */
  | {
      readonly kind: 'ons';
      /** The registered label: the last one before `.loki`. */
      readonly name: string;
      /** The labels before it, with dots between; empty without any. */
      readonly subdomain: string;
    };

/** The end of each name of a service. */
export const LOKI_SUFFIX = '.loki';
const SNODE_SUFFIX = '.snode';
const KEY_CHARACTERS = 52;
const KEY_BYTES = 32;
/** Of a DNS name and of a DNS label. */
const MAX_NAME = 253;
const MAX_LABEL = 63;
/** Of a registered label without a hyphen; with one it has up to `MAX_LABEL`. */
const MAX_PLAIN_LABEL = 32;
const RESERVED: ReadonlySet<string> = new Set(['localhost', 'loki', 'snode']);

/** The address `<52 characters>.loki` of a public key. Throws a RangeError unless it has 32 bytes. */
export function lokiHost(publicKey: Uint8Array): string {
  return keyText(publicKey) + LOKI_SUFFIX;
}

/** The address `<52 characters>.snode` of a router. Throws a RangeError unless its key has 32 bytes. */
export function snodeHost(publicKey: Uint8Array): string {
  return keyText(publicKey) + SNODE_SUFFIX;
}

function keyText(publicKey: Uint8Array): string {
  if (publicKey.length !== KEY_BYTES) {
    throw new RangeError(`an ed25519 public key has ${KEY_BYTES} bytes, not ${publicKey.length}`);
  }
  return encodeZbase32(publicKey);
}

/** Letters, digits and hyphens; no hyphen at an end, and two at the third place only after `xn`. */
function isLabel(label: string): boolean {
  if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(label) || label.length > MAX_LABEL) return false;
  return label.slice(2, 4) !== '--' || label.startsWith('xn--');
}

function publicKeyOf(label: string): Parsed<Uint8Array, LokiFault> {
  const key = decodeZbase32(label);
  return key.ok && key.value.length === KEY_BYTES ? ok(key.value) : fail('loki-key');
}

/** Whether a text is a name of Lokinet by its suffix, well-formed or not. */
export function isLokinetName(host: string): boolean {
  return /\.(?:loki|snode)\.?$/i.test(host);
}

/** Reads a name of Lokinet. Lower case only, as the names are compared byte for byte. */
export function parseLokiName(host: string): Parsed<LokiName, LokiFault> {
  if (/\.(?:loki|snode)\.$/.test(host)) return fail('loki-dot');
  if (host.length > MAX_NAME) return fail('loki-label');
  if (host.endsWith(SNODE_SUFFIX)) {
    const key = publicKeyOf(host.slice(0, -SNODE_SUFFIX.length));
    return key.ok ? ok({ kind: 'router', publicKey: key.value }) : key;
  }
  if (!host.endsWith(LOKI_SUFFIX)) return fail('loki-suffix');
  const labels = host.slice(0, -LOKI_SUFFIX.length).split('.');
  const name = labels.at(-1);
  if (name === undefined || !labels.every(isLabel)) return fail('loki-label');
  if (RESERVED.has(name)) return fail('loki-reserved');
  const subdomain = labels.slice(0, -1).join('.');
  // Lokinet takes these 52 characters for an address; a name of ONS of that length has a hyphen.
  if (name.length === KEY_CHARACTERS && !name.includes('-')) {
    const key = publicKeyOf(name);
    return key.ok ? ok({ kind: 'address', publicKey: key.value, subdomain }) : key;
  }
  if (name.length > MAX_PLAIN_LABEL && !name.includes('-')) return fail('loki-label');
  return ok({ kind: 'ons', name, subdomain });
}
