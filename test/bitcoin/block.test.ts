/** Headers, proof of work, merkle trees and raw blocks. */
import * as fc from 'fast-check';
import t from 'tap';
import {
  branchLeadsTo,
  hasProofOfWork,
  merkleBranch,
  merkleRoot,
  parseBlock,
  parseHeader,
  targetOfBits,
} from '../../src/bitcoin/block.js';
import { compactSize, fromDisplay, u32 } from '../../src/bitcoin/bytes.js';
import { BITCOIN_NETWORKS } from '../../src/bitcoin/network.js';
import { serializeTransaction, type Transaction } from '../../src/bitcoin/transaction.js';
import { NETWORKS } from '../../src/protocol/constants.js';

const GENESIS_ROOT = '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b';
const GENESIS_TRANSACTION = Buffer.from(
  '01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d' +
    '0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66' +
    '207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe55' +
    '48271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba' +
    '0b8d578a4c702b6bf11d5fac00000000',
  'hex',
);

function header(time: number, bits: number, nonce: number, root = GENESIS_ROOT): Uint8Array {
  const parts = [u32(1), new Uint8Array(32), fromDisplay(root), u32(time), u32(bits), u32(nonce)];
  return Buffer.concat(parts);
}

const GENESIS = {
  mainnet: header(1_231_006_505, 0x1d00_ffff, 2_083_236_893),
  testnet: header(1_296_688_602, 0x1d00_ffff, 414_098_458),
  signet: header(1_598_918_400, 0x1e03_77ae, 52_613_770),
  regtest: header(1_296_688_602, 0x207f_ffff, 2),
} as const;

t.test('the first block of each network', (t) => {
  for (const name of NETWORKS) {
    const network = BITCOIN_NETWORKS[name];
    const parsed = parseHeader(GENESIS[name]);
    if (!parsed.ok) throw new Error(parsed.reason);
    t.match(parsed.value, { hash: network.genesisHash, merkleRoot: GENESIS_ROOT, version: 1 });
    t.ok(hasProofOfWork(parsed.value, network), name);
    t.notOk(hasProofOfWork({ ...parsed.value, hash: 'f'.repeat(64) }, network));
  }
  const easy = parseHeader(GENESIS.regtest);
  if (!easy.ok) throw new Error(easy.reason);
  t.notOk(hasProofOfWork(easy.value, BITCOIN_NETWORKS.mainnet), 'too easy for mainnet');
  t.strictSame(parseHeader(new Uint8Array(79)), { ok: false, reason: 'header-length' });
  t.end();
});

t.test('targets in compact form', (t) => {
  const table: readonly (readonly [number, bigint | undefined])[] = [
    [0x1d00_ffff, 0xffffn << 208n],
    [0x0312_3456, 0x12_3456n],
    [0x0212_3456, 0x1234n],
    [0x0112_3456, 0x12n],
    [0x0412_3456, 0x1234_5600n],
    [0x0012_3456, undefined],
    [0x0392_3456, undefined],
    [0x0400_0000, undefined],
    [0x2300_0001, undefined],
    [0xff12_3456, undefined],
    [0x2200_00ff, 0xffn << 248n],
    [0x2200_0100, undefined],
  ];
  for (const [bits, target] of table) t.equal(targetOfBits(bits), target, bits.toString(16));
  t.end();
});

const block = (transactions: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat([GENESIS.mainnet, compactSize(transactions.length), ...transactions]);

function read(bytes: Uint8Array): readonly (Transaction | string)[] {
  const parsed = parseBlock(bytes);
  if (!parsed.ok) return [parsed.reason];
  return Array.from(parsed.value.transactions(), (item) => (item.ok ? item.value : item.reason));
}

const named = (items: readonly (Transaction | string)[]): readonly string[] =>
  items.map((item) => (typeof item === 'string' ? item : item.txid));

const other = serializeTransaction({
  version: 2,
  lockTime: 7,
  inputs: [{ txid: GENESIS_ROOT, vout: 0, sequence: 1, witness: [Uint8Array.of(1, 2)] }],
  outputs: [{ script: '', value: 5 }],
});

t.test('the transactions of a block', (t) => {
  const bytes = block([GENESIS_TRANSACTION, other]);
  const transactions = read(bytes);
  t.equal(named(transactions)[0], GENESIS_ROOT);
  t.strictSame(
    transactions.map((item) => typeof item !== 'string' && item.coinbase),
    [true, false],
  );
  t.strictSame(
    transactions.map((item) => typeof item !== 'string' && item.segwit),
    [false, true],
  );
  t.equal(merkleRoot([GENESIS_ROOT]), GENESIS_ROOT, 'the tree of one is itself');
  t.end();
});

t.test('damaged blocks', (t) => {
  const whole = block([GENESIS_TRANSACTION, other]);
  const id = GENESIS_ROOT;
  const table: readonly (readonly [string, Uint8Array, readonly string[]])[] = [
    ['no header', new Uint8Array(10), ['block-form']],
    ['no count', GENESIS.mainnet, ['block-form']],
    ['a count of 0', block([]), ['block-form']],
    ['a count that cannot be', Buffer.concat([GENESIS.mainnet, compactSize(9)]), ['block-form']],
    ['cut', whole.subarray(0, -1), [id, 'block-form']],
    [
      'longer',
      Buffer.concat([whole, Uint8Array.of(0)]),
      [id, ...named(read(block([other]))), 'block-end'],
    ],
    ['too large', new Uint8Array(4_000_001), ['block-size']],
    ['no transaction', block([GENESIS_TRANSACTION, new Uint8Array(60)]), [id, 'block-transaction']],
  ];
  for (const [name, bytes, expected] of table) t.strictSame(named(read(bytes)), expected, name);
  t.end();
});

t.test('merkle trees', (t) => {
  // Block 100,000 of mainnet
  const txids = [
    '8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87',
    'fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4',
    '6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4',
    'e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d',
  ];
  const root = 'f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766';
  t.equal(merkleRoot(txids), root);
  for (const [index, txid] of txids.entries()) {
    const branch = merkleBranch(txids, index) ?? [];
    t.equal(branch.length, 2);
    t.ok(branchLeadsTo(root, { txid, index, branch }));
    t.notOk(branchLeadsTo(root, { txid, index: index ^ 1, branch }), 'another place');
    t.notOk(branchLeadsTo(root, { txid, index: index + 4, branch }), 'a place outside the tree');
  }
  t.equal(merkleRoot([]), undefined);
  t.equal(merkleBranch(txids, 4), undefined);
  const [a = '', b = '', c = ''] = txids;
  t.ok(merkleRoot([a, b, c]));
  t.equal(merkleRoot([a, b, c, c]), undefined, 'the same root as without the repetition');
  t.notOk(branchLeadsTo(root, { txid: 'x', index: 0, branch: [] }));
  t.end();
});

t.test('properties', (t) => {
  const hash = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((bytes) => Buffer.from(bytes).toString('hex'));
  fc.assert(
    fc.property(fc.uniqueArray(hash, { minLength: 1, maxLength: 20 }), fc.nat(), (txids, n) => {
      const index = n % txids.length;
      const branch = merkleBranch(txids, index);
      const root = merkleRoot(txids);
      const txid = txids[index];
      if (branch === undefined || root === undefined || txid === undefined) return false;
      return branchLeadsTo(root, { txid, index, branch });
    }),
    { numRuns: 50 },
  );
  const whole = block([GENESIS_TRANSACTION, other, GENESIS_TRANSACTION]);
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }).map((tail) => Buffer.concat([GENESIS.mainnet, tail])),
        fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, byte]) => {
          const changed = Uint8Array.from(whole);
          changed[at] = byte;
          return changed;
        }),
        fc.nat(whole.length).map((length) => whole.subarray(0, length)),
      ),
      (bytes) => {
        const items = read(bytes);
        // Every transaction that is read can be used.
        for (const item of items) {
          if (typeof item !== 'string') item.inputs.forEach(({ witness }) => witness.length);
        }
        return items.length <= 4;
      },
    ),
  );
  t.pass();
  t.end();
});
