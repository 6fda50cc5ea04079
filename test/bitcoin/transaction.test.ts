/** Transactions with and without witnesses; the library's own codec is the measure. */
import { isDeepStrictEqual } from 'node:util';
import { RawTx } from '@scure/btc-signer/script.js';
import * as fc from 'fast-check';
import t from 'tap';
import {
  parseTransaction,
  serializeTransaction,
  type TransactionParts,
} from '../../src/bitcoin/transaction.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** BIP143, the first example: a p2pk input and a p2wpkh input, signed. */
const BIP143 =
  '01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830450221' +
  '008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f9281a99f2b1c0a1' +
  '9c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b5' +
  '5d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988' +
  'ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac000247304402203609e17b84f6a7' +
  'd30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f51928d43c' +
  '212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000';

t.test('a transaction of BIP143', (t) => {
  const parsed = parseTransaction(Buffer.from(BIP143, 'hex'));
  if (!parsed.ok) throw new Error(parsed.reason);
  const tx = parsed.value;
  t.match(tx, { version: 1, lockTime: 17, segwit: true, inputCount: 2, outputCount: 2 });
  t.equal(tx.coinbase, false);
  const [first, second] = tx.inputs;
  t.equal(first?.txid, '9f96ade4b41d5433f4eda31e1738ec2b36f6e7d1420d94a6af99801a88f7f7ff');
  t.match(first, { vout: 0, sequence: 0xffff_ffee, witness: [] });
  t.equal(first?.scriptSig.length, 73);
  t.equal(second?.witness.length, 2);
  t.strictSame(
    [...tx.pays()].map(({ value }) => value),
    [112_340_000, 223_450_000],
  );
  t.strictSame(
    [...tx.spends()],
    tx.inputs.map(({ txid, vout }) => ({ txid, vout })),
  );
  t.equal(tx.weight, tx.stripped.length * 4 + 2 + 1 + 107, 'witnesses count once');
  t.equal(tx.vsize, Math.ceil(tx.weight / 4));
  t.not(tx.wtxid, tx.txid);
  t.end();
});

const replaced = (bytes: Uint8Array, from: string, to: string): Uint8Array =>
  Buffer.from(hex(bytes).replace(from, to), 'hex');

const input = { txid: 'ab'.repeat(32), vout: 3, sequence: 5 };
const output = { script: '51', value: 1 };
const PARTS: TransactionParts = { version: 2, lockTime: 9, inputs: [input], outputs: [output] };

t.test('damaged transactions', (t) => {
  const plain = serializeTransaction(PARTS);
  const signed = serializeTransaction({
    ...PARTS,
    inputs: [{ ...input, witness: [Uint8Array.of(1)] }],
  });
  const all = serializeTransaction({
    ...PARTS,
    outputs: [output, { script: '', value: 2_100_000_000_000_000 }],
  });
  const table: readonly (readonly [string, Uint8Array, string])[] = [
    ['nothing', new Uint8Array(), 'tx-form'],
    ['cut', plain.subarray(0, -1), 'tx-form'],
    ['longer', Buffer.concat([plain, Uint8Array.of(0)]), 'tx-form'],
    ['too large', new Uint8Array(4_000_001), 'tx-size'],
    ['no inputs', serializeTransaction({ ...PARTS, inputs: [] }), 'tx-form'],
    ['no outputs', serializeTransaction({ ...PARTS, outputs: [] }), 'tx-empty'],
    ['more than all coins', all, 'tx-value'],
    [
      'an amount of 2^64 - 1',
      replaced(plain, '01000000000000000151', 'ffffffffffffffff0151'),
      'tx-form',
    ],
    ['a long form of a length', replaced(plain, '0200000001', '02000000fd0100'), 'tx-form'],
    ['more inputs than bytes', replaced(plain, '0200000001', '02000000feffffff7f'), 'tx-form'],
    ['witnesses announced and empty', replaced(signed, '010101', '00'), 'tx-form'],
    ['another flag', replaced(signed, '020000000001', '020000000002'), 'tx-form'],
  ];
  for (const [name, bytes, reason] of table) {
    t.strictSame(parseTransaction(bytes), { ok: false, reason }, name);
  }
  t.ok(parseTransaction(signed).ok);
  t.end();
});

t.test('numbers outside their range are not written', (t) => {
  const wrong: readonly Partial<TransactionParts>[] = [
    { version: -1 },
    { lockTime: 2 ** 32 },
    { inputs: [{ ...input, vout: 1.5 }] },
    { inputs: [{ ...input, sequence: 2 ** 32 }] },
    { inputs: [{ ...input, txid: 'AB'.repeat(32) }] },
    { outputs: [{ ...output, value: -1 }] },
    { outputs: [{ ...output, value: 0.5 }] },
    { outputs: [{ ...output, script: 'zz' }] },
  ];
  for (const part of wrong) {
    t.throws(() => serializeTransaction({ ...PARTS, ...part }), RangeError, JSON.stringify(part));
  }
  t.end();
});

const u32 = fc.nat({ max: 0xffff_ffff });
const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });
const anyParts: fc.Arbitrary<TransactionParts> = fc.record({
  version: u32,
  lockTime: u32,
  inputs: fc.array(
    fc.record({
      txid: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hex),
      vout: u32,
      sequence: u32,
      scriptSig: bytes(300),
      witness: fc.array(bytes(300), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  outputs: fc.array(
    fc.record({ script: bytes(300).map(hex), value: fc.nat({ max: 500_000_000_000_000 }) }),
    { minLength: 1, maxLength: 4 },
  ),
});

/** Plain objects, keys in any order. */
const plain = (parts: TransactionParts): unknown => structuredClone(parts);

t.test('properties', (t) => {
  fc.assert(
    fc.property(anyParts, (parts) => {
      const written = serializeTransaction(parts);
      const parsed = parseTransaction(written);
      if (!parsed.ok) return false;
      const tx = parsed.value;
      const { version, lockTime, inputs, outputs } = tx;
      if (!isDeepStrictEqual(plain({ version, lockTime, inputs, outputs }), plain(parts)))
        return false;
      // The library reads the same, and gives the stripped form the same bytes.
      const raw = RawTx.decode(written);
      const { segwitFlag: _, witnesses: __, ...base } = raw;
      const stripped = RawTx.encode({ ...base, segwitFlag: false });
      return hex(stripped) === hex(tx.stripped) && tx.weight <= written.length * 4;
    }),
    { numRuns: 60 },
  );
  fc.assert(
    fc.property(anyParts, fc.nat(), fc.nat(255), (parts, place, byte) => {
      const changed = serializeTransaction(parts);
      changed[place % changed.length] = byte;
      const parsed = parseTransaction(changed);
      if (!parsed.ok) return true;
      // What is accepted has one encoding.
      const { version, lockTime, inputs, outputs } = parsed.value;
      return hex(serializeTransaction({ version, lockTime, inputs, outputs })) === hex(changed);
    }),
  );
  fc.assert(fc.property(bytes(400), (any) => typeof parseTransaction(any).ok === 'boolean'));
  t.pass();
  t.end();
});
