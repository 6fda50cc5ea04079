/** Streamlined NTRU Prime 4591^761 against vectors of the reference implementation, and its properties. */
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import type { RandomBytes } from '../../src/llarp/crypto.js';
import {
  decodeLarge,
  decodeRounded,
  decodeSmall,
  encodeLarge,
  encodeRounded,
  encodeSmall,
} from '../../src/llarp/sntrup/encoding.js';
import { sntrupDecapsulate, sntrupEncapsulate, sntrupKeyPair } from '../../src/llarp/sntrup/kem.js';
import {
  multiply3,
  multiplyQ,
  P,
  reciprocal3,
  reciprocalOfTriple,
  round3,
  weightFault,
} from '../../src/llarp/sntrup/polynomial.js';
import vectors from '../vectors/llarp/sntrup4591761.json' with { type: 'json' };

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (value: Uint8Array | undefined): string | undefined =>
  value && Buffer.from(value).toString('hex');

/** Random bytes that a seed determines, so that a failure can be repeated. */
function seeded(seed: string): RandomBytes {
  let counter = 0;
  return (length) =>
    createHash('shake256', { outputLength: length }).update(`${seed} ${counter++}`).digest();
}

t.test('key pairs of the reference implementation', (t) => {
  for (const [i, { pk, sk, ct, key, tampered }] of vectors.entries()) {
    t.equal(hex(sntrupDecapsulate(bytes(ct), bytes(sk))), key, `vector ${i}: the key`);
    const changed = bytes(ct);
    changed[tampered.byte] = (changed[tampered.byte] ?? 0) ^ tampered.xor;
    t.equal(sntrupDecapsulate(changed, bytes(sk)), undefined, `vector ${i}: a changed ciphertext`);
    t.equal(hex(encodeLarge(decodeLarge(bytes(pk)))), pk, `vector ${i}: the public key again`);
    const { ciphertext, key: own } = sntrupEncapsulate(bytes(pk), seeded(`own ${i}`));
    t.equal(
      hex(sntrupDecapsulate(ciphertext, bytes(sk))),
      hex(own),
      `vector ${i}: a key made here`,
    );
    // 3 f h = g: the secret key of the reference belongs to its public key.
    const f = decodeSmall(bytes(sk));
    const g = multiplyQ(
      multiplyQ(decodeLarge(bytes(pk)), f),
      Int8Array.from({ length: P }, (_, at) => (at === 0 ? 3 : 0)),
    );
    t.ok(
      g.every((x) => x >= -1 && x <= 1),
      `vector ${i}: g is small`,
    );
    const inverse = decodeSmall(bytes(sk).subarray(191));
    const one = multiply3(Int8Array.from(g), inverse);
    t.same([...one], [1, ...Array.from({ length: P - 1 }, () => 0)], `vector ${i}: 1/g`);
    t.same(reciprocal3(Int8Array.from(g)), inverse, `vector ${i}: 1/g is computed alike`);
    const third = reciprocalOfTriple(f);
    t.equal(third && hex(encodeLarge(multiplyQ(third, Int8Array.from(g)))), pk, `vector ${i}: h`);
  }
  t.end();
});

t.test('key pairs made here agree on a key; another pair and a changed bit do not', (t) => {
  for (let round = 0; round < 5; round++) {
    const random = seeded(`pair ${round}`);
    const { publicKey, secretKey } = sntrupKeyPair(random);
    t.equal(publicKey.length, 1_218);
    t.equal(secretKey.length, 1_600);
    t.equal(weightFault(decodeSmall(secretKey)), 0, 'f is short');
    const { ciphertext, key } = sntrupEncapsulate(publicKey, random);
    t.equal(ciphertext.length, 1_047);
    t.equal(key.length, 32);
    t.equal(hex(sntrupDecapsulate(ciphertext, secretKey)), hex(key));
    t.equal(sntrupDecapsulate(ciphertext, sntrupKeyPair(random).secretKey), undefined);
    for (const at of [0, 31, 32, 500, 1_046]) {
      const changed = Uint8Array.from(ciphertext);
      changed[at] = (changed[at] ?? 0) ^ (1 << round);
      t.equal(sntrupDecapsulate(changed, secretKey), undefined, `byte ${at}`);
    }
  }
  t.end();
});

t.test('a ciphertext has one form: other bytes for the same polynomial are refused', (t) => {
  const { publicKey, secretKey } = sntrupKeyPair(seeded('forms'));
  const { ciphertext, key } = sntrupEncapsulate(publicKey, seeded('forms'));
  // The last group has two digits to the base 1,536 in 24 bits. A digit and 4,591 more are the same coefficient.
  const other = Uint8Array.from(ciphertext);
  const at = 1_047 - 3;
  const group = other.slice(at).reduceRight((sum, byte) => 256 * sum + byte, 0) + 1_536 * 4_591;
  t.ok(group < 2 ** 24);
  for (const i of [0, 1, 2]) other[at + i] = Math.floor(group / 256 ** i) % 256;
  t.same(decodeRounded(other.subarray(32)), decodeRounded(ciphertext.subarray(32)));
  t.equal(hex(sntrupDecapsulate(ciphertext, secretKey)), hex(key));
  t.equal(sntrupDecapsulate(other, secretKey), undefined);
  t.end();
});

t.test('a wrong length is an error that says the right one', (t) => {
  const { publicKey, secretKey } = sntrupKeyPair(seeded('lengths'));
  const { ciphertext } = sntrupEncapsulate(publicKey, seeded('lengths'));
  t.throws(() => sntrupEncapsulate(publicKey.subarray(1), seeded('x')), {
    message: 'a public key of sntrup4591761 has 1218 bytes, not 1217',
  });
  t.throws(() => sntrupDecapsulate(ciphertext.subarray(1), secretKey), {
    message: 'a ciphertext of sntrup4591761 has 1047 bytes, not 1046',
  });
  t.throws(() => sntrupDecapsulate(ciphertext, publicKey), {
    message: 'a secret key of sntrup4591761 has 1600 bytes, not 1218',
  });
  t.throws(() => sntrupKeyPair(() => new Uint8Array(3)), RangeError);
  t.end();
});

const coefficients = (most: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: -most, max: most }), { minLength: P, maxLength: P });

t.test('every polynomial is read back from its bytes', (t) => {
  fc.assert(
    fc.property(coefficients(1), coefficients(2_295), (small, large) => {
      t.strictSame([...decodeSmall(encodeSmall(Int8Array.from(small)))], small);
      t.strictSame([...decodeLarge(encodeLarge(Int16Array.from(large)))], large);
      const rounded = round3(Int16Array.from(large));
      t.strictSame([...decodeRounded(encodeRounded(rounded))], [...rounded]);
    }),
    { numRuns: 30 },
  );
  t.end();
});

const any = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const within = (values: ArrayLike<number>, most: number): boolean =>
  Array.from(values).every((x) => Number.isInteger(x) && Math.abs(x) <= most);

t.test('any bytes are read as coefficients in range', (t) => {
  fc.assert(
    fc.property(any(1_218), (packed) => {
      t.ok(within(decodeSmall(packed), 1));
      t.ok(within(decodeLarge(packed), 2_295));
      t.ok(within(decodeRounded(packed), 2_295));
    }),
    { numRuns: 50 },
  );
  t.end();
});

t.test('a polynomial without an inverse modulo 3 is told', (t) => {
  t.equal(reciprocal3(new Int8Array(P)), undefined);
  t.end();
});
