/**
 * Nick authentication, types 803, 805 and 807 (JMP-0005; docs/protocol.md, section 7.6): a peer proves
 * to a directory that it holds the key of its nick. Used only when both sides list the feature.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import { decodeBase64 } from './base64-text.js';
import type { RandomBytes } from './encryption.js';
import { formatLocation, type Location } from './location.js';
import { nickOf, type NickKey } from './nick.js';
import { ownText } from './own-text.js';
import { fail, ok, type Parsed } from './result.js';
import { isMessageSignature, signNickText } from './signature.js';

/** The feature that both handshakes list. */
export const NICK_AUTH_FEATURE = 'nick_auth';

/**
 * `disabled`: not offered. `prefer_verified`: used where the other side offers it. `require_verified`:
 * other peers or directories are refused.
 */
export const NICK_AUTH_MODES = ['disabled', 'prefer_verified', 'require_verified'] as const;
/** Whether nicks are proven. */
export type NickAuthMode = (typeof NICK_AUTH_MODES)[number];

/** The challenge of a directory (803). */
export interface NickAuthChallenge {
  /** 64 lower-case hex digits, used once. */
  readonly challenge: string;
  /** The id of the directory, so that a proof is valid for one directory only; see `directoryId`. */
  readonly directoryId: string;
}

/** The proof of a peer (805). */
export interface NickAuthProof {
  /** 66 lower-case hex digits. */
  readonly publicKeyHex: string;
  /** Canonical base64 of DER. */
  readonly signature: string;
}

/**
 * A proof that was accepted, as others verify it again: the signed text has the hash of the handshake, so
 * the handshake itself is not needed.
 */
export interface CarriedProof {
  readonly challenge: string;
  readonly directoryId: string;
  /** SHA256 of the 793 payload, 64 hex digits. */
  readonly handshakeHash: string;
  /** Canonical base64 of DER. */
  readonly signature: string;
}

/** Results (807). All but `ok` end the connection. */
export const NICK_AUTH_CODES = ['ok', 'malformed', 'expired', 'invalid', 'policy'] as const;
/** The result of a proof. */
export type NickAuthCode = (typeof NICK_AUTH_CODES)[number];

/** Why a payload of 803, 805 or 807 is not valid: no JSON object, wrong members, wrong values. */
export type NickAuthFault = 'nick-auth-json' | 'nick-auth-keys' | 'nick-auth-values';

const CHALLENGE_BYTES = 32;
const DOMAIN = 'nick-auth-v1';
const MAX_SIGNATURE_BYTES = 72;
const MAX_SIGNATURE_CHARS = 96;
/** Longest payload read. The challenge of an onion has 167 characters, a proof at most 201. */
const MAX_PAYLOAD_CHARS = 1000;
const HEX_32 = /^[0-9a-f]{64}$/;
const DIRECTORY_ID = /^[a-z0-9][a-z0-9.:_-]{0,254}$/;
const NICK = /^J[0-9][1-9A-HJ-NP-Za-km-zO]{14}$/;

/** The id of the directory at a location: `host:port` in lower case. */
export function directoryId(location: Location): string {
  return formatLocation(location).toLowerCase();
}

/** A challenge of 32 random bytes. */
export function createNickChallenge(id: string, randomBytes: RandomBytes): NickAuthChallenge {
  return { challenge: bytesToHex(randomBytes(CHALLENGE_BYTES)), directoryId: id };
}

/** An object with exactly these members, each of them once. */
function parseMembers(
  payload: string,
  keys: readonly string[],
): Parsed<Readonly<Record<string, unknown>>, NickAuthFault> {
  if (payload.length > MAX_PAYLOAD_CHARS) return fail('nick-auth-json');
  let value: unknown;
  try {
    value = JSON.parse(payload);
  } catch {
    return fail('nick-auth-json');
  }
  if (typeof value !== 'object' || value === null) return fail('nick-auth-json');
  const members = new Map<string, unknown>(Object.entries(value));
  if (members.size !== keys.length || !keys.every((key) => members.has(key))) {
    return fail('nick-auth-keys');
  }
  // No legitimate key or text contains a quote, so the number of quotes shows a member that is given
  // twice.
  const texts = keys.length + [...members.values()].filter((v) => typeof v === 'string').length;
  if (payload.split('"').length - 1 !== 2 * texts) return fail('nick-auth-keys');
  return ok(Object.fromEntries(members));
}

function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value);
}

function isSignatureText(text: string): boolean {
  const der = decodeBase64(text, MAX_SIGNATURE_CHARS);
  return der !== undefined && der.length <= MAX_SIGNATURE_BYTES && base64.encode(der) === text;
}

/** The 803 payload. */
export function formatNickChallenge({ challenge, directoryId: id }: NickAuthChallenge): string {
  return JSON.stringify({ challenge, 'directory-id': id });
}

/** Reads an 803 payload. The caller compares the id with the directory that it dialled. */
export function parseNickChallenge(payload: string): Parsed<NickAuthChallenge, NickAuthFault> {
  const members = parseMembers(payload, ['challenge', 'directory-id']);
  if (!members.ok) return members;
  const { challenge, 'directory-id': id } = members.value;
  return matches(challenge, HEX_32) && matches(id, DIRECTORY_ID)
    ? ok({ challenge, directoryId: id })
    : fail('nick-auth-values');
}

/** The 805 payload. */
export function formatNickProof({ publicKeyHex, signature }: NickAuthProof): string {
  return JSON.stringify({ pubkey: publicKeyHex, signature });
}

/** Reads an 805 payload. Nothing in it is verified yet. */
export function parseNickProof(payload: string): Parsed<NickAuthProof, NickAuthFault> {
  const members = parseMembers(payload, ['pubkey', 'signature']);
  if (!members.ok) return members;
  const { pubkey, signature } = members.value;
  if (!matches(pubkey, /^0[23][0-9a-f]{64}$/) || typeof signature !== 'string') {
    return fail('nick-auth-values');
  }
  if (!isSignatureText(signature)) return fail('nick-auth-values');
  return ok({ publicKeyHex: pubkey, signature });
}

/** The 807 payload. */
export function formatNickResult(code: NickAuthCode): string {
  return JSON.stringify({ code, verified: code === 'ok' });
}

/** Reads an 807 payload. */
export function parseNickResult(payload: string): Parsed<NickAuthCode, NickAuthFault> {
  const members = parseMembers(payload, ['code', 'verified']);
  if (!members.ok) return members;
  const code = NICK_AUTH_CODES.find((known) => known === members.value['code']);
  return code !== undefined && members.value['verified'] === (code === 'ok')
    ? ok(code)
    : fail('nick-auth-values');
}

/**
 * The signed text: the challenge, the directory, the exact 793 payload, nick and key. A proof is
 * therefore valid for one directory, one connection and one handshake.
 */
function transcript(
  { challenge, directoryId: id }: NickAuthChallenge,
  handshakeHash: string,
  nick: string,
  publicKeyHex: string,
): string {
  const parts = ['nick-auth', challenge, id, handshakeHash, nick, publicKeyHex];
  return parts.join('|') + DOMAIN;
}

function hashOf(handshakePayload: string): string {
  return bytesToHex(sha256(utf8ToBytes(handshakePayload)));
}

/** Proves a nick. `handshakePayload` is the `line` of our 793 on this connection. */
export function proveNick(
  key: NickKey,
  challenge: NickAuthChallenge,
  handshakePayload: string,
): NickAuthProof {
  const { nick, publicKeyHex, privateKey } = key;
  const text = transcript(challenge, hashOf(handshakePayload), nick, publicKeyHex);
  return { publicKeyHex, signature: signNickText(text, privateKey) };
}

/**
 * Whether the sender of this 793 payload holds the key of `nick`. One signature check; low S only, as
 * deployed directories demand. Never throws.
 */
export function verifyNickProof(
  proof: NickAuthProof,
  challenge: NickAuthChallenge,
  handshakePayload: string,
  nick: string,
): boolean {
  const carried = carriedProof(proof, challenge, handshakePayload);
  return verifyCarriedProof(carried, proof.publicKeyHex, nick);
}

/** What others need to verify a proof without the handshake: at most 500 characters. */
export function carriedProof(
  { signature }: NickAuthProof,
  { challenge, directoryId: id }: NickAuthChallenge,
  handshakePayload: string,
): CarriedProof {
  return { challenge, directoryId: id, handshakeHash: hashOf(handshakePayload), signature };
}

/**
 * Whether the key of `nick` signed this proof, for whatever directory it names. One signature check. Never
 * throws.
 */
export function verifyCarriedProof(
  proof: CarriedProof,
  publicKeyHex: string,
  nick: string,
): boolean {
  if (!NICK.test(nick) || nickOf(publicKeyHex) !== nick) return false;
  const text = transcript(proof, proof.handshakeHash, nick, publicKeyHex);
  try {
    const signature = base64.decode(proof.signature);
    return isMessageSignature(signature, text, hexToBytes(publicKeyHex), 'low');
  } catch {
    return false;
  }
}

/** The four texts of a proof, for `parseCarriedProof`. */
export function formatCarriedProof(proof: CarriedProof): readonly string[] {
  return [proof.challenge, proof.directoryId, proof.handshakeHash, proof.signature];
}

/** Reads the four texts of a proof; undefined when they are none. Nothing is verified yet. Never throws. */
export function parseCarriedProof(value: unknown): CarriedProof | undefined {
  if (!Array.isArray(value) || value.length !== 4) return undefined;
  const [challenge, id, handshakeHash, signature] = value.map((part: unknown) =>
    typeof part === 'string' ? ownText(part) : undefined,
  );
  if (!matches(challenge, HEX_32) || !matches(id, DIRECTORY_ID)) return undefined;
  if (!matches(handshakeHash, HEX_32)) return undefined;
  if (signature === undefined || !isSignatureText(signature)) return undefined;
  return { challenge, directoryId: id, handshakeHash, signature };
}
