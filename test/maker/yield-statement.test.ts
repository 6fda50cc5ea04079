/** The lines of yigen-statement.csv, from the coinjoins of the journal. */
import * as fc from 'fast-check';
import t from 'tap';
import type { MakerCoinjoin } from '../../src/maker/api.js';
import { connectedLine, missingLines, STATEMENT_HEADER } from '../../src/maker/yield-statement.js';

/** 2026-03-01 14:05:06 UTC. */
const SIGNED_AT = 1_772_373_906;

const coinjoin = (over: Partial<MakerCoinjoin> = {}): MakerCoinjoin => ({
  txid: 'aa'.repeat(32),
  unsignedTxid: 'aa'.repeat(32),
  signedAt: SIGNED_AT,
  confirmedAt: SIGNED_AT + 754,
  state: 'confirmed',
  amount: 5_000_000,
  inputs: 2,
  inputValue: 12_345_678,
  fee: 100,
  earned: 90,
  ...over,
});

t.test('the columns of the original', async (t) => {
  t.equal(
    STATEMENT_HEADER,
    'timestamp,cj amount/satoshi,my input count,my input value/satoshi,cjfee/satoshi,earned/satoshi,confirm time/min,notes',
  );
  t.equal(connectedLine(SIGNED_AT), '2026/03/01 14:05:06,,,,,,,Connected');
  t.strictSame(missingLines([], [coinjoin()]), [
    '2026/03/01 14:17:40,5000000,2,12345678,100,90,12.57,',
  ]);
});

t.test('the clock of a block may be behind: the time is never negative', async (t) => {
  t.strictSame(missingLines([], [coinjoin({ confirmedAt: SIGNED_AT - 60 })]), [
    '2026/03/01 14:05:06,5000000,2,12345678,100,90,0.00,',
  ]);
});

t.test('only confirmed coinjoins have a line', async (t) => {
  for (const state of ['pending', 'replaced', 'lost', 'abandoned'] as const) {
    t.strictSame(missingLines([], [coinjoin({ state, confirmedAt: undefined })]), [], state);
  }
});

t.test('a coinjoin that a reorganisation moves to another block keeps its line', async (t) => {
  const lines = missingLines([], [coinjoin()]);
  t.strictSame(missingLines(lines, [coinjoin({ confirmedAt: SIGNED_AT + 5_000 })]), []);
});

t.test('equal coinjoins at different times have a line each', async (t) => {
  const later = coinjoin({ signedAt: SIGNED_AT + 100, confirmedAt: SIGNED_AT + 800 });
  const [line = ''] = missingLines([], [coinjoin()]);
  t.equal(missingLines([line], [coinjoin(), later]).length, 1);
  t.equal(missingLines([], [coinjoin(), coinjoin()]).length, 2, 'and in the same second');
  t.equal(missingLines([line], [coinjoin(), coinjoin()]).length, 1);
});

t.test('of two equal coinjoins a second apart, the one without a line gets it', async (t) => {
  const first = coinjoin({ signedAt: SIGNED_AT, confirmedAt: SIGNED_AT + 600 });
  const second = coinjoin({ signedAt: SIGNED_AT + 1, confirmedAt: SIGNED_AT + 607 });
  const lines = missingLines([], [first, second]);
  t.equal(lines.length, 2);
  for (const line of lines) {
    t.same(
      missingLines([line], [first, second]),
      lines.filter((other) => other !== line),
    );
  }
});

t.test('lines of other programs, and lines that are none, are left alone', async (t) => {
  const others = [
    STATEMENT_HEADER,
    connectedLine(SIGNED_AT),
    '',
    'x,y',
    '2026/03/01 14:17:40,1,2,3',
  ];
  t.equal(missingLines(others, [coinjoin()]).length, 1);
});

const coinjoins = fc.array(
  fc
    .record({
      signedAt: fc.integer({ min: 1_600_000_000, max: 1_600_000_000 + 40 }),
      wait: fc.integer({ min: -100, max: 2_000_000 }),
      amount: fc.integer({ min: 1, max: 3 }),
      inputs: fc.integer({ min: 1, max: 2 }),
      earned: fc.integer({ min: -2, max: 2 }),
    })
    .map(({ signedAt, wait, ...rest }) =>
      coinjoin({ ...rest, signedAt, confirmedAt: signedAt + wait }),
    ),
  { maxLength: 12 },
);

t.test('after a crash at any line, no line is lost and none is written twice', async () => {
  fc.assert(
    fc.property(coinjoins, fc.nat(12), (made, kept) => {
      const all = missingLines([], made);
      const present = all.slice(0, kept);
      const again = missingLines(present, made);
      const written = [...present, ...again];
      return (
        all.length === made.length &&
        written.toSorted().join('\n') === all.toSorted().join('\n') &&
        missingLines(written, made).length === 0
      );
    }),
    { numRuns: 2_000 },
  );
});
