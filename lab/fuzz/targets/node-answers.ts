/** Coins: answers of a bitcoin node over JSON-RPC, and its words when it refuses a transaction. */
import { ChainError } from '../../../src/chain/chain-error.js';
import {
  readFeeEstimate,
  readHeader,
  readMatches,
  readMinimumFee,
  readOutput,
  readProgress,
  readSpenders,
  readTestAccept,
  readUnspent,
} from '../../../src/chain/node/answers.js';
import { refusalOf } from '../../../src/chain/node/refusals.js';
import { RpcError } from '../../../src/chain/node/rpc-error.js';
import { MAX_SATOSHI } from '../../../src/protocol/offer.js';
import { must, payloadOf, type Target } from '../target.js';

const HASH = 'ab'.repeat(32);
const seeds: readonly unknown[] = [
  { hash: HASH, height: 5, time: 1, mediantime: 1, confirmations: 2, previousblockhash: HASH },
  { bestblock: HASH, confirmations: 3, value: 0.1, scriptPubKey: { hex: '51' }, coinbase: false },
  {
    success: true,
    bestblock: HASH,
    unspents: [{ txid: HASH, vout: 0, scriptPubKey: '51', amount: 1.5, height: 7 }],
  },
  { from_height: 1, to_height: 9, relevant_blocks: [HASH], completed: true },
  [{ txid: HASH, vout: 0, spendingtxid: HASH }],
  { feerate: 0.000_01, blocks: 2 },
  { mempoolminfee: 0.000_01, minrelaytxfee: 0.000_001 },
  [{ allowed: false, 'reject-reason': 'min relay fee not met, 1 < 110' }],
  [{ txid: HASH, 'package-error': 'package-not-sorted' }],
  { progress: 12, current_height: 7 },
  null,
];

const inRange = (satoshi: number): boolean =>
  Number.isSafeInteger(satoshi) && satoshi >= 0 && satoshi <= MAX_SATOSHI;

/** Reads the same value as every kind of answer; each reader checks what it returns. */
const READERS: Readonly<Record<string, (value: unknown) => void>> = {
  header: (value) => must(readHeader(value).info.height >= 0, 'a height'),
  output(value) {
    const output = readOutput(value);
    must(output === undefined || inRange(output.value), 'an amount in range');
  },
  unspent(value) {
    for (const output of readUnspent(value).outputs) must(inRange(output.value), 'an amount');
  },
  matches(value) {
    for (const hash of readMatches(value).hashes) must(hash.length === 64, 'a hash');
  },
  spenders: (value) => must(readSpenders(value, 1).length === 1, 'one for each coin'),
  estimate: (value) => must(inRange(readFeeEstimate(value) ?? 0), 'a rate in range'),
  minimum: (value) => must(inRange(readMinimumFee(value)), 'a rate in range'),
  accept: (value) => void readTestAccept(value),
  progress(value) {
    const done = readProgress('scanblocks', value) ?? 0;
    must(done >= 0 && done <= 1, 'a share');
  },
};

function* readAll(value: unknown): Iterable<string> {
  for (const [name, read] of Object.entries(READERS)) {
    try {
      read(value);
      yield name;
    } catch (error) {
      if (!(error instanceof ChainError)) throw error;
      must(error.fault === 'answer' && !error.message.includes('\n'), 'one line');
    }
  }
}

export function nodeAnswersTarget(): Target {
  return {
    name: 'node-answers',
    seeds: seeds.map((seed) => Buffer.from(JSON.stringify(seed))),
    words: [
      '"hash":',
      '"value":',
      '"unspents":[',
      'null',
      'true',
      '-1',
      '1e300',
      '0.1',
      `"${HASH}"`,
    ],
    maxBytes: 2_000,
    *run(input) {
      const text = payloadOf(input);
      yield `refusal-${refusalOf(new RpcError('sendrawtransaction', -26, text))?.fault ?? 'none'}`;
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        yield 'no-json';
        return;
      }
      yield* readAll(value);
    },
  };
}
