/**
 * The curve secp256k1 by libsecp256k1 in WebAssembly, the package `tiny-secp256k1`: a check takes two thirds
 * of the time that it takes in OpenSSL, half with a key that was not used before, and a signature a quarter of
 * the time that it takes in JavaScript.
 */

/** A constant, so that no bundler includes the package: it reads its WebAssembly from beside its modules. */
const PACKAGE: string = 'tiny-secp256k1';

const SIGNATURE_BYTES = 64;
const POINT_BYTES = 33;

/** What is used of the package. All throw for arguments of another form. */
interface Library {
  /** Accepts high S. */
  readonly verify: (hash: Uint8Array, publicKey: Uint8Array, signature: Uint8Array) => unknown;
  /** Deterministic (RFC 6979), low S. */
  readonly sign: (hash: Uint8Array, privateKey: Uint8Array) => unknown;
  /** Null for the point at infinity. */
  readonly pointMultiply: (point: Uint8Array, scalar: Uint8Array, compressed: true) => unknown;
  /** Null for the point at infinity. */
  readonly pointAdd: (p: Uint8Array, q: Uint8Array, compressed: true) => unknown;
}

/** Signatures are r and s, 32 bytes each. All functions return undefined when the package cannot tell. */
export interface WasmSecp256k1 {
  /** Whether the signature of a hash is valid for a compressed key; S may be high. */
  verify(signature: Uint8Array, hash: Uint8Array, publicKey: Uint8Array): boolean | undefined;
  /** The deterministic signature of a hash, with low S. */
  sign(hash: Uint8Array, privateKey: Uint8Array): Uint8Array | undefined;
  /** aP + bQ, for public scalars of 32 bytes and compressed points; undefined for the point at infinity, too. */
  sum(a: Uint8Array, p: Uint8Array, b: Uint8Array, q: Uint8Array): Uint8Array | undefined;
}

const FUNCTIONS = ['verify', 'sign', 'pointMultiply', 'pointAdd'];

function isLibrary(value: unknown): value is Library {
  if (typeof value !== 'object' || value === null) return false;
  const members = new Map<string, unknown>(Object.entries(value));
  return FUNCTIONS.every((name) => typeof members.get(name) === 'function');
}

/** The result if it has the right type and length. */
function bytesFrom(work: () => unknown, length: number): Uint8Array | undefined {
  try {
    const result = work();
    return result instanceof Uint8Array && result.length === length ? result : undefined;
  } catch {
    return undefined;
  }
}

function curveOf(library: Library): WasmSecp256k1 {
  const product = (point: Uint8Array, scalar: Uint8Array): Uint8Array | undefined =>
    bytesFrom(() => library.pointMultiply(point, scalar, true), POINT_BYTES);
  return {
    verify(signature, hash, publicKey) {
      try {
        const verdict = library.verify(hash, publicKey, signature);
        return typeof verdict === 'boolean' ? verdict : undefined;
      } catch {
        return undefined;
      }
    },
    sign: (hash, privateKey) => bytesFrom(() => library.sign(hash, privateKey), SIGNATURE_BYTES),
    sum(a, p, b, q) {
      const [left, right] = [product(p, a), product(q, b)];
      if (left === undefined || right === undefined) return undefined;
      return bytesFrom(() => library.pointAdd(left, right, true), POINT_BYTES);
    },
  };
}

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

/** A signature and a sum by JavaScript. */
const KNOWN = {
  privateKey: bytes('08'.repeat(32)),
  hash: bytes('09'.repeat(32)),
  publicKey: bytes('03f991f944d1e1954a7fc8b9bf62e0d78f015f4c07762d505e20e6c45260a3661b'),
  signature: bytes(
    'd5ae970423aead32d4d327175fb294e26958a519219b427d8ccd0859c9f97867' +
      '42238ac51fb0d68fbeb33c1ce83cc18b6174edc23233e04d8d3163cc9371b162',
  ),
  base: bytes('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'),
  sum: bytes('0228a96da563b1253e71454c96bd8974e281ba2fb54146374aaa71bd0cd6ef19f5'),
};

/** Whether it computes what JavaScript computes. The first calls also build its tables. */
function isRight(curve: WasmSecp256k1): boolean {
  const { privateKey, hash, publicKey, signature } = KNOWN;
  const own = curve.sign(hash, privateKey);
  const sum = curve.sum(privateKey, publicKey, hash, KNOWN.base);
  if (own === undefined || Buffer.compare(own, signature) !== 0) return false;
  if (sum === undefined || Buffer.compare(sum, KNOWN.sum) !== 0) return false;
  const other = own.subarray(32);
  return (
    curve.verify(own, hash, publicKey) === true && curve.verify(own, other, publicKey) === false
  );
}

/**
 * Loads the package: about 30 ms of CPU time in two turns of the event loop, and 4 MB. Undefined where it is
 * not installed, cannot run, or computes something else. Never rejects.
 * @param load for tests
 */
export async function loadWasmSecp256k1(
  load: () => Promise<unknown> = () => import(PACKAGE),
): Promise<WasmSecp256k1 | undefined> {
  try {
    const library = await load();
    if (!isLibrary(library)) return undefined;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    const curve = curveOf(library);
    return isRight(curve) ? curve : undefined;
  } catch {
    return undefined;
  }
}
