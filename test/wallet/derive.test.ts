/** Derivation of whole branches: the same keys and scripts as the library derives one by one. */
import { HDKey } from '@scure/bip32';
import { bytesToHex } from '@noble/hashes/utils.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { p2sh, p2wpkh } from '@scure/btc-signer/payment.js';
import * as fc from 'fast-check';
import t from 'tap';
import { BOND_MONTHS } from '../../src/bitcoin/bond.js';
import { BRANCH } from '../../src/wallet/api.js';
import { bondScript, branchKey, deriveEach, keyScript } from '../../src/wallet/derive.js';
import { WalletKeys } from '../../src/wallet/keys.js';
import { pointSums, prepareNextTable } from '../../src/wallet/point-sums.js';

const SOURCE = {
  network: 'regtest',
  entropy: '11'.repeat(32),
  kind: 'native',
  mixdepths: 2,
} as const;
const keys = await WalletKeys.derive(SOURCE);
const [account] = keys.accounts();
if (account === undefined) throw new Error('a wallet has an account');
const { Point } = secp256k1;

const toBytes = (scalar: bigint): Uint8Array =>
  new Uint8Array(Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex'));

t.test('a branch is that of the library, in public and from the private key', async (t) => {
  const key = branchKey(account, BRANCH.internal);
  const parent = new HDKey({ publicKey: key.publicKey, chainCode: key.chainCode });
  const from = 2 ** 31 - 600;
  const derived = await deriveEach(key, from, 599, (it) => it);
  const expected = derived.map((_, i) => parent.deriveChild(from + i).publicKey);
  t.same(derived, expected);
  const first = await deriveEach(key, 0, 3, (it) => it);
  const native = first.map(keyScript('native'));
  const nested = first.map(keyScript('nested'));
  for (const [index, publicKey] of first.entries()) {
    const place = { mixdepth: 0, branch: BRANCH.internal, index };
    t.equal(native[index], keys.scriptOf(place));
    t.equal(nested[index], bytesToHex(p2sh(p2wpkh(publicKey)).script));
  }
});

t.test('all 960 bonds are those of the private keys', async (t) => {
  const key = branchKey(account, BRANCH.bond);
  const derived = await deriveEach(key, 0, BOND_MONTHS, bondScript);
  const scripts = derived.map((_, index) =>
    keys.scriptOf({ mixdepth: 0, branch: BRANCH.bond, index }),
  );
  t.same(derived, scripts);
});

t.test('sums of points are those of the library', (t) => {
  while (prepareNextTable());
  const order = Point.Fn.ORDER;
  const areRight = (parent: bigint, scalars: readonly bigint[], ifUndefined: boolean): boolean => {
    const base = Point.BASE.multiply(parent);
    const sums = pointSums(base.toBytes(true), scalars.map(toBytes));
    if (sums === undefined) return ifUndefined;
    return sums.every((sum, i) => {
      const k = scalars[i] ?? 0n;
      const expected = k === 0n ? base : base.add(Point.BASE.multiply(k));
      return bytesToHex(sum) === expected.toHex(true);
    });
  };
  // Without a bias for the ends of the range, where a sum may meet a point of the tables.
  const any = fc.noBias(fc.bigInt({ min: 1n << 200n, max: order - 1n }));
  fc.assert(
    fc.property(any, fc.array(any, { minLength: 1, maxLength: 8 }), (parent, scalars) =>
      areRight(parent, scalars, false),
    ),
    { numRuns: 60 },
  );
  // Digits of zero, carries through all digits, the ends of the range. Where a sum meets its point the
  // answer is undefined.
  const edge = fc.oneof(
    fc.nat({ max: 2100 }).map((n) => BigInt(n)),
    fc.nat({ max: 2100 }).map((n) => order - 1n - BigInt(n)),
    fc
      .tuple(fc.nat({ max: 250 }), fc.nat({ max: 3 }))
      .map(([shift, n]) => (1n << BigInt(shift)) + BigInt(n)),
  );
  const parents = fc.oneof(
    any,
    edge.filter((n) => n > 0n),
  );
  fc.assert(
    fc.property(parents, fc.array(edge, { minLength: 1, maxLength: 8 }), (parent, scalars) =>
      areRight(parent, scalars, true),
    ),
    { numRuns: 100 },
  );
  t.ok(areRight(order - 1n - (1n << 255n), [0n, 256n, 257n, (1n << 250n) + 3n], false));
  t.equal(pointSums(account.publicKey, [toBytes(order)]), undefined, 'a scalar out of range');
  t.equal(pointSums(Point.BASE.toBytes(true), [toBytes(1n)]), undefined, 'G + G is a special case');
  t.throws(() => pointSums(new Uint8Array(33).fill(7), [toBytes(1n)]), 'a key that is no point');
  t.end();
});
