/** The identity of a router of the lab, and the checks of others' router contacts (rows D8 and D14). */
import {
  newExchangeKeys,
  newSigningKeys,
  type ExchangeKeys,
  type RandomBytes,
  type SigningKeys,
} from '../crypto.js';
import { writeLlarp } from '../read.js';
import { isSignedBy, signed } from '../signed.js';
import { ROUTER_CONTACT, type ExitInfo, type RouterContact } from '../structures.js';

/** A contact is valid for an hour; the document says so, and deployed routers write 24 (contradiction 25). */
export const CONTACT_LIFETIME_MS = 3_600_000n;
/** How far the clocks of two routers may differ. */
const CLOCK_DIFFERENCE_MS = 60_000n;
/** Most bytes of a contact: the record that names it for a hop of a path has 1,024, and may hold a proof of work. */
export const MAX_CONTACT_BYTES = 600;
/** The transport of the lab. */
const DIALECT = 'iwp';

/** The keys of a router. */
export interface RouterKeys {
  /** Its identity, `RC.k`. */
  readonly signing: SigningKeys;
  /** For the hops of paths, `RC.p`. */
  readonly path: ExchangeKeys;
  /** `AI.e`. */
  readonly link: ExchangeKeys;
}

/** Keys of a new router. */
export function newRouterKeys(randomBytes: RandomBytes): RouterKeys {
  return {
    signing: newSigningKeys(randomBytes),
    path: newExchangeKeys(randomBytes),
    link: newExchangeKeys(randomBytes),
  };
}

/** Bytes of one secret key. */
const SECRET_BYTES = 32;

/** The keys of a router that was there before: the seed and the two secret keys, 96 bytes; undefined for any other. */
export function keysFromSecrets(secrets: Uint8Array): RouterKeys | undefined {
  if (secrets.length !== 3 * SECRET_BYTES) return undefined;
  let at = 0;
  return newRouterKeys((length) => secrets.slice(at, (at += length)));
}

/** What a router says of itself. */
export interface ContactParts {
  /** 8 bytes. */
  readonly network: Uint8Array;
  /** Dotted IPv4. */
  readonly host: string;
  readonly port: number;
  /** Milliseconds since 1970. */
  readonly now: bigint;
  readonly exits?: readonly ExitInfo[];
}

function asBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

/** A signed contact. Throws a RangeError when its exits make it too long. */
export function makeContact(
  keys: RouterKeys,
  { network, host, port, now, exits = [] }: ContactParts,
): RouterContact {
  const address = {
    rank: 1n,
    dialect: DIALECT,
    encryptionKey: keys.link.publicKey,
    address: asBytes(host),
    port: BigInt(port),
    version: 0n,
  };
  const contact = {
    addresses: [address],
    network,
    signingKey: keys.signing.publicKey,
    pathKey: keys.path.publicKey,
    time: now,
    exits,
    version: 0n,
  };
  const made = signed<RouterContact>(ROUTER_CONTACT, contact, keys.signing.seed);
  const { length } = writeLlarp(ROUTER_CONTACT, made);
  if (length > MAX_CONTACT_BYTES) {
    throw new RangeError(
      `a router contact of ${length} bytes: name fewer exits and policies, it may have ${MAX_CONTACT_BYTES}`,
    );
  }
  return made;
}

/** Why a contact is not used. */
export type ContactFault = 'network' | 'expired' | 'future' | 'address' | 'too-long' | 'signature';

/** The fault of a contact; undefined when it may be used. The signature, which costs most, is checked last. */
export function contactFault(
  contact: RouterContact,
  { network, now }: { readonly network: Uint8Array; readonly now: bigint },
): ContactFault | undefined {
  if (Buffer.compare(contact.network, network) !== 0) return 'network';
  if (contact.time + CONTACT_LIFETIME_MS <= now) return 'expired';
  if (contact.time > now + CLOCK_DIFFERENCE_MS) return 'future';
  if (addressOf(contact) === undefined) return 'address';
  if (writeLlarp(ROUTER_CONTACT, contact).length > MAX_CONTACT_BYTES) return 'too-long';
  return isSignedBy(ROUTER_CONTACT, contact, contact.signingKey) ? undefined : 'signature';
}

/** Where its packets go, `127.0.0.1:4711`; undefined when it has no IPv4 address of this transport. */
export function addressOf({ addresses }: RouterContact): string | undefined {
  for (const { dialect, address, port } of addresses) {
    const host = Buffer.from(address).toString('latin1');
    if (dialect === DIALECT && /^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)) return `${host}:${port}`;
  }
  return undefined;
}
