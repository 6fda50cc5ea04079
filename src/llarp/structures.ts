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
  /** Preference among several addresses. */
  rank: column('c', uint(16)),
  /** The transport, `iwp`. */
  dialect: column('d', text(32)),
  /** X25519, 32 bytes. */
  encryptionKey: column('e', KEY),
  /** The bytes of an address of IPv4 or IPv6, or of its text. */
  address: column('i', NET_ADDRESS),
  /** The port of UDP. */
  port: column('p', uint(16)),
});
export type AddressInfo = Of<typeof ADDRESS_INFO>;

/** D5: which traffic is dropped. */
export const TRAFFIC_POLICY = structure('TP', {
  /** The number of an IP protocol; 6 is TCP. */
  protocol: column('a', uint(32)),
  /** The source port. */
  port: column('b', uint(16)),
  /** Whether such packets are dropped; the policy does nothing otherwise. */
  drop: optional('d', flag),
});
export type TrafficPolicy = Of<typeof TRAFFIC_POLICY>;

/** D6: an address through which a router relays traffic to the internet. */
export const EXIT_INFO = structure('XI', {
  /** The address of the exit. */
  address: column('a', NET_ADDRESS),
  /** The netmask of the exit. */
  netmask: column('b', NET_ADDRESS),
  /** Of the exit, for encryption and signatures, 32 bytes. */
  key: column('k', KEY),
  /** What the exit drops. */
  policies: column('p', listOf(TRAFFIC_POLICY, MOST)),
});
export type ExitInfo = Of<typeof EXIT_INFO>;

/** D7: an exit address that was allocated to a client. */
export const EXIT_ROUTE = structure('XR', {
  /** IPv6, big-endian, 16 bytes. */
  gateway: column('a', bytes(16)),
  /** IPv6, big-endian, 16 bytes. */
  netmask: column('b', bytes(16)),
  /** IPv6, big-endian, 16 bytes. */
  source: column('c', bytes(16)),
  /** Milliseconds. */
  lifetimeMs: column('l', uint(64)),
});
export type ExitRoute = Of<typeof EXIT_ROUTE>;

/** A SRV record: names as `_joinmarket` and `_tcp`, the time to live in seconds. */
const SERVICE_COLUMNS = {
  /** The service, `_joinmarket`. */
  service: text(63),
  /** The protocol, `_tcp`. */
  protocol: text(63),
  /** Seconds for which the record may be kept. */
  ttl: uint(32),
  /** A lower number comes first. */
  priority: uint(16),
  /** The share among records of one priority. */
  weight: uint(16),
  /** The port of the service. */
  port: uint(16),
};

/** A service of a router. */
export const ROUTER_SERVICE = tuple(SERVICE_COLUMNS);
export type RouterService = Of<typeof ROUTER_SERVICE>;

/** A service of a hidden service: a seventh item is its address (contradiction 6 of docs/llarp.md). */
export const HIDDEN_SERVICE = tuple({
  ...SERVICE_COLUMNS,
  /** The address of the hidden service, 32 bytes. */
  target: KEY,
});
export type HiddenService = Of<typeof HIDDEN_SERVICE>;

/**
 * D8: the identity of a router. Live router contacts lack `e`, `n` and `s`, so these are optional. `time` is `u`: the
 * text calls it `t` in one place.
 */
export const ROUTER_CONTACT = structure('RC', {
  /** Where the router is reached. */
  addresses: column('a', listOf(ADDRESS_INFO, MOST)),
  /** Extensions of the protocol that the router supports. */
  extensions: optional('e', dictOf(flag, MOST)),
  /** At most 8 bytes; `lokinet`, `testnet`. */
  network: column('i', bytes(0, 8)),
  /** Its identity: ed25519, 32 bytes. */
  signingKey: column('k', KEY),
  /** At most 32 bytes. */
  nickname: optional('n', bytes(0, 32)),
  /** X25519, for the hops of paths, 32 bytes. */
  pathKey: column('p', KEY),
  /** What the router serves. */
  services: optional('s', listOf(ROUTER_SERVICE, MOST)),
  /** When it was signed, in milliseconds since 1970. */
  time: column('u', uint(64)),
  /** Its exits. */
  exits: optional('x', listOf(EXIT_INFO, MOST)),
  /** ed25519 over the structure with 64 zero bytes here. */
  signature: column('z', SIGNATURE),
});
/** A router contact, RC. */
export type RouterContact = Of<typeof ROUTER_CONTACT>;

/** D9: the public keys of a hidden service. */
export const SERVICE_INFO = structure('SI', {
  /** X25519, 32 bytes. */
  encryptionKey: column('e', KEY),
  /** ed25519, 32 bytes. */
  signingKey: column('s', KEY),
  /** 16 bytes that change the address. */
  vanityNonce: optional('x', bytes(16)),
});
/** The public keys of a hidden service, SI. */
export type ServiceInfo = Of<typeof SERVICE_INFO>;

/** D11: a path to a hidden service. */
export const INTRODUCTION = structure('I', {
  /** The identity of the router at which the path ends, 32 bytes. */
  router: column('k', KEY),
  /** The round trip of the path, in milliseconds. */
  latencyMs: optional('l', uint(64)),
  /** The path at that router, 16 bytes. */
  pathId: column('p', PATH_ID),
  /** In milliseconds since 1970. */
  expires: column('x', uint(64)),
});
/** A way to a hidden service, I. */
export type Introduction = Of<typeof INTRODUCTION>;

/** D12: the signed introductions of a hidden service. */
export const INTROSET = structure('IS', {
  /** The keys of the service. */
  publisher: column('a', SERVICE_INFO),
  /** What the service offers. */
  services: optional('h', listOf(HIDDEN_SERVICE, MOST)),
  /** The ways to the service. */
  introductions: column('i', listOf(INTRODUCTION, MOST)),
  /** sntrup4591761. */
  encapsulationKey: column('k', bytes(1_218)),
  /** 16 bytes by which it can be found. */
  topic: optional('n', bytes(16)),
  /** In milliseconds since 1970. */
  published: column('t', uint(64)),
  /** A slot for the future. */
  proofOfWork: optional('w', anything),
  /** ed25519 over the structure with 64 zero bytes here. */
  signature: column('z', SIGNATURE),
});
/** The signed introductions of a hidden service, IS. */
export type Introset = Of<typeof INTROSET>;

/** D17: work that prolongs a path. */
export const PROOF_OF_WORK = structure('PoW', {
  /** Seconds since 1970. */
  created: column('t', uint(64)),
  /** Seconds by which the path lives longer. */
  extendedSeconds: column('y', uint(32)),
  /** 32 bytes that were searched for. */
  nonce: column('z', KEY),
});
export type ProofOfWork = Of<typeof PROOF_OF_WORK>;

/** D16: what one hop of a new path is asked for. */
export const RELAY_RECORD = structure('LRCR', {
  /** X25519, for the key of the hop. */
  commitKey: column('c', KEY),
  /** How long the hop waits, in milliseconds. */
  delayMs: optional('d', uint(64)),
  /** The signing key of the next hop; that of this hop says that it is the farthest one. */
  nextHop: column('i', KEY),
  /** Seconds, more than 10 and less than 600; any other value means 600. */
  lifetime: optional('l', uint(64)),
  /** For the exchange of keys, 32 bytes. */
  nonce: column('n', KEY),
  /** The path between the previous hop and this one, 16 bytes. */
  receiveId: column('r', PATH_ID),
  /** The path between this hop and the next one, 16 bytes. */
  transmitId: column('t', PATH_ID),
  /** The contact of the next hop. */
  nextContact: optional('u', ROUTER_CONTACT),
  /** Work for a longer life of the path. */
  work: optional('w', PROOF_OF_WORK),
});
export type RelayRecord = Of<typeof RELAY_RECORD>;
