/**
 * ECDSA over secp256k1 by libsecp256k1 in WebAssembly, the package `tiny-secp256k1`: a check takes two thirds
 * of the time that it takes in OpenSSL, half with a key that was not used before, and a signature a quarter of
 * the time that it takes in JavaScript.
 */

/** A constant, so that no bundler includes the package: it reads its WebAssembly from beside its modules. */
const PACKAGE: string = 'tiny-secp256k1';

/** What is used of the package. Both throw for arguments of another form. */
interface Library {
  /** Accepts high S. */
  readonly verify: (hash: Uint8Array, publicKey: Uint8Array, signature: Uint8Array) => unknown;
  /** Deterministic (RFC 6979), low S. */
  readonly sign: (hash: Uint8Array, privateKey: Uint8Array) => unknown;
}

/** Signatures are r and s, 32 bytes each. Both functions return undefined when the package cannot tell. */
export interface WasmEcdsa {
  /** Whether the signature of a hash is valid for a compressed key; S may be high. */
  verify(signature: Uint8Array, hash: Uint8Array, publicKey: Uint8Array): boolean | undefined;
  /** The deterministic signature of a hash, with low S. */
  sign(hash: Uint8Array, privateKey: Uint8Array): Uint8Array | undefined;
}

function isLibrary(value: unknown): value is Library {
  if (typeof value !== 'object' || value === null) return false;
  const { verify, sign } = value as { readonly verify?: unknown; readonly sign?: unknown };
  return typeof verify === 'function' && typeof sign === 'function';
}

function ecdsaOf(library: Library): WasmEcdsa {
  return {
    verify(signature, hash, publicKey) {
      try {
        const verdict = library.verify(hash, publicKey, signature);
        return typeof verdict === 'boolean' ? verdict : undefined;
      } catch {
        return undefined;
      }
    },
    sign(hash, privateKey) {
      try {
        const signature = library.sign(hash, privateKey);
        return signature instanceof Uint8Array && signature.length === 64 ? signature : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

/** A signature by JavaScript. */
const KNOWN = {
  privateKey: bytes('08'.repeat(32)),
  hash: bytes('09'.repeat(32)),
  publicKey: bytes('03f991f944d1e1954a7fc8b9bf62e0d78f015f4c07762d505e20e6c45260a3661b'),
  signature: bytes(
    'd5ae970423aead32d4d327175fb294e26958a519219b427d8ccd0859c9f97867' +
      '42238ac51fb0d68fbeb33c1ce83cc18b6174edc23233e04d8d3163cc9371b162',
  ),
};

/** Whether it computes what JavaScript computes. The first calls also build its tables. */
function isRight(ecdsa: WasmEcdsa): boolean {
  const { privateKey, hash, publicKey, signature } = KNOWN;
  const own = ecdsa.sign(hash, privateKey);
  if (own === undefined || Buffer.compare(own, signature) !== 0) return false;
  const other = own.subarray(32);
  return (
    ecdsa.verify(own, hash, publicKey) === true && ecdsa.verify(own, other, publicKey) === false
  );
}

/**
 * Loads the package: about 25 ms of CPU time in two turns of the event loop, and 5 MB. Undefined where it is
 * not installed, cannot run, or computes something else. Never rejects.
 * @param load for tests
 */
export async function loadWasmEcdsa(
  load: () => Promise<unknown> = () => import(PACKAGE),
): Promise<WasmEcdsa | undefined> {
  try {
    const library = await load();
    if (!isLibrary(library)) return undefined;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    const ecdsa = ecdsaOf(library);
    return isRight(ecdsa) ? ecdsa : undefined;
  } catch {
    return undefined;
  }
}
