/** `PlatformCurves` of src/protocol by the fastest of what this process has: WebAssembly, else OpenSSL. */
import { sha256 } from '@noble/hashes/sha2.js';
import { openSslCurves } from './openssl-curves.js';
import { loadWasmEcdsa, type WasmEcdsa } from './wasm-curves.js';

let wasm: WasmEcdsa | undefined;
let loading: Promise<void> | undefined;

async function load(): Promise<void> {
  wasm = await loadWasmEcdsa();
}

/**
 * Loads the WebAssembly; a second call does not load it again. Resolves when it is in use, or is known to be
 * missing. Never rejects. For programs with many messages: it costs as much as a hundred checks save.
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
  /** The X25519 public key of a secret; undefined when OpenSSL refuses it. */
  publicX25519: openSslCurves.publicX25519,
  /** The X25519 secret of two keys; undefined when OpenSSL refuses one of them. */
  sharedX25519: openSslCurves.sharedX25519,
};
