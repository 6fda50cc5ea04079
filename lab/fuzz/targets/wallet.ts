/** What a wallet reads: records of a journal, lines of labels, seed words of a person. */
import { parseRecord } from '../../../src/kit/json-record.js';
import { readLabels, type LabelContext } from '../../../src/wallet/labels.js';
import { parseWalletRecord } from '../../../src/wallet/records.js';
import { readSeedWords, seedFaultText, seedOf } from '../../../src/wallet/seed.js';
import { WalletState } from '../../../src/wallet/state.js';
import type { JournalValue } from '../../../src/wallet/store/api.js';
import { must, mustEqual, payloadOf, type Target } from '../target.js';

const HASH = 'ab'.repeat(32);
const ADDRESS = 'bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9';
const WORDS = `${'abandon '.repeat(11)}about`;

const RECORDS: readonly object[] = [
  { kind: 'scripts', mixdepth: 0, branch: 0, from: 0, hashes: 'q'.repeat(28) },
  { kind: 'address', place: [0, 0, 0], purpose: 'deposit', time: 5 },
  {
    kind: 'block',
    height: 7,
    hash: HASH,
    time: 5,
    transactions: [
      { txid: HASH, at: 1, inputs: 1, spent: [], total: 9, own: [[0, [0, 0, 0], 9]], equal: 3 },
    ],
  },
  { kind: 'reached', height: 7, hash: HASH, time: 5, medianTime: 4 },
  { kind: 'rewind', height: 6, hash: HASH },
  { kind: 'freeze', coin: [HASH, 0], reason: 'user' },
  { kind: 'lease', id: 'x', owner: 'y', coins: [[HASH, 0]], time: 5, until: 9 },
  { kind: 'outside-bond', publicKey: `02${'11'.repeat(32)}`, index: 5 },
  { kind: 'label', type: 'addr', reference: ADDRESS, label: 'rent' },
];

const CONTEXT: LabelContext = {
  network: 'regtest',
  isOwn: (script) => script.endsWith('0a'),
  hasCoin: (name) => name.startsWith('ab'),
  frozen: (name) => (name.endsWith(':1') ? 'user' : undefined),
};

/** A record as the journal gives it back. */
const written = (record: object): JournalValue =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what JSON holds
  JSON.parse(JSON.stringify(record)) as JournalValue;

function* runRecord(text: string): Generator<string> {
  const value = parseRecord(text);
  if (value === undefined) return;
  const parsed = parseWalletRecord(written(value));
  yield parsed.ok ? `record-${parsed.value.kind}` : parsed.reason;
  if (!parsed.ok) return;
  mustEqual(parseWalletRecord(written(parsed.value)), parsed, 'a record is read again');
  const state = new WalletState('native');
  state.apply(parsed.value);
  state.apply(parsed.value);
  must(state.progress.known.length <= 2, 'one record is at most two blocks');
}

export function walletTarget(): Target {
  return {
    name: 'wallet',
    seeds: [
      ...RECORDS.map((record) => JSON.stringify(record)),
      JSON.stringify({ type: 'addr', ref: ADDRESS, label: 'rent', spendable: false }),
      JSON.stringify({ type: 'output', ref: `${HASH}:1`, spendable: true }),
      JSON.stringify({ type: 'tx', ref: HASH, label: 'car' }),
      WORDS,
      WORDS.replace('about', 'abuot'),
    ].map((text) => Buffer.from(text)),
    words: [
      '"kind":',
      '"coin":',
      '"own":',
      '[0,0,0]',
      '"output"',
      '"spendable":true',
      'abandon ',
      'zoo',
    ],
    maxBytes: 2_000,
    *run(input) {
      const text = payloadOf(input);
      yield* runRecord(text);
      const { records, report } = readLabels(text, CONTEXT);
      for (const record of records) {
        must(parseWalletRecord(written(record)).ok, 'a label is a record');
      }
      if (report.taken > 0) yield 'label-taken';
      for (const { reason } of report.refused) must(!reason.includes('\n'), 'a reason is one line');
      const seed = readSeedWords(text);
      yield seed.ok ? 'seed' : `seed-${seed.reason.kind}`;
      if (seed.ok) mustEqual(seedOf(seed.value.entropy).words, seed.value.words, 'words come back');
      else must(!/[\r\n]/.test(seedFaultText(seed.reason)), 'a fault is one line');
    },
  };
}
