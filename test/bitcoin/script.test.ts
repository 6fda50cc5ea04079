/** Kinds of scripts, number pushes, and the hashes that signatures sign (BIP143's examples). */
import * as fc from 'fast-check';
import t from 'tap';
import {
  coinKind,
  keyHashScript,
  keyOwnsScript,
  nestedP2wpkh,
  p2pkh,
  p2sh,
  p2tr,
  p2wpkh,
  p2wsh,
  pushBytes,
  pushNumber,
  readPushedNumber,
  scriptKind,
} from '../../src/bitcoin/script.js';
import { SegwitHashes } from '../../src/bitcoin/sighash.js';
import { parseTransaction } from '../../src/bitcoin/transaction.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const KEY = Buffer.from(
  '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
  'hex',
);

t.test('the kind of a script', (t) => {
  const table = [
    [p2pkh(KEY), 'p2pkh'],
    [p2sh(KEY), 'p2sh'],
    [nestedP2wpkh(KEY), 'p2sh'],
    [p2wpkh(KEY), 'p2wpkh'],
    [p2wsh(KEY), 'p2wsh'],
    [p2tr(KEY.subarray(1)), 'p2tr'],
    [`6020${'00'.repeat(32)}`, 'witness'],
    ['51024e73', 'witness'],
    [`0015${'00'.repeat(21)}`, 'witness'],
    [`5129${'00'.repeat(41)}`, 'other'],
    [`5114${'00'.repeat(19)}`, 'other'],
    ['6a0401020304', 'op-return'],
    ['6a', 'op-return'],
    ['', 'other'],
    ['51', 'other'],
    [`0014${'00'.repeat(20)}00`, 'other'],
  ] as const;
  for (const [script, kind] of table) t.equal(scriptKind(script), kind, script);
  t.equal(coinKind(p2wpkh(KEY)), 'p2wpkh');
  t.equal(coinKind(nestedP2wpkh(KEY)), 'p2sh-p2wpkh');
  t.equal(coinKind(p2wsh(KEY)), undefined);
  t.end();
});

t.test('the scripts of a key', (t) => {
  t.equal(p2wpkh(KEY), '0014751e76e8199196d454941c45d1b3a323f1433bd6');
  t.equal(nestedP2wpkh(KEY), 'a914bcfeb728b584253d5f3f70bcb780e9ef218a68f487');
  t.equal(p2pkh(KEY), '76a914751e76e8199196d454941c45d1b3a323f1433bd688ac');
  for (const make of [p2wpkh, nestedP2wpkh, p2pkh]) t.ok(keyOwnsScript(KEY, make(KEY)));
  t.notOk(keyOwnsScript(KEY, p2wsh(KEY)));
  t.notOk(keyOwnsScript(KEY.subarray(1), p2wpkh(KEY.subarray(1))), 'only compressed keys');
  t.throws(() => pushBytes(new Uint8Array(76)), RangeError);
  t.end();
});

t.test('numbers in scripts', (t) => {
  const table: readonly (readonly [number, string])[] = [
    [0, '00'],
    [1, '51'],
    [16, '60'],
    [17, '0111'],
    [127, '017f'],
    [128, '028000'],
    [255, '02ff00'],
    [256, '020001'],
    [1_577_836_800, '0400e10b5e'],
    [2_145_916_800, '048017e87f'],
    [2_148_595_200, '0500f6108000'],
    [4_099_766_400, '0580785df400'],
  ];
  for (const [value, pushed] of table) {
    t.equal(hex(pushNumber(value)), pushed, String(value));
    t.strictSame(readPushedNumber(pushNumber(value), 0), { value, end: pushed.length / 2 });
  }
  for (const text of [
    '',
    '4f',
    '0101',
    '0110',
    '02ff',
    '020100',
    '0481',
    '067fffffffff00',
    '0180',
    '61',
  ]) {
    t.equal(readPushedNumber(Buffer.from(text, 'hex'), 0), undefined, `not canonical: ${text}`);
  }
  t.throws(() => pushNumber(-1), RangeError);
  t.throws(() => pushNumber(1.5), RangeError);
  fc.assert(
    fc.property(fc.nat(2 ** 31), fc.nat(2), (small, shift) => {
      const value = small * 4 ** shift;
      const pushed = pushNumber(value);
      return readPushedNumber(pushed, 0)?.value === value;
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 8 }), fc.nat(9), (bytes, at) => {
      const read = readPushedNumber(bytes, at);
      return read === undefined || hex(pushNumber(read.value)) === hex(bytes.slice(at, read.end));
    }),
  );
  t.end();
});

t.test('what a signature signs (BIP143)', (t) => {
  const table = [
    {
      unsigned:
        '0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffffef51e1' +
        'b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976' +
        'a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50c' +
        'e2f0167faa815988ac11000000',
      index: 1,
      key: '025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee6357',
      value: 600_000_000,
      hash: 'c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670',
      signature:
        '304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c45183315614' +
        '06f90300e8f3358f51928d43c212a8caed02de67eebee01',
    },
    {
      unsigned:
        '0100000001db6b1b20aa0fd7b23880be2ecbd4a98130974cf4748fb66092ac4d3ceb1a54770100000000feffffff02b8b4' +
        'eb0b000000001976a914a457b684d7f0d539a46a45bbc043f35b59d0d96388ac0008af2f000000001976a914fd270b1ee6' +
        'abcaea97fea7ad0402e8bd8ad6d77c88ac92040000',
      index: 0,
      key: '03ad1d8e89212f0b92c74d23bb710c00662ad1470198ac48c43f7d6f93a2a26873',
      value: 1_000_000_000,
      hash: '64f3b0f4dd2bb3aa1ce8566d220cc74dda9df97d8490cc81d89d735c92e59fb6',
      signature:
        '3044022047ac8e878352d3ebbde1c94ce3a10d057c24175747116f8288e5d794d12d482f0220217f36a485cae903c71' +
        '3331d877c1f64677e3622ad4010726870540656fe9dcb01',
    },
  ];
  for (const { unsigned, index, key, value, hash, signature } of table) {
    const tx = parseTransaction(Buffer.from(unsigned, 'hex'));
    if (!tx.ok) throw new Error(tx.reason);
    const publicKey = Buffer.from(key, 'hex');
    const hashes = new SegwitHashes(tx.value);
    const signed = hashes.ofInput(index, keyHashScript(publicKey), value);
    if (signed === undefined) throw new Error('no such input');
    t.equal(hex(signed), hash);
    const bytes = Buffer.from(signature, 'hex');
    const input = { index, scriptCode: keyHashScript(publicKey), value };
    t.ok(hashes.isSignedBy(publicKey, bytes, input));
    t.notOk(hashes.isSignedBy(publicKey, bytes.subarray(0, -1), input), 'without its last byte');
    t.notOk(hashes.isSignedBy(KEY, bytes, input), 'of another key');
    t.notOk(hashes.isSignedBy(Buffer.from('02'), bytes, input), 'no key at all');
    const wrong = { ...input, value: value + 1 };
    t.notOk(hashes.isSignedBy(publicKey, bytes, wrong), 'for another amount');
    t.notOk(hashes.isSignedBy(publicKey, bytes, { ...input, index: 9 }), 'of no input');
    t.equal(hashes.ofInput(9, keyHashScript(publicKey), value), undefined);
  }
  t.end();
});
