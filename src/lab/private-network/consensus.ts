/**
 * The directory documents of the private network, written without a vote. A consensus is valid for 24
 * hours. Its interval is an hour, as in the real network, because onion services count their
 * descriptors in it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { documentTime, hex, type Authority } from './authority.js';
import type { RelayKeys } from './relay-keys.js';

const HOUR_MS = 3_600_000;
const VALID_HOURS = 24;
/** All clocks are on one machine. This only avoids "not yet valid". */
const BACKDATED_MS = 2_000;

export interface Relay {
  readonly nickname: string;
  readonly keys: RelayKeys;
  readonly orPort: number;
  /** 0 for none. */
  readonly dirPort: number;
  /**
   * Exactly one relay is the guard: a relay refuses a circuit in which it is both the first and the
   * last hop, and Tor does not prevent such onion circuits.
   */
  readonly guard: boolean;
}

/** The files that every process of the network starts with, by their names in a DataDirectory. */
export interface DirectoryDocuments {
  readonly 'cached-certs': string;
  readonly 'cached-microdesc-consensus': string;
  readonly 'cached-microdescs.new': string;
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}

function microdescriptor({ keys }: Relay): string {
  return `onion-key\nntor-onion-key ${base64(keys.ntorPublic)}\nid ed25519 ${base64(keys.ed25519Public)}\n`;
}

function relayEntry(relay: Relay): string[] {
  const digest = createHash('sha256').update(microdescriptor(relay)).digest();
  return [
    `r ${relay.nickname} ${base64(relay.keys.fingerprint)} 2038-01-01 00:00:00 127.0.0.1 ${relay.orPort} ${relay.dirPort}`,
    `m ${base64(digest)}`,
    relay.guard
      ? 's Authority Fast Guard Running Stable V2Dir Valid'
      : 's Fast HSDir Running Stable V2Dir Valid',
    'v Tor 0.4.9.11',
    'pr Conflux=1 Cons=1-2 Desc=1-4 DirCache=2 FlowCtrl=1-2 HSDir=2 HSIntro=4-5 HSRend=1-2 Link=3-5 LinkAuth=3 Microdesc=1-3 Padding=2 Relay=2-6',
    'w Bandwidth=1000',
  ];
}

/** `Wmg=0 Wmd=0`: guards are used in no other position (see `Relay.guard`). */
const BANDWIDTH_WEIGHTS =
  'Wbd=10000 Wbe=10000 Wbg=10000 Wbm=10000 Wdb=10000 Web=10000 Wed=10000 Wee=10000 Weg=10000 ' +
  'Wem=10000 Wgb=10000 Wgd=10000 Wgg=10000 Wgm=10000 Wmb=10000 Wmd=0 Wme=10000 Wmg=0 Wmm=10000';

const CLIENT_PROTOCOLS =
  'Cons=2 Desc=2 DirCache=2 FlowCtrl=1-2 HSDir=2 HSIntro=4 HSRend=2 Link=4-5 Microdesc=2 Relay=2-4';
const RELAY_PROTOCOLS =
  'Cons=2 Desc=2 DirCache=2 FlowCtrl=1-2 HSDir=2 HSIntro=4-5 HSRend=2 Link=4-5 LinkAuth=3 Microdesc=2 Relay=2-4';

function header(authority: Authority, source: Relay, now: Date): string[] {
  const validAfter = now.getTime() - BACKDATED_MS;
  const at = (afterMs: number): string => documentTime(new Date(validAfter + afterMs));
  const shared = randomBytes(32).toString('base64');
  return [
    'network-status-version 3 microdesc',
    'vote-status consensus',
    'consensus-method 35',
    `valid-after ${at(0)}`,
    `fresh-until ${at(HOUR_MS)}`,
    `valid-until ${at(VALID_HOURS * HOUR_MS)}`,
    'voting-delay 300 300',
    // These two lines end with a blank: a keyword without versions.
    'client-versions ',
    'server-versions ',
    'known-flags Authority Exit Fast Guard HSDir NoEdConsensus Running Stable StaleDesc Sybil V2Dir Valid',
    `recommended-client-protocols ${CLIENT_PROTOCOLS}`,
    `recommended-relay-protocols ${RELAY_PROTOCOLS}`,
    'required-client-protocols Cons=2 Desc=2 FlowCtrl=1 Link=4 Microdesc=2 Relay=2',
    `required-relay-protocols ${RELAY_PROTOCOLS}`,
    `shared-rand-previous-value 9 ${shared}`,
    `shared-rand-current-value 9 ${shared}`,
    `dir-source ${source.nickname} ${authority.fingerprint} 127.0.0.1 127.0.0.1 ${source.dirPort} ${source.orPort}`,
    'contact none',
    `vote-digest ${randomBytes(20).toString('hex').toUpperCase()}`,
  ];
}

function consensus(
  authority: Authority,
  source: Relay,
  relays: readonly Relay[],
  now: Date,
): string {
  const byIdentity = [...relays].toSorted((a, b) =>
    Buffer.compare(a.keys.fingerprint, b.keys.fingerprint),
  );
  const signed =
    [
      ...header(authority, source, now),
      ...byIdentity.flatMap(relayEntry),
      'directory-footer',
      `bandwidth-weights ${BANDWIDTH_WEIGHTS}`,
    ].join('\n') + '\ndirectory-signature ';
  const signature = authority.sign(createHash('sha256').update(signed).digest());
  return `${signed}sha256 ${authority.fingerprint} ${authority.signingFingerprint}\n${signature}\n`;
}

/** All documents of a directory cache of this network. `source` is the relay with the DirPort. */
export function directoryDocuments(
  authority: Authority,
  source: Relay,
  relays: readonly Relay[],
  now: Date,
): DirectoryDocuments {
  const listed = documentTime(now);
  return {
    'cached-certs': authority.certificate,
    'cached-microdesc-consensus': consensus(authority, source, relays, now),
    'cached-microdescs.new': relays
      .map((relay) => `@last-listed ${listed}\n${microdescriptor(relay)}`)
      .join(''),
  };
}

/** The torrc line that makes a Tor use this network's authority. */
export function dirAuthorityLine(authority: Authority, source: Relay): string {
  return `DirAuthority ${source.nickname} orport=${source.orPort} v3ident=${authority.fingerprint} 127.0.0.1:${source.dirPort} ${hex(source.keys.fingerprint)}`;
}
