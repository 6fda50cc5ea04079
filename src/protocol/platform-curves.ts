/**
 * The place for a faster implementation of the two curves. The protocol itself is pure and computes in
 * JavaScript; a program may give it functions of its platform, which then only change the speed. Imports
 * nothing, so that a command can set it without loading the curves.
 */

/** Functions of a platform. Each returns undefined when it cannot tell; JavaScript then computes. */
export interface PlatformCurves {
  /**
   * Whether an ECDSA signature over secp256k1 is valid for SHA256(`once`).
   * @param signature r and s, 32 bytes each, both from 1 to N - 1; S may be high
   * @param once the first of the two SHA-256 of the message, 32 bytes
   * @param publicKey compressed, not checked yet
   */
  verifyEcdsa(signature: Uint8Array, once: Uint8Array, publicKey: Uint8Array): boolean | undefined;
  /**
   * Signs a hash of 32 bytes: r and s, 32 bytes each, deterministic (RFC 6979), low S, as JavaScript does. Only
   * for keys of nicks; the keys of coins stay in JavaScript. Absent: JavaScript signs.
   */
  signForNick?(hash: Uint8Array, privateKey: Uint8Array): Uint8Array | undefined;
  /**
   * aP + bQ, compressed, for scalars of 32 bytes and compressed points. Only for public values. Undefined for
   * the point at infinity, too. Absent: JavaScript computes.
   */
  sumOfProducts?(
    a: Uint8Array,
    p: Uint8Array,
    b: Uint8Array,
    q: Uint8Array,
  ): Uint8Array | undefined;
  /** The X25519 public key of a secret of 32 bytes. */
  publicX25519(secretKey: Uint8Array): Uint8Array | undefined;
  /** The X25519 secret of two keys of 32 bytes. Undefined for a point of small order, too. */
  sharedX25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
}

let curves: PlatformCurves | undefined;

/** Sets the functions of this process; the result of every call stays the same. Undefined removes them. */
export function usePlatformCurves(ofPlatform: PlatformCurves | undefined): void {
  curves = ofPlatform;
}

/** The functions that were set. */
export function platformCurves(): PlatformCurves | undefined {
  return curves;
}
