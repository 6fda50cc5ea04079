/** Amounts, rates, tables and CSV of wallet commands. */
import t from 'tap';
import {
  day,
  dateTime,
  holdReason,
  holdWords,
  percent,
  satPerVbyte,
} from '../../../src/cli/wallet/format.js';
import { parseFeeRate, parseWalletName } from '../../../src/cli/wallet/option-values.js';
import { startProgress } from '../../../src/cli/wallet/progress.js';
import {
  coinsTable,
  historyCsv,
  historyTable,
  summaryTable,
} from '../../../src/cli/wallet/tables.js';
import type { HistoryEntry, WalletCoin } from '../../../src/wallet/api.js';

const COIN: WalletCoin = {
  txid: 'ab'.repeat(32),
  vout: 1,
  mixdepth: 2,
  branch: 1,
  index: 7,
  value: 123_456,
  script: `0014${'00'.repeat(20)}`,
  address: 'bcrt1q',
  path: "m/84'/1'/2'/1/7",
  confirmations: 3,
  height: 120,
  origin: 'change',
  frozen: undefined,
  hold: undefined,
  signedFor: undefined,
  lockTime: undefined,
  label: undefined,
  outsideKey: undefined,
  mergeable: false,
};

const ENTRY: HistoryEntry = {
  txid: 'cd'.repeat(32),
  time: 1_700_000_000,
  height: 120,
  kind: 'send',
  change: -60_000,
  balance: 40_000,
  fee: 282,
  coinjoinFee: undefined,
  mixdepthFrom: 0,
  mixdepthTo: undefined,
  state: 'confirmed',
  label: undefined,
};

t.test('rates, shares and times', async (t) => {
  t.equal(satPerVbyte(1_500), '1.5');
  t.equal(satPerVbyte(110), '0.11');
  t.equal(percent(1, 3), '33 %');
  t.equal(percent(141, 10_000), '1.41 %');
  t.equal(percent(1, 100_000_000), 'below 0.01 %');
  t.equal(percent(0, 5), '0.00 %');
  t.equal(percent(5, 0), '-');
  t.equal(dateTime(1_700_000_000), '2023-11-14 22:13');
  t.equal(day(1_769_904_000), '2026-02-01');
});

t.test('a fee rate is read without a float', async (t) => {
  const good: readonly (readonly [string, number])[] = [
    ['1', 1_000],
    ['1.5', 1_500],
    ['0.1', 100],
    ['0.001', 1],
    ['350', 350_000],
  ];
  for (const [text, feePerKb] of good) t.equal(parseFeeRate(text), feePerKb, text);
  for (const text of ['', '0', '0.0', '-1', '1e3', '1,5', '.5', '1.', '0.0001', '100001', '1 '])
    t.throws(() => parseFeeRate(text), { code: 'commander.invalidArgument' }, text);
});

t.test('names of wallets', async (t) => {
  for (const name of ['a', 'savings', 'Wallet-2.old_1', 'x'.repeat(64)])
    t.equal(parseWalletName(name), name);
  for (const name of ['', '.', '..', '.hidden', '-x', 'a/b', 'a b', 'ä', 'x'.repeat(65), 'a\n'])
    t.throws(() => parseWalletName(name), { code: 'commander.invalidArgument' }, name);
});

t.test('what holds a coin', async (t) => {
  const cases: readonly (readonly [Partial<WalletCoin>, string, string | null])[] = [
    [{}, '', null],
    [{ frozen: 'user', hold: 'frozen' }, 'frozen by you', 'user'],
    [{ frozen: 'reuse', hold: 'frozen' }, 'frozen: its address was used before', 'reuse'],
    [{ hold: 'unconfirmed' }, 'not in a block yet', 'unconfirmed'],
    [{ hold: 'leased' }, 'in a coinjoin that runs', 'leased'],
    [{ hold: 'signed', signedFor: 'ef'.repeat(32) }, 'spent by efefefefefefefef...', 'signed'],
    [{ signedFor: 'ef'.repeat(32) }, 'free; efefefefefefefef... may still spend it', 'abandoned'],
    [{ hold: 'locked', lockTime: 1_769_904_000 }, 'locked until 2026-02-01', 'locked'],
  ];
  for (const [some, words, reason] of cases) {
    t.equal(holdWords({ ...COIN, ...some }), words);
    t.equal(holdReason({ ...COIN, ...some }), reason);
  }
});

t.test('tables', async (t) => {
  const table = coinsTable([
    COIN,
    { ...COIN, vout: 2, label: 'rent\u001b[31m', frozen: 'user', hold: 'frozen' },
  ]);
  t.match(table, /^md +BTC +conf +origin +held back +label +coin +address\n/);
  t.match(table, /0\.00123456 +3 +change +- +- +(ab){32}:1 +bcrt1q\n/);
  t.match(table, /frozen by you +rent\\u001b\[31m/);
  t.match(table, /\n2 coins$/);
  t.equal(coinsTable([]), 'no coins');
  t.equal(historyTable([]), 'no transactions');
  t.match(historyTable([ENTRY]), /2023-11-14 22:13 +send +confirmed +-0\.00060000 +0\.00040000/);
  const sums = { mixdepth: 0, balance: 5, available: 3, frozen: 1, pending: 1 };
  const bonds = [{ ...COIN, lockTime: 1_769_904_000, hold: 'locked' as const }];
  const whole = { network: 'regtest', height: 7, total: 5, available: 3, mixdepths: [sums], bonds };
  t.match(summaryTable('joe', whole), /^joe: regtest, block 7; amounts in BTC\n/);
  t.match(
    summaryTable('joe', whole),
    /\n1 bond with 0\.00123456 \("onionmc wallet bond joe list"\)$/,
  );
});

t.test('CSV is RFC 4180, and a label is no formula', async (t) => {
  const labels: readonly (readonly [string, string])[] = [
    ['rent', 'rent'],
    ['a, b', '"a, b"'],
    ['say "hi"', '"say ""hi"""'],
    ['two\nlines', String.raw`two\nlines`],
    ['\u001b[31mred', String.raw`\u001b[31mred`],
    ['=HYPERLINK("x")', `"'=HYPERLINK(""x"")"`],
    ['@x', "'@x"],
  ];
  for (const [label, field] of labels) {
    const [heading, row = ''] = historyCsv([{ ...ENTRY, label }]).split('\r\n');
    t.match(heading, /^time,txid,kind,state,height,change_sat,/);
    t.ok(
      row.startsWith(
        `2023-11-14T22:13:20.000Z,${ENTRY.txid},send,confirmed,120,-60000,40000,282,,0,,`,
      ),
    );
    t.ok(row.endsWith(`,${field}`), row);
  }
});

t.test('progress: one line that changes, or a line now and then', async (t) => {
  for (const isLive of [true, false]) {
    let now = 0;
    const said: string[] = [];
    const output = {
      isLive,
      now: () => now,
      redraw: (text: string) => void said.push(`~${text}`),
      line: (text: string) => void said.push(text),
    };
    const progress = startProgress('reading', output);
    for (; now <= 12_000; now += 50) progress.update(now / 24_000);
    progress.end();
    if (isLive) {
      t.same(said.slice(0, 2), ['~reading ...', '~reading ... 0 %']);
      t.equal(said.length, 122, 'ten a second, and the last one removes it');
      t.equal(said.at(-1), '~');
    } else {
      t.same(said, ['reading ... 41 %']);
    }
  }
});
