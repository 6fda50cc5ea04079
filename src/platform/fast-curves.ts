/** `PlatformCurves` of src/protocol by the fastest of what this process has: WebAssembly, else OpenSSL. */
import { sha256 } from '@noble/hashes/sha2.js';
import { openSslCurves } from './openssl-curves.js';
import { loadWasmSecp256k1, type WasmSecp256k1 } from './wasm-curves.js';

let wasm: WasmSecp256k1 | undefined;
let loading: Promise<void> | undefined;

async function load(): Promise<void> {
  wasm = await loadWasmSecp256k1();
}

/**
 * Loads the WebAssembly; a second call does not load it again. Resolves when it is in use, or is known to be
 * missing. Never rejects. For programs with many messages: it costs as much as two hundred checks save.
 */
export function loadFastCurves(): Promise<void> {
  loading ??= load();
  return loading;
}

/** Curves of OpenSSL, and those of WebAssembly as soon as they are loaded. */
export const fastCurves = {
  /** Whether r and s (32 bytes each) sign SHA256(`once`); undefined when neither can tell. */
  verifyEcdsa(signature: Uint8Array, once: Uint8Array, publicKey: Uint8Array): boolean | undefined {
    const verdict = wasm?.verify(signature, sha256(once), publicKey);
    return verdict ?? openSslCurves.verifyEcdsa(signature, once, publicKey);
  },
  /** Signs a hash by the key of a nick; undefined while the WebAssembly is not loaded. */
  signForNick: (digest: Uint8Array, privateKey: Uint8Array): Uint8Array | undefined =>
    wasm?.sign(digest, privateKey),
  /** aP + bQ for public values; undefined while the WebAssembly is not loaded, or for the point at infinity. */
  sumOfProducts: (
    a: Uint8Array,
    p: Uint8Array,
    b: Uint8Array,
    q: Uint8Array,
  ): Uint8Array | undefined => wasm?.sum(a, p, b, q),
  /** The X25519 public key of a secret; undefined when OpenSSL refuses it. */
  publicX25519: openSslCurves.publicX25519,
  /** The X25519 secret of two keys; undefined when OpenSSL refuses one of them. */
  sharedX25519: openSslCurves.sharedX25519,
};
