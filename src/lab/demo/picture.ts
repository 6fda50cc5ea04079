/** A coinjoin as text: inputs and outputs side by side, who owns which, and which outputs are equal. Pure. */
import { parseTransaction, type TransactionOutput } from '../../bitcoin/transaction.js';
import { grouped } from '../../kit/decimal.js';
import { formatOutpoint, type Outpoint } from '../../protocol/outpoint.js';

export interface PictureParts {
  /** The signed transaction. */
  readonly transaction: Uint8Array;
  /** Value and script of a coin that it spends. */
  readonly spent: (coin: Outpoint) => TransactionOutput | undefined;
  /** The participant that owns a script. */
  readonly ownerOf: (script: string) => string | undefined;
  /** Satoshi of the equal outputs. */
  readonly amount: number;
}

export interface Picture {
  readonly txid: string;
  /** Satoshi for the miners. */
  readonly fee: number;
  /** Number of equal outputs. */
  readonly equal: number;
  /** A table: its head and its rows. */
  readonly rows: readonly (readonly string[])[];
}

const UNKNOWN = '?';

/** Throws a RangeError for bytes that are not a transaction. */
export function pictureOf({ transaction, spent, ownerOf, amount }: PictureParts): Picture {
  const parsed = parseTransaction(transaction);
  if (!parsed.ok) throw new RangeError(`not a transaction: ${parsed.reason}`);
  const { txid, inputs, outputs } = parsed.value;
  const coins = inputs.map((input) => ({ input, coin: spent(input) }));
  const sum = coins.reduce((total, { coin }) => total + (coin?.value ?? 0), 0);
  const fee = outputs.reduce((left, { value }) => left - value, sum);
  const isEqual = ({ value }: TransactionOutput): boolean => value === amount;
  const left = coins.map(({ input, coin }) => [
    coin === undefined ? UNKNOWN : (ownerOf(coin.script) ?? UNKNOWN),
    `${formatOutpoint(input).slice(0, 8)}:${input.vout}`,
    coin === undefined ? UNKNOWN : grouped(coin.value),
  ]);
  const right = outputs.map((output) => [
    grouped(output.value),
    isEqual(output) ? '=' : '',
    ownerOf(output.script) ?? UNKNOWN,
    isEqual(output) ? 'coinjoin' : 'change',
  ]);
  const rows = Array.from({ length: Math.max(left.length, right.length) }, (_, n) => [
    ...(left[n] ?? ['', '', '']),
    n === 0 ? '=>' : '',
    ...(right[n] ?? ['', '', '', '']),
  ]);
  const head = ['from', 'coin', 'sat in', '', 'sat out', '', 'to', ''];
  return { txid, fee, equal: outputs.filter(isEqual).length, rows: [head, ...rows] };
}
