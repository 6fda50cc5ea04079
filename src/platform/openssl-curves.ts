/**
 * The curves of OpenSSL, through `node:crypto`: a signature check takes a third of the time that it takes in
 * JavaScript, and a shared secret half. Where OpenSSL lacks a curve or refuses a key, the functions return
 * undefined.
 */
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  verify,
  type KeyObject,
} from 'node:crypto';

/** DER before a compressed key of secp256k1, and before a secret of X25519 (RFC 5480, RFC 8410). */
const SECP256K1_PUBLIC = Buffer.from('3036301006072a8648ce3d020106052b8104000a032200', 'hex');
const X25519_PRIVATE = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** Keys kept: a peer signs all its messages with one. Reading a key takes half as long as a check. */
const KEYS_KEPT = 256;
/** Keys in the order of their first use; undefined for bytes that are not a key. */
const keys = new Map<string, KeyObject | undefined>();

function secp256k1Key(bytes: Uint8Array): KeyObject | undefined {
  try {
    const der = Buffer.concat([SECP256K1_PUBLIC, bytes]);
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** As a JSON Web Key (RFC 8037): a tenth of the time that DER takes. */
function x25519Key(bytes: Uint8Array): KeyObject {
  const key = { kty: 'OKP', crv: 'X25519', x: base64url(bytes) };
  return createPublicKey({ key, format: 'jwk' });
}

function keyOf(bytes: Uint8Array): KeyObject | undefined {
  const name = Buffer.from(bytes).toString('latin1');
  if (keys.has(name)) return keys.get(name);
  const key = secp256k1Key(bytes);
  keys.set(name, key);
  if (keys.size > KEYS_KEPT) {
    for (const oldest of keys.keys()) {
      keys.delete(oldest);
      break;
    }
  }
  return key;
}

function checkEcdsa(
  signature: Uint8Array,
  once: Uint8Array,
  publicKey: Uint8Array,
): boolean | undefined {
  const key = keyOf(publicKey);
  if (key === undefined) return undefined;
  try {
    return verify('sha256', once, { key, dsaEncoding: 'ieee-p1363' }, signature);
  } catch {
    return undefined;
  }
}

/** A tenth of the time of DER. The form demands a public key, which Node does not read for a private one. */
function secretByJwk(secret: Uint8Array): KeyObject {
  const key = { kty: 'OKP', crv: 'X25519', x: base64url(new Uint8Array(32)), d: base64url(secret) };
  return createPrivateKey({ key, format: 'jwk' });
}

function secretByDer(secret: Uint8Array): KeyObject {
  const der = Buffer.concat([X25519_PRIVATE, secret]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

const publicX = (key: KeyObject): string | undefined =>
  createPublicKey(key).export({ format: 'jwk' }).x;

let readSecret: typeof secretByJwk | undefined;

/** By JWK if this Node computes the public key itself; found out at the first call. */
function secretReader(): typeof secretByJwk {
  if (readSecret !== undefined) return readSecret;
  const known = new Uint8Array(32).fill(7);
  try {
    const isRight = publicX(secretByJwk(known)) === publicX(secretByDer(known));
    readSecret = isRight ? secretByJwk : secretByDer;
  } catch {
    readSecret = secretByDer;
  }
  return readSecret;
}

/** The last secret: a taker uses one for all makers of a round. */
let last: { readonly secret: Buffer; readonly key: KeyObject } | undefined;

function secretOf(secretKey: Uint8Array): KeyObject {
  if (last?.secret.equals(secretKey) === true) return last.key;
  const secret = Buffer.from(secretKey);
  const key = secretReader()(secret);
  last = { secret, key };
  return key;
}

function publicX25519(secretKey: Uint8Array): Uint8Array | undefined {
  try {
    const x = publicX(secretOf(secretKey));
    return x === undefined ? undefined : new Uint8Array(Buffer.from(x, 'base64url'));
  } catch {
    return undefined;
  }
}

function sharedX25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    const theirs = x25519Key(publicKey);
    const secret = diffieHellman({ privateKey: secretOf(secretKey), publicKey: theirs });
    return new Uint8Array(secret);
  } catch {
    return undefined;
  }
}

/** A valid signature: a library that refuses it does not have this curve, or not for this use. */
const KNOWN = {
  signature:
    'e9148f582e809f1d498733d82fa5e176bd11dab32da73a6525e5937374bf30ea' +
    '7d76689bc35767d0dc7ea5fc820c46533ab1c7bebeb47b8c5f58b7d3fcf708ba',
  once: '07'.repeat(32),
  publicKey: '0362c0a046dacce86ddd0343c6d3c7c79c2208ba0d9c9cf24a6d046d21d21f90f7',
};

let isTried = false;
let isAble = false;

/** Whether this OpenSSL checks signatures of secp256k1; found out at the first call. */
function hasSecp256k1(): boolean {
  if (isTried) return isAble;
  isTried = true;
  const [signature, once, publicKey] = [KNOWN.signature, KNOWN.once, KNOWN.publicKey].map((hex) =>
    Buffer.from(hex, 'hex'),
  );
  if (signature && once && publicKey) isAble = checkEcdsa(signature, once, publicKey) === true;
  return isAble;
}

/** `PlatformCurves` of src/protocol, by the OpenSSL of this Node. */
export const openSslCurves = {
  /** Whether r and s (32 bytes each) sign SHA256(`once`); undefined when OpenSSL cannot tell. */
  verifyEcdsa(signature: Uint8Array, once: Uint8Array, publicKey: Uint8Array): boolean | undefined {
    return hasSecp256k1() ? checkEcdsa(signature, once, publicKey) : undefined;
  },
  /** The X25519 public key of a secret; undefined when OpenSSL refuses it. */
  publicX25519,
  /** The X25519 secret of two keys; undefined when OpenSSL refuses one of them. */
  sharedX25519,
};
