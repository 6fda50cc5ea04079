/** `onionmc maker history`: the coinjoins of a wallet as a maker, the oldest first. */
import { formatBtc } from '../bitcoin/amount.js';
import { counted } from '../kit/decimal.js';
import { textTable, type Column } from '../kit/text-table.js';
import type { MakerCoinjoin } from '../maker/api.js';
import { makerCoinjoins } from '../maker/coinjoins.js';
import { print, printJson } from './print.js';
import { dateTime } from './wallet/format.js';
import { readWallet, unixTime, type ReadOptions } from './wallet/session.js';
import { LONG_WAIT_HOURS, waitsLong } from '../wallet/coinjoins/long-wait.js';

interface HistoryOptions extends ReadOptions {
  readonly json?: boolean;
}

export function runMakerHistory(name: string, options: HistoryOptions): Promise<void> {
  return readWallet(name, options, ({ wallet }) => {
    const coinjoins = makerCoinjoins(wallet);
    if (options.json === true) printJson(coinjoins.map(coinjoinJson));
    else print(makerHistoryTable(coinjoins, unixTime()));
  });
}

/** A coinjoin as `--json` has it: unknown values are null. */
function coinjoinJson(coinjoin: MakerCoinjoin): Record<string, unknown> {
  return {
    txid: coinjoin.txid ?? null,
    unsignedTxid: coinjoin.unsignedTxid,
    signedAt: coinjoin.signedAt,
    confirmedAt: coinjoin.confirmedAt ?? null,
    state: coinjoin.state,
    amount: coinjoin.amount,
    inputs: coinjoin.inputs,
    inputValue: coinjoin.inputValue,
    fee: coinjoin.fee,
    earned: coinjoin.earned,
  };
}

const COLUMNS: readonly Column[] = [
  { heading: 'signed (UTC)' },
  { heading: 'state' },
  { heading: 'amount', numeric: true },
  { heading: 'coins', numeric: true },
  { heading: 'their sum', numeric: true },
  { heading: 'fee sat', numeric: true },
  { heading: 'earned sat', numeric: true },
  { heading: 'minutes', numeric: true },
  { heading: 'txid' },
];

/** Amounts are BTC, fees satoshi; `minutes` from the signatures to the block. Pure. */
export function makerHistoryTable(coinjoins: readonly MakerCoinjoin[], now: number): string {
  if (coinjoins.length === 0) return 'no coinjoins as a maker';
  const rows = coinjoins.map((it) => [
    dateTime(it.signedAt),
    it.state,
    formatBtc(it.amount),
    String(it.inputs),
    formatBtc(it.inputValue),
    String(it.fee),
    String(it.earned),
    it.confirmedAt === undefined
      ? '-'
      : (Math.max(0, it.confirmedAt - it.signedAt) / 60).toFixed(2),
    it.txid ?? it.unsignedTxid,
  ]);
  const confirmed = coinjoins.filter(({ state }) => state === 'confirmed');
  const earned = confirmed.reduce((sum, it) => sum + it.earned, 0);
  return [
    ...textTable(COLUMNS, rows),
    `${counted(confirmed.length, 'confirmed coinjoin')} earned ${earned} sat`,
    ...stuckLines(coinjoins, now),
  ].join('\n');
}

/** Coinjoins that were seen and have been in no block for long. An unseen one has no txid. */
function stuckLines(coinjoins: readonly MakerCoinjoin[], now: number): readonly string[] {
  const stuck = coinjoins.filter(
    ({ state, txid, signedAt }) =>
      state === 'pending' && txid !== undefined && waitsLong(signedAt, now),
  );
  if (stuck.length === 0) return [];
  const what = `${counted(stuck.length, 'coinjoin')} ${stuck.length === 1 ? 'waits' : 'wait'}`;
  return [
    `${what} for a block for more than ${LONG_WAIT_HOURS} hours: the coins stay held until it or a conflict is in a block`,
  ];
}
