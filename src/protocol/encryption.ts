/**
 * NaCl boxes, the encryption of `auth`, `ioauth`, `tx` and `sig` (docs/protocol.md, section 9.2). Keys
 * are X25519; public ones travel as 64 hex digits in `fill` and `pubkey`. A box travels as base64 of
 * nonce (24 bytes), Poly1305 tag (16) and ciphertext.
 *
 * `tweetnacl` is not used: its version 1.0.3 ends an ES module that esbuild 0.28.2 bundled
 * (findings/esbuild-esm-tweetnacl.sh).
 */
import { hsalsa, xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import { decodeBase64 } from './base64-text.js';
import { platformCurves } from './platform-curves.js';
import { fail, ok, type Parsed } from './result.js';

const KEY_BYTES = 32;
const NONCE_BYTES = 24;
const TAG_BYTES = 16;
/** A longer box does not fit any line that peers accept (section 1.2). */
const MAX_BOX_CHARS = 40_000;
/** The constant of Salsa20 for keys of 32 bytes. */
const SIGMA = utf8ToBytes('expand 32-byte k');
/** Text that deployed peers encrypt: hex, base64, addresses and separators. */
const PLAINTEXT = /^[ -~]+$/;

/** A source of cryptographically random bytes. */
export type RandomBytes = (count: number) => Uint8Array;

/** The X25519 keys of one side. A maker makes new ones for each `fill`, a taker for each round. */
export interface BoxKeyPair {
  /** 32 bytes. */
  readonly secretKey: Uint8Array;
  /** 64 lower-case hex digits, as sent. `ioauth` signs the maker's (section 9.5). */
  readonly publicKeyHex: string;
}

/** The key pair of a 32-byte secret. Throws a RangeError for another length. */
export function boxKeyPair(secretKey: Uint8Array): BoxKeyPair {
  if (secretKey.length !== KEY_BYTES) throw new RangeError('an X25519 secret has 32 bytes');
  const publicKey = platformCurves()?.publicX25519(secretKey) ?? x25519.getPublicKey(secretKey);
  return { secretKey, publicKeyHex: bytesToHex(publicKey) };
}

/** A new key pair; draws 32 random bytes. */
export function createBoxKeyPair(randomBytes: RandomBytes): BoxKeyPair {
  return boxKeyPair(randomBytes(KEY_BYTES));
}

const words = (bytes: Uint8Array): Uint32Array => new Uint32Array(bytes.slice().buffer);

function sharedSecret(secretKey: Uint8Array, theirPublicKey: Uint8Array): Uint8Array | undefined {
  const ofPlatform = platformCurves()?.sharedX25519(secretKey, theirPublicKey);
  if (ofPlatform !== undefined) return ofPlatform;
  try {
    return x25519.getSharedSecret(secretKey, theirPublicKey);
  } catch {
    return undefined;
  }
}

/**
 * The key of both directions: HSalsa20 of the X25519 secret. Undefined for points of small order, with
 * which the secret is always zero.
 */
function sharedKey(secretKey: Uint8Array, theirPublicKey: Uint8Array): Uint8Array | undefined {
  const secret = sharedSecret(secretKey, theirPublicKey);
  if (secret === undefined) return undefined;
  const key = new Uint32Array(KEY_BYTES / 4);
  hsalsa(words(SIGMA), words(secret), new Uint32Array(4), key);
  return new Uint8Array(key.buffer);
}

/** Undefined unless the box was made with this key. */
function open(key: Uint8Array, nonce: Uint8Array, box: Uint8Array): Uint8Array | undefined {
  try {
    return xsalsa20poly1305(key, nonce).decrypt(box);
  } catch {
    return undefined;
  }
}

/** Why a key of the other side is refused: not 64 hex digits, or a point of low order. */
export type BoxKeyFault = 'box-key-form' | 'box-key-weak';
/** Why a box cannot be opened: not a box, not from the other side, or no printable text in it. */
export type BoxFault = 'box-form' | 'box-forged' | 'box-text';

/** Encryption in both directions between two key pairs; both use the same key (section 9.2). */
export interface BoxSession {
  /** The other side's key in lower-case hex. */
  readonly theirPublicKeyHex: string;
  /**
   * Encrypts a text: base64 of a box, the only argument of an encrypted command. Draws a nonce of 24
   * bytes. Throws a RangeError for a text that is empty or not printable ASCII.
   */
  encrypt(text: string, randomBytes: RandomBytes): string;
  /**
   * Opens a box. Takes all arguments of the command, because deployed receivers join them. `box-forged`
   * when the box was not made with these two keys; `box-text` when its content is empty or not
   * printable ASCII.
   */
  decrypt(args: readonly string[]): Parsed<string, BoxFault>;
}

/**
 * Derives the common key from our key pair and the other side's public key (hex in either case).
 * `box-key-form` unless that is 64 hex digits; `box-key-weak` for points of small order, with which the
 * common key is public.
 */
export function openBoxSession(
  own: BoxKeyPair,
  theirPublicKey: string,
): Parsed<BoxSession, BoxKeyFault> {
  if (!/^[0-9a-fA-F]{64}$/.test(theirPublicKey)) return fail('box-key-form');
  const key = sharedKey(own.secretKey, hexToBytes(theirPublicKey));
  if (key === undefined) return fail('box-key-weak');
  return ok({
    theirPublicKeyHex: theirPublicKey.toLowerCase(),
    encrypt(text, randomBytes) {
      if (!PLAINTEXT.test(text)) throw new RangeError('a box holds printable ASCII');
      const nonce = randomBytes(NONCE_BYTES);
      const box = xsalsa20poly1305(key, nonce).encrypt(utf8ToBytes(text));
      return base64.encode(concatBytes(nonce, box));
    },
    decrypt(args) {
      const wire = decodeBase64(args.join(''), MAX_BOX_CHARS);
      if (wire === undefined || wire.length < NONCE_BYTES + TAG_BYTES) return fail('box-form');
      const opened = open(key, wire.subarray(0, NONCE_BYTES), wire.subarray(NONCE_BYTES));
      if (opened === undefined) return fail('box-forged');
      const text = String.fromCharCode(...opened);
      return PLAINTEXT.test(text) ? ok(text) : fail('box-text');
    },
  });
}
