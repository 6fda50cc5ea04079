/**
 * The structures of LLARP v0 (rows D2 to D13 and D16 of docs/llarp.md) as typed values. Numbers are BigInt, byte
 * strings are bytes; a time is in milliseconds since 1970 unless its comment says otherwise.
 */
import { anything, bytes, dictOf, flag, listOf, text, uint } from './codec/field.js';
import { column, optional, structure, tuple, type Of } from './codec/structure.js';

/** Bytes of public keys, hashes and long nonces. */
const KEY = bytes(32);
const SIGNATURE = bytes(64);
const PATH_ID = bytes(16);
/** Most entries of any list in a structure. */
const MOST = 64;

/**
 * D3: 7 to 15 bytes of dotted IPv4, or 16 bytes of IPv6. Live routers write text of other lengths, for example
 * `::ffff:51.222.42.216`, so up to 45 bytes are read (docs/llarp.md).
 */
const NET_ADDRESS = bytes(7, 45);

/** D4: a publicly reachable endpoint of a router. */
export const ADDRESS_INFO = structure('AI', {
  rank: column('c', uint(16)),
  /** The transport, `iwp`. */
  dialect: column('d', text(32)),
  encryptionKey: column('e', KEY),
  address: column('i', NET_ADDRESS),
  port: column('p', uint(16)),
});
export type AddressInfo = Of<typeof ADDRESS_INFO>;

/** D5: which traffic is dropped. */
export const TRAFFIC_POLICY = structure('TP', {
  protocol: column('a', uint(32)),
  port: column('b', uint(16)),
  drop: optional('d', flag),
});
export type TrafficPolicy = Of<typeof TRAFFIC_POLICY>;

/** D6: an address through which a router relays traffic to the internet. */
export const EXIT_INFO = structure('XI', {
  address: column('a', NET_ADDRESS),
  netmask: column('b', NET_ADDRESS),
  key: column('k', KEY),
  policies: column('p', listOf(TRAFFIC_POLICY, MOST)),
});
export type ExitInfo = Of<typeof EXIT_INFO>;

/** D7: an exit address that was allocated to a client. */
export const EXIT_ROUTE = structure('XR', {
  gateway: column('a', bytes(16)),
  netmask: column('b', bytes(16)),
  source: column('c', bytes(16)),
  lifetimeMs: column('l', uint(64)),
});
export type ExitRoute = Of<typeof EXIT_ROUTE>;

/** A SRV record: names as `_joinmarket` and `_tcp`, the time to live in seconds. */
const SERVICE_COLUMNS = {
  service: text(63),
  protocol: text(63),
  ttl: uint(32),
  priority: uint(16),
  weight: uint(16),
  port: uint(16),
};

/** A service of a router. */
export const ROUTER_SERVICE = tuple(SERVICE_COLUMNS);
export type RouterService = Of<typeof ROUTER_SERVICE>;

/** A service of a hidden service: a seventh item is its address (contradiction 6 of docs/llarp.md). */
export const HIDDEN_SERVICE = tuple({ ...SERVICE_COLUMNS, target: KEY });
export type HiddenService = Of<typeof HIDDEN_SERVICE>;

/**
 * D8: the identity of a router. Live router contacts lack `e`, `n` and `s`, so these are optional. `time` is `u`: the
 * text calls it `t` in one place.
 */
export const ROUTER_CONTACT = structure('RC', {
  addresses: column('a', listOf(ADDRESS_INFO, MOST)),
  extensions: optional('e', dictOf(flag, MOST)),
  /** At most 8 bytes; `lokinet`, `testnet`. */
  network: column('i', bytes(0, 8)),
  signingKey: column('k', KEY),
  nickname: optional('n', bytes(0, 32)),
  pathKey: column('p', KEY),
  services: optional('s', listOf(ROUTER_SERVICE, MOST)),
  time: column('u', uint(64)),
  exits: optional('x', listOf(EXIT_INFO, MOST)),
  signature: column('z', SIGNATURE),
});
export type RouterContact = Of<typeof ROUTER_CONTACT>;

/** D9: the public keys of a hidden service. */
export const SERVICE_INFO = structure('SI', {
  encryptionKey: column('e', KEY),
  signingKey: column('s', KEY),
  vanityNonce: optional('x', bytes(16)),
});
export type ServiceInfo = Of<typeof SERVICE_INFO>;

/** D11: a path to a hidden service. */
export const INTRODUCTION = structure('I', {
  router: column('k', KEY),
  latencyMs: optional('l', uint(64)),
  pathId: column('p', PATH_ID),
  expires: column('x', uint(64)),
});
export type Introduction = Of<typeof INTRODUCTION>;

/** D12: the signed introductions of a hidden service. */
export const INTROSET = structure('IS', {
  publisher: column('a', SERVICE_INFO),
  services: optional('h', listOf(HIDDEN_SERVICE, MOST)),
  introductions: column('i', listOf(INTRODUCTION, MOST)),
  /** sntrup4591761. */
  encapsulationKey: column('k', bytes(1_218)),
  topic: optional('n', bytes(16)),
  published: column('t', uint(64)),
  /** A slot for the future. */
  proofOfWork: optional('w', anything),
  signature: column('z', SIGNATURE),
});
export type Introset = Of<typeof INTROSET>;

/** D17: work that prolongs a path. */
export const PROOF_OF_WORK = structure('PoW', {
  /** Seconds since 1970. */
  created: column('t', uint(64)),
  /** Seconds by which the path lives longer. */
  extendedSeconds: column('y', uint(32)),
  nonce: column('z', KEY),
});
export type ProofOfWork = Of<typeof PROOF_OF_WORK>;

/** D16: what one hop of a new path is asked for. */
export const RELAY_RECORD = structure('LRCR', {
  /** X25519, for the key of the hop. */
  commitKey: column('c', KEY),
  delayMs: optional('d', uint(64)),
  /** The signing key of the next hop; that of this hop says that it is the farthest one. */
  nextHop: column('i', KEY),
  /** Seconds, more than 10 and less than 600; any other value means 600. */
  lifetime: optional('l', uint(64)),
  nonce: column('n', KEY),
  receiveId: column('r', PATH_ID),
  transmitId: column('t', PATH_ID),
  nextContact: optional('u', ROUTER_CONTACT),
  work: optional('w', PROOF_OF_WORK),
});
export type RelayRecord = Of<typeof RELAY_RECORD>;
