/** The tables of `onionmc wallet show`, `coins` and `history`. Labels are untrusted text. Pure. */
import { formatBtc } from '../../bitcoin/amount.js';
import { counted } from '../../kit/decimal.js';
import { shownLine } from '../../kit/shown-text.js';
import { textTable, type Column } from '../../kit/text-table.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import type { HistoryEntry, WalletCoin, WalletSummary } from '../../wallet/api.js';
import { dateTime, holdWords } from './format.js';

/** Longest label in a table. */
const MAX_LABEL = 40;

const words = (text: string | undefined): string => shownLine(text ?? '', MAX_LABEL);
const numbers = (headings: readonly string[]): readonly Column[] =>
  headings.map((heading) => ({ heading, numeric: true }));

/** Sums of each mixdepth in BTC, then the whole. */
export function summaryTable(name: string, summary: WalletSummary): string {
  const { network, height, total, available, mixdepths, bonds } = summary;
  const rows = mixdepths.map((sums) => [
    String(sums.mixdepth),
    formatBtc(sums.balance),
    formatBtc(sums.available),
    formatBtc(sums.frozen),
    formatBtc(sums.pending),
  ]);
  const columns = numbers(['mixdepth', 'balance', 'available', 'frozen', 'pending']);
  const locked = bonds.reduce((sum, { value }) => sum + value, 0);
  return [
    `${name}: ${network}, block ${height}; amounts in BTC`,
    ...textTable(columns, rows),
    `total ${formatBtc(total)}, available ${formatBtc(available)}`,
    ...(bonds.length === 0
      ? []
      : [
          `${counted(bonds.length, 'bond')} with ${formatBtc(locked)} ("onionmc wallet bond ${name} list")`,
        ]),
  ].join('\n');
}

/** Every coin, with what it came from and why it is not spent. */
export function coinsTable(coins: readonly WalletCoin[]): string {
  if (coins.length === 0) return 'no coins';
  const columns: readonly Column[] = [
    { heading: 'md', numeric: true },
    { heading: 'BTC', numeric: true },
    { heading: 'conf', numeric: true },
    { heading: 'origin' },
    { heading: 'held back' },
    { heading: 'label' },
    { heading: 'coin' },
    { heading: 'address' },
  ];
  const rows = coins.map((coin) => [
    String(coin.mixdepth),
    formatBtc(coin.value),
    String(coin.confirmations),
    coin.origin,
    holdWords(coin) || '-',
    words(coin.label) || '-',
    formatOutpoint(coin),
    coin.address,
  ]);
  return [...textTable(columns, rows), counted(coins.length, 'coin')].join('\n');
}

const mixdepthText = (mixdepth: number | undefined): string =>
  mixdepth === undefined ? '-' : String(mixdepth);
const btcOrDash = (value: number | undefined): string =>
  value === undefined ? '-' : formatBtc(value);

/** The transactions, the oldest first. Times are in UTC. */
export function historyTable(entries: readonly HistoryEntry[]): string {
  if (entries.length === 0) return 'no transactions';
  const columns: readonly Column[] = [
    { heading: 'time (UTC)' },
    { heading: 'kind' },
    { heading: 'state' },
    { heading: 'change', numeric: true },
    { heading: 'balance', numeric: true },
    { heading: 'miner fee', numeric: true },
    { heading: 'earned', numeric: true },
    { heading: 'from', numeric: true },
    { heading: 'to', numeric: true },
    { heading: 'label' },
    { heading: 'txid' },
  ];
  const rows = entries.map((entry) => [
    dateTime(entry.time),
    entry.kind,
    entry.state,
    formatBtc(entry.change),
    formatBtc(entry.balance),
    btcOrDash(entry.fee),
    btcOrDash(entry.coinjoinFee),
    mixdepthText(entry.mixdepthFrom),
    mixdepthText(entry.mixdepthTo),
    words(entry.label) || '-',
    entry.txid,
  ]);
  return [...textTable(columns, rows), counted(entries.length, 'transaction')].join('\n');
}

const CSV_HEADINGS = [
  'time',
  'txid',
  'kind',
  'state',
  'height',
  'change_sat',
  'balance_sat',
  'miner_fee_sat',
  'coinjoin_fee_sat',
  'mixdepth_from',
  'mixdepth_to',
  'label',
];

/**
 * A field as RFC 4180 has it, from text that is safe for a terminal. A text that a spreadsheet would take for a formula gets an apostrophe in
 * front; numbers do not pass here.
 */
function csvText(text: string): string {
  const tame = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(tame) ? `"${tame.replaceAll('"', '""')}"` : tame;
}

/** The transactions as CSV with a heading line; times in UTC, amounts in satoshi, unknown values empty. */
export function historyCsv(entries: readonly HistoryEntry[]): string {
  const rows = entries.map((entry) => {
    const numbersOf = [
      entry.change,
      entry.balance,
      entry.fee,
      entry.coinjoinFee,
      entry.mixdepthFrom,
      entry.mixdepthTo,
    ];
    return [
      new Date(entry.time * 1_000).toISOString(),
      entry.txid,
      entry.kind,
      entry.state,
      String(entry.height ?? ''),
      ...numbersOf.map((value) => String(value ?? '')),
      csvText(shownLine(entry.label ?? '')),
    ].join(',');
  });
  return [CSV_HEADINGS.join(','), ...rows, ''].join('\r\n');
}
