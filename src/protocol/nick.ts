/**
 * Nicks (docs/protocol.md, section 7.1): `J5` and the base58 of ten hash bytes, padded with `O`.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { base58 } from '@scure/base';

const NICK_HEADER = 'J5';
const NICK_LENGTH = 16;
/** Longest nick that an onionmc directory accepts; deployed nicks have 16 characters (section 3.3). */
const MAX_NICK_LENGTH = 64;

/** The key of a nick. It lives as long as the process. */
export interface NickKey {
  /** The nick of the key. */
  readonly nick: string;
  /** 32 bytes. */
  readonly privateKey: Uint8Array;
  /** Compressed, lower-case hex, 66 characters. */
  readonly publicKeyHex: string;
}

/** base58 of the first ten bytes of SHA256 over the hex text of a public key, in the case given. */
export function nickHash(publicKeyHex: string): string {
  return base58.encode(sha256(utf8ToBytes(publicKeyHex)).subarray(0, 10));
}

/** The 16-character nick of a compressed public key given as lower-case hex. */
export function nickOf(publicKeyHex: string): string {
  return (NICK_HEADER + nickHash(publicKeyHex)).padEnd(NICK_LENGTH, 'O');
}

/** The nick key of a 32-byte secret. Throws when the secret is not a valid secp256k1 scalar. */
export function nickKey(privateKey: Uint8Array): NickKey {
  const publicKeyHex = bytesToHex(secp256k1.getPublicKey(privateKey, true));
  return { nick: nickOf(publicKeyHex), privateKey, publicKeyHex };
}

/** A new nick key from 16 random bytes, as deployed peers make their keys. */
export function createNickKey(randomBytes: (count: number) => Uint8Array): NickKey {
  return nickKey(sha256(randomBytes(16)));
}

/**
 * Whether a nick belongs to a public key: every `O` is padding, and the hash is over the text as
 * received or over its lower-case form (section 7.4).
 */
export function nickMatchesKey(nick: string, publicKeyHex: string): boolean {
  if (nick.length !== NICK_LENGTH || !nick.startsWith(NICK_HEADER)) return false;
  const hash = nick.slice(2).replaceAll('O', '');
  return hash === nickHash(publicKeyHex) || hash === nickHash(publicKeyHex.toLowerCase());
}

/**
 * Whether a nick can be routed and listed without injecting a separator: 1 to 64 printable ASCII
 * characters, none of them `! ; , +` or a blank, and not the word PUBLIC (sections 3.3, 5.2, 6.1).
 */
export function isRoutableNick(text: string): boolean {
  return (
    text.length <= MAX_NICK_LENGTH &&
    text !== 'PUBLIC' &&
    /^[!-~]+$/.test(text) &&
    !/[!;,+]/.test(text)
  );
}
