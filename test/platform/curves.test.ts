/**
 * The curves of the platform change the speed and nothing else: every verdict is that of JavaScript alone, on
 * valid signatures, on changed ones and on arbitrary bytes.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import * as fc from 'fast-check';
import t from 'tap';
import { fastCurves, loadFastCurves } from '../../src/platform/fast-curves.js';
import { openSslCurves } from '../../src/platform/openssl-curves.js';
import { loadWasmSecp256k1 } from '../../src/platform/wasm-curves.js';
import { isEcdsaSignature, type AcceptedS } from '../../src/protocol/ecdsa.js';
import { boxKeyPair, openBoxSession } from '../../src/protocol/encryption.js';
import { usePlatformCurves, type PlatformCurves } from '../../src/protocol/platform-curves.js';
import { createPodle, verifyPodle } from '../../src/protocol/podle.js';
import { formatPrivmsg } from '../../src/protocol/message.js';
import { nickKey } from '../../src/protocol/nick.js';
import {
  signedMessageHash,
  signNickText,
  signText,
  verifyText,
} from '../../src/protocol/signature.js';
import { unicodeText } from '../helpers/unicode-text.js';

const { Point } = secp256k1;
type CurvePoint = InstanceType<typeof Point>;
const N = Point.Fn.ORDER;
const P = Point.Fp.ORDER;

await loadFastCurves();

/** What a function returns in JavaScript alone, with OpenSSL, and with WebAssembly. */
function everyWay<T>(work: () => T): readonly [T, T, T] {
  const by = (curves: PlatformCurves | undefined): T => {
    usePlatformCurves(curves);
    return work();
  };
  try {
    return [by(undefined), by(openSslCurves), by(fastCurves)];
  } finally {
    usePlatformCurves(undefined);
  }
}

/** As the checks were before there was a platform: the library alone. */
function byLibrary(der: Uint8Array, once: Uint8Array, key: Uint8Array, lowS: boolean): boolean {
  try {
    const hash = sha256(once);
    return secp256k1.verify(der, hash, key, { prehash: false, lowS, format: 'der' });
  } catch {
    return false;
  }
}

const secret = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .filter((bytes) => secp256k1.utils.isValidSecretKey(bytes));
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const accepted = fc.constantFrom<AcceptedS>('low', 'any');

/** Valid with low S, or the same with high S. */
function signed(key: Uint8Array, once: Uint8Array, high: boolean): Uint8Array {
  const low = secp256k1.sign(sha256(once), key, { prehash: false, lowS: true, format: 'der' });
  if (!high) return low;
  const { r, s } = secp256k1.Signature.fromBytes(low, 'der');
  return new secp256k1.Signature(r, N - s).toBytes('der');
}

/** One byte set, removed or added at a place. */
function changed(bytes: Uint8Array, how: 'set' | 'cut' | 'add', at: number, byte: number) {
  const place = at % bytes.length;
  if (how === 'set') return Uint8Array.from(bytes, (old, n) => (n === place ? byte : old));
  if (how === 'cut') return concatBytes(bytes.subarray(0, place), bytes.subarray(place + 1));
  return concatBytes(bytes.subarray(0, place), Uint8Array.of(byte), bytes.subarray(place));
}

const change = fc.record({
  how: fc.constantFrom('set' as const, 'cut' as const, 'add' as const),
  at: fc.nat(100),
  byte: fc.nat(255),
});

t.teardown(() => usePlatformCurves(undefined));

t.test('valid signatures are valid in every way, high S only where it is accepted', (t) => {
  fc.assert(
    fc.property(secret, hash, fc.boolean(), accepted, (key, once, high, rule) => {
      const publicKey = secp256k1.getPublicKey(key, true);
      const der = signed(key, once, high);
      const verdicts = everyWay(() => isEcdsaSignature(der, once, publicKey, rule));
      const expected = !high || rule === 'any';
      return verdicts.every((verdict) => verdict === expected);
    }),
    { numRuns: 40 },
  );
  t.end();
});

t.test('changed signatures, keys and hashes have the verdict of the library', (t) => {
  let refused = 0;
  fc.assert(
    fc.property(
      secret,
      hash,
      fc.boolean(),
      accepted,
      fc.constantFrom('signature' as const, 'key' as const, 'hash' as const),
      change,
      (key, once, high, rule, which, { how, at, byte }) => {
        const whole = {
          signature: signed(key, once, high),
          key: secp256k1.getPublicKey(key, true),
          hash: once,
        };
        // A hash of another length is no hash.
        const way = which === 'hash' ? 'set' : how;
        const parts = { ...whole, [which]: changed(whole[which], way, at, byte) };
        const library = byLibrary(parts.signature, parts.hash, parts.key, rule === 'low');
        if (!library) refused += 1;
        const verdicts = everyWay(() =>
          isEcdsaSignature(parts.signature, parts.hash, parts.key, rule),
        );
        return verdicts.every((verdict) => verdict === library);
      },
    ),
    { numRuns: 150 },
  );
  t.ok(refused > 40, 'most changes make a signature invalid');
  t.end();
});

const bytesOf = (value: bigint, length = 32): Uint8Array =>
  hexToBytes(value.toString(16).padStart(length * 2, '0'));

/** A DER integer, shortest unless padded. */
function derInteger(value: bigint, padding = 0): Uint8Array {
  const hex = value.toString(16);
  const even = hexToBytes(hex.length % 2 === 0 ? hex : `0${hex}`);
  const positive = (even[0] ?? 0) >= 0x80 ? concatBytes(Uint8Array.of(0), even) : even;
  const padded = concatBytes(new Uint8Array(padding), positive);
  return concatBytes(Uint8Array.of(2, padded.length), padded);
}

function derOf(r: bigint, s: bigint, padding = 0): Uint8Array {
  const body = concatBytes(derInteger(r, padding), derInteger(s));
  return concatBytes(Uint8Array.of(0x30, body.length), body);
}

t.test('scalars and coordinates at the edges', (t) => {
  const key = new Uint8Array(32).fill(9);
  const publicKey = secp256k1.getPublicKey(key, true);
  const once = new Uint8Array(32).fill(3);
  const { r, s } = secp256k1.Signature.fromBytes(signed(key, once, false), 'der');
  const edges = [0n, 1n, N / 2n, N / 2n + 1n, N - 1n, N, N + 1n, P - N, P - 1n, P, 2n ** 256n - 1n];
  const signatures = [
    ...edges.flatMap((edge) => [derOf(edge, s), derOf(r, edge), derOf(edge, edge)]),
    derOf(r + N, s),
    derOf(r, s + N),
    derOf(r, s, 1),
    new Uint8Array(),
    Uint8Array.of(0x30, 0),
    concatBytes(derOf(r, s), Uint8Array.of(0)),
    concatBytes(Uint8Array.of(0x30, 0x81), derOf(r, s).subarray(1)),
    concatBytes(Uint8Array.of(0x31), derOf(r, s).subarray(1)),
  ];
  const xs = [...edges, 2n, 5n, P + 1n].filter((x) => x < 2n ** 256n);
  const keys = [
    publicKey,
    ...xs.flatMap((x) => [2, 3].map((head) => concatBytes(Uint8Array.of(head), bytesOf(x)))),
    ...[0, 1, 4, 5, 6, 7, 255].map((head) => Uint8Array.from(publicKey, (b, n) => (n ? b : head))),
    secp256k1.getPublicKey(key, false),
    Uint8Array.from(secp256k1.getPublicKey(key, false), (b, n) => (n ? b : 6)),
    new Uint8Array(),
    Uint8Array.of(0),
    new Uint8Array(33),
  ];
  for (const rule of ['low', 'any'] as const) {
    for (const der of signatures) {
      const library = byLibrary(der, once, publicKey, rule === 'low');
      const verdicts = everyWay(() => isEcdsaSignature(der, once, publicKey, rule));
      t.strictSame(verdicts, [library, library, library], bytesToHex(der));
    }
    for (const other of keys) {
      const der = derOf(r, s);
      const library = byLibrary(der, once, other, rule === 'low');
      const verdicts = everyWay(() => isEcdsaSignature(der, once, other, rule));
      t.strictSame(verdicts, [library, library, library], bytesToHex(other));
    }
  }
  t.end();
});

t.test('texts of messages', (t) => {
  fc.assert(
    fc.property(secret, unicodeText(), fc.boolean(), (key, text, isOther) => {
      const publicKey = bytesToHex(secp256k1.getPublicKey(key, true));
      const signature = signText(text, key);
      const [alone, openSsl, wasm] = everyWay(() =>
        verifyText(isOther ? `${text}.` : text, publicKey, signature),
      );
      return alone === openSsl && alone === wasm && alone === !isOther;
    }),
    { numRuns: 25 },
  );
  t.end();
});

/** Points of small order, values above the field, and the edges of the field (RFC 7748). */
const FIELD = 2n ** 255n - 19n;
const littleEndian = (value: bigint): Uint8Array => bytesOf(value).toReversed();
const SMALL_ORDER = [
  0n,
  1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
  FIELD - 1n,
  FIELD,
  FIELD + 1n,
];

const nonce = (count: number): Uint8Array => new Uint8Array(count).fill(1);

t.test('box keys: the same ciphertexts, and the same refusals', (t) => {
  const text = 'a text';
  const boxed = (own: Uint8Array, theirs: Uint8Array): string => {
    const box = openBoxSession(boxKeyPair(own), bytesToHex(theirs));
    return box.ok ? box.value.encrypt(text, nonce) : box.reason;
  };
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const same = (own: Uint8Array, theirs: Uint8Array): boolean => {
    const [alone, openSsl, wasm] = everyWay(() => boxed(own, theirs));
    return alone === openSsl && alone === wasm;
  };
  fc.assert(fc.property(bytes, bytes, same), { numRuns: 25 });
  fc.assert(
    fc.property(bytes, (secretKey) => {
      const [alone, openSsl, wasm] = everyWay(() => boxKeyPair(secretKey).publicKeyHex);
      return alone === openSsl && alone === wasm;
    }),
    { numRuns: 25 },
  );
  const own = new Uint8Array(32).fill(5);
  const highBit = 1n << 255n;
  const edges = [...SMALL_ORDER, FIELD - 2n, FIELD + 2n, 2n ** 255n - 1n, 2n, 9n];
  for (const edge of edges.flatMap((value) => [value, value | highBit])) {
    t.ok(same(own, littleEndian(edge)), edge.toString(16));
  }
  for (const point of SMALL_ORDER) {
    t.strictSame(
      everyWay(() => boxed(own, littleEndian(point))),
      ['box-key-weak', 'box-key-weak', 'box-key-weak'],
    );
  }
  t.end();
});

function signedByJavaScript(digest: Uint8Array, key: Uint8Array): Uint8Array {
  return secp256k1.sign(digest, key, { prehash: false, lowS: true, format: 'compact' });
}

function checkedByJavaScript(digest: Uint8Array, key: Uint8Array, signature: Uint8Array): boolean {
  return secp256k1.verify(signature, digest, key, { prehash: false, lowS: false });
}

t.test('signatures of nicks are those of JavaScript, byte for byte', (t) => {
  const edges = [1n, 2n, N / 2n, N / 2n + 1n, N - 2n, N - 1n].map((value) => bytesOf(value));
  const digests = [0n, 1n, N - 1n, P - 1n, 2n ** 255n].map((value) => bytesOf(value));
  for (const key of edges) {
    for (const digest of digests) {
      t.strictSame(
        fastCurves.signForNick(digest, key),
        signedByJavaScript(digest, key),
        bytesToHex(digest),
      );
    }
  }
  fc.assert(
    fc.property(secret, unicodeText(), (key, text) => {
      const ways = everyWay(() => signNickText(text, key));
      return ways.every((signature) => signature === signText(text, key));
    }),
    { numRuns: 60 },
  );
  for (const key of [new Uint8Array(32), bytesOf(N), new Uint8Array(31)]) {
    t.equal(fastCurves.signForNick(bytesOf(1n), key), undefined, 'no key');
    for (const curves of [undefined, openSslCurves, fastCurves]) {
      usePlatformCurves(curves);
      t.throws(() => signNickText('text', key));
    }
  }
  usePlatformCurves(undefined);
  t.end();
});

t.test('only nicks sign by the platform', (t) => {
  const asked: string[] = [];
  usePlatformCurves({
    ...fastCurves,
    signForNick(digest, privateKey) {
      asked.push(bytesToHex(digest));
      return fastCurves.signForNick(digest, privateKey);
    },
  });
  const key = nickKey(new Uint8Array(32).fill(6));
  signText('text', key.privateKey);
  t.strictSame(asked, [], 'the signature that coins use stays in JavaScript');
  formatPrivmsg(key, 'J5xxxxxxxxxxxxxx', 'fill', 'a');
  t.strictSame(asked, [bytesToHex(signedMessageHash('aonion-network'))]);
  usePlatformCurves(undefined);
  t.end();
});

const scalar = secret.map((bytes) => BigInt(`0x${bytesToHex(bytes)}`));

t.test('sums of products are those of JavaScript; the point at infinity is left to it', (t) => {
  const sum = (a: bigint, p: CurvePoint, b: bigint, q: CurvePoint): Uint8Array | undefined =>
    fastCurves.sumOfProducts(bytesOf(a), p.toBytes(true), bytesOf(b), q.toBytes(true));
  fc.assert(
    fc.property(scalar, scalar, scalar, scalar, (a, x, b, y) => {
      const [p, q] = [Point.BASE.multiply(x), Point.BASE.multiply(y)];
      const expected = p.multiplyUnsafe(a).add(q.multiplyUnsafe(b)).toBytes(true);
      const found = sum(a, p, b, q);
      return found !== undefined && bytesToHex(found) === bytesToHex(expected);
    }),
    { numRuns: 40 },
  );
  const p = Point.BASE.multiply(5n);
  t.strictSame(sum(1n, p, 1n, p), p.double().toBytes(true), 'the same point');
  t.strictSame(sum(N - 1n, p, 2n, p), p.toBytes(true));
  t.equal(sum(1n, p, N - 1n, p), undefined, 'infinity');
  t.equal(sum(0n, p, 1n, p), undefined);
  t.equal(sum(N, p, 1n, p), undefined, 'no scalar');
  const off = concatBytes(Uint8Array.of(2), bytesOf(5n));
  t.equal(fastCurves.sumOfProducts(bytesOf(1n), off, bytesOf(1n), p.toBytes(true)), undefined);
  t.end();
});

t.test('proofs of coins have the verdict of JavaScript', (t) => {
  const verdicts = new Set<string>();
  fc.assert(
    fc.property(
      secret,
      fc.nat(4),
      fc.constantFrom('none', 'p', 'p2', 's', 'e', 'zero', 'commitment'),
      fc.nat(63),
      (key, index, what, at) => {
        const podle = createPodle(key, { txid: '11'.repeat(32), vout: 1 }, index);
        const turned = (hex: string, from: number): string => {
          const place = from + (at % (hex.length - from));
          const digit = hex[place] === '1' ? '2' : '1';
          return hex.slice(0, place) + digit + hex.slice(place + 1);
        };
        const old = podle.revelation;
        const p2 = what === 'p2' ? turned(old.p2, 2) : old.p2;
        const revelation = {
          ...old,
          p2,
          p: what === 'p' ? turned(old.p, 2) : old.p,
          s: what === 's' ? turned(old.s, 0) : what === 'zero' ? '00'.repeat(32) : old.s,
          e: what === 'e' ? turned(old.e, 0) : old.e,
        };
        const commitment =
          what === 'commitment' ? podle.commitment : bytesToHex(sha256(hexToBytes(p2)));
        const ways = everyWay(() => {
          const verdict = verifyPodle(revelation, commitment);
          return verdict.ok ? `index ${verdict.value}` : verdict.reason;
        });
        verdicts.add(ways[0]);
        return ways.every((verdict) => verdict === ways[0]);
      },
    ),
    { numRuns: 60 },
  );
  t.ok(verdicts.has('index 0') && verdicts.has('podle-proof'), [...verdicts].join(', '));
  t.end();
});

t.test('a package that is missing or wrong is not used', async (t) => {
  const right = {
    sign: signedByJavaScript,
    verify: checkedByJavaScript,
    pointMultiply: (point: Uint8Array, factor: Uint8Array): Uint8Array =>
      Point.fromBytes(point)
        .multiply(BigInt(`0x${bytesToHex(factor)}`))
        .toBytes(true),
    pointAdd: (p: Uint8Array, q: Uint8Array): Uint8Array =>
      Point.fromBytes(p).add(Point.fromBytes(q)).toBytes(true),
  };
  const wrong: Readonly<Record<string, unknown>> = {
    'no module': undefined,
    'no functions': { sign: 1 },
    'another signature': { ...right, sign: () => new Uint8Array(64) },
    'accepts everything': { ...right, verify: () => true },
    'accepts nothing': { ...right, verify: () => false },
    'a verdict of another type': { ...right, verify: () => 1 },
    'a signature of another type': { ...right, sign: () => 'signature' },
    'a sum of another point': { ...right, pointAdd: (p: Uint8Array) => p },
    'no point': { ...right, pointMultiply: () => null },
  };
  for (const [name, library] of Object.entries(wrong)) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    t.equal(await loadWasmSecp256k1(() => Promise.resolve(library)), undefined, name);
  }
  t.equal(
    await loadWasmSecp256k1(() => Promise.reject(new Error('not found'))),
    undefined,
    'missing',
  );
  t.ok(await loadWasmSecp256k1(() => Promise.resolve(right)));
});

t.test('a platform that cannot tell leaves the work to JavaScript', (t) => {
  const unable: PlatformCurves = {
    verifyEcdsa: () => undefined,
    publicX25519: () => undefined,
    sharedX25519: () => undefined,
  };
  const key = new Uint8Array(32).fill(4);
  const publicKey = bytesToHex(secp256k1.getPublicKey(key, true));
  usePlatformCurves(unable);
  t.ok(verifyText('text', publicKey, signText('text', key)));
  t.notOk(verifyText('other', publicKey, signText('text', key)));
  t.ok(openBoxSession(boxKeyPair(key), boxKeyPair(key).publicKeyHex).ok);
  usePlatformCurves(undefined);
  t.end();
});

t.test('OpenSSL decides by itself about valid keys', (t) => {
  const key = new Uint8Array(32).fill(4);
  const once = new Uint8Array(32).fill(2);
  const compact = secp256k1.sign(sha256(once), key, { prehash: false, format: 'compact' });
  const publicKey = secp256k1.getPublicKey(key, true);
  t.equal(openSslCurves.verifyEcdsa(compact, once, publicKey), true);
  t.equal(openSslCurves.verifyEcdsa(compact, new Uint8Array(32), publicKey), false);
  t.equal(openSslCurves.verifyEcdsa(compact, once, new Uint8Array(33)), undefined, 'no key');
  const many = Array.from({ length: 300 }, (_, n) => bytesOf(BigInt(n + 1)));
  const verdicts = many.map((one) =>
    openSslCurves.verifyEcdsa(compact, once, secp256k1.getPublicKey(one, true)),
  );
  // More keys than are kept.
  t.strictSame(
    verdicts,
    many.map(() => false),
  );
  t.equal(openSslCurves.verifyEcdsa(compact, once, publicKey), true, 'read again');
  t.end();
});
