import * as fc from 'fast-check';
import t from 'tap';
import { ChainError } from '../../src/chain/chain-error.js';
import {
  Answer,
  bytesIn,
  hashIn,
  readFeeEstimate,
  readHeader,
  readMatches,
  readMinimumFee,
  readOutput,
  readProgress,
  readSpenders,
  readTestAccept,
  readUnspent,
  toSatoshi,
} from '../../src/chain/node/answers.js';
import { isKnownAlready, refusalOf } from '../../src/chain/node/refusals.js';
import { RpcError } from '../../src/chain/node/rpc-error.js';

const READERS: Readonly<Record<string, (value: unknown) => unknown>> = {
  readHeader,
  readOutput,
  readUnspent,
  readMatches,
  readFeeEstimate,
  readMinimumFee,
  readTestAccept,
  readProgress: (value) => readProgress('scanblocks', value),
  readSpenders: (value) => readSpenders(value, 1),
  hashIn: (value) => hashIn('x', value),
  bytesIn: (value) => bytesIn('x', value),
  Answer: (value) => new Answer('x', value).list('a'),
};

/** JSON that looks like an answer: its fields, with any values. */
const FIELDS = [
  'hash',
  'height',
  'time',
  'mediantime',
  'confirmations',
  'previousblockhash',
  'value',
  'bestblock',
  'scriptPubKey',
  'hex',
  'unspents',
  'success',
  'txid',
  'vout',
  'amount',
  'coinbase',
  'relevant_blocks',
  'completed',
  'progress',
  'spendingtxid',
  'feerate',
  'mempoolminfee',
  'minrelaytxfee',
  'allowed',
  'reject-reason',
  'package-error',
] as const;
const leaf = fc.oneof(
  fc.jsonValue({ maxDepth: 1 }),
  fc.constantFrom('ab'.repeat(32), '51', 0, 1, -1, 2 ** 53, 1e300, 0.1, true, null),
);
const record = fc.dictionary(fc.constantFrom(...FIELDS), leaf, { maxKeys: 12 });
const answer = fc.oneof(
  fc.jsonValue(),
  record,
  fc.array(record, { maxLength: 3 }),
  fc.record({
    unspents: fc.array(record),
    success: fc.boolean(),
    bestblock: fc.constant('ab'.repeat(32)),
  }),
  fc.record({ value: leaf, confirmations: leaf, bestblock: leaf, scriptPubKey: record }),
);

void t.test(
  'a reader of answers returns a value, or throws a ChainError of one line',
  async (t) => {
    for (const [name, read] of Object.entries(READERS)) {
      fc.assert(
        fc.property(answer, (value) => {
          try {
            read(value);
          } catch (error) {
            return (
              error instanceof ChainError &&
              error.fault === 'answer' &&
              !error.message.includes('\n')
            );
          }
          return true;
        }),
        { numRuns: 400 },
      );
      t.pass(name);
    }
  },
);

void t.test('satoshi of a number in bitcoin are exact for every amount that exists', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2_100_000_000_000_000 }), (satoshi) => {
      const text = `${Math.floor(satoshi / 1e8)}.${String(satoshi % 1e8).padStart(8, '0')}`;
      return toSatoshi(Number(JSON.parse(text))) === satoshi;
    }),
    { numRuns: 2_000 },
  );
  for (const wrong of [-1, 21_000_000.1, Number.NaN, Infinity, -Infinity])
    t.equal(toSatoshi(wrong), undefined);
  t.ok(Object.is(toSatoshi(-0), 0));
});

void t.test('the words of nodes of several versions and their faults', async (t) => {
  const words: readonly (readonly [code: number, reason: string, fault: string | undefined])[] = [
    [-25, 'bad-txns-inputs-missingorspent', 'missing-coins'],
    [-25, 'Missing inputs', 'missing-coins'],
    [-26, 'txn-mempool-conflict', 'conflict'],
    [
      -26,
      'insufficient fee, rejecting replacement ab; new feerate 0.00009090 BTC/kvB <= old feerate 0.00009090 BTC/kvB',
      'conflict',
    ],
    [
      -26,
      'insufficient fee, rejecting replacement ab, not enough additional fees to relay; 0.00 < 0.00000011',
      'conflict',
    ],
    [-26, 'min relay fee not met, 55 < 110', 'fee'],
    [-26, 'mempool min fee not met, 55 < 110', 'fee'],
    [-26, 'non-final', 'not-final'],
    [-26, 'non-BIP68-final', 'not-final'],
    [-26, 'mandatory-script-verify-flag-failed (Locktime requirement not satisfied)', 'not-final'],
    [-26, 'non-mandatory-script-verify-flag (Locktime requirement not satisfied)', 'not-final'],
    [-26, 'bad-txns-premature-spend-of-coinbase, tried to spend coinbase at depth 99', 'refused'],
    [-26, 'dust', 'refused'],
    [-26, 'scriptpubkey', 'refused'],
    [-22, 'TX decode failed. Make sure the tx has at least one input.', 'refused'],
    [-25, 'Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)', 'refused'],
    [-32_601, 'Method not found', undefined],
    [-28, 'Loading', undefined],
  ];
  for (const [code, reason, fault] of words) {
    t.equal(refusalOf(new RpcError('sendrawtransaction', code, reason))?.fault, fault, reason);
  }
  t.ok(isKnownAlready('txn-already-in-mempool') && isKnownAlready('txn-already-known'));
  t.notOk(isKnownAlready('txn-mempool-conflict'));
});
