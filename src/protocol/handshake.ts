/**
 * Handshakes, types 793 and 795 (docs/protocol.md, section 3).
 */
import { APP_NAME, PROTOCOL_VERSION, type Network } from './constants.js';
import { asciiJson } from './envelope.js';
import { hasTooManyParts } from './json-parts.js';
import {
  formatLocation,
  NOT_SERVING,
  parseDeclaredLocation,
  type DeclaredLocation,
  type LocationKind,
} from './location.js';
import { isRoutableNick } from './nick.js';
import { isFeatureName } from './peerlist.js';
import { fail, ok, type Parsed } from './result.js';

/** The content of a peer's 793. */
export interface PeerHandshake {
  /** The peer's nick. */
  readonly nick: string;
  /** Where the peer says it can be dialled. */
  readonly location: DeclaredLocation;
  /** The peer's network. */
  readonly network: Network;
  /** Names advertised as `true`, sorted. */
  readonly features: readonly string[];
  /** The code for a private directory, at most 256 characters; sent to that directory only. */
  readonly admission?: string | undefined;
}

/** The content of a directory's 795. */
export interface DirectoryHandshake {
  /** The directory's nick. */
  readonly nick: string;
  /** The directory's network; may be any text. */
  readonly network: string;
  /** Whether the directory accepts the peer. */
  readonly accepted: boolean;
  /** The message of the day, as it was sent. */
  readonly motd: string;
  /** Names advertised as `true`, sorted. */
  readonly features: readonly string[];
}

/** Not a handshake: the connection is closed without an answer. */
export type HandshakeGarbage =
  'handshake-json' | 'handshake-keys' | 'handshake-types' | 'handshake-nick';
/**
 * A handshake of another protocol, version or network: answered with `accepted: false`, then closed.
 */
export type HandshakeMismatch =
  | 'app-name'
  | 'directory-flag'
  | 'proto-ver'
  | 'network'
  | 'location'
  /** It declares the location of another host than the one that it connects from. */
  | 'foreign-location';

const MAX_FEATURES = 32;
const MAX_ADMISSION_CHARS = 256;

type JsonObject = { readonly [key: string]: unknown };

function parseObject(payload: string): JsonObject | undefined {
  if (hasTooManyParts(payload)) return undefined;
  try {
    const value: unknown = JSON.parse(payload);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function enabledFeatures(features: JsonObject): readonly string[] {
  return Object.keys(features)
    .filter((name) => features[name] === true && isFeatureName(name))
    .slice(0, MAX_FEATURES)
    .toSorted();
}

function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Requirements of a directory or peer for a 793. */
export interface HandshakeRules {
  /** The only network that is accepted. */
  readonly network: Network;
  /** The kinds of locations that may be declared on this connection, see `kindsNamedOver`. */
  readonly kinds: ReadonlySet<LocationKind>;
  /**
   * The host of the peer, where the overlay knows it (`Connection.peerHost`). A location on another host is
   * refused; with null no location counts, since none can be checked.
   */
  readonly peerHost?: string | null | undefined;
}

/** The location of a peer whose host is known, or not. Undefined when it is that of another host. */
function checkedLocation(
  location: DeclaredLocation,
  peerHost: HandshakeRules['peerHost'],
): DeclaredLocation | undefined {
  if (location.kind === 'not-serving' || peerHost === undefined) return location;
  if (peerHost === null) return NOT_SERVING;
  return location.host === peerHost ? location : undefined;
}

/**
 * Reads a 793 payload by the rules of section 3.3: first all seven keys with their types, then
 * application, role, version, network and location, each with its own fault. Ignores extra keys and
 * unusual feature values, up to 100 parts in all.
 */
export function parsePeerHandshake(
  payload: string,
  rules: HandshakeRules,
): Parsed<PeerHandshake, HandshakeGarbage | HandshakeMismatch> {
  const json = parseObject(payload);
  if (!json) return fail('handshake-json');
  const { directory, nick, network, features } = json;
  const appName = json['app-name'];
  const version = json['proto-ver'];
  const locationText = json['location-string'];
  for (const value of [appName, directory, locationText, version, features, nick, network]) {
    if (value === undefined) return fail('handshake-keys');
  }
  if (
    !Number.isInteger(version) ||
    typeof nick !== 'string' ||
    typeof network !== 'string' ||
    !isJsonObject(features)
  ) {
    return fail('handshake-types');
  }
  if (!isRoutableNick(nick)) return fail('handshake-nick');
  if (appName !== APP_NAME) return fail('app-name');
  if (directory !== false) return fail('directory-flag');
  if (version !== PROTOCOL_VERSION) return fail('proto-ver');
  if (network !== rules.network) return fail('network');
  if (typeof locationText !== 'string') return fail('location');
  const location = parseDeclaredLocation(locationText);
  if (!location.ok) return fail('location');
  const declared = location.value;
  if (declared.kind !== 'not-serving' && !rules.kinds.has(declared.kind)) return fail('location');
  const { admission } = json;
  const hasCode = typeof admission === 'string' && admission.length <= MAX_ADMISSION_CHARS;
  const own = checkedLocation(declared, rules.peerHost);
  if (own === undefined) return fail('foreign-location');
  return ok({
    nick,
    location: own,
    network: rules.network,
    features: enabledFeatures(features),
    ...(hasCode && admission !== '' ? { admission } : {}),
  });
}

/** Whether a refused handshake is answered before the connection is closed. */
export function isMismatch(
  reason: HandshakeGarbage | HandshakeMismatch,
): reason is HandshakeMismatch {
  return !reason.startsWith('handshake-');
}

function featureObject(features: readonly string[]): { readonly [name: string]: boolean } {
  return Object.fromEntries(features.toSorted().map((name) => [name, true]));
}

/** The 793 payload, keys in the order of the original implementation. */
export function formatPeerHandshake(handshake: PeerHandshake): string {
  return asciiJson({
    'app-name': APP_NAME,
    directory: false,
    'location-string': formatLocation(handshake.location),
    'proto-ver': PROTOCOL_VERSION,
    features: featureObject(handshake.features),
    nick: handshake.nick,
    network: handshake.network,
    ...(handshake.admission === undefined ? {} : { admission: handshake.admission }),
  });
}

/** The 795 payload, keys in the order of the original implementation. */
export function formatDirectoryHandshake(handshake: DirectoryHandshake): string {
  return asciiJson({
    'app-name': APP_NAME,
    directory: true,
    'proto-ver-min': PROTOCOL_VERSION,
    'proto-ver-max': PROTOCOL_VERSION,
    features: featureObject(handshake.features),
    accepted: handshake.accepted,
    nick: handshake.nick,
    network: handshake.network,
    motd: handshake.motd,
  });
}

/** Why a 795 is not a directory's handshake. */
export type DirectoryHandshakeFault =
  'handshake-json' | 'handshake-types' | 'app-name' | 'directory-flag' | 'proto-ver' | 'network';

/**
 * Reads a 795 payload. A refusal (`accepted: false`) is a value. Everything else that makes the
 * directory unusable is a fault: the caller closes and backs off.
 */
export function parseDirectoryHandshake(
  payload: string,
  network: Network,
): Parsed<DirectoryHandshake, DirectoryHandshakeFault> {
  const json = parseObject(payload);
  if (!json) return fail('handshake-json');
  const { accepted, nick, features, motd } = json;
  const min = json['proto-ver-min'] ?? json['proto-ver'];
  const max = json['proto-ver-max'] ?? json['proto-ver'];
  if (
    typeof accepted !== 'boolean' ||
    typeof nick !== 'string' ||
    typeof json['network'] !== 'string' ||
    typeof min !== 'number' ||
    typeof max !== 'number'
  ) {
    return fail('handshake-types');
  }
  const value: DirectoryHandshake = {
    nick,
    network: json['network'],
    accepted,
    motd: typeof motd === 'string' ? motd : '',
    features: isJsonObject(features) ? enabledFeatures(features) : [],
  };
  if (!accepted) return ok(value);
  if (json['app-name'] !== APP_NAME) return fail('app-name');
  if (json['directory'] !== true) return fail('directory-flag');
  if (min > PROTOCOL_VERSION || max < PROTOCOL_VERSION) return fail('proto-ver');
  if (value.network !== network) return fail('network');
  if (!isRoutableNick(nick)) return fail('handshake-types');
  return ok(value);
}
