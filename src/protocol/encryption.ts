/**
 * NaCl boxes, the encryption of `auth`, `ioauth`, `tx` and `sig` (protocol document, section 9.2).
 * Keys are X25519; public ones travel as 64 hex digits in `fill` and `pubkey`. A box travels as
 * base64 of nonce (24 bytes), Poly1305 tag (16) and ciphertext.
 */
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import nacl from 'tweetnacl';
import { decodeBase64 } from './base64-text.js';
import { fail, ok, type Parsed } from './result.js';

const KEY_BYTES = 32;
const NONCE_BYTES = 24;
const TAG_BYTES = 16;
/** No line that a peer accepts holds more (section 1.2). */
const MAX_BOX_CHARS = 40_000;
/** What a shared secret of zeros becomes, which is all that points of small order lead to. */
const WEAK_KEY = nacl.box.before(new Uint8Array(KEY_BYTES), new Uint8Array(KEY_BYTES));
/** What deployed peers put into boxes: hex, base64, addresses and separators. */
const PLAINTEXT = /^[ -~]+$/;

/** Cryptographically random bytes as an argument. */
export type RandomBytes = (count: number) => Uint8Array;

/** One side's X25519 keys. A maker makes fresh ones for each `fill`, a taker for each round. */
export interface BoxKeyPair {
  /** 32 bytes. */
  readonly secretKey: Uint8Array;
  /** 64 lower-case hex digits, as it travels; the maker's is what `ioauth` signs (section 9.5). */
  readonly publicKeyHex: string;
}

/** The key pair of a 32-byte secret. Throws a RangeError for another length. */
export function boxKeyPair(secretKey: Uint8Array): BoxKeyPair {
  if (secretKey.length !== KEY_BYTES) throw new RangeError('an X25519 secret has 32 bytes');
  return { secretKey, publicKeyHex: bytesToHex(nacl.scalarMult.base(secretKey)) };
}

/** Fresh keys; draws 32 bytes. */
export function createBoxKeyPair(randomBytes: RandomBytes): BoxKeyPair {
  return boxKeyPair(randomBytes(KEY_BYTES));
}

export type BoxKeyFault = 'box-key-form' | 'box-key-weak';
export type BoxFault = 'box-form' | 'box-forged' | 'box-text';

/** The two directions between two key pairs; the same key serves both (section 9.2). */
export interface BoxSession {
  /** The other side's key in lower-case hex. */
  readonly theirPublicKeyHex: string;
  /**
   * Base64 of a box around a text, for the only argument of an encrypted command. Draws a nonce of
   * 24 bytes. Throws a RangeError for a text that is empty or not printable ASCII.
   */
  encrypt(text: string, randomBytes: RandomBytes): string;
  /**
   * Opens a box. Give it the arguments of the command: deployed receivers join all of them.
   * `box-forged` when it was not made with the two keys; `box-text` when it holds other bytes than
   * printable ASCII, or none.
   */
  decrypt(args: readonly string[]): Parsed<string, BoxFault>;
}

/**
 * Agrees on a key with somebody whose public key arrived as text, of either case. `box-key-form`
 * unless that is 64 hex digits; `box-key-weak` for the few keys with which everybody agrees on the
 * same secret (points of small order): such a box hides nothing.
 */
export function openBoxSession(
  own: BoxKeyPair,
  theirPublicKey: string,
): Parsed<BoxSession, BoxKeyFault> {
  if (!/^[0-9a-fA-F]{64}$/.test(theirPublicKey)) return fail('box-key-form');
  const theirs = hexToBytes(theirPublicKey);
  const key = nacl.box.before(theirs, own.secretKey);
  if (nacl.verify(key, WEAK_KEY)) return fail('box-key-weak');
  return ok({
    theirPublicKeyHex: theirPublicKey.toLowerCase(),
    encrypt(text, randomBytes) {
      if (!PLAINTEXT.test(text)) throw new RangeError('a box holds printable ASCII');
      const nonce = randomBytes(NONCE_BYTES);
      return base64.encode(concatBytes(nonce, nacl.box.after(utf8ToBytes(text), nonce, key)));
    },
    decrypt(args) {
      const wire = decodeBase64(args.join(''), MAX_BOX_CHARS);
      if (wire === undefined || wire.length < NONCE_BYTES + TAG_BYTES) return fail('box-form');
      const opened = nacl.box.open.after(
        wire.subarray(NONCE_BYTES),
        wire.subarray(0, NONCE_BYTES),
        key,
      );
      if (opened === null) return fail('box-forged');
      const text = String.fromCharCode(...opened);
      return PLAINTEXT.test(text) ? ok(text) : fail('box-text');
    },
  });
}
